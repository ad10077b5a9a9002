//! Every write of every command fails once, without a trace or with all of it; the same request again has one effect.

use gantral_engine::EngineError;
use gantral_keys::SignError;
use gantral_store::fault::Fault;

use crate::script::{REJECTED, RUN, SELF, SMALL_AT_ONCE, Script, Step};

const FAULTS: [Fault; 3] = [Fault::Failed, Fault::FailedButPersisted, Fault::FailedUnknown];

/// Plays all steps, repeating the one whose write fails; returns whether the fault was met.
async fn play_with(steps: &[Step], nth: u64, fault: Fault, restart: bool) -> (Script, bool) {
    let mut script = Script::new(steps).await;
    let before = script.world.faults.writes();
    script.world.faults.fail(before + nth, fault);
    let mut met = false;
    for step in steps {
        let sealed = if script.learned.id.is_some() { script.events().await.len() } else { 0 };
        let error = match script.step(*step).await {
            Ok(_) => continue,
            Err(error) => error,
        };
        assert!(matches!(error, EngineError::Store(_)), "{step:?}: {error:?}");
        assert!(!met, "only one write fails");
        met = true;
        if restart {
            script.world.restart();
        }
        if fault != Fault::FailedButPersisted && script.learned.id.is_some() {
            assert_eq!(script.events().await.len(), sealed, "{step:?} left something behind");
        }
        let again = script.step(*step).await.unwrap_or_else(|error| panic!("{step:?} again: {error}"));
        if let Some((sequence, ..)) = again.receipts.first() {
            assert_eq!(usize::try_from(*sequence).unwrap(), sealed, "{step:?} has one effect");
        }
    }
    (script, met)
}

/// Lets each write of an execution fail in each form, and compares what happened with an execution without faults.
async fn check(steps: &[Step]) {
    let expected = Script::play(steps).await.events().await;
    for fault in FAULTS {
        for restart in [false, true] {
            for nth in 1.. {
                let (script, met) = play_with(steps, nth, fault, restart).await;
                assert_eq!(script.events().await, expected, "write {nth}, {fault:?}");
                script.is_valid().await;
                if !met {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_self_executing_agent_meets_every_fault_once_and_acts_once() {
    check(SELF).await;
}

#[tokio::test]
async fn a_runner_meets_every_fault_once_and_acts_once() {
    check(RUN).await;
}

#[tokio::test]
async fn what_policy_allows_is_granted_once_under_every_fault() {
    check(SMALL_AT_ONCE).await;
}

#[tokio::test]
async fn a_rejection_is_sealed_once_under_every_fault() {
    check(REJECTED).await;
}

#[tokio::test]
async fn without_a_key_a_fault_still_leaves_no_authority_without_an_artifact() {
    for fault in FAULTS {
        let mut script = Script::new(SELF).await;
        for step in [Step::Create, Step::Begin] {
            script.step(step).await.unwrap();
        }
        let (world, sealed) = (&script.world, script.events().await.len());
        world.faults.fail_next(fault);
        let bearer = world.bearer(script.id(), 1);
        let asked = world.engine().ask(world.call(), &bearer, crate::script::ask(1, true)).await;
        assert!(matches!(asked, Err(EngineError::Store(_))), "{asked:?}");
        let grants = script.facts().await.instance.consumptions.len();
        let kept = fault == Fault::FailedButPersisted;
        assert_eq!(grants, usize::from(kept));
        assert_eq!(script.events().await.len(), sealed + 2 * usize::from(kept));
        script.is_valid().await;
    }
}

#[tokio::test]
async fn a_signer_that_fails_leaves_nothing_and_the_same_request_succeeds() {
    for steps in [SELF, RUN, SMALL_AT_ONCE, REJECTED] {
        let expected = Script::play(steps).await.events().await;
        for nth in 1..=3 {
            let mut script = Script::new(steps).await;
            for step in steps {
                let known = script.learned.id.is_some();
                let sealed = if known { script.events().await.len() } else { 0 };
                script.world.signer_faults.fail_after(nth);
                // A step that seals fewer artifacts leaves the fault to a later one.
                if let Err(error) = script.step(*step).await {
                    assert_eq!(error, EngineError::Signer(SignError::Unavailable), "{step:?}");
                    if known {
                        assert_eq!(script.events().await.len(), sealed, "{step:?} left something behind");
                    }
                    while let Err(error) = script.step(*step).await {
                        assert_eq!(error, EngineError::Signer(SignError::Unavailable), "{step:?}");
                    }
                }
            }
            assert_eq!(script.events().await, expected);
            script.is_valid().await;
        }
    }
}
