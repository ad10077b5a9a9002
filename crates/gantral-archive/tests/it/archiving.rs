//! What the archiver does: everything once, whatever ends it in the middle, and whoever works beside it.

use gantral_archive::Archive;
use gantral_archive::layout::{folder, head_name, segment_name};
use gantral_evidence::verify::Verdict;
use gantral_store::Store;

use crate::script::{REJECTED, SMALL_AT_ONCE};
use crate::world::{Archived, until_done};

#[tokio::test]
async fn what_the_log_has_is_archived_and_every_chain_verifies_from_there() {
    let mut world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    world.archive(&archive).await;
    world.play(REJECTED).await;
    world.archive(&archive).await;
    let report = world.verified(&archive).await;
    assert_eq!(report.tenants.len(), 1, "{report:?}");
    let tenant = &report.tenants[0];
    assert_eq!(tenant.findings, [], "{report:?}");
    assert_eq!(report.verdict, Verdict::Valid);
    let log = world.store().log(&world.tenant()).await.unwrap().unwrap();
    assert_eq!(tenant.artifacts, log.size);
    assert_eq!(tenant.segments, 2);
    assert_eq!(tenant.chains.values().sum::<u64>(), 5);
}

#[tokio::test]
async fn an_archiver_that_forgot_everything_finds_what_is_there_and_goes_on() {
    let mut world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    world.log(&world.store()).await;
    // A store that was copied before it knew of the archive stands for every crash between an object and the row that records it.
    let copy = world.folder.path().join("copy.db");
    world.close().await;
    for suffix in ["", "-wal"] {
        let beside = |path: &std::path::Path| format!("{}{suffix}", path.display());
        let (from, to) = (beside(&world.world().file()), beside(&copy));
        if std::path::Path::new(&from).exists() {
            std::fs::copy(from, to).unwrap();
        }
    }
    world.script.world.open();
    world.archive(&archive).await;
    let names = archive.list(&folder(&world.tenant())).await.unwrap();
    let forgetful = Store::open_sqlite(&copy).unwrap();
    until_done(&mut world.archiver(&forgetful, &archive), &world.tenant()).await;
    let (ours, theirs) =
        (world.store().archive(&world.tenant()).await, forgetful.archive(&world.tenant()).await);
    assert_eq!(ours.unwrap(), theirs.unwrap());
    assert_eq!(archive.list(&folder(&world.tenant())).await.unwrap(), names);
    // And goes on from there.
    world.play(SMALL_AT_ONCE).await;
    world.archive(&archive).await;
    assert_eq!(world.verified(&archive).await.verdict, Verdict::Valid);
}

#[tokio::test]
async fn two_archivers_at_once_make_one_archive() {
    let mut world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    let tenant = world.tenant();
    for _ in 0..4 {
        world.play(SMALL_AT_ONCE).await;
        world.log(&world.store()).await;
        let (mut one, mut other) =
            (world.archiver(&world.store(), &archive), world.archiver(&world.store(), &archive));
        tokio::join!(until_done(&mut one, &tenant), until_done(&mut other, &tenant));
    }
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Valid, "{report:?}");
    let size = world.store().log(&tenant).await.unwrap().unwrap().size;
    assert_eq!(report.tenants[0].artifacts, size);
}

#[tokio::test]
async fn what_stands_where_something_must_be_archived_stops_the_tenant_and_is_named() {
    let world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    let tenant = world.tenant();
    for name in [segment_name(0), head_name(0)] {
        let fresh = Archive::open(&crate::world::file(&world.folder.path().join(&name))).unwrap();
        fresh.create(&format!("{}/{name}", folder(&tenant)), b"something else").await.unwrap();
        world.log(&world.store()).await;
        let mut archiver = world.archiver(&world.store(), &fresh);
        archiver.round().await;
        let status = archiver.status().tenants().remove(&tenant).unwrap();
        assert!(status.stopped.as_ref().is_some_and(|why| why.contains(&name)), "{status:?}");
        assert!(status.behind > 0 && status.behind_since.is_some(), "{status:?}");
        assert_eq!(world.store().archive(&tenant).await.unwrap(), None);
    }
    // Elsewhere nothing is in the way.
    world.archive(&archive).await;
}
