use super::super::checkpoint::Checkpoint;
use super::super::leaf::LeafKind;
use super::super::tree::{leaf_hash, node_hash};
use super::*;

const CHECKPOINT: &str =
    "acme/log.example\n2\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} a AAAAAAA=\n";

fn proof() -> LogProof {
    let hashes = alloc::vec![leaf_hash(b"left"), leaf_hash(b"right")];
    LogProof { index: 7, hashes, checkpoint: CHECKPOINT.to_owned() }
}

#[test]
fn a_proof_is_read_as_it_was_written() {
    for proof in [proof(), LogProof { index: 0, hashes: Vec::new(), ..proof() }] {
        assert_eq!(LogProof::parse(proof.encode().as_bytes()), Ok(proof));
    }
}

#[test]
fn extra_data_is_ignored() {
    let with = proof().encode().replace("index", "extra QUJD\nindex");
    assert_eq!(LogProof::parse(with.as_bytes()), Ok(proof()));
}

#[test]
fn what_is_no_proof_is_refused() {
    let text = proof().encode();
    let many = alloc::vec![leaf_hash(b"x"); PROOF_HASHES_MAX + 1];
    let cases = [
        (text.replace("proof@v1", "proof@v2"), ProofFormatError::Header),
        (text.replace("index 7", "index 07"), ProofFormatError::Index),
        (text.replace("index 7\n", ""), ProofFormatError::Index),
        (text.replace("index", "extra ?\nindex"), ProofFormatError::Extra),
        (text.replace("index", "extra QUJD\nextra QUJD\nindex"), ProofFormatError::Index),
        (text.replace("index 7\n", "index 7\nAAAA\n"), ProofFormatError::Hash),
        (text.split_once("\n\n").unwrap().0.to_owned(), ProofFormatError::Checkpoint),
        (format!("{}\n\n", text.split_once("\n\n").unwrap().0), ProofFormatError::Checkpoint),
        (LogProof { hashes: many, ..proof() }.encode(), ProofFormatError::Limit),
        (text + &"x".repeat(PROOF_BYTES_MAX), ProofFormatError::Limit),
    ];
    for (text, error) in cases {
        assert_eq!(LogProof::parse(text.as_bytes()), Err(error), "{text:.120}");
    }
    assert_eq!(LogProof::parse(b"\xff"), Err(ProofFormatError::Header));
}

#[test]
fn a_proof_leads_from_its_leaf_to_the_root() {
    let leaf = Leaf {
        kind: LeafKind::Artifact,
        sequence: 0,
        terminal: false,
        tag: Digest::from_bytes([1; 32]),
        hash: Digest::from_bytes([2; 32]),
        issuer: [3; 8],
    };
    let left = leaf_hash(b"left");
    let tree = TreeHead { size: 2, root: node_hash(&left, &leaf.tree_hash()) };
    let checkpoint = Checkpoint {
        tree,
        ..Checkpoint::parse(&CHECKPOINT[..CHECKPOINT.find("\n\n").unwrap() + 1]).unwrap()
    };
    let proof = LogProof { index: 1, hashes: alloc::vec![left], checkpoint: checkpoint.text() };
    assert_eq!(proof.check(&leaf, &checkpoint.tree), Ok(()));
    assert_eq!(proof.check(&Leaf { terminal: true, ..leaf }, &checkpoint.tree), Err(ProofError::Root));
}
