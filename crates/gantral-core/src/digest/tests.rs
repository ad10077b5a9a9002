use super::*;
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn salt() -> Salt {
    Salt::from_bytes(core::array::from_fn(|index| u8::try_from(index).unwrap()))
}

#[test]
fn a_digest_has_one_spelling() {
    let digest = Digest::of(b"abc");
    assert_eq!((digest.to_hex().as_str(), digest.to_string().as_str()), (ABC, ABC));
    assert_eq!(Digest::parse(ABC), Ok(digest));
    for wrong in [
        &ABC.to_uppercase(),
        &ABC[1..],
        &format!("{ABC}0"),
        &format!("{}g", &ABC[1..]),
        "",
        &"\u{e9}".repeat(32),
    ] {
        assert_eq!(Digest::parse(wrong), Err(DigestError), "{wrong}");
    }
}

#[test]
fn a_commitment_is_a_known_hash() {
    let known = "b060356ca4bc944484eeed1c7b54ea3f92400fa6468685faef3392bbf161166a";
    assert_eq!(commit(CommitmentLabel::Action, &salt(), br#"{"name":"refund"}"#).to_hex(), known);
}

#[test]
fn one_value_committed_as_two_things_differs() {
    let all: alloc::collections::BTreeSet<Digest> =
        CommitmentLabel::ALL.iter().map(|label| commit(*label, &salt(), b"same")).collect();
    assert_eq!(all.len(), CommitmentLabel::ALL.len());
}

#[test]
fn another_salt_gives_another_commitment() {
    let other = Salt::from_bytes([9; 32]);
    let of = |salt| commit(CommitmentLabel::Person, salt, b"lea");
    assert_ne!(of(&salt()), of(&other));
}

#[test]
fn a_label_cannot_run_into_what_follows_it() {
    let split = |label: &str, text: &str| Hasher::new(label).text(text).finish();
    assert_ne!(split("ab", "c"), split("a", "bc"));
    assert_ne!(split("a", "bc"), Hasher::new("a").text("b").text("c").finish());
}

#[test]
fn labels_read_back_and_a_salt_is_not_shown() {
    for label in CommitmentLabel::ALL {
        assert_eq!(CommitmentLabel::parse(label.as_str()), Some(label));
    }
    assert_eq!(CommitmentLabel::parse("Action"), None);
    assert_eq!(Salt::parse(&salt().to_hex()), Ok(salt()));
    assert_eq!(format!("{:?}", salt()), "Salt(..)");
}

proptest! {
    #[test]
    fn every_digest_reads_back(bytes in any::<[u8; 32]>()) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(Digest::parse(&digest.to_hex()), Ok(digest));
    }
}
