//! Content that was kept for its time: when it goes, what stays, and that everything verifies as before.

use gantral_core::time::DurationMs;
use gantral_engine::{Retained, Retention};
use gantral_evidence::verify::{Code, Verdict};
use gantral_store::SnapshotContent;

use crate::governance::exported;
use crate::script::{REJECTED, SELF, SMALL_AT_ONCE, Script, Step};

const DAY: DurationMs = DurationMs::from_secs(86_400);

async fn retain(script: &Script, kept: DurationMs) -> Retained {
    let world = &script.world;
    let now = world.clock.now();
    world.engine().retain(&world.tenant(), kept, now, None).await.unwrap()
}

/// Returns of how many commitments of the instance the content is there, and of how many it is erased.
async fn contents(script: &Script) -> (usize, usize) {
    let store = script.world.engine().store();
    let found = store.snapshots_of(&script.world.tenant(), script.id(), None, 100).await.unwrap();
    let kept = found.iter().filter(|found| matches!(found.content, SnapshotContent::Kept { .. })).count();
    (kept, found.len() - kept)
}

#[tokio::test]
async fn content_goes_when_an_execution_has_ended_so_long_ago_and_its_bundle_verifies_without_it() {
    for steps in [SELF, REJECTED, SMALL_AT_ONCE] {
        let script = Script::play(steps).await;
        let (kept, _) = contents(&script).await;
        assert!(kept > 0);
        assert_eq!(exported(&script.world, script.id()).await.verdict, Verdict::Valid);
        script.world.clock.advance(DurationMs::new(DAY.get() - 60_000));
        assert_eq!(retain(&script, DAY).await, Retained::default(), "it is kept until then");
        assert_eq!(contents(&script).await, (kept, 0));
        script.world.clock.advance(DurationMs::new(120_000));
        let retained = retain(&script, DAY).await;
        assert_eq!((retained.instances, retained.failed, retained.next), (1, 0, None));
        assert!(retained.bytes > 0);
        assert_eq!(contents(&script).await, (0, kept));
        // Whoever does it again, or at the same time, finds it done.
        assert_eq!(retain(&script, DAY).await, Retained::default());
        let report = exported(&script.world, script.id()).await;
        assert_eq!(report.verdict, Verdict::Valid, "{report:?}");
        assert!(report.findings.iter().any(|finding| finding.code == Code::Withheld), "{report:?}");
        // It is shown as before, but for what was erased.
        let facts = script.world.engine().instance(&script.world.tenant(), script.id()).await.unwrap();
        assert!(facts.instance.state().is_final());
    }
}

#[tokio::test]
async fn what_has_not_ended_keeps_its_content_however_old_it_is_and_goes_on() {
    let mut script = Script::begin(SELF, 3).await;
    let (kept, _) = contents(&script).await;
    script.world.clock.advance(DurationMs::new(2_000));
    assert_eq!(retain(&script, DurationMs::from_secs(1)).await, Retained::default());
    assert_eq!(contents(&script).await, (kept, 0));
    script.step(Step::Override { amount: crate::script::REDUCED }).await.unwrap();
}

#[test]
fn a_tenant_with_a_time_of_its_own_is_kept_for_that_or_for_ever() {
    let tenant = |name: &str| gantral_core::ids::TenantId::parse(name).unwrap();
    let mut retention = Retention { usual: Some(DAY), ..Retention::default() };
    retention.tenants.insert(tenant("held"), None);
    retention.tenants.insert(tenant("short"), Some(DurationMs::from_secs(60)));
    assert_eq!(retention.of(&tenant("acme")), Some(DAY));
    assert_eq!(retention.of(&tenant("held")), None);
    assert_eq!(retention.of(&tenant("short")), Some(DurationMs::from_secs(60)));
    assert_eq!(Retention::default().of(&tenant("acme")), None);
}
