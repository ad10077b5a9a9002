//! What was done without an answer, counted on the client's own disk until a server has heard of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use gantral_api::client::{Client, ClientError};
use gantral_api::problem::Code;
use gantral_api::wire::{CountUnobserved, UNOBSERVED_ITEMS_MAX, UnobservedCount};
use gantral_core::digest::Hasher;
use gantral_core::ids::{Name, ReportId, WorkflowId};
use gantral_core::time::UnixMillis;

use crate::private;

/// The most bytes of counts that are told at once; a line has about a hundred.
const COUNTS_BYTES_MAX: u64 = 64 << 20;
/// One hour, in milliseconds.
const HOUR_MS: u64 = 3_600_000;
/// What the names of counts that are being told end with, after the number of the report.
const TELLING: &str = "telling";
/// What they end with in its place when no server takes them.
const REFUSED: &str = "refused";

/// The counts of one client.
#[derive(Debug, Clone)]
pub(super) struct Gaps {
    folder: PathBuf,
    name: OsString,
}

/// Why counts were not told. They are kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum TellError {
    #[error("the counts cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Call(#[from] ClientError),
}

impl Gaps {
    /// Names the counts beside a lease: `<lease>.gaps`.
    pub(super) fn beside(lease: &Path) -> Self {
        let mut name = lease.file_name().unwrap_or_default().to_owned();
        name.push(".gaps");
        Self { folder: lease.parent().unwrap_or_else(|| Path::new("")).to_owned(), name }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Counts one action, durable when this returns.
    pub(super) fn add(&self, workflow: &WorkflowId, action: &Name, at: UnixMillis) -> io::Result<()> {
        let line = UnobservedCount {
            hour: at.into(),
            workflow: workflow.clone().into(),
            action: action.clone().into(),
            asks: 1,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        private::append(&self.path(), bytes)
    }

    /// Tells a server everything, and forgets what it has heard. What is told twice, because an answer was lost, counts once: the number
    /// of a report is fixed before it is sent.
    pub(super) async fn tell(&self, client: &Client) -> Result<(), TellError> {
        self.set_aside()?;
        for (report, path) in self.telling()? {
            match tell_one(client, report, &path).await {
                Ok(()) => private::remove(&path)?,
                Err(TellError::Call(error)) if is_refused(&error) => {
                    tracing::warn!(%error, path = %path.display(), "what was done without an answer is not taken");
                    private::rename(&path, &path.with_extension(REFUSED))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives what was counted so far the number of a report.
    fn set_aside(&self) -> io::Result<()> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mut name = self.name.clone();
        name.push(format!(".{}.{TELLING}", ReportId::from_random(random)));
        private::rename(&self.path(), &self.folder.join(name))
    }

    /// Returns the reports that no server has heard of, by their names.
    fn telling(&self) -> io::Result<BTreeMap<ReportId, PathBuf>> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let own = self.name.to_str().zip(name).and_then(|(own, name)| name.strip_prefix(own));
            let report =
                own.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(TELLING)?.strip_suffix('.'));
            if let Some(Ok(report)) = report.map(ReportId::parse) {
                found.insert(report, path);
            }
        }
        Ok(found)
    }
}

async fn tell_one(client: &Client, report: ReportId, path: &Path) -> Result<(), TellError> {
    for (number, items) in (0u64..).zip(grouped(path)?.chunks(UNOBSERVED_ITEMS_MAX)) {
        let body = CountUnobserved { report_id: part(report, number).into(), items: items.to_vec() };
        client.count_unobserved(&body).await?;
    }
    Ok(())
}

/// Tells whether the server will never take it: the workflow or the action is gone, or it is too long ago.
fn is_refused(error: &ClientError) -> bool {
    matches!(error.code(), Some(Code::InvalidBody | Code::WorkflowUnknown))
}

/// Returns the number of a part of a report: always the same for the same part.
fn part(report: ReportId, number: u64) -> ReportId {
    if number == 0 {
        return report;
    }
    let digest =
        Hasher::new("gantral/unobserved/v1").bytes(report.as_bytes()).bytes(&number.to_be_bytes()).finish();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    ReportId::from_random(bytes)
}

/// Adds the lines of a file up, which has been moved away. A line that is none, because a crash cut it off, is left out: it was not counted.
fn grouped(path: &Path) -> io::Result<Vec<UnobservedCount>> {
    let mut counts: BTreeMap<(u64, String, String), UnobservedCount> = BTreeMap::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    // Whoever found it before it was moved may still be writing.
    file.lock()?;
    for line in BufReader::new(file.take(COUNTS_BYTES_MAX)).split(b'\n') {
        let Ok(line) = serde_json::from_slice::<UnobservedCount>(&line?) else { continue };
        let key = (line.hour.get() / HOUR_MS, line.workflow.to_string(), line.action.to_string());
        match counts.get_mut(&key) {
            Some(count) => count.asks = count.asks.saturating_add(line.asks),
            None => _ = counts.insert(key, line),
        }
    }
    Ok(counts.into_values().collect())
}
