use super::*;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn checkpoint(size: u64) -> PublishedCheckpoint {
    PublishedCheckpoint { tree: TreeHead { size, ..TreeHead::empty() }, note: format!("note {size}") }
}

#[tokio::test]
async fn who_waits_for_a_size_is_answered_by_the_first_checkpoint_that_covers_it() {
    let published = Published::new();
    let (waiting, acme) = (published.clone(), tenant("acme"));
    let waiter = tokio::spawn(async move { waiting.until_size(&tenant("acme"), 5).await });
    published.announce(&tenant("other"), checkpoint(9));
    published.announce(&acme, checkpoint(4));
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    published.announce(&acme, checkpoint(7));
    assert_eq!(waiter.await.unwrap().unwrap().note, "note 7");
    assert_eq!(published.until_size(&acme, 7).await.unwrap().tree.size, 7);
    assert_eq!(published.newest(&acme).unwrap().tree.size, 7);
    assert_eq!(published.newest(&tenant("none")), None);
}

#[tokio::test]
async fn who_waits_for_a_sequencer_that_ends_is_told() {
    let published = Published::new();
    let waiting = published.clone();
    let waiter = tokio::spawn(async move { waiting.until_size(&tenant("acme"), 5).await });
    published.set_state(SequencerState::Failing("slow".to_owned()));
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    published.set_state(SequencerState::Stopped("a fork".to_owned()));
    assert_eq!(waiter.await.unwrap().unwrap_err().reason, "a fork");
    published.announce(&tenant("acme"), checkpoint(5));
    assert!(published.until_size(&tenant("acme"), 5).await.is_ok(), "what is there is there");
}

#[tokio::test]
async fn who_waits_for_a_log_that_stands_still_is_told_and_who_waits_for_another_is_not() {
    let published = Published::new();
    let waiting = |name: &'static str| {
        let published = published.clone();
        tokio::spawn(async move { published.until_size(&tenant(name), 5).await })
    };
    let (acme, other) = (waiting("acme"), waiting("other"));
    let stopped =
        StoppedLog { fault: LogFault::ArtifactRefused, artifact: Some(7), why: "a second one".to_owned() };
    assert!(published.stop(&tenant("acme"), stopped.clone()));
    assert!(!published.stop(&tenant("acme"), stopped.clone()), "that is known");
    assert_eq!(acme.await.unwrap().unwrap_err().reason, "a second one");
    assert_eq!(published.stopped(), [(tenant("acme"), stopped)].into());
    published.announce(&tenant("other"), checkpoint(5));
    assert!(other.await.unwrap().is_ok());
    assert!(published.go_on(&tenant("acme")) && !published.go_on(&tenant("acme")));
    assert!(published.stopped().is_empty());
}
