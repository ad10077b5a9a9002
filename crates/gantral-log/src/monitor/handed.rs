//! What others have handed over, to compare the log with: bundles, receipts and checkpoints.

use std::collections::BTreeSet;

use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::container::{
    ARTIFACTS_DIRECTORY, ContainerError, Files, KEYS_DIRECTORY, Manifest, OwnedFiles, Scope,
};
use gantral_evidence::delegation::{DELEGATION_SUFFIX, DelegationError, KeyDelegation, delegation_path};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::KeyId;
use gantral_evidence::trust::{KeyRole, Trust};
use gantral_evidence::verify::{Promise, PromiseReader, Receipt};

use super::finding::{Finding, Findings, MonitorCode};
use super::walk::{LoggedChain, Walk};
use crate::objects::ReadObjects;

/// What was handed over by others. Only what issuers that are believed have signed counts.
#[derive(Debug, Default)]
pub struct HandedOver {
    bundles: Vec<Bundle>,
    /// Each with what it is called.
    receipts: Vec<(String, Result<Promise, String>)>,
    checkpoints: Vec<(String, Vec<u8>)>,
    damaged: Vec<(String, String)>,
    has_receipts: bool,
}

#[derive(Debug)]
struct Bundle {
    name: String,
    claims_complete: bool,
    promises: Vec<Promise>,
    /// Files whose signer is not believed, and why.
    ignored: Vec<(String, String)>,
}

/// Takes what is handed over. Delegations that any bundle brings hold for the receipts, too.
#[derive(Debug)]
pub struct Reception<'a> {
    trust: &'a Trust,
    delegations: OwnedFiles,
    receipts: Vec<(String, Receipt)>,
    handed: HandedOver,
}

impl<'a> Reception<'a> {
    /// Begins with nothing. The trust file says whose signatures count.
    pub fn new(trust: &'a Trust) -> Self {
        Self { trust, delegations: OwnedFiles::new(), receipts: Vec::new(), handed: HandedOver::default() }
    }

    /// Takes the files of a bundle, or why there are none. `name` is for people.
    pub fn bundle(&mut self, name: &str, files: Result<Files<'_>, ContainerError>) {
        let read = files.and_then(|files| Manifest::read(&files).map(|manifest| (files, manifest)));
        let (files, manifest) = match read {
            Ok(read) => read,
            Err(error) => return self.handed.damaged.push((name.to_owned(), error.to_string())),
        };
        for fault in manifest.faults(&files) {
            self.handed.damaged.push((name.to_owned(), format!("`{}`: {}", fault.path, fault.kind)));
        }
        for (path, content) in files.within(KEYS_DIRECTORY) {
            if path.ends_with(DELEGATION_SUFFIX) {
                // Another bundle has brought it, or there are more than any reader takes; then they count for nothing.
                let _ = self.delegations.insert(path, content.to_vec());
            }
        }
        let reader = PromiseReader::new(self.trust, &files);
        let mut bundle = Bundle {
            name: name.to_owned(),
            claims_complete: manifest.scope == Scope::Complete,
            promises: Vec::new(),
            ignored: Vec::new(),
        };
        for (path, content) in files.within(ARTIFACTS_DIRECTORY) {
            let read = Envelope::parse(content).map_err(|error| error.to_string());
            match read.and_then(|envelope| reader.read(&envelope)) {
                Ok(promise) => bundle.promises.push(promise),
                Err(why) => bundle.ignored.push((path.to_owned(), why)),
            }
        }
        self.handed.bundles.push(bundle);
    }

    /// Takes a delegation to a key that has signed receipts: without it, and without a bundle that brings it, they count for nothing.
    ///
    /// # Errors
    /// `DelegationError`; nothing was taken.
    pub fn delegation(&mut self, bytes: &[u8]) -> Result<(), DelegationError> {
        let issuer = |id: &KeyId| self.trust.key(id).filter(|key| key.role == KeyRole::Issuer);
        let delegation = KeyDelegation::open(bytes, |id| issuer(id).map(|key| &key.key))?;
        let path = delegation_path(&delegation.delegate.id());
        // One that is there already says the same of the key.
        let _ = self.delegations.insert(&path, bytes.to_vec());
        Ok(())
    }

