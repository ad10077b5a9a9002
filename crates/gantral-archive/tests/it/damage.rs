//! Whatever happens to an object of the archive, the verifier says so and names it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gantral_archive::Archive;
use gantral_evidence::verify::Verdict;

use crate::script::{REJECTED, SMALL_AT_ONCE};
use crate::world::Archived;

/// Every object of an archive in a folder, with its name.
fn objects(root: &Path) -> BTreeMap<String, PathBuf> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), path);
            }
        }
    }
    found
}

async fn world() -> (Archived, Archive, BTreeMap<String, PathBuf>) {
    let mut world = Archived::new().await;
    let archive = Archive::open(&world.config()).unwrap();
    world.archive(&archive).await;
    for steps in [REJECTED, SMALL_AT_ONCE] {
        world.play(steps).await;
        world.archive(&archive).await;
    }
    let objects = objects(&world.folder.path().join("archive"));
    assert!(objects.len() >= 8, "{objects:?}");
    (world, archive, objects)
}

/// Checks that an archive is not valid, and that what is wrong is named.
async fn is_named(world: &Archived, archive: &Archive, name: &str, what: &str) {
    let report = world.verified(archive).await;
    assert_ne!(report.verdict, Verdict::Valid, "{name} {what}");
    let findings = &report.tenants[0].findings;
    assert!(findings.iter().any(|finding| finding.object == name), "{name} {what}: {findings:?}");
}

#[tokio::test]
async fn every_object_that_is_deleted_cut_or_changed_in_a_byte_is_named() {
    let (world, archive, objects) = world().await;
    for (name, path) in &objects {
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        is_named(&world, &archive, name, "deleted").await;
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        is_named(&world, &archive, name, "cut").await;
        fs::write(path, b"").unwrap();
        is_named(&world, &archive, name, "emptied").await;
        for place in [0, bytes.len() / 3, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            fs::write(path, &changed).unwrap();
            is_named(&world, &archive, name, "changed").await;
        }
        fs::write(path, &bytes).unwrap();
    }
    assert_eq!(world.verified(&archive).await.verdict, Verdict::Valid);
}

#[tokio::test]
async fn objects_that_change_places_are_named() {
    let (world, archive, objects) = world().await;
    let all: Vec<_> = objects.iter().collect();
    for (place, (name, path)) in all.iter().enumerate() {
        let (other_name, other) = all[(place + 1) % all.len()];
        let (one, two) = (fs::read(path).unwrap(), fs::read(other).unwrap());
        fs::write(path, &two).unwrap();
        fs::write(other, &one).unwrap();
        is_named(&world, &archive, name, "changed places").await;
        is_named(&world, &archive, other_name, "changed places").await;
        fs::write(path, &one).unwrap();
        fs::write(other, &two).unwrap();
    }
}

#[tokio::test]
async fn an_object_that_nobody_archived_is_named() {
    let (world, archive, _) = world().await;
    let root = world.folder.path().join("archive").join(gantral_archive::layout::folder(&world.tenant()));
    let name = format!("{}/workflows/zzz.json", gantral_archive::layout::folder(&world.tenant()));
    fs::write(root.join("workflows/zzz.json"), b"{}").unwrap();
    is_named(&world, &archive, &name, "added").await;
}

#[tokio::test]
async fn an_archive_is_not_valid_under_other_keys_and_an_empty_one_says_nothing() {
    let (world, archive, _) = world().await;
    let other = Archived::new().await;
    let report = gantral_archive::verify::verify_archive(&archive, &[], &other.trust()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:?}");
    let empty = Archive::open(&crate::world::file(&world.folder.path().join("empty"))).unwrap();
    assert_eq!(world.verified(&empty).await.verdict, Verdict::Inconclusive);
}
