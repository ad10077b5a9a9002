//! What is read from an archive: segments and heads.

use gantral_archive::layout::{
    ArchivedArtifact, FORMAT, Head, NamedObject, Segment, head_name, segment_name,
};
use gantral_core::ids::TenantId;
use gantral_store::ChainId;

use crate::seeds::Vectors;
use crate::target::{Answer, Seen, Target, ensure, refused, twice};

const TOKENS: &[&str] = &[
    "\"format\":\"gantral-archive/1\"",
    "\"chain\":\"governance\"",
    "\"segment\":0",
    "\"previous\":",
    "\"bytes\":3",
    "\n",
];

pub const SEGMENT: Target = Target {
    name: "archive_segment",
    bytes_max: 16 << 10,
    tokens: TOKENS,
    seeds: segments,
    check: check_segment,
};
pub const HEAD: Target =
    Target { name: "archive_head", bytes_max: 16 << 10, tokens: TOKENS, seeds: heads, check: check_head };

fn segments(_: &Vectors) -> Vec<Vec<u8>> {
    let Ok(tenant) = TenantId::parse("acme") else { return Vec::new() };
    let artifact = |number: u64, envelope: &[u8]| ArchivedArtifact {
        number,
        chain: ChainId::Governance,
        sequence: number,
        action: None,
        envelope: envelope.to_vec(),
    };
    let artifacts = vec![artifact(1, b"{}\n"), artifact(3, b"")];
    vec![Segment { tenant, segment: 0, position: 0, artifacts }.encode()]
}

fn heads(_: &Vectors) -> Vec<Vec<u8>> {
    let named = |name: String| NamedObject::of(name, b"", None);
    let head = |segment: u64| Head {
        format: FORMAT.to_owned(),
        tenant: "acme".to_owned(),
        segment,
        previous: segment.checked_sub(1).map(|before| named(head_name(before))),
        objects: vec![named(segment_name(segment))],
        checkpoint: "note\n".to_owned(),
        cosigned: Vec::new(),
    };
    vec![head(0).encode(), head(7).encode()]
}

fn check_segment(bytes: &[u8]) -> Answer {
    match twice(|| Segment::parse(bytes))? {
        Ok(segment) => {
            ensure(Segment::parse(&segment.encode()).as_ref() == Ok(&segment), "a segment is read back")?;
            Ok(Seen::Accepted)
        }
        Err(error) => Ok(refused(&error)),
    }
}

fn check_head(bytes: &[u8]) -> Answer {
    match twice(|| Head::parse(bytes))? {
        Ok(head) => {
            ensure(Head::parse(&head.encode()).as_ref() == Ok(&head), "a head is read back")?;
            Ok(Seen::Accepted)
        }
        Err(error) => Ok(refused(&error)),
    }
}
