//! Nothing that matters is in memory: a new engine on the same file goes on.

use crate::script::{REJECTED, RUN, SELF, SMALL_AT_ONCE, Script};

#[tokio::test]
async fn a_new_engine_goes_on_after_every_step() {
    for steps in [SELF, RUN, SMALL_AT_ONCE, REJECTED] {
        let expected = Script::play(steps).await.events().await;
        let mut script = Script::new(steps).await;
        for step in steps {
            script.world.restart();
            script.step(*step).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        }
        assert_eq!(script.events().await, expected);
        script.is_valid().await;
    }
}

#[tokio::test]
async fn what_was_folded_step_by_step_is_what_the_chain_folds_to() {
    for steps in [SELF, RUN, SMALL_AT_ONCE, REJECTED] {
        let mut script = Script::new(steps).await;
        for step in steps {
            script.step(*step).await.unwrap();
            let cached = script.facts().await;
            script.world.restart();
            let folded = script.facts().await;
            assert_eq!(cached.instance, folded.instance, "{step:?}");
            assert_eq!(cached.head, folded.head);
        }
    }
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_any_more_happens_once_or_not_at_all() {
    let expected = Script::play(SELF).await.events().await;
    for patience in (0..40).map(|n| std::time::Duration::from_micros(n * 150)) {
        let mut script = Script::new(SELF).await;
        for step in SELF {
            let (known, key) = (script.learned, script.done);
            // Whoever gives up learns nothing; the creation cannot be found again but by its key.
            let _ = tokio::time::timeout(patience, script.send(*step, known, key, "body")).await;
            script.step(*step).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        }
        assert_eq!(script.events().await, expected, "{patience:?}");
        script.is_valid().await;
    }
}
