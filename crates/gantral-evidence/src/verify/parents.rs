//! On whose behalf all this happened: the chains of the executions that asked for this one.
//!
//! Source: `spec/verification.md` §17.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::event::{Created, Event, Parent};
use gantral_core::ids::{InstanceId, LogOrigin, TenantId};
use gantral_core::instance::Instance;
use gantral_core::table::semantics_digest;

use super::chain::{Chain, step};
use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use super::keyring::Keyring;
use super::places::{LogView, Standing};
use super::sealed::Artifact;
use crate::bundle::{
    PARENTS_DIRECTORY, PROOFS_DIRECTORY, artifact_path, proof_path, sequence_of_envelope, sequence_of_proof,
};
use crate::container::{ARTIFACTS_DIRECTORY, ARTIFACTS_MAX, Files};
use crate::log::proof::LogProof;
use crate::statement::Statement;

/// How many executions up a chain of parents is followed.
const PARENTS_MAX: usize = 16;

/// What a chain of a parent lacks: how much it weighs, and a sentence.
type Fault = (Weight, String);

/// Checks the parent of the chain, and its parent, and so on.
pub(super) fn check(
    files: &Files<'_>,
    keys: &Keyring<'_>,
    view: &mut LogView<'_>,
    chain: &Chain,
    findings: &mut Findings,
) {
    if !keys.is_given() {
        return;
    }
    let mut looked_for = BTreeSet::new();
    let mut child = chain.lawful().first().and_then(created);
    let identity = chain.artifacts.first().map(|first| &first.statement.identity);
    while let (Some((parent, below)), Some(identity)) =
        (child.as_ref().and_then(|child| Some((child.parent.as_ref()?, child))), identity)
    {
        let of = |(weight, message): Fault, findings: &mut Findings| {
            let place = Place::File(alloc::format!("{PARENTS_DIRECTORY}{}", parent.instance));
            findings.weighed(Code::Requester, weight, place, message);
        };
        if looked_for.len() == PARENTS_MAX {
            let message = "there are more executions above this one than a verifier follows".to_string();
            of((Weight::Inconclusive, message), findings);
            break;
        }
        looked_for.insert(parent.instance);
        let mut walk = Walk { files, keys, view, tenant: &identity.tenant, origin: &identity.origin };
        match walk.up_to(parent) {
            Ok(above) if extends(below, &above) => child = Some(above),
            Ok(_) => {
                let message = "the requesters of the child do not go on from those of the parent".to_string();
                of((Weight::Invalid, message), findings);
                break;
            }
            Err(fault) => {
                of(fault, findings);
                break;
            }
        }
    }
    ignore_others(files, &looked_for, findings);
}

fn created(artifact: &Artifact) -> Option<Created> {
    match &artifact.statement.entry.event {
        Event::Created(detail) => Some(detail.clone()),
        _ => None,
    }
}

/// Tells whether the requesters of a child are those of its parent, and then some.
fn extends(child: &Created, parent: &Created) -> bool {
    child.requester.len() > parent.requester.len() && child.requester.starts_with(&parent.requester)
}

/// Files of instances that nobody looked for say nothing.
fn ignore_others(files: &Files<'_>, looked_for: &BTreeSet<InstanceId>, findings: &mut Findings) {
    let directories: Vec<String> =
        looked_for.iter().map(|id| alloc::format!("{PARENTS_DIRECTORY}{id}/")).collect();
    for (path, _) in files.within(PARENTS_DIRECTORY) {
        let is_known = directories.iter().any(|directory| {
            path.strip_prefix(directory.as_str()).is_some_and(|name| {
                sequence_of_envelope(ARTIFACTS_DIRECTORY, name).is_some()
                    || sequence_of_proof(PROOFS_DIRECTORY, name).is_some()
            })
        });
        if !is_known {
            let message = "ignored: it is no part of the chain of a parent";
            findings.add(Code::Unauth, Place::File(path.into()), message);
        }
    }
}

/// What the walk along the chain of a parent needs to know.
struct Walk<'w, 'a> {
    files: &'w Files<'w>,
    keys: &'w Keyring<'w>,
    view: &'w mut LogView<'a>,
    tenant: &'w TenantId,
    origin: &'w LogOrigin,
}

