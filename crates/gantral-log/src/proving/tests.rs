use gantral_evidence::log::tree::check_inclusion;
use proptest::prelude::*;
use tlog_tiles::{TileHashReader, prove_record, prove_tree};

use super::*;
use crate::testing::{Memory, Stranger, foreign, grown, head, leaf};

#[test]
fn every_proof_of_small_trees_is_good() {
    for size in [1, 2, 3, 7, 8, 255, 256, 257, 300] {
        let (objects, _) = grown(&[size]);
        let mut prover = Prover::new(&objects, size).unwrap();
        let tree = prover.head().unwrap();
        assert_eq!(tree, head(size));
        for index in 0..size {
            let proof = prover.inclusion(index).unwrap();
            assert_eq!(check_inclusion(index, size, &tree.root, &leaf(index).tree_hash(), &proof), Ok(()));
        }
        for old in 0..=size {
            let proof = prover.consistency(old).unwrap();
            assert_eq!(tree.check_extends(&head(old), &proof), Ok(()), "{old} of {size}");
        }
    }
}

#[test]
fn places_outside_the_tree_have_no_proof() {
    let (objects, _) = grown(&[3]);
    let mut prover = Prover::new(&objects, 3).unwrap();
    assert!(matches!(prover.inclusion(3), Err(LogError::Range)));
    assert!(matches!(prover.consistency(4), Err(LogError::Range)));
    assert!(matches!(Prover::new(&objects, SIZE_MAX + 1), Err(LogError::Range)));
    assert_eq!(Prover::new(&objects, 0).unwrap().head().unwrap(), TreeHead::empty());
}

#[test]
fn a_missing_tile_is_named() {
    let objects = Memory::default();
    let mut prover = Prover::new(&objects, 70_000).unwrap();
    assert!(matches!(prover.inclusion(0), Err(LogError::Object(name)) if name == "tile/1/001.p/17"));
}

/// Somebody else's code reads our tiles, finds our root in them, and makes the same proofs.
#[test]
fn a_stranger_makes_the_same_proofs_from_our_tiles() {
    let size = 70_000;
    let (objects, edge) = grown(&[40_000, 30_000]);
    let stranger = Stranger(&objects);
    let reader = TileHashReader::new(size, foreign(&edge.head().root), &stranger);
    let mut prover = Prover::new(&objects, size).unwrap();
    for at in [0, 1, 255, 256, 4_711, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let ours: Vec<_> = prover.inclusion(at).unwrap().iter().map(foreign).collect();
        assert_eq!(ours, prove_record(size, at, &reader).unwrap(), "inclusion of {at}");
        let ours: Vec<_> = prover.consistency(at + 1).unwrap().iter().map(foreign).collect();
        assert_eq!(ours, prove_tree(size, at + 1, &reader).unwrap(), "consistency with {}", at + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn proofs_of_any_tree_are_good(size in 1u64..3_000, at: prop::sample::Index) {
        let at = at.index(size as usize) as u64;
        let (objects, edge) = grown(&[size]);
        let mut prover = Prover::new(&objects, size).unwrap();
        let (tree, old) = (edge.head(), grown(&[at]).1.head());
        let proof = prover.inclusion(at).unwrap();
        prop_assert_eq!(check_inclusion(at, size, &tree.root, &leaf(at).tree_hash(), &proof), Ok(()));
        prop_assert_eq!(tree.check_extends(&old, &prover.consistency(at).unwrap()), Ok(()));
    }
}
