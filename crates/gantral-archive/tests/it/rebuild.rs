//! The database is gone: from the archive alone comes a ledger that goes on.

use std::fs;

use gantral_archive::Archive;
use gantral_archive::rebuild::{FolderError, RebuildError, rebuild_folder};
use gantral_engine::EngineError;
use gantral_evidence::verify::Verdict;
use gantral_store::{GateFilter, InstanceFilter, Store};

use crate::script::{REJECTED, SMALL_AT_ONCE, Step};
use crate::world::Archived;

/// What lists show of a ledger, with its heads, its log and how far its archive is.
async fn shown(world: &Archived, store: &Store) -> Vec<String> {
    let tenant = world.tenant();
    let instances = store.list_instances(&tenant, InstanceFilter::default(), None, 100).await.unwrap();
    let mut shown: Vec<String> = instances.items.iter().map(|row| format!("{row:?}")).collect();
    for closed in [false, true] {
        let filter = GateFilter { closed, ..GateFilter::default() };
        let gates = store.list_gates(&tenant, filter, None, 100).await.unwrap();
        shown.extend(gates.items.iter().map(|gate| format!("{gate:?}")));
    }
    shown.push(format!("{:?}", store.governance_head(&tenant).await.unwrap()));
    shown.push(format!("{:?}", store.log(&tenant).await.unwrap()));
    shown.push(format!("{:?}", store.archive(&tenant).await.unwrap()));
    let workflows = store.list_workflows(&tenant, None, 100).await.unwrap();
    shown.extend(workflows.iter().map(|row| format!("{} {} {}", row.id, row.version, row.digest)));
    shown.push(format!("{:?}", store.newest_commit().await.unwrap()));
    shown
}

#[tokio::test]
async fn from_the_archive_alone_come_the_same_heads_states_lists_and_logs_and_a_server_goes_on() {
    let mut world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    world.archive(&archive).await;
    world.play(REJECTED).await;
    world.play(&SMALL_AT_ONCE[..3]).await;
    world.play(&SMALL_AT_ONCE[..2]).await;
    world.archive(&archive).await;
    let waiting = {
        world
            .store()
            .list_gates(&world.tenant(), GateFilter::default(), None, 10)
            .await
            .unwrap()
            .items
            .remove(0)
    };
    let before = shown(&world, &world.store()).await;
    let data = world.folder.path().join("data");
    let rebuilt = rebuild_folder(&archive, &world.trust(), &data).await.unwrap();
    assert_eq!((rebuilt.tenants, rebuilt.instances, rebuilt.waiting), (1, 7, 1), "{rebuilt:?}");
    let store = Store::open_sqlite(&data.join("ledger.db")).unwrap();
    assert_eq!(shown(&world, &store).await, before);
    drop(store);

    // The database and the log are destroyed, and what was made takes their place.
    world.close().await;
    for suffix in ["", "-wal", "-shm"] {
        let beside = |path: &std::path::Path| format!("{}{suffix}", path.display());
        let (from, to) = (beside(&data.join("ledger.db")), beside(&world.world().file()));
        // What is not there needs no removal.
        let _ = fs::remove_file(&to);
        if std::path::Path::new(&from).exists() {
            fs::rename(from, to).unwrap();
        }
    }
    let log = world.folder.path().join("log");
    fs::remove_dir_all(&log).unwrap();
    fs::rename(data.join("log"), &log).unwrap();
    world.script.world.open();

    // What verified before verifies now. Nothing can be done upon a gate that nobody can be shown, whoever approves it.
    for row in world
        .store()
        .list_instances(&world.tenant(), InstanceFilter::default(), None, 100)
        .await
        .unwrap()
        .items
    {
        let report = world.world().verified(row.id).await;
        assert_eq!(report.verdict, Verdict::Valid, "{report:?}");
    }
    world.script.learned = crate::script::Learned {
        id: Some(waiting.instance),
        gate: Some(waiting.gate.id),
        attempt: 1,
        ..Default::default()
    };
    world.script.step(Step::Approve).await.unwrap();
    let refused = world.script.step(Step::Begin).await;
    assert!(matches!(refused, Err(EngineError::NotFound { .. })), "{refused:?}");

    // And everything grows from where it was.
    world.play(REJECTED).await;
    world.archive(&archive).await;
    let report = world.verified(&archive).await;
    assert_eq!(report.verdict, Verdict::Valid, "{report:?}");
    let size = world.store().log(&world.tenant()).await.unwrap().unwrap().size;
    assert_eq!(report.tenants[0].artifacts, size);
}

#[tokio::test]
async fn nothing_is_made_of_an_archive_that_is_not_whole_or_beside_a_ledger() {
    let world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    world.archive(&archive).await;
    let data = world.folder.path().join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("ledger.db"), b"").unwrap();
    let refused = rebuild_folder(&archive, &world.trust(), &data).await;
    assert!(matches!(refused, Err(FolderError::Exists(_))), "{refused:?}");
    fs::remove_file(data.join("ledger.db")).unwrap();
    let segment = world.folder.path().join("archive").join(gantral_archive::layout::folder(&world.tenant()));
    let segment = segment.join(gantral_archive::layout::segment_name(0));
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[1..]).unwrap();
    let refused = rebuild_folder(&archive, &world.trust(), &data).await;
    assert!(matches!(refused, Err(FolderError::Rebuild(RebuildError::NotValid(_)))), "{refused:?}");
    assert!(!data.join("ledger.db").exists() && !data.join("log").exists());
    fs::write(&segment, &bytes).unwrap();
    rebuild_folder(&archive, &world.trust(), &data).await.unwrap();
    assert!(data.join("ledger.db").exists());
}
