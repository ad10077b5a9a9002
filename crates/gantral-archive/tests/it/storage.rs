//! The archive in S3 with object lock.

use gantral_archive::layout::{folder, segment_name};
use gantral_archive::verify::FaultKind;
use gantral_archive::{Archive, OpenError, StorageError};
use gantral_evidence::verify::Verdict;

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
        let config = gantral_archive::ArchiveConfig { url: url.to_owned(), ..Default::default() };
        Archive::open(&config).map(drop)
    };
    for url in ["", "archive", "ftp://host/archive", "s3://", "s3://user:word@bucket/", "s3://bucket/?x=1"] {
        assert!(matches!(open(url), Err(OpenError::Url { .. })), "{url}");
    }
    assert!(matches!(open("s3://bucket/archive"), Err(OpenError::Retention)));
}
