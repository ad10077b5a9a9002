#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

fn segment() -> Segment {
    let artifact = |number, chain, action: Option<&str>, envelope: &[u8]| ArchivedArtifact {
        number,
        chain,
        sequence: number,
        action: action.map(|name| Name::parse(name).unwrap()),
        envelope: envelope.to_vec(),
    };
    let instance = InstanceId::from_random([7; 16]);
    Segment {
        tenant: TenantId::parse("acme/eu").unwrap(),
        segment: 3,
        position: 9,
        artifacts: vec![
            artifact(4, ChainId::Instance(instance), Some("refund"), b"{\n}"),
            artifact(6, ChainId::Governance, None, b""),
        ],
    }
}

fn head() -> Head {
    let named = |name: String| NamedObject::of(name, b"x", None);
    Head {
        format: FORMAT.to_owned(),
        tenant: "acme/eu".to_owned(),
        segment: 3,
        previous: Some(named(head_name(2))),
        objects: vec![named(segment_name(3)), named("workflows/abc.json".to_owned())],
        checkpoint: "note\n".to_owned(),
        cosigned: Vec::new(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(Segment::parse(&segment().encode()), Ok(segment()));
    assert_eq!(Head::parse(&head().encode()), Ok(head()));
    assert_eq!(segment().end(), 11);
}

#[test]
fn a_head_with_any_byte_changed_or_cut_is_none() {
    let bytes = head().encode();
    for place in 0..bytes.len() {
        let mut other = bytes.clone();
        other[place] ^= 1;
        assert!(Head::parse(&other).is_err(), "byte {place}");
        assert!(Head::parse(&bytes[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_head_that_names_another_step_is_none() {
    let check = |change: fn(&mut Head)| {
        let mut other = head();
        change(&mut other);
        assert!(Head::parse(&other.encode()).is_err(), "{other:?}");
    };
    check(|head| head.segment = 4);
    check(|head| head.previous = None);
    check(|head| head.objects.clear());
    check(|head| head.objects[1].sha256 = "abc".to_owned());
    check(|head| head.format = "gantral-archive/2".to_owned());
}

#[test]
fn a_segment_that_is_cut_or_goes_on_is_none() {
    let bytes = segment().encode();
    assert_eq!(Segment::parse(&bytes[..bytes.len() - 1]), Err(LayoutError::Length));
    assert_eq!(Segment::parse(&[bytes.as_slice(), b"x"].concat()), Err(LayoutError::Length));
    let mut unsorted = segment();
    unsorted.artifacts.swap(0, 1);
    assert_eq!(Segment::parse(&unsorted.encode()), Err(LayoutError::Member("number")));
}

#[test]
fn names_say_their_numbers_and_nothing_else_does() {
    assert_eq!(number_of(&segment_name(12), SEGMENTS), Some(12));
    assert_eq!(number_of("segments/12", SEGMENTS), None);
    assert_eq!(number_of("segments/0000000000+1", SEGMENTS), None);
    assert_eq!(number_of(&head_name(12), SEGMENTS), None);
    let tenant = TenantId::parse("acme/eu").unwrap();
    assert_eq!(folder(&tenant), "acme+eu");
    assert_eq!(tenant_of("acme+eu"), Some(tenant));
}
