//! The archive in the storage of others: S3 with object lock, and Azure.

use gantral_archive::layout::{folder, head_name, segment_name};
use gantral_archive::verify::FaultKind;
use gantral_archive::{Archive, ArchiveConfig, ArchiveInspection, OpenError, StorageError, inspect};
use gantral_evidence::verify::Verdict;

use crate::azurite::Azurite;
use crate::script::SMALL_AT_ONCE;
use crate::seaweed::Seaweed;
use crate::world::Archived;

#[tokio::test]
async fn what_is_archived_in_s3_cannot_be_deleted_and_what_is_done_to_it_is_named() {
    let seaweed = Seaweed::start().await;
    let mut world = Archived::new().await;
    let archive = Archive::open(&seaweed.config(&world.folder.path().join("secret"))).unwrap();
    world.archive(&archive).await;
    world.play(SMALL_AT_ONCE).await;
    world.archive(&archive).await;
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Valid, "{report:?}");
    let (tenant, store) = (world.tenant(), world.store());
    let recorded = store.archived(&tenant, vec![segment_name(0)]).await.unwrap();
    let version = recorded[0].version.clone().expect("the version is recorded");
    let name = format!("{}/{}", folder(&tenant), segment_name(0));

    // Nobody deletes what is locked, and nobody creates it again.
    let path = format!("worm/gantral/{name}");
    let denied = seaweed.send("DELETE", &format!("{path}?versionId={version}"), &[]).await;
    assert_eq!(denied, Some(403));
    assert!(matches!(archive.create(&name, b"other").await, Err(StorageError::Different { .. })));

    // Whoever looks sees so, and adds nothing.
    let config = seaweed.config(&world.folder.path().join("secret"));
    let first_head = format!("{}/{}", folder(&tenant), head_name(0));
    let before = archive.read(&first_head, None).await.unwrap();
    let seen = inspect(&config).await.unwrap();
    let object = seen.object.expect("an object is there");
    assert_eq!((seen.tenants, object.is_created_once, object.is_locked), (1, true, Some(true)));
    assert_eq!(object.name, first_head);
    assert!(before.as_ref().is_some_and(|found| found.version.is_some()));
    assert_eq!(archive.read(&first_head, None).await.unwrap(), before, "no version was added");

    // Written over, it is a version more; deleted, a marker. What was recorded is read.
    assert_eq!(seaweed.send("PUT", &path, &[]).await, Some(200));
    assert_eq!(world.verified(&archive).await.verdict, Verdict::Valid);
    assert_eq!(seaweed.send("DELETE", &path, &[]).await, Some(204));
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:?}");
    let finding = &report.tenants[0].findings[0];
    assert_eq!((finding.kind, &finding.object), (FaultKind::Hidden, &name));

    // Behind the door at which locks are kept nothing is safe; but it is noticed.
    let head = format!("{}/heads/000000000000", folder(&tenant));
    for object in [format!("{head}.versions"), head.clone()] {
        seaweed.delete_behind(&format!("gantral/{object}")).await;
    }
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Invalid, "{report:?}");
    let missing = |finding: &gantral_archive::verify::ArchiveFinding| {
        finding.kind == FaultKind::Missing && finding.object == head
    };
    assert!(report.tenants[0].findings.iter().any(missing), "{report:?}");
}

#[test]
fn an_archive_that_is_not_said_well_is_refused() {
    let open = |url: &str| {
        let config = ArchiveConfig { url: url.to_owned(), ..Default::default() };
        Archive::open(&config).map(drop)
    };
    for url in ["", "archive", "ftp://host/archive", "s3://", "s3://user:word@bucket/", "s3://bucket/?x=1"] {
        assert!(matches!(open(url), Err(OpenError::Url { .. })), "{url}");
    }
    assert!(matches!(open("s3://bucket/archive"), Err(OpenError::Retention)));
    // Whoever asks for a lock where none is sent believes that there is one.
    for url in ["gs://bucket/archive", "az://container/archive", "file:///nowhere/archive"] {
        let config = ArchiveConfig { url: url.to_owned(), retain_days: Some(365), ..Default::default() };
        let refused = Archive::open(&config).unwrap_err();
        assert!(matches!(refused, OpenError::Foreign { member: "retain_days", .. }), "{refused}");
    }
}

#[tokio::test]
async fn whoever_looks_at_an_archive_in_a_folder_makes_nothing_and_sees_that_objects_are_created_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("archive");
    let config = ArchiveConfig { url: format!("file://{}", place.display()), ..ArchiveConfig::default() };
    let seen = inspect(&config).await.unwrap();
    assert_eq!(seen, ArchiveInspection { tenants: 0, object: None });
    assert!(!place.exists());
    let mut world = Archived::new().await;
    let archive = Archive::open(&config).unwrap();
    world.play(SMALL_AT_ONCE).await;
    world.archive(&archive).await;
    let object = inspect(&config).await.unwrap().object.expect("an object is there");
    assert_eq!((object.is_created_once, object.is_locked), (true, None));
    assert_eq!(world.verified(&archive).await.verdict, Verdict::Valid);
}

#[tokio::test]
async fn object_that_nobody_locked_is_seen() {
    let seaweed = Seaweed::start().await;
    let mut world = Archived::new().await;
    let config =
        ArchiveConfig { retain_days: Some(0), ..seaweed.config(&world.folder.path().join("secret")) };
    let archive = Archive::open(&config).unwrap();
    world.play(SMALL_AT_ONCE).await;
    world.archive(&archive).await;
    let object = inspect(&config).await.unwrap().object.expect("an object is there");
    assert_eq!((object.is_created_once, object.is_locked), (true, Some(false)));
}

#[tokio::test]
async fn what_is_archived_in_azure_is_created_once_and_what_is_deleted_is_named() {
    let azurite = Azurite::start().await;
    let mut world = Archived::new().await;
    let config = azurite.config(&world.folder.path().join("secret"));
    let archive = Archive::open(&config).unwrap();
    world.archive(&archive).await;
    world.play(SMALL_AT_ONCE).await;
    world.archive(&archive).await;
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Valid, "{report:?}");

    let name = format!("{}/{}", folder(&world.tenant()), segment_name(0));
    assert!(matches!(archive.create(&name, b"other").await, Err(StorageError::Different { .. })));
    let object = inspect(&config).await.unwrap().object.expect("an object is there");
    assert_eq!((object.is_created_once, object.is_locked), (true, None));
    assert_eq!(world.verified(&archive).await.verdict, Verdict::Valid);

    assert_eq!(azurite.send("DELETE", &format!("kept/gantral/{name}")).await, 202);
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Invalid, "{report:?}");
    let missing = |finding: &gantral_archive::verify::ArchiveFinding| {
        finding.kind == FaultKind::Missing && finding.object == name
    };
    assert!(report.tenants[0].findings.iter().any(missing), "{report:?}");
}
