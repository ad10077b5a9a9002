//! The logs: what the sequencer is given, and what it may write.

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_store::{
    ChainId, CommittedArtifact, CommittedSeal, LogGrowth, LogLink, LogRow, LogSwap, Store, StoreError,
    SwapOutcome,
};
use tokio::task::JoinSet;

use crate::conformance::conformance;
use crate::world::{Chain, SIGNER, claim, tenant};

conformance!(
    artifacts_are_read_in_the_order_of_their_commits,
    logs_grow_together_and_positions_follow,
    a_later_claim_makes_every_earlier_one_stale,
    a_log_that_moved_is_not_swapped,
    a_swap_is_all_or_nothing,
    a_second_leaf_of_one_place_is_refused,
    a_leaf_after_the_last_of_its_chain_is_refused,
    a_swap_that_leaves_an_artifact_out_contradicts_itself,
    signatures_are_added_to_the_checkpoint_that_they_are_for,
    a_cosigned_checkpoint_is_kept_until_a_newer_one_has_as_many_witnesses,
    the_newest_number_wakes_whoever_waits_for_it,
);

/// The logs as a sequencer sees them, with a made-up root for each size.
#[derive(Default)]
pub struct Logs {
    pub rows: std::collections::BTreeMap<TenantId, (u64, Digest)>,
}

pub fn root(tenant: &TenantId, size: u64) -> Digest {
    Digest::of(format!("{tenant} {size}").as_bytes())
}

pub fn link(row: &CommittedArtifact) -> LogLink {
    let ends_chain = matches!(row.seal, CommittedSeal::Told { ends_chain: true, .. });
    LogLink {
        number: row.number,
        previous: row.previous,
        tag: row.chain.tag(&row.tenant),
        sequence: row.sequence,
        ends_chain,
    }
}

impl Logs {
    /// Makes the swap that takes these artifacts.
    pub fn swap(&self, fence: u64, after: u64, page: &[CommittedArtifact]) -> LogSwap {
        let mut growths: Vec<LogGrowth> = Vec::new();
        for row in page {
            let place =
                growths.iter().position(|growth| growth.row.tenant == row.tenant).unwrap_or_else(|| {
                    let before = self.rows.get(&row.tenant).copied();
                    let (size, hash) = before.unwrap_or((0, Digest::of(b"")));
                    let log =
                        LogRow { tenant: row.tenant.clone(), size, root: hash, checkpoint: String::new() };
                    growths.push(LogGrowth { row: log, before, links: Vec::new() });
                    growths.len() - 1
                });
            let growth = &mut growths[place];
            growth.links.push(link(row));
            growth.row.size += 1;
            growth.row.root = root(&row.tenant, growth.row.size);
            growth.row.checkpoint = format!("{} at {}\n", row.tenant, growth.row.size);
        }
        let through = page.last().map_or(after, |row| row.number);
        LogSwap { fence, after, through, growths, holds: Vec::new() }
    }

    pub fn done(&mut self, swap: &LogSwap) {
        for growth in &swap.growths {
            self.rows.insert(growth.row.tenant.clone(), (growth.row.size, growth.row.root));
        }
    }

    /// Takes everything that is committed, in pages of `limit`.
    pub async fn take(&mut self, store: &Store, limit: usize) {
        let claim = claim(store).await;
        let mut taken = claim.taken;
        loop {
            let page = store.committed(taken, limit).await.unwrap().artifacts;
            let Some(last) = page.last() else { return };
            let swap = self.swap(claim.fence, taken, &page);
            assert_eq!(store.swap_logs(swap.clone()).await.unwrap(), SwapOutcome::Swapped);
            self.done(&swap);
            taken = last.number;
        }
    }
}

async fn positions(store: &Store, chain: &Chain) -> Vec<u64> {
    store.log_positions(&chain.tenant, ChainId::Instance(chain.id), 0, 1_000).await.unwrap()
}

