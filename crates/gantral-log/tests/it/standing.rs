//! A fault of one tenant stops that tenant's log and no other, is named, and ends when it is mended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantral_log::objects::{Object, ReadObjects as _, WriteObjects as _};
use gantral_log::published::{LogFault, SequencerState, StoppedLog};
use gantral_log::sequencer::Sequencer;
use gantral_store::ChainId;
use rusqlite::Connection;

use crate::world::{Chain, Hook, Hooked, World, check_log, no_hook, stands, tenant};

/// A ledger that can be damaged behind the store's back.
struct Damage {
    raw: Connection,
}

impl Damage {
    fn of(world: &World) -> Self {
        let raw = Connection::open(&world.path).unwrap();
        raw.execute_batch("DROP TRIGGER artifact_update; DROP TRIGGER artifact_delete").unwrap();
        Self { raw }
    }

    /// Changes the row of an artifact, and keeps it as it was.
    fn damage(&self, number: u64, change: &str) {
        let raw = &self.raw;
        raw.execute_batch("DROP TABLE IF EXISTS temp.kept").unwrap();
        raw.execute("CREATE TEMP TABLE kept AS SELECT * FROM artifact WHERE number = ?1", [number as i64])
            .unwrap();
        let sql = format!("UPDATE artifact SET {change} WHERE number = ?1");
        assert_eq!(raw.execute(&sql, [number as i64]).unwrap(), 1);
    }

    fn mend(&self) {
        self.raw
            .execute_batch(
                "BEGIN; DELETE FROM artifact WHERE number = (SELECT number FROM kept);
                 INSERT INTO artifact SELECT * FROM kept; DROP TABLE kept; COMMIT",
            )
            .unwrap();
    }
}

/// Two tenants that take turns: acme has the odd numbers.
struct Two {
    world: World,
    acme: Chain,
    other: Chain,
}

impl Two {
    async fn begin() -> Self {
        let (acme, other) = (Chain::new(&tenant("acme"), "one"), Chain::new(&tenant("other"), "two"));
        let mut two = Self { world: World::new(), acme, other };
        two.commit(3).await;
        two
    }

    async fn commit(&mut self, each: u64) {
        for _ in 0..each {
            self.acme.commit(&self.world.store, 1).await;
            self.other.commit(&self.world.store, 1).await;
        }
    }

    /// Expects that the log of the other tenant has everything, and that of acme so many leaves.
    async fn stands(&self, acme: usize) {
        let (store, logs) = (&self.world.store, &self.world.logs);
        let leaves = check_log(store, logs, &self.other.tenant).await;
        stands(store, &leaves, &self.other).await;
        if acme == 0 {
            assert_eq!(store.log(&self.acme.tenant).await.unwrap(), None);
            return;
        }
        let leaves = check_log(store, logs, &self.acme.tenant).await;
        assert_eq!(leaves.len(), acme);
        // The chain is a list in the ledger: behind a damaged row nobody finds it.
        if self.acme.head.is_some_and(|head| head.sequence + 1 == acme as u64) {
            stands(store, &leaves, &self.acme).await;
        }
    }
}

fn stopped(sequencer: &Sequencer<Hooked>) -> Option<StoppedLog> {
    let mut stopped = sequencer.published().stopped();
    let acme = stopped.remove(&tenant("acme"));
    assert!(stopped.is_empty(), "{stopped:?}");
    acme
}

