//! The report: verdict, what it covers, how far it can be relied upon, and what it does not prove.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Event, Identity};
use gantral_core::ids::LogOrigin;
use gantral_core::instance::Instance;
use gantral_core::state::{ActorKind, EventKind, ExecutorKind, HumanEvidence, Mode, State};
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Release;

use super::chain::Chain;
use super::code::Weight;
use super::disclosed::Opened;
use super::finding::{Finding, Findings};
use super::governed::Governed;
use super::guards::Compared;
use super::people::HumanAssurance;
use super::places::{LogView, Seen};
use super::require;
use crate::commitments::policy;
use crate::container::{Manifest, Scope};
use crate::keys::KeyId;
use crate::report::narrate::{actor, narrate, shown, under};
use crate::trust::Require;

/// The answer. There is no fourth one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything that was required holds.
    Valid,
    /// The bundle is damaged, or contradicts itself under a trusted signature.
    Invalid,
    /// Something is missing or unknown.
    Inconclusive,
}

impl Verdict {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Invalid => "INVALID",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }

    /// Returns the exit code of a verifier: 0, 1 or 2. Its own failure is 3.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Invalid => 1,
            Self::Inconclusive => 2,
        }
    }

    pub(crate) fn of<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        match findings.into_iter().map(|finding| finding.weight).min() {
            Some(Weight::Invalid) => Self::Invalid,
            Some(Weight::Inconclusive) => Self::Inconclusive,
            Some(Weight::Note) | None => Self::Valid,
        }
    }
}

/// The execution that the bundle is about, as far as its rules could be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Tenant, log, instance and workflow version.
    pub identity: Identity,
    /// Where authority stood at the end.
    pub state: State,
    /// How many artifacts were verified.
    pub artifacts: usize,
    /// The hash of the last of them: names the whole chain.
    pub head: Digest,
}

/// Whether actions could have happened without a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforcement {
    /// A runner or an interceptor held the action until its grant was consumed.
    Enforced,
    /// The agent executed actions itself: nothing held it back.
    SelfExecuted,
    /// Actions were observed and not held.
    Shadow,
}

impl Enforcement {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::SelfExecuted => "self",
            Self::Shadow => "shadow",
        }
    }
}

/// What proves that nothing was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompleteBy {
    /// The leaves of a mirror of the log: this chain is the only one of its execution, and it has ended.
    Mirror,
}

impl CompleteBy {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
        }
    }
}

/// What the log of the chain proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAssurance {
    /// Which log.
    pub origin: LogOrigin,
    /// The index of each verified artifact, in their order; `None` where there is no proof.
    pub indexes: Vec<Option<u64>>,
    /// Every checkpoint that something rests on, by size: those of proofs, those of anchors, and the mirror's.
    pub checkpoints: Vec<Seen>,
    /// How many executions the mirror holds; `None` without a mirror.
    pub instances: Option<u64>,
}

/// What the governance chain of the bundle shows of the rules that were in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GovernanceAssurance {
    /// How many artifacts of the chain were verified, from its beginning.
    pub artifacts: usize,
    /// How many consumptions were compared with it: nothing was frozen, and their policy was in force.
    pub checked: usize,
    /// How many consumptions name a head that is not there, or a workflow whose team is not known.
    pub unchecked: usize,
    /// How many consumptions say that there was no governance chain.
    pub unnamed: usize,
    /// How many commitments the chain says were erased by right.
    pub erased: usize,
    /// Keys that signed where the chain, and not the trust file, says that they were retired or compromised; sorted.
    pub doubted_keys: Vec<KeyId>,
}