async fn artifacts_are_read_in_the_order_of_their_commits(store: &Store) {
    let (mut one, mut two) = (Chain::new(&tenant("acme")), Chain::new(&tenant("other")));
    one.commit(store, vec![]).await;
    two.commit(store, vec![]).await;
    let mut last = one.append_of(2);
    last.artifacts[1].ends_chain = true;
    one.committed(store, last).await;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let told: Vec<_> = page
        .iter()
        .map(|row| (row.number, row.previous, row.tenant.as_str(), row.chain, row.sequence))
        .collect();
    let (first, second) = (ChainId::Instance(one.id), ChainId::Instance(two.id));
    assert_eq!(
        told,
        [
            (1, None, "acme", first, 0),
            (2, None, "other", second, 0),
            (3, Some(1), "acme", first, 1),
            (4, Some(3), "acme", first, 2)
        ]
    );
    let seals: Vec<_> = page.iter().map(|row| row.seal.clone()).collect();
    let seal = |ends_chain| CommittedSeal::Told { ends_chain, signer: SIGNER };
    assert_eq!(seals, [seal(false), seal(false), seal(false), seal(true)]);
    assert_eq!(page[3].hash, one.head.unwrap().hash);
    assert_eq!(store.committed(1, 2).await.unwrap().artifacts, page[1..3]);
    assert_eq!(store.committed(4, 2).await.unwrap().artifacts, []);
}

async fn logs_grow_together_and_positions_follow(store: &Store) {
    let mut chains: Vec<_> = (0..9).map(|number| Chain::new(&tenant(["a", "b", "c"][number % 3]))).collect();
    let mut logs = Logs::default();
    let mut expected = vec![Vec::new(); 9];
    let mut sizes = [0u64; 3];
    for step in 0..7usize {
        for (number, chain) in chains.iter_mut().enumerate().skip(step % 4) {
            let append = chain.append_of(1 + (step as u64 + number as u64) % 3);
            for _ in &append.artifacts {
                expected[number].push(sizes[number % 3]);
                sizes[number % 3] += 1;
            }
            chain.committed(store, append).await;
            if number == 5 {
                logs.take(store, [1, 3, 100][step % 3]).await;
            }
        }
    }
    let unlogged = positions(store, &chains[8]).await;
    assert!(unlogged.len() < expected[8].len());
    assert_eq!(unlogged, expected[8][..unlogged.len()], "what is logged is the beginning");
    logs.take(store, 4).await;
    for (chain, expected) in chains.iter().zip(&expected) {
        assert_eq!(&positions(store, chain).await, expected);
        let some = store.log_positions(&chain.tenant, ChainId::Instance(chain.id), 1, 2).await.unwrap();
        assert_eq!(some, expected[1..3]);
    }
    let tenants = ["a", "b", "c"].map(tenant);
    assert_eq!(store.logged_tenants(None, 10).await.unwrap(), tenants);
    assert_eq!(store.logged_tenants(Some(&tenants[0]), 1).await.unwrap(), tenants[1..2]);
    for (tenant, size) in tenants.iter().zip(sizes) {
        let row = store.log(tenant).await.unwrap().unwrap();
        assert_eq!((&row.tenant, row.size), (tenant, size));
    }
    assert_eq!(store.log(&tenant("d")).await.unwrap(), None);
    assert_eq!(positions(store, &Chain::new(&tenant("a"))).await, Vec::<u64>::new());
    assert_eq!(
        positions(store, &Chain { tenant: tenant("b"), ..chains[0].clone() }).await,
        Vec::<u64>::new()
    );
}

async fn a_later_claim_makes_every_earlier_one_stale(store: &Store) {
    Chain::new(&tenant("acme")).commit(store, vec![]).await;
    let first = claim(store).await;
    let second = claim(store).await;
    assert!(second.fence > first.fence);
    assert_eq!(store.log_claim().await.unwrap(), second);
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let swap = Logs::default().swap(first.fence, 0, &page);
    assert_eq!(store.swap_logs(swap.clone()).await.unwrap(), SwapOutcome::Stale);
    assert_eq!(store.log(&tenant("acme")).await.unwrap(), None);
    let swap = LogSwap { fence: second.fence, ..swap };
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!(store.log_claim().await.unwrap().taken, 1);
}

