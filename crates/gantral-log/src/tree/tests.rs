use proptest::prelude::*;

use super::*;
use crate::testing::{Memory, grown, head, leaf};

#[test]
fn the_root_is_that_of_the_leaves_at_every_size() {
    let mut edge = Edge::default();
    for size in 0..600 {
        assert_eq!(edge.head(), head(size), "{size}");
        edge.append(&[leaf(size)]).unwrap();
    }
}

#[test]
fn an_edge_is_read_back_as_it_was() {
    for batches in [&[][..], &[1], &[255], &[256], &[257], &[511, 1], &[65_536], &[65_535, 2], &[70_000]] {
        let (objects, edge) = grown(batches);
        assert_eq!(Edge::load(&objects, &edge.head()).unwrap(), edge, "{batches:?}");
    }
}

#[test]
fn tiles_of_another_tree_are_refused() {
    let (mut objects, edge) = grown(&[300]);
    let tree = edge.head();
    assert!(matches!(Edge::load(&objects, &TreeHead { root: empty_root(), ..tree }), Err(LogError::Root)));
    assert!(
        matches!(Edge::load(&Memory::default(), &tree), Err(LogError::Object(name)) if name == "tile/0/001.p/44")
    );
    objects.0.get_mut("tile/0/001.p/44").unwrap()[0] ^= 1;
    assert!(matches!(Edge::load(&objects, &tree), Err(LogError::Root)));
    objects.0.get_mut("tile/0/001.p/44").unwrap().pop();
    assert!(matches!(Edge::load(&objects, &tree), Err(LogError::Object(_))));
    let full = TreeHead { size: SIZE_MAX + 1, ..tree };
    assert!(matches!(Edge::load(&objects, &full), Err(LogError::Range)));
}

#[test]
fn leaves_that_are_not_those_of_the_hashes_are_refused() {
    for at in [0, 1, 2, 84, 43 * 85 + 84] {
        let (mut objects, edge) = grown(&[300]);
        objects.0.get_mut("tile/entries/001.p/44").unwrap()[at] ^= 1;
        assert!(matches!(Edge::load(&objects, &edge.head()), Err(LogError::Root)), "byte {at}");
    }
}

#[test]
fn a_partial_tile_may_be_gone_once_the_full_one_is_there() {
    let (mut objects, edge) = grown(&[300]);
    let tree = edge.head();
    let (later, _) = grown(&[300, 300]);
    objects.0.retain(|name, _| !name.contains(".p/"));
    objects.0.extend(later.0.into_iter().filter(|(name, _)| !name.starts_with("tile/1/")));
    objects.0.insert("tile/1/000.p/1".to_owned(), tile_root(&hashes(0..256)).as_bytes().to_vec());
    objects.0.remove("tile/0/001.p/44");
    objects.0.remove("tile/entries/001.p/44");
    assert_eq!(Edge::load(&objects, &tree).unwrap(), edge);
}

fn hashes(numbers: std::ops::Range<u64>) -> Vec<Digest> {
    numbers.map(|number| leaf(number).tree_hash()).collect()
}

#[test]
fn bundles_hold_the_leaves_after_their_length() {
    let (objects, _) = grown(&[257]);
    let bundle = |name: &str| {
        let bytes = objects.0.get(name).unwrap();
        bytes
            .chunks(2 + LEAF_BYTES)
            .map(|entry| {
                assert_eq!(entry[..2], [0, 83]);
                Leaf::parse(&entry[2..]).unwrap()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(bundle("tile/entries/000"), (0..256).map(leaf).collect::<Vec<_>>());
    assert_eq!(bundle("tile/entries/001.p/1"), [leaf(256)]);
}

#[test]
fn an_append_of_nothing_changes_nothing() {
    let (_, mut edge) = grown(&[300]);
    let before = edge.clone();
    assert_eq!((edge.append(&[]).unwrap(), edge), (Vec::new(), before));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the batches, the tree and the tiles of its size are the same.
    #[test]
    fn batches_leave_no_trace(batches in prop::collection::vec(0u64..400, 0..8)) {
        let (objects, edge) = grown(&batches);
        let size = batches.iter().sum();
        let (whole, expected) = grown(&[size]);
        prop_assert_eq!(&edge, &expected);
        prop_assert!(whole.0.iter().all(|(name, bytes)| objects.0.get(name) == Some(bytes)));
    }
}

#[test]
fn an_edge_that_is_written_down_is_read_back() {
    for size in [0, 1, 255, 256, 257, 511, 65_536, 65_537, 66_000] {
        let (_, edge) = grown(&[size]);
        let bytes = edge.encode();
        assert_eq!(Edge::decode(&bytes).as_ref(), Some(&edge), "{size}");
        assert_eq!(Edge::decode(bytes.get(1..).unwrap()), None, "{size}");
        assert_eq!(Edge::decode(&[bytes, vec![0]].concat()), None, "{size}");
    }
}
