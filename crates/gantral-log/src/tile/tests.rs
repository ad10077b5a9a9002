use super::*;

#[test]
fn names_are_those_of_static_files() {
    let name = |row, index, width| Tile { row, index, width }.to_string();
    assert_eq!(name(Row::Hashes(0), 0, 256), "tile/0/000");
    assert_eq!(name(Row::Hashes(1), 1_234_067, 256), "tile/1/x001/x234/067");
    assert_eq!(name(Row::Hashes(2), 67, 5), "tile/2/067.p/5");
    assert_eq!(name(Row::Entries, 1_000, 255), "tile/entries/x001/000.p/255");
}

/// The example of C2SP `tlog-tiles`.
#[test]
fn a_tree_of_seventy_thousand_leaves_has_the_published_tiles() {
    let widths = |row| {
        let tiles = (0..).map_while(move |index| Tile::of_tree(row, index, 70_000));
        tiles.map(|tile| tile.width).collect::<Vec<_>>()
    };
    for row in [Row::Hashes(0), Row::Entries] {
        let widths = widths(row);
        assert_eq!((widths.len(), widths[273]), (274, 112));
        assert!(widths[..273].iter().all(|width| *width == 256));
    }
    assert_eq!(widths(Row::Hashes(1)), [256, 17]);
    assert_eq!(widths(Row::Hashes(2)), [1]);
    assert!(widths(Row::Hashes(3)).is_empty());
}

#[test]
fn a_full_tile_is_one_hash_of_the_level_above() {
    assert_eq!(Tile::of_tree(Row::Hashes(0), 1, 256), None);
    assert_eq!(Tile::of_tree(Row::Hashes(1), 0, 255), None);
    assert_eq!(Tile::of_tree(Row::Hashes(1), 0, 256).unwrap().width, 1);
    assert!(Tile::of_tree(Row::Hashes(0), 0, 256).unwrap().is_full());
    assert_eq!(Tile::of_tree(Row::Hashes(LEVELS_MAX), 0, (1 << 53) - 1), None);
    assert_eq!(Tile::of_tree(Row::Hashes(0), u64::MAX, 7), None);
}
