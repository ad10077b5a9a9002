//! The verdict: is this bundle what it says, by keys that the relying party pinned?
//!
//! A pure function of bundle, trust file, and what stands beside them: same bytes, same verdict, same codes. `INVALID` needs a damaged bundle or
//! a contradiction that a trusted key signed; whatever is missing or unknown is `INCONCLUSIVE`. Files that nobody
//! trusted signed never displace those that somebody did. Source: `spec/verification.md`.

mod authenticate;
mod chain;
mod code;
mod definition;
mod delegated;
mod demanded;
mod disclosed;
mod enrolled;
mod finding;
mod governed;
mod guards;
mod input;
mod keyring;
mod mirror;
mod mirrored;
mod parents;
mod passkeys;
mod people;
mod places;
mod promises;
mod receipts;
mod release;
mod replays;
mod report;
mod require;
mod sealed;
mod timing;
mod trees;
mod unplaced;

use alloc::string::ToString as _;
use alloc::vec::Vec;

use gantral_core::digest::Hasher;

use crate::container::{ContainerError, Files, Manifest, read_tar};
use crate::trust::Trust;

pub(crate) use authenticate::code_of;
pub use code::{Code, Party, Weight, published};
pub use disclosed::Opened;
pub use finding::{Finding, Place};
pub use mirror::{Mirror, MirrorError, MirrorReader, OBJECT_BYTES_MAX, Questions};
pub use places::Seen;
pub use promises::{Promise, PromiseReader};
pub use receipts::{
    RECEIPT_BYTES_MAX, RECEIPTS_BYTES_MAX, RECEIPTS_MAX, Receipt, ReceiptsError, parse_receipts,
};
pub use replays::{Replay, ReplayOutcome, ReplayQuestion};
pub use report::{
    Assurance, CompleteBy, Enforcement, Execution, GovernanceAssurance, LogAssurance, Moment, Report, Verdict,
};
pub(crate) use sealed::code_of_envelope;
pub(crate) use unplaced::{Said, authenticate as authenticate_unplaced};

use authenticate::Authentic;
use chain::Chain;
use definition::{Definition, WORKFLOW_LABEL};
use finding::Findings;
use governed::Governed;
use keyring::Keyring;
use places::LogView;
use report::Basis;

/// Where a bundle may carry a trust file of its own.
pub const TRUST_HINT_PATH: &str = "keys/trust.json";

/// What a relying party puts beside a bundle and its trust file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// A mirror of the log that was asked [`Questions::of`] the bundle. It is left out of account without a log in the trust file.
    pub mirror: Option<&'a Mirror>,
    /// Receipts of what was written; those of other executions say nothing here.
    pub receipts: &'a [Receipt],
}

/// Verifies a bundle in its tar form.
pub fn verify_tar(tar: &[u8], trust: Option<&Trust>) -> Report {
    match read_tar(tar) {
        Ok(files) => verify(&files, trust),
        Err(error) => refuse(&error),
    }
}

/// Returns the report on files that are not a bundle at all.
pub fn refuse(error: &ContainerError) -> Report {
    let mut findings = Findings::new();
    findings.container(error);
    Report::without_chain(None, findings)
}

/// Verifies the files of a bundle.
pub fn verify(files: &Files<'_>, trust: Option<&Trust>) -> Report {
    verify_beside(files, trust, Beside::default())
}

/// Verifies the files of a bundle with what stands beside it.
pub fn verify_beside(files: &Files<'_>, trust: Option<&Trust>, beside: Beside<'_>) -> Report {
    judge(files, trust, beside, None)
}

/// Verifies the files of a bundle with what stands beside it, and with what came of evaluating its policies again: every evaluation
/// that could be done again must have been ([`replay_questions`]).
pub fn verify_replayed(
    files: &Files<'_>,
    trust: Option<&Trust>,
    beside: Beside<'_>,
    replays: &[Replay],
) -> Report {
    judge(files, trust, beside, Some(replays))
}

/// Returns which evaluations of a bundle are to be done again: those of the artifacts that a trusted key signed and that are lawful.
pub fn replay_questions<'f>(
    files: &Files<'f>,
    trust: Option<&Trust>,
    beside: Beside<'_>,
) -> Vec<ReplayQuestion<'f>> {
    let mut findings = Findings::new();
    let Ok(manifest) = Manifest::read(files) else { return Vec::new() };
    let read = Evidence::read(files, trust, beside, &manifest, &mut findings);
    let opened = disclosed::open(files, &read.chain, &read.governed, &mut findings);
    replays::questions(files, &read.chain, &opened)
}