async fn a_log_that_moved_is_not_swapped(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    let mut logs = Logs::default();
    logs.take(store, 10).await;
    chain.commit(store, vec![]).await;
    let fence = store.log_claim().await.unwrap().fence;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let good = logs.swap(fence, 1, &page[1..]);
    let mut other_root = good.clone();
    other_root.growths[0].before = Some((1, Digest::of(b"other")));
    let mut none = logs.swap(fence, 1, &page[1..]);
    (none.growths[0].before, none.growths[0].row.size) = (None, 1);
    for moved in [other_root, none, Logs::default().swap(fence, 0, &page)] {
        assert_eq!(store.swap_logs(moved).await.unwrap(), SwapOutcome::Moved);
    }
    assert_eq!(store.swap_logs(good.clone()).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!(store.swap_logs(good).await.unwrap(), SwapOutcome::Moved, "twice is once");
}

async fn a_swap_is_all_or_nothing(store: &Store) {
    let (mut one, mut two) = (Chain::new(&tenant("acme")), Chain::new(&tenant("other")));
    one.commit(store, vec![]).await;
    two.commit(store, vec![]).await;
    let claim = claim(store).await;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let logs = Logs::default();
    let mut swap = logs.swap(claim.fence, 0, &page);
    swap.growths[1].links[0].sequence = 4;
    let refused = SwapOutcome::Refused {
        tenant: tenant("other"),
        number: 2,
        tag: ChainId::Instance(two.id).tag(&tenant("other")),
        sequence: 4,
    };
    assert_eq!(store.swap_logs(swap).await.unwrap(), refused);
    let mut swap = logs.swap(claim.fence, 0, &page);
    swap.growths[1].before = Some((0, Digest::of(b"x")));
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Moved);
    assert_eq!(store.logged_tenants(None, 10).await.unwrap(), []);
    assert_eq!(positions(store, &one).await, Vec::<u64>::new());
    assert_eq!(store.log_claim().await.unwrap(), claim);
    let swap = logs.swap(claim.fence, 0, &page);
    assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
    assert_eq!((positions(store, &one).await, positions(store, &two).await), (vec![0], vec![0]));
}

/// Logs one chain of two artifacts, and answers what becomes of one more leaf.
async fn one_more(store: &Store, ends: bool, change: impl Fn(&mut LogLink)) -> (SwapOutcome, Digest) {
    let mut chain = Chain::new(&tenant("acme"));
    let mut append = chain.append_of(2);
    append.artifacts[1].ends_chain = ends;
    chain.committed(store, append).await;
    let mut logs = Logs::default();
    logs.take(store, 10).await;
    chain.commit(store, vec![]).await;
    let claim = store.log_claim().await.unwrap();
    let page = store.committed(claim.taken, 10).await.unwrap().artifacts;
    let mut swap = logs.swap(claim.fence, claim.taken, &page);
    change(&mut swap.growths[0].links[0]);
    (store.swap_logs(swap).await.unwrap(), ChainId::Instance(chain.id).tag(&chain.tenant))
}

/// The third artifact is refused.
fn refused(tag: Digest, sequence: u64) -> SwapOutcome {
    SwapOutcome::Refused { tenant: tenant("acme"), number: 3, tag, sequence }
}

async fn a_second_leaf_of_one_place_is_refused(store: &Store) {
    // Behind an artifact that another one follows already.
    let (outcome, tag) = one_more(store, false, |link| (link.previous, link.sequence) = (Some(1), 1)).await;
    assert_eq!(outcome, refused(tag, 1));
    // A second beginning.
    let fresh = super::another(store).await;
    let (outcome, tag) =
        one_more(&fresh.store, false, |link| (link.previous, link.sequence) = (None, 0)).await;
    assert_eq!(outcome, refused(tag, 0));
    fresh.gone().await;
    // Behind nothing that is there.
    let fresh = super::another(store).await;
    let (outcome, tag) = one_more(&fresh.store, false, |link| link.previous = None).await;
    assert_eq!(outcome, refused(tag, 2));
    fresh.gone().await;
    // The same place twice in one swap.
    let fresh = super::another(store).await;
    let mut chain = Chain::new(&tenant("acme"));
    let append = chain.append_of(3);
    chain.committed(&fresh.store, append).await;
    let claim = claim(&fresh.store).await;
    let mut swap =
        Logs::default().swap(claim.fence, 0, &fresh.store.committed(0, 10).await.unwrap().artifacts);
    (swap.growths[0].links[2].previous, swap.growths[0].links[2].sequence) = (Some(1), 1);
    let tag = swap.growths[0].links[2].tag;
    assert_eq!(fresh.store.swap_logs(swap).await.unwrap(), refused(tag, 1));
    fresh.gone().await;
}

async fn a_leaf_after_the_last_of_its_chain_is_refused(store: &Store) {
    let (outcome, tag) = one_more(store, true, |_| {}).await;
    assert_eq!(outcome, refused(tag, 2));
}