    /// Takes receipts. `name` is for people.
    pub fn receipts(&mut self, name: &str, receipts: Vec<Receipt>) {
        let named = |receipt: Receipt| (format!("receipt {name}:{}", receipt.line()), receipt);
        self.receipts.extend(receipts.into_iter().map(named));
    }

    /// Takes a checkpoint that somebody else was shown. `name` is for people.
    pub fn checkpoint(&mut self, name: &str, note: Vec<u8>) {
        self.handed.checkpoints.push((name.to_owned(), note));
    }

    /// Returns what was handed over.
    pub fn finish(mut self) -> HandedOver {
        let delegations = self.delegations.as_files();
        let none = OwnedFiles::new();
        let files = delegations.or_else(|_| none.as_files());
        if let Ok(files) = files {
            let reader = PromiseReader::new(self.trust, &files);
            let receipts = self.receipts.iter();
            self.handed.receipts =
                receipts.map(|(place, receipt)| (place.clone(), reader.read(receipt.envelope()))).collect();
        }
        self.handed.has_receipts = !self.receipts.is_empty();
        self.handed
    }
}

/// An instant at which the log had so many leaves, by its witnesses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub size: u64,
    /// In milliseconds since 1970.
    pub at_ms: u64,
}

/// How the log stands to the promises.
#[derive(Debug)]
pub(super) struct Due {
    /// The instant of the tree, in milliseconds since 1970.
    pub seen_at: u64,
    /// How long an artifact may stay out of the log, in milliseconds.
    pub patience_ms: u64,
    /// Older trees that are beginnings of this one.
    pub sightings: Vec<Sighting>,
}

impl Due {
    fn is_overdue(&self, promise: &Promise) -> bool {
        self.is_over_at(promise, self.seen_at)
    }

    /// Returns what to say of an artifact that the log was seen without, when its time was over: it was dated back, or logged too late.
    fn seen_without(&self, promise: &Promise, index: u64) -> Option<String> {
        let without = |seen: &&Sighting| seen.size <= index && self.is_over_at(promise, seen.at_ms);
        let Sighting { size, .. } = self.sightings.iter().find(without)?;
        Some(format!("it claims an instant at which its log had at most {size} leaves, and is leaf {index}"))
    }

    const fn is_over_at(&self, promise: &Promise, at_ms: u64) -> bool {
        promise.issued_at.saturating_add(self.patience_ms) < at_ms
    }
}

impl HandedOver {
    /// Tells whether nothing was handed over.
    pub const fn is_empty(&self) -> bool {
        self.bundles.is_empty()
            && !self.has_receipts
            && self.checkpoints.is_empty()
            && self.damaged.is_empty()
    }

    pub(super) fn checkpoints(&self) -> &[(String, Vec<u8>)] {
        &self.checkpoints
    }

    /// Returns the chains that are asked about.
    pub(super) fn tags(&self) -> BTreeSet<Digest> {
        let receipts = self.receipts.iter().filter_map(|(_, receipt)| receipt.as_ref().ok());
        self.promises().chain(receipts).map(|promise| promise.tag).collect()
    }

    /// Returns the executions of the bundles.
    pub(super) fn instances(&self) -> BTreeSet<Digest> {
        self.promises().map(|promise| promise.tag).collect()
    }

    fn promises(&self) -> impl Iterator<Item = &Promise> {
        self.bundles.iter().flat_map(|bundle| &bundle.promises)
    }

    /// Compares everything with a log that was read to its end; returns how many promises have not run out.
    pub(super) fn compare<O: ReadObjects>(
        &self,
        origin: &LogOrigin,
        walk: &Walk<'_, O>,
        due: &Due,
        findings: &mut Findings,
    ) -> u64 {
        for (name, why) in &self.damaged {
            findings.add(Finding::new(MonitorCode::Container, format!("bundle {name}"), why));
        }
        let mut pending = 0;
        for bundle in &self.bundles {
            pending += bundle.compare(origin, walk, due, findings);
        }
        for (place, receipt) in &self.receipts {
            let place = place.clone();
            match receipt {
                Err(why) => findings.add(Finding::new(MonitorCode::Unauth, place, format!("ignored: {why}"))),
                Ok(promise) if promise.origin != *origin => {
                    let message = format!("ignored: it is about the log `{}`", promise.origin);
                    findings.add(Finding::new(MonitorCode::Unauth, place, message));
                }
                Ok(promise) => pending += u64::from(keeps(promise, place, walk, due, findings)),
            }
        }
        pending
    }
}