/// How far a verdict can be relied upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assurance {
    /// The weakest enforcement of any action.
    pub enforcement: Enforcement,
    /// The issuer keys that signed, sorted.
    pub signed_by: Vec<KeyId>,
    /// Whether every artifact is proved to be in the log. Without it the chain is asserted by its issuer.
    pub logged: bool,
    /// How many witnesses cosigned what proves it, for the artifact with the fewest.
    pub witnessed: u32,
    /// What the log proves; `None` if no artifact is proved to be in it, and there is no mirror.
    pub log: Option<LogAssurance>,
    /// What the governance chain shows.
    pub governance: GovernanceAssurance,
    /// From when grants might be used, which was compared with the anchors; `None` if the definition of the workflow is not in
    /// the bundle.
    pub release: Option<Release>,
    /// How many evaluations of policy gave the same when they were done again; `None` if nobody did them again.
    pub replayed: Option<usize>,
    /// What proves that nothing was left out; `None` if nothing does.
    pub complete: Option<CompleteBy>,
    /// The weakest evidence of a human decision that was checked; `None` if no human decided.
    pub human_evidence: Option<HumanEvidence>,
    /// Whether every human decision was signed by a key that cannot leave its device; `None` if no human decided.
    pub human_device_bound: Option<bool>,
    /// Whether the chain has reached a final state.
    pub ended: bool,
    /// Who claimed outcomes, sorted.
    pub outcomes_claimed_by: Vec<ActorKind>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The place in the chain.
    pub sequence: u64,
    /// The hash of the artifact.
    pub hash: Digest,
    /// When, by the issuer's clock.
    pub at: UnixMillis,
    /// What happened.
    pub event: EventKind,
    /// By whom.
    pub actor: String,
    /// In a sentence.
    pub text: String,
    /// Under which policy, and what evaluated it; `None` where no verdict of policy led to it.
    pub policy: Option<String>,
    /// What the approvers were shown, where humans are asked.
    pub shown: Option<String>,
}

/// What a verifier found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// How much of the chain the bundle claims to hold; `None` if that cannot be read.
    pub scope: Option<Scope>,
    /// What the bundle is about; `None` if no artifact could be verified.
    pub execution: Option<Execution>,
    /// How far the verdict can be relied upon; `None` if no artifact could be verified.
    pub assurance: Option<Assurance>,
    /// Everything that was found, sorted by code.
    pub findings: Vec<Finding>,
    /// What happened, in order, as far as it was verified.
    pub timeline: Vec<Moment>,
    /// What the verdict does not prove.
    pub not_proved: Vec<String>,
}

/// What a report rests on.
pub(super) struct Basis<'b, 'a> {
    pub(super) chain: &'b Chain,
    pub(super) view: &'b LogView<'a>,
    pub(super) opened: &'b Opened,
    pub(super) humans: HumanAssurance,
    pub(super) governance: GovernanceAssurance,
    /// From when grants might be used, by the definition of the workflow.
    pub(super) release: Option<Release>,
    /// How many evaluations gave the same again.
    pub(super) replayed: Option<usize>,
}

impl GovernanceAssurance {
    pub(super) fn of(governed: &Governed, compared: Compared, chain: &Chain, opened: &Opened) -> Self {
        let Compared { checked, unchecked, unnamed } = compared;
        Self {
            artifacts: governed.chain().len(),
            checked,
            unchecked,
            unnamed,
            erased: CommitmentLabel::ALL.into_iter().map(|label| opened.erased(label)).sum(),
            doubted_keys: governed.doubted(chain.lawful()),
        }
    }

    /// Tells whether it is shown for every consumption that nothing was frozen and its policy was in force.
    const fn covers_all(&self) -> bool {
        self.checked > 0 && self.unchecked == 0 && self.unnamed == 0
    }
}

