use super::*;

fn leaf() -> Leaf {
    Leaf {
        kind: LeafKind::Artifact,
        sequence: 0x0102_0304_0506,
        terminal: true,
        tag: Digest::from_bytes([0xaa; 32]),
        hash: Digest::from_bytes([0xbb; 32]),
        issuer: [0xcc; 8],
    }
}

#[test]
fn a_leaf_has_the_published_layout() {
    let expected =
        ["474c31", "01", "02", "010203040506", &"aa".repeat(32), &"bb".repeat(32), &"cc".repeat(8)];
    assert_eq!(hex::encode(leaf().encode()), expected.concat());
}

#[test]
fn a_leaf_is_read_as_it_was_written() {
    for kind in [LeafKind::Artifact, LeafKind::Governance] {
        for (sequence, terminal) in [(0, false), (0, true), (1, false), (SEQUENCE_MAX, true)] {
            let leaf = Leaf { kind, sequence, terminal, ..leaf() };
            assert_eq!(Leaf::parse(&leaf.encode()), Ok(leaf));
        }
    }
}

#[test]
fn what_is_no_leaf_is_refused() {
    let bytes = leaf().encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        Leaf::parse(&bytes)
    };
    assert_eq!(Leaf::parse(&bytes[1..]), Err(LeafError::Length));
    assert_eq!(Leaf::parse(&[bytes.as_slice(), b"x"].concat()), Err(LeafError::Length));
    assert_eq!(with(2, b'2'), Err(LeafError::Magic));
    for kind in [0, 2, 3, 4, 6, 255] {
        assert_eq!(with(3, kind), Err(LeafError::Kind(kind)));
    }
    // Genesis at another place than the first, and flags that nobody has defined.
    for flags in [1, 3, 4, 6, 128] {
        assert_eq!(with(4, flags), Err(LeafError::Flags));
    }
    let genesis = Leaf { sequence: 0, ..leaf() };
    let mut bytes = genesis.encode();
    bytes[4] = TERMINAL;
    assert_eq!(Leaf::parse(&bytes), Err(LeafError::Flags));
}