/// What a bundle holds that somebody trusted has signed, and where it stands in the log.
struct Evidence<'a> {
    keys: Keyring<'a>,
    chain: Chain,
    view: LogView<'a>,
    governed: Governed,
}

impl<'a> Evidence<'a> {
    fn read(
        files: &Files<'_>,
        trust: Option<&'a Trust>,
        beside: Beside<'a>,
        manifest: &Manifest,
        findings: &mut Findings,
    ) -> Self {
        let keys = Keyring::of(files, trust);
        let Authentic { artifacts, rejected, unreadable } =
            authenticate::authenticate(files, &keys, findings);
        let mut artifacts = chain::arrange(artifacts, manifest, findings);
        let mut governed = Governed::read(files, &keys, artifacts.first(), findings);
        let governance = &mut governed.artifacts;
        let mut view = LogView::gather(files, trust, beside.mirror, &mut artifacts, governance, findings);
        let chain = Chain::of(artifacts, rejected, unreadable, manifest.scope, findings);
        view.check_trees(files, &chain, findings);
        view.check_places(&chain, findings);
        view.check_mirror(&chain, manifest.scope, findings);
        governed.check(&view, chain.artifacts.first(), findings);
        Self { keys, chain, view, governed }
    }
}

fn judge(files: &Files<'_>, trust: Option<&Trust>, beside: Beside<'_>, replays: Option<&[Replay]>) -> Report {
    let mut findings = Findings::new();
    let manifest = match Manifest::read(files) {
        Ok(manifest) => manifest,
        Err(error) => return refuse(&error),
    };
    for fault in manifest.faults(files) {
        findings.add(Code::Container, Place::File(fault.path), fault.kind.to_string());
    }
    check_definitions(files, &mut findings);
    check_hint(files, trust, &mut findings);
    match trust {
        None => findings.bundle(Code::NoTrust),
        Some(trust) if trust.require.is_none() => findings.bundle(Code::NoRequire),
        Some(_) => {}
    }
    let read = Evidence::read(files, trust, beside, &manifest, &mut findings);
    let Evidence { keys, chain, mut view, governed } = read;
    let opened = disclosed::open(files, &chain, &governed, &mut findings);
    input::check(&chain, &opened, &mut findings);
    let definition = Definition::of(files, &chain);
    let floor = definition.required_evidence;
    let against = people::Against { files, trust, keys: &keys, governed: &governed, floor, opened: &opened };
    let humans = people::check(&chain, against, &mut findings);
    let require = trust.and_then(|trust| trust.require.as_ref());
    let required = guards::Required {
        complete: require.is_some_and(|require| require.complete),
        four_eyes: require.is_some_and(|require| require.four_eyes),
    };
    let compared = guards::check(&chain, &governed, definition.team.as_ref(), &view, required, &mut findings);
    let witnesses = require.map_or(0, |require| require.witnessed);
    release::check(&chain, definition.release, &view, witnesses, &mut findings);
    parents::check(files, &keys, &mut view, &chain, &mut findings);
    receipts::check(beside.receipts, &keys, &view, &chain, manifest.scope, &mut findings);
    let replayed = replays.map(|replays| replays::check(replays, &chain, &opened, &mut findings));
    let governance = GovernanceAssurance::of(&governed, compared, &chain, &opened);
    let (chain, view, opened) = (&chain, &view, &opened);
    let basis = Basis { chain, view, opened, humans, governance, release: definition.release, replayed };
    Report::new(&manifest, &basis, require, findings)
}

/// Definitions are named by their digest; one that is another is damaged.
fn check_definitions(files: &Files<'_>, findings: &mut Findings) {
    for (directory, label) in [("workflow/", WORKFLOW_LABEL), ("semantics/", "gantral/semantics/v1")] {
        for (path, content) in files.within(directory) {
            let name = path.get(directory.len()..).and_then(|name| name.split('.').next());
            let found = Hasher::new(label).bytes(content).finish();
            if name != Some(found.to_hex().as_str()) {
                let message = alloc::format!("`{path}` is not the definition that it is named after");
                findings.add(Code::Container, Place::File(path.into()), message);
            }
        }
    }
}

/// A trust file inside the bundle is testimony about itself.
fn check_hint(files: &Files<'_>, trust: Option<&Trust>, findings: &mut Findings) {
    let (Some(hint), Some(trust)) = (files.get(TRUST_HINT_PATH), trust) else { return };
    if !Trust::parse(hint).is_ok_and(|hint| hint.same_keys(trust)) {
        findings.add(Code::TrustHint, Place::File(TRUST_HINT_PATH.into()), Code::TrustHint.meaning());
    }
}