impl Report {
    /// Returns the codes that were found, sorted, once each.
    pub fn codes(&self) -> Vec<&'static str> {
        let codes: BTreeSet<&str> = self.findings.iter().map(|finding| finding.code.as_str()).collect();
        codes.into_iter().collect()
    }

    pub(super) fn without_chain(scope: Option<Scope>, findings: Findings) -> Self {
        let findings = findings.into_sorted();
        let not_proved = alloc::vec!["Anything: no artifact could be verified".to_string()];
        Self {
            verdict: Verdict::of(&findings),
            scope,
            execution: None,
            assurance: None,
            findings,
            timeline: Vec::new(),
            not_proved,
        }
    }

    pub(super) fn new(
        manifest: &Manifest,
        basis: &Basis<'_, '_>,
        require: Option<&Require>,
        mut findings: Findings,
    ) -> Self {
        let Basis { chain, view, opened, .. } = basis;
        let (Some(instance), Some(last)) = (&chain.instance, chain.lawful().last()) else {
            return Self::without_chain(Some(manifest.scope), findings);
        };
        let assurance = Assurance::of(instance, basis);
        if let Some(require) = require {
            let is_unlogged = |artifact: &&super::sealed::Artifact| {
                artifact.placed.is_none() && !view.was_reported(artifact.statement.sequence)
            };
            let unlogged = chain.artifacts.iter().filter(is_unlogged).count();
            let closed = |label| opened.withheld(label).saturating_add(opened.erased(label));
            require::check(require, &assurance, unlogged, closed, &mut findings);
        }
        let findings = findings.into_sorted();
        let moment = |artifact: &super::sealed::Artifact| Moment {
            sequence: artifact.statement.sequence,
            hash: artifact.hash,
            at: artifact.statement.entry.at,
            event: artifact.statement.entry.event.kind(),
            actor: actor(&artifact.statement.entry.actor),
            text: narrate(&artifact.statement.entry.event, opened),
            policy: policy(&artifact.statement.entry.event).map(under),
            shown: shown(&artifact.statement.entry.event, opened),
        };
        Self {
            verdict: Verdict::of(&findings),
            scope: Some(manifest.scope),
            execution: Some(Execution {
                identity: instance.identity.clone(),
                state: last.statement.state,
                artifacts: chain.folded,
                head: last.hash,
            }),
            not_proved: not_proved(&assurance, opened),
            assurance: Some(assurance),
            findings,
            timeline: chain.lawful().iter().map(moment).collect(),
        }
    }
}

impl Assurance {
    fn of(instance: &Instance, basis: &Basis<'_, '_>) -> Self {
        let Basis { chain, view, .. } = basis;
        let mut signed_by = BTreeSet::new();
        let mut claimed_by = BTreeSet::new();
        let mut by_itself = false;
        for artifact in chain.lawful() {
            let entry = &artifact.statement.entry;
            signed_by.insert(artifact.signer.id);
            if matches!(entry.event, Event::Outcome(_) | Event::Reconciled(_)) {
                claimed_by.insert(entry.actor.kind);
            }
            if let Event::Consumed(detail) = &entry.event {
                by_itself |= detail.executor.kind == ExecutorKind::SelfExecuted;
            }
        }
        let enforcement = match (instance.weakest_mode, by_itself) {
            (Mode::Shadow, _) => Enforcement::Shadow,
            (Mode::Enforce, true) => Enforcement::SelfExecuted,
            (Mode::Enforce, false) => Enforcement::Enforced,
        };
        Self {
            enforcement,
            signed_by: signed_by.into_iter().collect(),
            logged: chain.artifacts.iter().all(|artifact| artifact.placed.is_some()),
            witnessed: view.witnessed(&chain.artifacts),
            log: LogAssurance::of(chain, view),
            governance: basis.governance.clone(),
            release: basis.release,
            replayed: basis.replayed,
            complete: view.is_complete(chain).then_some(CompleteBy::Mirror),
            human_evidence: basis.humans.weakest,
            human_device_bound: basis.humans.device_bound,
            ended: instance.state().is_final(),
            outcomes_claimed_by: claimed_by.into_iter().collect(),
        }
    }
}