/// Compares a receipt with the log; returns whether its time has not come.
fn keeps<O>(
    promise: &Promise,
    place: String,
    walk: &Walk<'_, O>,
    due: &Due,
    findings: &mut Findings,
) -> bool {
    let Promise { tag, sequence, hash, .. } = promise;
    let message = match logged(walk, tag).and_then(|chain| chain.get(sequence)) {
        Some((index, leaf)) if leaf.hash == *hash => {
            if let Some(message) = due.seen_without(promise, *index) {
                findings.add(Finding::new(MonitorCode::TimeWindow, place, message));
            }
            return false;
        }
        Some((index, leaf)) => {
            let found = leaf.hash;
            format!("{hash} was promised as sequence {sequence} of chain {tag}, and leaf {index} is {found}")
        }
        None if !due.is_overdue(promise) => return true,
        None if promise.windowed => format!(
            "sequence {sequence} of chain {tag} was promised and is not there; its key is good in a part of the log only, \
             so that it may have been signed by somebody else"
        ),
        None => format!("sequence {sequence} of chain {tag} was promised, and is not there"),
    };
    findings.add(Finding::new(MonitorCode::Receipt, place, message));
    false
}

fn logged<'w, O>(walk: &'w Walk<'_, O>, tag: &Digest) -> Option<&'w LoggedChain> {
    walk.logged.get(tag)
}

impl Bundle {
    fn compare<O>(&self, origin: &LogOrigin, walk: &Walk<'_, O>, due: &Due, findings: &mut Findings) -> u64 {
        let place = |sequence: u64| format!("bundle {}: artifact {sequence}", self.name);
        for (path, why) in &self.ignored {
            let place = format!("bundle {}: {path}", self.name);
            findings.add(Finding::new(MonitorCode::Unauth, place, format!("ignored: {why}")));
        }
        let mut pending = 0;
        for promise in &self.promises {
            let Promise { sequence, hash, .. } = promise;
            if promise.origin != *origin {
                let message = format!("it is about the log `{}`", promise.origin);
                findings.add(Finding::new(MonitorCode::LogUnknown, place(*sequence), message));
                continue;
            }
            let (code, message) = match logged(walk, &promise.tag).and_then(|chain| chain.get(sequence)) {
                Some((index, leaf)) if leaf.hash != *hash => {
                    (MonitorCode::Fork, format!("it is {hash}, and leaf {index} is {}", leaf.hash))
                }
                Some((index, leaf)) if promise.issuers.contains(&leaf.issuer) => {
                    let Some(message) = due.seen_without(promise, *index) else { continue };
                    (MonitorCode::TimeWindow, message)
                }
                Some((index, _)) => {
                    (MonitorCode::Inclusion, format!("leaf {index} names a key that did not sign it"))
                }
                None if due.is_overdue(promise) => {
                    (MonitorCode::Unlogged, "it is not in the log, and its time is over".to_owned())
                }
                None => {
                    pending += 1;
                    continue;
                }
            };
            findings.add(Finding::new(code, place(*sequence), message));
        }
        self.compare_end(walk, findings);
        pending
    }

    /// Looks for what follows the last artifact of each chain of the bundle, which has one.
    fn compare_end<O>(&self, walk: &Walk<'_, O>, findings: &mut Findings) {
        let tags: BTreeSet<&Digest> = self.promises.iter().map(|promise| &promise.tag).collect();
        for tag in tags {
            let own = self.promises.iter().filter(|promise| promise.tag == *tag);
            let last = own.map(|promise| promise.sequence).max();
            let highest = logged(walk, tag).and_then(|chain| chain.keys().next_back().copied());
            if highest <= last {
                continue;
            }
            let code = if self.claims_complete { MonitorCode::Truncated } else { MonitorCode::MoreExists };
            let (last, highest) = (last.unwrap_or_default(), highest.unwrap_or_default());
            let message = format!("it ends with artifact {last}, and the log has up to {highest}");
            findings.add(Finding::new(code, format!("bundle {}", self.name), message));
        }
    }
}
