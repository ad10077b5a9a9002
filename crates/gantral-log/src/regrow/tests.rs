use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_store::{ChainId, CommittedSeal};

use super::*;
use crate::folder::Folder;
use crate::objects::WriteObjects as _;

fn artifacts(count: u64) -> Vec<CommittedArtifact> {
    (0..count)
        .map(|number| CommittedArtifact {
            number,
            previous: number.checked_sub(1),
            tenant: TenantId::parse("acme").unwrap(),
            chain: ChainId::Governance,
            sequence: number,
            hash: Digest::of(&number.to_be_bytes()),
            seal: CommittedSeal::Told { ends_chain: false, signer: *b"a signer" },
        })
        .collect()
}

/// Lets a log grow round by round, as a sequencer does, and returns what the ledger says of it.
fn grow(folder: &Folder, artifacts: &[CommittedArtifact], round: usize) -> LogRow {
    let mut edge = Edge::default();
    for taken in artifacts.chunks(round) {
        let leaves: Vec<_> = taken.iter().map(|row| leaf(row).unwrap()).collect();
        folder.write(&edge.append(&leaves).unwrap()).unwrap();
    }
    let TreeHead { size, root } = edge.head();
    let checkpoint = "the signed note".to_owned();
    LogRow { tenant: TenantId::parse("acme").unwrap(), size, root, checkpoint }
}

fn regrown(folder: &Folder, artifacts: &[CommittedArtifact], row: &LogRow) -> Result<Vec<Object>, String> {
    let mut log = Regrowth::new(folder.clone());
    let mut objects = Vec::new();
    for taken in artifacts.chunks(500) {
        objects.extend(log.take(taken)?);
    }
    objects.extend(log.finish(row)?);
    Ok(objects)
}

#[test]
fn a_log_grows_again_to_the_same_objects_however_it_grew() {
    for (count, round) in [(0, 1), (1, 1), (255, 7), (256, 256), (700, 3), (1_400, 1_000)] {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let all = artifacts(count);
        let row = grow(&folder, &all, round);
        let objects = regrown(&folder, &all, &row).unwrap();
        for object in &objects {
            let expected = if object.name == CHECKPOINT {
                Some(row.checkpoint.clone().into_bytes())
            } else {
                folder.read(&object.name).unwrap()
            };
            assert_eq!(expected.as_ref(), Some(&object.bytes), "{}", object.name);
        }
        // Whoever reads only these reads the whole tree.
        let copied = tempfile::tempdir().unwrap();
        let copy = Folder::new(copied.path());
        copy.write(&objects).unwrap();
        let tree = TreeHead { size: row.size, root: row.root };
        assert_eq!(Edge::load(&copy, &tree).unwrap().head(), tree, "{count}");
    }
}

#[test]
fn tiles_that_were_published_narrower_stay_for_whoever_asks_for_them() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new(place.path());
    let all = artifacts(10);
    let row = grow(&folder, &all, 4);
    let names: Vec<_> = regrown(&folder, &all, &row).unwrap().into_iter().map(|object| object.name).collect();
    for width in [4, 8, 10] {
        assert!(names.contains(&format!("tile/0/000.p/{width}")), "{names:?}");
        assert!(names.contains(&format!("tile/entries/000.p/{width}")), "{names:?}");
    }
}

#[test]
fn what_is_altered_missing_or_of_another_ledger_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new(place.path());
    let all = artifacts(300);
    let row = grow(&folder, &all, 100);
    let mut others = all.clone();
    others[7].hash = Digest::of(b"another");
    assert!(regrown(&folder, &others, &row).unwrap_err().contains("is not what its artifacts make"));
    assert!(regrown(&folder, &all[..299], &row).is_err());
    let other = LogRow { root: Digest::of(b"another"), ..row.clone() };
    assert!(regrown(&folder, &all, &other).unwrap_err().contains("make the root"));
    for name in ["tile/0/000", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let path = place.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        let mut altered = bytes.clone();
        altered[5] ^= 1;
        std::fs::write(&path, altered).unwrap();
        let refused = regrown(&folder, &all, &row).unwrap_err();
        assert!(refused.contains(name) && refused.contains("is not what"), "{refused}");
        std::fs::remove_file(&path).unwrap();
        let refused = regrown(&folder, &all, &row).unwrap_err();
        assert!(refused.contains(name) && refused.contains("is not there"), "{refused}");
        std::fs::write(&path, bytes).unwrap();
    }
    regrown(&folder, &all, &row).unwrap();
}