impl LogAssurance {
    fn of(chain: &Chain, view: &LogView<'_>) -> Option<Self> {
        let indexes: Vec<Option<u64>> =
            chain.lawful().iter().map(|artifact| artifact.placed.map(|placed| placed.index)).collect();
        if view.mirror.is_none() && indexes.iter().all(Option::is_none) {
            return None;
        }
        let of_proofs = chain.artifacts.iter().filter_map(|artifact| artifact.placed?.by_proof);
        let used: BTreeSet<usize> = of_proofs.chain(view.shown.iter().copied()).collect();
        let of_bundle = used.into_iter().filter_map(|at| view.good.get(at));
        let mut checkpoints: Vec<Seen> =
            of_bundle.chain(view.mirror.map(super::Mirror::seen)).cloned().collect();
        checkpoints.sort_by(|a, b| {
            let key = |seen: &Seen| (seen.tree.size, seen.tree.root);
            key(a).cmp(&key(b)).then_with(|| a.witnesses.cmp(&b.witnesses))
        });
        checkpoints.dedup();
        let instances = view.mirror.map(super::Mirror::instances);
        Some(Self { origin: view.origin.clone()?, indexes, checkpoints, instances })
    }
}

/// Returns what a reader might believe and must not.
fn not_proved(assurance: &Assurance, opened: &Opened) -> Vec<String> {
    let mut list = Vec::new();
    let mut say = |text: &str| list.push(text.to_string());
    say("That every action asked first: what never touched the system leaves no artifact");
    let is_mirrored = assurance.log.as_ref().is_some_and(|log| log.instances.is_some());
    if !assurance.logged {
        say("That the issuer did not make this chain later: there is no log proof of every artifact");
    }
    if !is_mirrored {
        say(
            "That there is no other chain beside this one, no hidden execution and no cut end: no mirror of the log was given",
        );
    }
    if !assurance.ended {
        say("What happened afterwards");
    }
    if assurance.witnessed > 0 {
        say(
            "That the instants are exact: they come from the issuer's clock, within what the witnesses of the log allow",
        );
    } else {
        say("That the instants are right: they come from the issuer's clock");
    }
    if assurance.replayed.is_none() {
        say("That the policy gives the recorded verdicts: it was not evaluated again");
    }
    if !assurance.governance.covers_all() {
        say(
            "That the policy version was the active one and nothing was frozen: no governance chain in the bundle shows it for every action",
        );
    }
    if assurance.release.is_none() {
        say("That grants waited for what the workflow asks: its definition is not in the bundle");
    }
    for key in &assurance.governance.doubted_keys {
        say(&alloc::format!(
            "That key {key} was safe: the governance chain says that it was retired or compromised by then, and your trust file does not"
        ));
    }
    match assurance.human_evidence {
        None => {}
        Some(HumanEvidence::Development) => {
            say("Who decided: the identities come from a development issuer");
        }
        Some(HumanEvidence::Operator | HumanEvidence::Oidc) => {
            say("That the humans themselves decided: the server vouches for the tokens that it checked")
        }
        Some(HumanEvidence::Webauthn) => {
            say("That the authenticators are those of these humans: the directory enrolled them");
            say("That what was displayed was what was asked for, or that anybody read it");
        }
    }
    match assurance.enforcement {
        Enforcement::Enforced => {}
        Enforcement::SelfExecuted => {
            say("That actions waited for their grant: the agent executed them itself")
        }
        Enforcement::Shadow => say("That actions waited for a grant: they were only observed"),
    }
    if !assurance.outcomes_claimed_by.is_empty() {
        let claimants: Vec<&str> = assurance.outcomes_claimed_by.iter().map(|kind| kind.as_str()).collect();
        say(&alloc::format!("That outcomes are as reported: they are claimed by {}", claimants.join(", ")));
    }
    if opened.withheld(CommitmentLabel::Person) > 0 || opened.erased(CommitmentLabel::Person) > 0 {
        say("Who the people are behind their ids: that was not disclosed");
    }
    let content = |label: &CommitmentLabel| *label != CommitmentLabel::Person;
    if CommitmentLabel::ALL.into_iter().filter(content).any(|label| opened.withheld(label) > 0) {
        say("What stands behind the commitments that were not disclosed");
    }
    if assurance.governance.erased > 0 {
        let erased = assurance.governance.erased;
        say(&alloc::format!(
            "What stood behind {erased} commitments: it was erased, as the governance chain says"
        ));
    }
    list
}
