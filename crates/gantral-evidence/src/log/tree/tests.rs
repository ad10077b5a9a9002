use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// RFC 6962 §2.1, word for word: the oracle for everything here.
fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The largest power of two below `n`.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// RFC 6962 §2.1.1.
fn inclusion(at: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if at < left.len() {
        (inclusion(at, left), root(right))
    } else {
        (inclusion(at - left.len(), right), root(left))
    };
    proof.push(sibling);
    proof
}

/// RFC 6962 §2.1.2; `whole` says that the old tree is the complete one so far.
fn consistency(old: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if old <= left.len() {
        (consistency(old, left, whole), root(right))
    } else {
        (consistency(old - left.len(), right, false), root(left))
    };
    proof.push(sibling);
    proof
}

fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn head(leaves: &[Digest]) -> TreeHead {
    TreeHead { size: leaves.len() as u64, root: root(leaves) }
}

/// The tree that tests of Certificate Transparency have used since its first implementation.
#[test]
fn roots_are_those_of_certificate_transparency() {
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<Digest> = inputs.iter().map(|input| leaf_hash(&hex::decode(input).unwrap())).collect();
    for (at, expected) in roots.iter().enumerate() {
        assert_eq!(root(&leaves[..=at]).to_hex(), *expected);
    }
}

#[test]
fn every_leaf_of_every_small_tree_is_proved() {
    let leaves = leaves(70);
    for size in 1..=leaves.len() {
        let tree = head(&leaves[..size]);
        for (at, leaf) in leaves[..size].iter().enumerate() {
            let proof = inclusion(at, &leaves[..size]);
            assert_eq!(
                check_inclusion(at as u64, tree.size, &tree.root, leaf, &proof),
                Ok(()),
                "{at} of {size}"
            );
        }
    }
}

#[test]
fn every_small_tree_extends_those_before_it() {
    let leaves = leaves(70);
    for size in 0..=leaves.len() {
        let tree = head(&leaves[..size]);
        assert_eq!(tree.check_extends(&TreeHead::empty(), &[]), Ok(()));
        for old in 1..=size {
            let proof = consistency(old, &leaves[..size], true);
            assert_eq!(tree.check_extends(&head(&leaves[..old]), &proof), Ok(()), "{old} of {size}");
        }
    }
}

#[test]
fn places_outside_a_tree_are_refused() {
    let leaf = leaf_hash(b"x");
    assert_eq!(root_from_inclusion(1, 1, &leaf, &[]), Err(ProofError::Range));
    assert_eq!(root_from_inclusion(0, SIZE_MAX + 1, &leaf, &[]), Err(ProofError::Range));
    let (small, large) = (head(&leaves(2)), head(&leaves(3)));
    assert_eq!(small.check_extends(&large, &[]), Err(ProofError::Range));
}

#[test]
fn another_tree_of_the_same_size_is_no_extension() {
    let tree = head(&leaves(3));
    let other = TreeHead { root: leaf_hash(b"another"), ..tree };
    assert_eq!(other.check_extends(&tree, &[]), Err(ProofError::Root));
    assert_eq!(tree.check_extends(&TreeHead { root: tree.root, size: 0 }, &[]), Err(ProofError::Root));
    assert_eq!(tree.check_extends(&tree, &[tree.root]), Err(ProofError::Length));
    let nothing = TreeHead { root: tree.root, size: 0 };
    assert_eq!(nothing.check_extends(&TreeHead::empty(), &[]), Err(ProofError::Root));
}

proptest! {
    /// One hash more, less or other, another place, another leaf: each is found.
    #[test]
    fn a_changed_inclusion_proof_proves_nothing(size in 2usize..200, at: prop::sample::Index, cut: prop::sample::Index) {
        let leaves = leaves(size);
        let at = at.index(size);
        let tree = head(&leaves);
        let proof = inclusion(at, &leaves);
        let check = |at: usize, leaf: &Digest, proof: &[Digest]| {
            check_inclusion(at as u64, tree.size, &tree.root, leaf, proof)
        };
        let place = cut.index(proof.len());
        let mut changed = proof.clone();
        changed[place] = leaf_hash(b"another");
        prop_assert_eq!(check(at, &leaves[at], &changed), Err(ProofError::Root));
        let mut shorter = proof.clone();
        shorter.remove(place);
        prop_assert!(check(at, &leaves[at], &shorter).is_err());
        let mut longer = proof.clone();
        longer.insert(place, tree.root);
        prop_assert!(check(at, &leaves[at], &longer).is_err());
        prop_assert!(check((at + 1) % size, &leaves[at], &proof).is_err());
        prop_assert_eq!(check(at, &leaf_hash(b"another"), &proof), Err(ProofError::Root));
    }

    #[test]
    fn a_changed_consistency_proof_proves_nothing(size in 3usize..200, old: prop::sample::Index, cut: prop::sample::Index) {
        let leaves = leaves(size);
        let old = 1 + old.index(size - 1);
        let (tree, before) = (head(&leaves), head(&leaves[..old]));
        let proof = consistency(old, &leaves, true);
        let place = cut.index(proof.len());
        let mut changed = proof.clone();
        changed[place] = leaf_hash(b"another");
        prop_assert_eq!(tree.check_extends(&before, &changed), Err(ProofError::Root));
        let mut shorter = proof.clone();
        shorter.remove(place);
        prop_assert!(tree.check_extends(&before, &shorter).is_err());
        let mut longer = proof.clone();
        longer.insert(place, tree.root);
        prop_assert!(tree.check_extends(&before, &longer).is_err());
        let forked = TreeHead { root: leaf_hash(b"another"), ..before };
        prop_assert!(tree.check_extends(&forked, &proof).is_err());
    }
}
