use super::*;
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

#[test]
fn a_uuid_is_read_in_its_one_spelling() {
    let text = "07070707-0707-4707-8707-070707070707";
    let id = InstanceId::parse(text).unwrap();
    assert_eq!((id, id.to_string().as_str()), (InstanceId::from_random([7; 16]), text));
    let wrong = [
        "",
        "07070707070747078707070707070707",
        "{07070707-0707-4707-8707-070707070707}",
        "07070707-0707-4707-8707-07070707070",
        "07070707-0707-4707-8707-0707070707070",
        "0707070-70707-4707-8707-070707070707",
        "07070707-0707-4707-8707-07070707070A",
        "07070707-0707-4707-8707-07070707070g",
        "07070707-0707-4707-8707+070707070707",
        "07070707-0707-4707-8707-0707070707\u{e9}",
    ];
    for text in wrong {
        assert!(InstanceId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_uuid_of_another_version_or_variant_is_refused() {
    let [seven, four, one] =
        ['7', '4', '1'].map(|version| format!("07070707-0707-{version}707-8707-070707070707"));
    assert!(ArtifactId::parse(&seven).is_ok() && ArtifactId::parse(&four).is_err());
    assert!(GrantId::parse(&seven).is_err() && GrantId::parse(&four).is_ok());
    assert!(InstanceId::parse(&seven).is_ok() && InstanceId::parse(&four).is_ok());
    let refused = InstanceId::parse(&one).unwrap_err().to_string();
    assert_eq!(refused, format!("`{one}` is not a lower-case UUID of version 4 or 7"));
    for variant in ["07070707-0707-4707-c707-070707070707", "07070707-0707-4707-0707-070707070707"] {
        assert!(InstanceId::parse(variant).is_err());
    }
    assert!(InstanceId::from_bytes([7; 16]).is_err());
    assert!(InstanceId::from_bytes(*InstanceId::from_random([7; 16]).as_bytes()).is_ok());
}

#[test]
fn dated_identifiers_sort_by_their_instant() {
    let id = ArtifactId::at(0x0123_4567_89ab, [0xff; 16]);
    assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
    assert!(ArtifactId::at(1, [0xff; 16]) < ArtifactId::at(2, [0; 16]));
    assert!(InstanceId::at(1, [0xff; 16]) < InstanceId::at(2, [0; 16]));
    assert_eq!(GateId::from_bytes(*GateId::at(1, [7; 16]).as_bytes()), Ok(GateId::at(1, [7; 16])));
}

#[test]
fn names_have_an_alphabet_and_a_length() {
    for good in ["a", "A-Z.0_9/x:y@z", &"n".repeat(NAME_BYTES_MAX)] {
        assert_eq!(Name::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", " a", "a b", "a\n", "na\u{ef}ve", "a,b", "a\\b", &"n".repeat(NAME_BYTES_MAX + 1)] {
        assert!(Name::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn tenants_are_lower_case() {
    assert!(TenantId::parse("acme/eu-1.test_2").is_ok());
    for bad in ["Acme", "acme:eu", "acme@eu", ""] {
        assert!(TenantId::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_somebody_sent_is_shown_short_and_without_control_characters() {
    let sent = format!("\u{1b}[31m{}", "x".repeat(100));
    let shown = Name::parse(&sent).unwrap_err().to_string();
    assert!(!shown.contains('\u{1b}') && shown.len() < 200, "{shown:?}");
}

#[test]
fn an_instance_tag_is_a_known_hash_that_depends_on_the_tenant() {
    let instance = InstanceId::from_random([7; 16]);
    let tag = |tenant: &str| instance_tag(&TenantId::parse(tenant).unwrap(), &instance).to_hex();
    assert_eq!(tag("acme"), "0b25bbcd5cc0d125e6603cab1399d7485a14a6cfad7d6262ed764c1068120099");
    assert_ne!(tag("acme"), tag("acme2"));
}

#[test]
fn a_person_is_read_back_from_the_actor_and_a_client_is_not_a_person() {
    let person = PersonId(Digest::of(b"lea"));
    assert_eq!(PersonId::from_actor(&person.actor()), Some(person));
    for client in ["agent-7", &person.actor().as_str().to_uppercase(), &person.actor().as_str()[1..]] {
        assert_eq!(PersonId::from_actor(&ActorId::parse(client).unwrap()), None);
    }
}

#[test]
fn attempts_count_from_one_and_never_wrap() {
    assert_eq!(AttemptNo::NONE.next(), AttemptNo(1));
    assert_eq!(AttemptNo(u32::MAX).next(), AttemptNo(u32::MAX));
}

proptest! {
    #[test]
    fn every_uuid_reads_back(bytes in any::<[u8; 16]>()) {
        let id = GrantId::from_random(bytes);
        prop_assert_eq!(GrantId::parse(&id.to_string()), Ok(id));
        prop_assert_eq!(GrantId::from_bytes(*id.as_bytes()), Ok(id));
    }

    #[test]
    fn no_text_is_read_as_an_identifier_that_is_written_otherwise(text in "\\PC{0,48}") {
        if let Ok(id) = GrantId::parse(&text) {
            prop_assert_eq!(id.to_string(), text.clone());
        }
        if let Ok(name) = Name::parse(&text) {
            prop_assert_eq!(name.as_str(), text);
        }
    }
}