impl Walk<'_, '_> {
    /// Follows the chain of a parent from its beginning to the artifact that is named; returns what its first says.
    fn up_to(&mut self, parent: &Parent) -> Result<Created, Fault> {
        let mut instance: Option<Instance> = None;
        let mut first: Option<Artifact> = None;
        let mut previous = None;
        for sequence in 0..ARTIFACTS_MAX {
            if instance.as_ref().is_some_and(|instance| instance.state().is_final()) {
                let message = "the whole chain of the parent does not hold the artifact that is named";
                return Err((Weight::Invalid, message.into()));
            }
            let artifact = self.read(parent.instance, sequence)?;
            if first.as_ref().is_some_and(|first| first.statement.identity != artifact.statement.identity) {
                return Err(unproved("its artifacts are of several workflow versions"));
            }
            if artifact.statement.previous != previous {
                return Err((Weight::Invalid, follows_not(sequence)));
            }
            let broken = step(&mut instance, &artifact);
            if let Some(code) = broken.first() {
                let message = alloc::format!("artifact {sequence} of the parent: {}", code.meaning());
                return Err((Weight::Invalid, message));
            }
            previous = Some(artifact.hash);
            let is_named = artifact.hash == parent.artifact_hash;
            let first = first.get_or_insert(artifact);
            if is_named {
                return created(first).ok_or_else(|| unproved("it does not begin with its creation"));
            }
        }
        Err(unproved("its chain is longer than any"))
    }

    /// Reads one artifact of the chain of a parent.
    fn read(&mut self, of: InstanceId, sequence: usize) -> Result<Artifact, Fault> {
        let directory = alloc::format!("{PARENTS_DIRECTORY}{of}/");
        let path = alloc::format!("{directory}{}", artifact_path(sequence));
        let absent = || unproved("the bundle does not hold its chain up to the artifact that is named");
        let content = self.files.get(&path).ok_or_else(absent)?;
        // What stands beside a good signature is noted for the chain itself, and not once more for each parent.
        let opened = Artifact::<Statement>::open(&path, content, self.keys, &mut Findings::new());
        let (mut artifact, _) = opened.map_err(|(code, message)| {
            unproved(&alloc::format!("artifact {sequence} ({}): {message}", code.as_str()))
        })?;
        let identity = &artifact.statement.identity;
        if identity.instance != of || u64::try_from(sequence) != Ok(artifact.statement.sequence) {
            return Err(unproved("a file is another artifact than its name says"));
        }
        if identity.tenant != *self.tenant || identity.origin != *self.origin {
            return Err(unproved("it is of another tenant or log"));
        }
        if artifact.statement.semantics != semantics_digest() {
            return Err(unproved("it was made by rules that are unknown to this verifier"));
        }
        if let Some((_, why)) = &artifact.signer.unfit {
            return Err(unproved(why));
        }
        if !artifact.signer.window.is_unlimited() && !self.is_placed_well(&mut artifact, &directory) {
            return Err(unproved(&alloc::format!(
                "the key of artifact {sequence} is good in a part of the log only, and no place there is proved"
            )));
        }
        Ok(artifact)
    }

    /// Tells whether an artifact is proved to be where its key was good.
    fn is_placed_well(&mut self, artifact: &mut Artifact, directory: &str) -> bool {
        self.view.find_in_mirror(artifact);
        let index = artifact.index().or_else(|| self.proved(artifact, directory));
        index.is_some_and(|index| artifact.signer.window.covers(index))
    }

    /// Returns the index that the proof of an artifact leads to the newest tree of the bundle.
    fn proved(&mut self, artifact: &Artifact, directory: &str) -> Option<u64> {
        let sequence = usize::try_from(artifact.statement.sequence).ok()?;
        let content = self.files.get(&alloc::format!("{directory}{}", proof_path(sequence)))?;
        let proof = LogProof::parse(content).ok()?;
        let newest = self.view.newest?;
        let Standing::Good(at) = self.view.judge(&proof.checkpoint) else { return None };
        let tree = self.view.good.get(at).map(|seen| seen.tree).filter(|tree| *tree == newest)?;
        let leaf = artifact.leaf();
        proof.check(&leaf, &tree).is_ok().then_some(proof.index)
    }
}

fn unproved(why: &str) -> Fault {
    (Weight::Inconclusive, alloc::format!("the execution on whose behalf this one ran is not proved: {why}"))
}

fn follows_not(sequence: usize) -> String {
    alloc::format!("artifact {sequence} of the parent does not follow the one before it")
}
