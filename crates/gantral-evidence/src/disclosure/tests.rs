use alloc::string::String;
use alloc::vec;

use super::*;

fn disclosure() -> Disclosure {
    Disclosure {
        label: CommitmentLabel::Action,
        salt: Salt::from_bytes([1; 32]),
        plaintext: b"{\"amount\":4800}".to_vec(),
    }
}

#[test]
fn a_disclosure_has_one_form_that_reads_back() {
    let bytes = disclosure().encode();
    let expected = alloc::format!(
        "{{\"label\":\"action\",\"plaintext\":\"eyJhbW91bnQiOjQ4MDB9\",\"salt\":\"{}\"}}",
        "01".repeat(32)
    );
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(Disclosure::parse(&bytes), Ok(disclosure()));
    let largest = Disclosure { plaintext: vec![0; PLAINTEXT_BYTES_MAX], ..disclosure() };
    assert_eq!(Disclosure::parse(&largest.encode()), Ok(largest));
}

#[test]
fn a_disclosure_opens_its_own_commitment_and_no_other() {
    let commitment = disclosure().commitment();
    assert!(disclosure().opens(CommitmentLabel::Action, &commitment));
    assert!(!disclosure().opens(CommitmentLabel::Context, &commitment));
    for other in [
        Disclosure { label: CommitmentLabel::Context, ..disclosure() },
        Disclosure { salt: Salt::from_bytes([2; 32]), ..disclosure() },
        Disclosure { plaintext: b"{\"amount\":480}".to_vec(), ..disclosure() },
    ] {
        assert!(!other.opens(CommitmentLabel::Action, &commitment));
        assert!(!other.opens(other.label, &commitment));
    }
}

#[test]
fn a_path_names_the_commitment() {
    let commitment = disclosure().commitment();
    let path = Disclosure::path(&commitment);
    assert_eq!(Disclosure::commitment_of_path(&path), Some(commitment));
    assert_eq!(Disclosure::commitment_of_path("disclosures/x.json"), None);
    assert_eq!(Disclosure::commitment_of_path("artifacts/000000.dsse.json"), None);
}

#[test]
fn anything_but_a_disclosure_is_refused() {
    use DisclosureError::*;
    let text = String::from_utf8(disclosure().encode()).unwrap();
    for (from, to, error) in [
        ("\"action\"", "\"deed\"", Member("label")),
        ("\"label\":\"action\",", "", Member("label")),
        ("0101", "0x01", Member("salt")),
        ("eyJhbW91bnQiOjQ4MDB9", "eyJhbW91bnQiOjQ4MDB", Member("plaintext")),
        ("{\"label\"", "{\"aaa\":1,\"label\"", UnknownMember),
    ] {
        assert_eq!(Disclosure::parse(text.replacen(from, to, 1).as_bytes()), Err(error), "{from} -> {to}");
    }
    assert_eq!(Disclosure::parse(b"7"), Err(Member("disclosure")));
    assert!(matches!(Disclosure::parse((text + "\n").as_bytes()), Err(Json(_))));
    let large = Disclosure { plaintext: vec![0; PLAINTEXT_BYTES_MAX + 1], ..disclosure() };
    assert_eq!(Disclosure::parse(&large.encode()), Err(Limit));
}

#[test]
fn nothing_disclosed_is_shown_by_accident() {
    assert_eq!(alloc::format!("{:?}", disclosure()), "Disclosure(action, 15 bytes)");
}
