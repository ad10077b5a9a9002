//! Logs that stand still while the others grow, and how they go on.

use gantral_core::ids::TenantId;
use gantral_store::{
    ChainId, CommittedArtifact, HeldLog, LogGrowth, LogHold, LogLink, LogResume, LogRow, LogSwap, Store,
    StoreError, SwapOutcome,
};

use crate::conformance::conformance;
use crate::conformance::logs::{Logs, link, root};
use crate::world::{Chain, claim, tenant};

conformance!(
    a_log_that_stands_still_holds_up_no_other,
    a_log_goes_on_at_the_artifact_at_which_it_stood_still_and_nowhere_else,
    a_log_that_goes_on_refuses_a_second_leaf_of_one_place,
    only_the_newest_claim_lets_a_log_go_on,
    a_hold_that_leaves_an_artifact_out_contradicts_itself,
);

/// Two tenants, the artifacts of which take turns: acme has the odd numbers.
async fn two(store: &Store, each: u64) -> [Chain; 2] {
    let mut chains = ["acme", "other"].map(|name| Chain::new(&tenant(name)));
    for _ in 0..each {
        for chain in &mut chains {
            chain.commit(store, vec![]).await;
        }
    }
    chains
}

/// Makes the swap of a page in which acme stands still at an artifact.
fn held_at(logs: &Logs, fence: u64, after: u64, page: &[CommittedArtifact], number: u64) -> LogSwap {
    let (held, taken): (Vec<_>, Vec<_>) =
        page.iter().cloned().partition(|row| row.tenant == tenant("acme") && row.number >= number);
    let mut swap = logs.swap(fence, after, &taken);
    swap.through = page.last().unwrap().number;
    let numbers: Vec<u64> = held.iter().map(|row| row.number).collect();
    if !numbers.is_empty() {
        swap.holds.push(LogHold { tenant: tenant("acme"), numbers });
    }
    swap
}

/// Lets acme go on with these artifacts.
fn go_on(fence: u64, size: u64, taken: &[CommittedArtifact], held: Option<u64>) -> LogResume {
    let acme = tenant("acme");
    let links: Vec<LogLink> = taken.iter().map(link).collect();
    let grown = size + links.len() as u64;
    let row =
        LogRow { tenant: acme.clone(), size: grown, root: root(&acme, grown), checkpoint: String::new() };
    let before = (size > 0).then(|| (size, root(&acme, size)));
    LogResume { fence, growth: LogGrowth { row, before, links }, held }
}

async fn positions(store: &Store, chain: &Chain) -> Vec<u64> {
    store.log_positions(&chain.tenant, ChainId::Instance(chain.id), 0, 1_000).await.unwrap()
}

async fn held(store: &Store) -> Vec<(TenantId, u64)> {
    let held = store.held_logs(None, 10).await.unwrap();
    held.into_iter().map(|HeldLog { tenant, number }| (tenant, number)).collect()
}

async fn a_log_that_stands_still_holds_up_no_other(store: &Store) {
    let mut chains = two(store, 3).await;
    let mut logs = Logs::default();
    let fence = claim(store).await.fence;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let swap = held_at(&logs, fence, 0, &page, 3);
    assert_eq!(store.swap_logs(swap.clone()).await.unwrap(), SwapOutcome::Swapped);
    logs.done(&swap);
    assert_eq!(held(store).await, [(tenant("acme"), 3)]);
    assert_eq!(positions(store, &chains[0]).await, [0]);
    assert_eq!(positions(store, &chains[1]).await, [0, 1, 2]);
    assert_eq!(store.log_claim().await.unwrap().taken, 6);

    for chain in &mut chains {
        chain.commit(store, vec![]).await;
    }
    let page = store.committed(6, 10).await.unwrap().artifacts;
    let grows = logs.swap(fence, 6, &page);
    assert_eq!(store.swap_logs(grows).await.unwrap(), SwapOutcome::Moved, "it stands still");
    let swap = held_at(&logs, fence, 6, &page, 3);
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!(held(store).await, [(tenant("acme"), 3)], "it stays where it was");
    assert_eq!(positions(store, &chains[0]).await, [0]);
    assert_eq!(positions(store, &chains[1]).await, [0, 1, 2, 3]);
    assert_eq!(store.held_logs(Some(&tenant("acme")), 10).await.unwrap(), []);
}