async fn a_swap_that_leaves_an_artifact_out_contradicts_itself(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let append = chain.append_of(3);
    chain.committed(store, append).await;
    let claim = claim(store).await;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let logs = Logs::default();
    let mut hole = logs.swap(claim.fence, 0, &page);
    hole.growths[0].links.remove(1);
    hole.growths[0].row.size -= 1;
    let mut size = logs.swap(claim.fence, 0, &page);
    size.growths[0].row.size += 1;
    let mut order = logs.swap(claim.fence, 0, &page);
    order.growths[0].links.swap(0, 1);
    let mut twice = logs.swap(claim.fence, 0, &page);
    let again = LogGrowth { before: Some((3, root(&chain.tenant, 3))), ..twice.growths[0].clone() };
    twice.growths.push(again);
    let late = logs.swap(claim.fence, 0, &page[1..]);
    for wrong in [hole, size, order, twice, late] {
        let answer = store.swap_logs(wrong).await;
        assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    }
    assert_eq!(store.log_claim().await.unwrap(), claim);
}

async fn signatures_are_added_to_the_checkpoint_that_they_are_for(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    let mut logs = Logs::default();
    logs.take(store, 10).await;
    let tree = (1, root(&chain.tenant, 1));
    let add = async |tree, lines: &[&str]| {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let row = store.add_log_signatures(&tenant("acme"), tree, lines).await.unwrap();
        row.map(|row| row.checkpoint)
    };
    assert_eq!(add(tree, &["one\n", "two"]).await.unwrap(), "acme at 1\none\ntwo\n");
    assert_eq!(add(tree, &["two\n", "three\n"]).await.unwrap(), "acme at 1\none\ntwo\nthree\n");
    assert_eq!(add((1, Digest::of(b"other")), &["four\n"]).await, None);
    assert_eq!(store.log(&tenant("acme")).await.unwrap().unwrap().checkpoint, "acme at 1\none\ntwo\nthree\n");
    chain.commit(store, vec![]).await;
    logs.take(store, 10).await;
    assert_eq!(add(tree, &["late\n"]).await, None);
    assert_eq!(store.log(&tenant("acme")).await.unwrap().unwrap().checkpoint, "acme at 2\n");
}

async fn a_cosigned_checkpoint_is_kept_until_a_newer_one_has_as_many_witnesses(store: &Store) {
    let acme = tenant("acme");
    let row = |size, lines: &str| {
        let checkpoint = format!("acme at {size}\n\n{lines}");
        LogRow { tenant: acme.clone(), size, root: root(&acme, size), checkpoint }
    };
    let keep = async |witnesses, row| store.keep_cosigned(witnesses, row).await.unwrap();
    let kept = async |witnesses| store.cosigned(&acme, witnesses).await.unwrap();
    assert_eq!(kept(1).await, None);
    assert!(keep(2, row(5, "log\none\ntwo\n")).await);
    assert!(keep(1, row(8, "log\none\n")).await);
    // An older one is kept as well, and is not the newest for that.
    assert!(keep(1, row(3, "log\none\n")).await);
    assert_eq!(store.cosigned_at(&acme, 3).await.unwrap(), Some(row(3, "log\none\n")));
    assert_eq!(store.cosigned_at(&acme, 4).await.unwrap(), None);
    assert_eq!(kept(1).await, Some(row(8, "log\none\n")));
    assert_eq!(kept(2).await, Some(row(5, "log\none\ntwo\n")));
    assert_eq!((kept(3).await, store.cosigned(&tenant("other"), 1).await.unwrap()), (None, None));
    // No line is lost, whichever comes last.
    assert!(keep(2, row(8, "log\ntwo\n")).await);
    assert!(!keep(2, row(8, "log\ntwo\n")).await);
    assert_eq!(kept(1).await, Some(row(8, "log\none\ntwo\n")));
    assert_eq!(kept(2).await, Some(row(8, "log\none\ntwo\n")));
    let other = LogRow { root: Digest::of(b"other"), ..row(8, "log\none\n") };
    let answer = store.keep_cosigned(3, other).await;
    assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    assert_eq!(kept(3).await, None, "all or nothing");
}

async fn the_newest_number_wakes_whoever_waits_for_it(store: &Store) {
    let mut newest = store.newest();
    let mut waiters = JoinSet::new();
    waiters.spawn(async move { newest.above(2).await });
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    let append = chain.append_of(2);
    chain.committed(store, append).await;
    assert_eq!(waiters.join_all().await, [true]);
    assert!(store.newest().above(2).await);
}
