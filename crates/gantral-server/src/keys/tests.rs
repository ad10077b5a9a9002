use gantral_core::digest::Digest;
use gantral_store::{
    CommittedArtifact, Duty, DutyTaken, Holder, LEASE, LogGrowth, LogHold, LogLink, LogRow, LogSwap,
    SwapOutcome,
};
use gantral_testkit::World;

use super::*;

fn link(artifact: &CommittedArtifact) -> LogLink {
    LogLink {
        number: artifact.number,
        previous: artifact.previous,
        tag: artifact.chain.tag(&artifact.tenant),
        sequence: artifact.sequence,
        ends_chain: false,
    }
}

#[tokio::test]
async fn log_reaches_as_far_as_what_is_committed_will_bring_it() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(log_reach(None, data.path()).await.unwrap(), []);

    let world = World::new();
    let tenant = world.tenant();
    for frozen in [true, false] {
        world.set_frozen(frozen).await;
    }
    let store = world.engine().store();
    let logged = store.committed(0, LOG_PAGE_MAX).await.unwrap().artifacts;
    assert_eq!(logged.len(), 2);
    let taken = store.take_duty(&Duty::Logs, Holder::from_random([1; 16]), LEASE).await.unwrap();
    let DutyTaken::Held(held) = taken else { panic!("nobody else lets the log grow") };
    let claim = store.claim_logs(&held).await.unwrap().unwrap();
    let row =
        LogRow { tenant: tenant.clone(), size: 2, root: Digest::of(b"a root"), checkpoint: String::new() };
    let links = logged.iter().map(link).collect();
    let growths = vec![LogGrowth { row, before: None, links }];
    let swap = LogSwap { fence: claim.fence, after: 0, through: 2, growths, holds: Vec::new() };
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    for frozen in [true, false, true] {
        world.set_frozen(frozen).await;
    }
    let reach = [LogReach { origin: log_of(&tenant).unwrap(), size: 2, through: 5 }];
    assert_eq!(reach_of(store).await.unwrap(), reach);
    // What a log that stands still has not taken will be in it all the same.
    let holds = vec![LogHold { tenant: tenant.clone(), numbers: vec![3, 4] }];
    let swap = LogSwap { fence: claim.fence, after: 2, through: 4, growths: Vec::new(), holds };
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!(reach_of(store).await.unwrap(), reach);
}