/// Runs rounds until nothing stands still.
async fn goes_on(sequencer: &mut Sequencer<Hooked>) {
    let going_on = async {
        while stopped(sequencer).is_some() {
            sequencer.round().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), going_on).await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_or_is_refused_stops_the_log_of_its_tenant_and_no_other() {
    let read = LogFault::ArtifactDamaged;
    for (change, fault) in [
        ("hash = x'00'", read),
        ("instance = x'0102'", read),
        ("sequence = -1", read),
        ("signer = x''", read),
        ("terminal = NULL, envelope = x'7b7d'", read),
        ("sequence = 0", LogFault::ArtifactRefused),
        ("previous = 1, sequence = 1", LogFault::ArtifactRefused),
        ("previous = NULL", LogFault::ArtifactRefused),
    ] {
        let mut two = Two::begin().await;
        let damage = Damage::of(&two.world);
        damage.damage(5, change);
        let mut sequencer = two.world.start().await;
        assert_eq!(sequencer.round().await.unwrap(), 6, "{change}");
        let found = stopped(&sequencer).unwrap();
        assert_eq!((found.fault, found.artifact), (fault, Some(5)), "{change}: {}", found.why);
        assert!(
            found.why.contains("artifact 5 of the ledger") && found.why.contains("`acme`"),
            "{}",
            found.why
        );
        two.stands(2).await;
        // What comes after it waits too, over a restart as well.
        two.commit(2).await;
        assert_eq!(sequencer.round().await.unwrap(), 4, "{change}");
        two.stands(2).await;
        let mut sequencer = two.world.start().await;
        assert_eq!(stopped(&sequencer).unwrap(), found, "{change}");
        assert_eq!(sequencer.round().await.unwrap(), 0);
        assert!(sequencer.published().until_size(&tenant("acme"), 3).await.is_err(), "whoever waits is told");

        damage.mend();
        goes_on(&mut sequencer).await;
        two.stands(5).await;
        two.commit(1).await;
        assert_eq!(sequencer.round().await.unwrap(), 2);
        two.stands(6).await;
    }
}

#[tokio::test]
async fn a_log_that_stood_still_has_the_leaves_that_it_would_have_had() {
    let (mut healthy, mut hurt) = (Two::begin().await, Two::begin().await);
    let damage = Damage::of(&hurt.world);
    damage.damage(1, "hash = x'00'");
    let mut sequencer = hurt.world.start().await;
    for two in [&mut healthy, &mut hurt] {
        two.commit(4).await;
    }
    while sequencer.round().await.unwrap() > 0 {}
    hurt.stands(0).await;
    damage.mend();
    goes_on(&mut sequencer).await;
    healthy.world.take_all().await;
    for of in ["acme", "other"].map(tenant) {
        let expected = check_log(&healthy.world.store, &healthy.world.logs, &of).await;
        assert_eq!(check_log(&hurt.world.store, &hurt.world.logs, &of).await, expected);
        let row = hurt.world.store.log(&of).await.unwrap();
        assert_eq!(row, healthy.world.store.log(&of).await.unwrap());
    }
}

#[tokio::test]
async fn a_second_artifact_of_one_place_stops_the_log_of_its_tenant_and_is_named() {
    let mut two = Two::begin().await;
    two.world.take_all().await;
    let raw = Connection::open(&two.world.path).unwrap();
    raw.execute(
        "INSERT INTO artifact(previous, tenant, instance, sequence, hash, envelope, terminal, signer)
         SELECT previous, tenant, instance, sequence, zeroblob(32), envelope, terminal, signer
         FROM artifact WHERE number = 5",
        [],
    )
    .unwrap();
    two.commit(1).await;
    let sequencer = two.world.start().await;
    let published = sequencer.published();
    let running = tokio::spawn(sequencer.run(std::future::pending()));
    published.until_size(&two.other.tenant, 4).await.unwrap();
    assert!(published.until_size(&two.acme.tenant, 4).await.is_err());
    let found = published.stopped().remove(&two.acme.tenant).unwrap();
    assert_eq!((found.fault, found.artifact), (LogFault::ArtifactRefused, Some(7)));
    let tag = ChainId::Instance(two.acme.id).tag(&two.acme.tenant);
    assert!(found.why.contains("sequence 2") && found.why.contains(&tag.to_string()), "{}", found.why);
    assert_eq!(published.state(), SequencerState::Working);
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    two.stands(3).await;
}

#[tokio::test]
async fn a_log_goes_on_by_itself_when_its_row_is_mended() {
    let mut two = Two::begin().await;
    let damage = Damage::of(&two.world);
    damage.damage(3, "hash = x'00'");
    let sequencer = two.world.start().await;
    let published = sequencer.published();
    let running = tokio::spawn(sequencer.run(std::future::pending()));
    published.until_size(&two.other.tenant, 3).await.unwrap();
    assert!(published.until_size(&two.acme.tenant, 3).await.is_err());
    damage.mend();
    let waiting = async {
        while published.until_size(&two.acme.tenant, 3).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    two.commit(1).await;
    for tenant in [&two.acme.tenant, &two.other.tenant] {
        published.until_size(tenant, 4).await.unwrap();
    }
    assert!(published.stopped().is_empty());
    running.abort();
    two.stands(4).await;
}

#[tokio::test]
async fn a_log_does_not_go_on_without_the_artifact_at_which_it_stopped() {
    let mut two = Two::begin().await;
    let damage = Damage::of(&two.world);
    damage.damage(5, "hash = x'00'");
    let mut sequencer = two.world.start().await;
    sequencer.round().await.unwrap();
    // It is nobody's any more, or somebody else's: the next chain of the tenant must not cover it up.
    damage.raw.execute_batch("UPDATE artifact SET tenant = 'third' WHERE number = 5").unwrap();
    let mut new = Chain::new(&two.acme.tenant, "new");
    new.commit(&two.world.store, 2).await;
    let mut sequencer = {
        sequencer.round().await.unwrap();
        two.world.start().await
    };
    sequencer.round().await.unwrap();
    let found = stopped(&sequencer).unwrap();
    assert_eq!((found.fault, found.artifact), (LogFault::ArtifactDamaged, Some(5)), "{}", found.why);
    two.stands(2).await;
    damage.mend();
    goes_on(&mut sequencer).await;
    let leaves = check_log(&two.world.store, &two.world.logs, &two.acme.tenant).await;
    stands(&two.world.store, &leaves, &two.acme).await;
    stands(&two.world.store, &leaves, &new).await;
    two.commit(1).await;
}

#[tokio::test]
async fn a_backlog_of_many_pages_is_taken_when_the_row_is_mended() {
    let mut two = Two::begin().await;
    let damage = Damage::of(&two.world);
    damage.damage(3, "hash = x'00'");
    let mut many = Chain::new(&two.acme.tenant, "many");
    for _ in 0..70 {
        many.commit(&two.world.store, 64).await;
    }
    two.commit(1).await;
    let mut sequencer = two.world.start().await;
    while sequencer.round().await.unwrap() > 0 {}
    two.stands(1).await;
    damage.mend();
    goes_on(&mut sequencer).await;
    let leaves = check_log(&two.world.store, &two.world.logs, &two.acme.tenant).await;
    assert_eq!(leaves.len(), 4 + 70 * 64);
    stands(&two.world.store, &leaves, &two.acme).await;
}

/// What a sequencer leaves behind that fails at a step of going on.
async fn fails_at(step: &'static str, done: bool, taken_then: usize) {
    let two = Two::begin().await;
    let damage = Damage::of(&two.world);
    damage.damage(3, "hash = x'00'");
    let on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&on);
    let hook: Hook = Arc::new(move |at, is_done| {
        if switch.load(Ordering::SeqCst) && at.ends_with(step) && is_done == done {
            return Err(io::Error::other("a planned fault"));
        }
        Ok(())
    });
    let mut sequencer = two.world.start_with(hook).await.unwrap();
    sequencer.round().await.unwrap();
    two.stands(1).await;
    damage.mend();
    on.store(true, Ordering::SeqCst);
    let failing = async {
        loop {
            match sequencer.round().await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), failing).await.unwrap();
    assert!(!error.is_final(), "{step}: {error}");
    let row = two.world.store.log(&two.acme.tenant).await.unwrap().unwrap();
    assert_eq!(row.size as usize, taken_then, "{step}");
    // Whether the same one goes on or another one that starts after a crash.
    on.store(false, Ordering::SeqCst);
    let mut newer = two.world.start_with(no_hook()).await.unwrap();
    assert!(sequencer.round().await.is_err(), "another has taken over");
    newer.round().await.unwrap();
    assert_eq!(stopped(&newer), None);
    two.stands(3).await;
}

#[tokio::test]
async fn a_log_that_fails_while_it_goes_on_is_neither_lost_nor_logged_twice() {
    fails_at("acme/log tile/0/000.p/3", true, 1).await;
    fails_at("sign", true, 1).await;
    fails_at("acme/log checkpoint", false, 3).await;
    fails_at("acme/log checkpoint", true, 3).await;
}

#[tokio::test]
async fn a_log_whose_tiles_are_not_its_own_stands_still_alone() {
    let mut two = Two::begin().await;
    two.world.take_all().await;
    let log = two.world.log(&two.acme.tenant);
    let name = "tile/0/000.p/3".to_owned();
    let mut bytes = log.read(&name).unwrap().unwrap();
    bytes[40] ^= 1;
    log.write(&[Object { name: name.clone(), bytes: bytes.clone() }]).unwrap();
    let mut sequencer = two.world.start().await;
    let found = stopped(&sequencer).unwrap();
    assert_eq!((found.fault, found.artifact), (LogFault::FilesDamaged, None), "{}", found.why);
    two.commit(2).await;
    assert_eq!(sequencer.round().await.unwrap(), 4);
    assert_eq!(two.world.store.log(&two.acme.tenant).await.unwrap().unwrap().size, 3);
    assert_eq!(two.world.store.log(&two.other.tenant).await.unwrap().unwrap().size, 5);
    bytes[40] ^= 1;
    log.write(&[Object { name, bytes }]).unwrap();
    goes_on(&mut sequencer).await;
    two.stands(5).await;
}

#[tokio::test]
async fn what_the_ledger_says_of_a_log_and_cannot_be_read_stops_that_log_alone() {
    for (change, restarts) in [
        ("root = x'00'", true),
        ("size = 2", true),
        ("checkpoint = 'no note'", true),
        ("root = x'00'", false),
        ("size = -1", false),
        ("size = 2", false),
    ] {
        let mut two = Two::begin().await;
        let mut sequencer = two.world.start().await;
        sequencer.round().await.unwrap();
        let raw = Connection::open(&two.world.path).unwrap();
        raw.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM log WHERE tenant = 'acme'").unwrap();
        raw.execute(&format!("UPDATE log SET {change} WHERE tenant = 'acme'"), []).unwrap();
        two.commit(1).await;
        if restarts {
            sequencer = two.world.start().await;
        }
        // A round that finds a log elsewhere than it was reads it anew before the next.
        let failed = usize::from(sequencer.round().await.is_err());
        assert!(failed == 0 || (change == "size = 2" && !restarts), "{change}");
        sequencer.round().await.unwrap();
        let found = stopped(&sequencer).unwrap();
        assert_eq!(found.fault, LogFault::CheckpointDamaged, "{change}: {}", found.why);
        assert_eq!(check_log(&two.world.store, &two.world.logs, &two.other.tenant).await.len(), 4);
        raw.execute_batch("INSERT OR REPLACE INTO log SELECT * FROM kept").unwrap();
        goes_on(&mut sequencer).await;
        two.stands(4).await;
    }
}