async fn a_log_goes_on_at_the_artifact_at_which_it_stood_still_and_nowhere_else(store: &Store) {
    let chains = two(store, 4).await;
    let fence = claim(store).await.fence;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let swap = held_at(&Logs::default(), fence, 0, &page, 3);
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);

    let rest = store.committed_of(&tenant("acme"), 3, 8, 10).await.unwrap();
    assert_eq!((rest.artifacts.len(), rest.through), (3, 8));
    let some = store.committed_of(&tenant("acme"), 3, 8, 2).await.unwrap();
    assert_eq!((&some.artifacts[..], some.through), (&rest.artifacts[..2], 5));
    let rest = rest.artifacts;
    // Neither past it, nor as if it were a log that begins, nor further than everything is taken.
    for wrong in [
        go_on(fence, 1, &rest[1..], None),
        go_on(fence, 0, &rest, None),
        go_on(fence, 1, &rest[..1], Some(9)),
    ] {
        assert_eq!(store.resume_log(wrong).await.unwrap(), SwapOutcome::Moved);
    }
    let back = store.resume_log(go_on(fence, 1, &rest[..2], Some(3))).await;
    assert!(matches!(back, Err(StoreError::Contradiction { .. })), "{back:?}");
    assert_eq!(held(store).await, [(tenant("acme"), 3)]);

    let part = go_on(fence, 1, &rest[..2], Some(7));
    assert_eq!(store.resume_log(part.clone()).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!(
        (held(store).await, positions(store, &chains[0]).await),
        (vec![(tenant("acme"), 7)], vec![0, 1, 2])
    );
    assert_eq!(store.resume_log(part).await.unwrap(), SwapOutcome::Moved, "twice is once");
    let last = go_on(fence, 3, &rest[2..], None);
    assert_eq!(store.resume_log(last.clone()).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!((held(store).await, positions(store, &chains[0]).await), (vec![], vec![0, 1, 2, 3]));
    assert_eq!(store.resume_log(last).await.unwrap(), SwapOutcome::Moved, "it stands still no more");
    assert_eq!(positions(store, &chains[1]).await, [0, 1, 2, 3]);
}

async fn a_log_that_goes_on_refuses_a_second_leaf_of_one_place(store: &Store) {
    let chains = two(store, 3).await;
    let fence = claim(store).await.fence;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let swap = held_at(&Logs::default(), fence, 0, &page, 3);
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    let rest = store.committed_of(&tenant("acme"), 3, 6, 10).await.unwrap().artifacts;
    let mut twice = go_on(fence, 1, &rest, None);
    (twice.growth.links[1].previous, twice.growth.links[1].sequence) = (Some(1), 1);
    let tag = ChainId::Instance(chains[0].id).tag(&tenant("acme"));
    let refused = SwapOutcome::Refused { tenant: tenant("acme"), number: 5, tag, sequence: 1 };
    assert_eq!(store.resume_log(twice).await.unwrap(), refused);
    assert_eq!((held(store).await, positions(store, &chains[0]).await), (vec![(tenant("acme"), 3)], vec![0]));
    assert_eq!(store.resume_log(go_on(fence, 1, &rest, None)).await.unwrap(), SwapOutcome::Swapped);
}

async fn only_the_newest_claim_lets_a_log_go_on(store: &Store) {
    two(store, 2).await;
    let first = claim(store).await.fence;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let swap = held_at(&Logs::default(), first, 0, &page, 1);
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    let newer = claim(store).await.fence;
    let rest = store.committed_of(&tenant("acme"), 1, 4, 10).await.unwrap().artifacts;
    let answer = store.resume_log(go_on(first, 0, &rest, None)).await.unwrap();
    assert_eq!((answer, held(store).await), (SwapOutcome::Stale, vec![(tenant("acme"), 1)]));
    let answer = store.resume_log(go_on(newer, 0, &rest, None)).await.unwrap();
    assert_eq!((answer, held(store).await), (SwapOutcome::Swapped, vec![]));
}

async fn a_hold_that_leaves_an_artifact_out_contradicts_itself(store: &Store) {
    two(store, 3).await;
    let claim = claim(store).await;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let good = held_at(&Logs::default(), claim.fence, 0, &page, 3);
    let mut hole = good.clone();
    hole.holds[0].numbers.pop();
    let mut nothing = good.clone();
    nothing.holds.push(LogHold { tenant: tenant("third"), numbers: Vec::new() });
    let mut twice = good.clone();
    let last = twice.holds[0].numbers.pop().unwrap();
    twice.holds.push(LogHold { tenant: tenant("acme"), numbers: vec![last] });
    // The log would grow past what it does not take.
    let mut past = good.clone();
    past.holds[0].numbers = vec![1, 5];
    past.growths[0].links[0].number = 3;
    for wrong in [hole, nothing, twice, past] {
        let answer = store.swap_logs(wrong).await;
        assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    }
    assert_eq!((store.log_claim().await.unwrap(), held(store).await), (claim, vec![]));
    assert_eq!(store.swap_logs(good).await.unwrap(), SwapOutcome::Swapped);
}
