//! Every target.

mod archive;
mod artifact;
mod beside;
mod bundle;
mod edge;
mod http;
mod human;
mod json;
mod log;
mod mcp;
mod policy;
mod service;
mod trace;

use crate::target::Target;

/// Every target. A decoder that reads what somebody else wrote has one.
pub const TARGETS: &[Target] = &[
    json::DOCUMENT,
    json::ARTIFACT,
    json::WORDS,
    artifact::STATEMENT,
    artifact::GOVERNANCE,
    artifact::ENVELOPE,
    artifact::DELEGATION,
    artifact::DISCLOSURE,
    artifact::TRUST,
    artifact::RECEIPTS,
    human::ASSERTION,
    human::ENROLMENT,
    human::CLIENT_DATA,
    human::AUTHENTICATOR,
    human::ES256,
    beside::WINDOW,
    beside::INSTANCES,
    beside::MODE_LEASE,
    beside::PROPOSAL,
    log::LEAF,
    log::NOTE,
    log::CHECKPOINT,
    log::PROOF,
    log::CONSISTENCY,
    log::POLICY,
    log::KEY,
    log::WITNESS,
    log::MIRROR,
    log::TILES,
    log::MONITOR,
    archive::SEGMENT,
    archive::HEAD,
    bundle::TAR,
    bundle::MANIFEST,
    bundle::WHOLE,
    bundle::FILES,
    http::PATH,
    http::RULES,
    http::CHECK,
    http::LOGS,
    http::ACCESS,
    mcp::MESSAGE,
    mcp::EVENTS,
    mcp::STATE,
    policy::ARCHIVE,
    policy::UNPACKED,
    policy::OUTPUT,
    policy::OPA,
    policy::INPUT,
    policy::WORKFLOW,
    edge::HOOK,
    edge::COMMAND,
    edge::SECRET_REQUEST,
    service::BODY,
    service::TOKEN,
    service::KEY_SET,
    service::KEY_FOLDER,
    trace::TRACEPARENT,
];

/// Finds a target by its name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
