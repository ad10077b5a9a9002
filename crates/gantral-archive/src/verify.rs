//! Is an archive whole, and what it says? From the archive alone, and the keys that the reader has pinned.
//!
//! What is missing, was changed or stands in another place is named. Then every chain is put together as a bundle and given to the verifier
//! that everybody else uses. Holds what one tenant has in memory. Source: `spec/archive.md` §6.

mod chains;
mod log;
mod read;

use std::collections::BTreeMap;

use gantral_core::ids::TenantId;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::Verdict;
use serde::Serialize;

pub(crate) use self::log::GrownLog;
use crate::layout::{ArchivedArtifact, Head, NamedObject, tenant_of};
use crate::objects::{Archive, StorageError};

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An object that a head names, or that must stand between others, is not there.
    Missing,
    /// An object has other bytes than were written.
    Altered,
    /// An object is deleted, and its recorded version is still there and whole.
    Hidden,
    /// An object that no head names.
    Unnamed,
    /// The archive contradicts the log, or what a trusted key signed.
    Contradiction,
    /// The pinned keys do not say whether to believe something.
    Untrusted,
    /// The verifier's own verdict on a chain.
    Chain,
    /// The archive ends before its log, as the newest head knew it.
    Behind,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ArchiveFinding {
    /// What kind of thing.
    pub kind: FaultKind,
    /// Whether it makes the archive invalid; else nothing can be concluded.
    pub invalid: bool,
    /// The object, or the chain, by its name below the archive.
    pub object: String,
    /// What, in a sentence.
    pub what: String,
}

/// What was found of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantReport {
    /// The tenant.
    pub tenant: String,
    /// How many segments could be read.
    pub segments: u64,
    /// How many artifacts.
    pub artifacts: u64,
    /// How many chains of instances, by verdict.
    pub chains: BTreeMap<String, u64>,
    /// What was found, sorted.
    pub findings: Vec<ArchiveFinding>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveReport {
    /// The verdict.
    pub verdict: Verdict,
    /// Of each tenant.
    pub tenants: Vec<TenantReport>,
}

/// What could be read of one tenant.
pub(crate) struct Contents {
    pub(crate) tenant: TenantId,
    pub(crate) folder: String,
    /// The heads that could be read, by their steps.
    pub(crate) heads: BTreeMap<u64, Head>,
    /// How each head was found: its digest and version.
    pub(crate) found_heads: BTreeMap<u64, NamedObject>,
    /// How many leaves the archive has with each segment that was whole.
    pub(crate) ends: BTreeMap<u64, u64>,
    pub(crate) segments: u64,
    /// The artifacts by their places in the log, as far as every segment before was whole.
    pub(crate) artifacts: Vec<ArchivedArtifact>,
    /// What artifacts refer to, by name.
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) findings: Vec<ArchiveFinding>,
}

impl Contents {
    pub(crate) fn found(&mut self, kind: FaultKind, invalid: bool, name: &str, what: impl Into<String>) {
        let object = format!("{}/{name}", self.folder);
        self.findings.push(ArchiveFinding { kind, invalid, object, what: what.into() });
    }
}

/// Verifies an archive: every tenant that it has, or those that are named.
///
/// # Errors
/// The storage's: nothing was verified.
pub async fn verify_archive(
    archive: &Archive,
    tenants: &[TenantId],
    trust: &Trust,
) -> Result<ArchiveReport, StorageError> {
    let mut reports = Vec::new();
    for folder in folders(archive, tenants).await? {
        let Some(tenant) = tenant_of(&folder) else { continue };
        reports.push(verify_contents(&mut contents(archive, tenant).await?, trust).0);
    }
    Ok(ArchiveReport { verdict: verdict(&reports), tenants: reports })
}

/// Returns the folders of tenants.
pub(crate) async fn folders(archive: &Archive, tenants: &[TenantId]) -> Result<Vec<String>, StorageError> {
    if tenants.is_empty() {
        archive.folders().await
    } else {
        Ok(tenants.iter().map(crate::layout::folder).collect())
    }
}

/// Reads what an archive has of a tenant.
pub(crate) async fn contents(archive: &Archive, tenant: TenantId) -> Result<Contents, StorageError> {
    read::contents(archive, tenant).await
}

/// Verifies what was read of a tenant.
pub(crate) fn verify_contents(contents: &mut Contents, trust: &Trust) -> (TenantReport, GrownLog) {
    let log = log::grow(contents, trust);
    let chains = chains::verify(contents, &log, trust);
    contents.findings.sort();
    contents.findings.dedup();
    let report = TenantReport {
        tenant: contents.tenant.to_string(),
        segments: contents.segments,
        artifacts: contents.artifacts.len() as u64,
        chains,
        findings: contents.findings.clone(),
    };
    (report, log)
}

/// Returns the verdict on everything: what holds of the worst. An archive of nobody says nothing.
pub(crate) fn verdict(reports: &[TenantReport]) -> Verdict {
    let mut findings = reports.iter().flat_map(|report| &report.findings);
    if findings.clone().any(|finding| finding.invalid) {
        Verdict::Invalid
    } else if findings.next().is_some() || reports.iter().all(|report| report.artifacts == 0) {
        Verdict::Inconclusive
    } else {
        Verdict::Valid
    }
}
