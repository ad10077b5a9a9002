use gantral_core::digest::Digest;

use super::*;
use crate::folder::Folder;
use crate::proving::Prover;
use crate::testing::{grown, head, leaf};

#[test]
fn any_tree_of_a_log_that_has_grown_on_is_copied_whole_and_without_what_came_later() {
    for size in [1, 255, 256, 257, 511, 600, 1_024] {
        let (objects, _) = grown(&[size]);
        let place = tempfile::tempdir().unwrap();
        let (live, copy) = (Folder::new(&place.path().join("live")), Folder::new(&place.path().join("copy")));
        live.write(&objects.0.into_iter().map(|(name, bytes)| Object { name, bytes }).collect::<Vec<_>>())
            .unwrap();
        // It grows on, and what is partial of the smaller tree is removed wherever it is full by now.
        let mut edge = Edge::load(&live, &head(size)).unwrap();
        let more: Vec<_> = (size..size + 700).map(leaf).collect();
        live.write(&edge.append(&more).unwrap()).unwrap();
        for row in [Row::Entries, Row::Hashes(0)] {
            if let Some(tile) = Tile::of_tree(row, size / 256, size) {
                live.remove_under(&format!("{}.p", tile.full())).unwrap();
            }
        }
        let tree = head(size);
        copy_tree(&live, &copy, &tree, "the note").unwrap();
        assert_eq!(copy.read(CHECKPOINT).unwrap(), Some(b"the note".to_vec()));
        assert_eq!(Edge::load(&copy, &tree).unwrap().head(), tree);
        for index in [0, size / 2, size - 1] {
            let proof = Prover::new(&copy, size).unwrap().inclusion(index).unwrap();
            let original = Prover::new(&live, size).unwrap().inclusion(index).unwrap();
            assert_eq!(proof, original);
        }
        assert!(Edge::load(&copy, &head(size + 700)).is_err());
    }
}

#[test]
fn tree_of_which_a_tile_is_missing_or_another_is_not_copied() {
    let (objects, _) = grown(&[300]);
    let place = tempfile::tempdir().unwrap();
    let copy = Folder::new(place.path());
    for name in ["tile/entries/000", "tile/0/001.p/44"] {
        let mut damaged = objects.clone();
        damaged.0.remove(name);
        let error = copy_tree(&damaged, &copy, &head(300), "").unwrap_err();
        assert!(matches!(&error, LogError::Object(object) if object == name), "{error}");
    }
    let other = TreeHead { size: 300, root: Digest::of(b"another tree") };
    assert!(matches!(copy_tree(&objects, &copy, &other, ""), Err(LogError::Root)));
}
