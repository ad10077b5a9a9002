//! Carrying checkpoints to witnesses, and what they say back.
//!
//! In rounds: every witness is asked about one and the same checkpoint, the newest, so that those who answer have cosigned one tree.
//! One that is away is asked less and less often and holds the others up for one answer's time at most.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gantral_core::ids::TenantId;
use gantral_evidence::log::note::NoteKey;
use gantral_log::published::PublishedCheckpoint;
use gantral_log::push::{AddressError, CosignError, Cosigned, WitnessClient, WitnessConfig};
use gantral_log::sequencer::AddSignatures;
use gantral_log::stored::KeptLog;
use gantral_store::LogRow;
use tokio::time::Instant;

use super::Logs;
use crate::standing::Standing;

/// At most one round begins in this time: what is published meanwhile shares it.
const PACE: Duration = Duration::from_millis(250);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// One witness, as the configuration names it.
#[derive(Debug, Clone)]
pub struct WitnessSettings {
    /// Its submission prefix.
    pub url: String,
    /// Its key.
    pub key: NoteKey,
    /// The authorities to trust for it, PEM; those of the system when absent.
    pub ca_file: Option<std::path::PathBuf>,
}

/// The witnesses of one tenant's log.
pub(crate) struct Witnesses {
    tenant: TenantId,
    objects: KeptLog,
    logs: Logs,
    standing: Standing,
    clients: Vec<Asked>,
}

/// One witness, and when it is asked next.
struct Asked {
    client: WitnessClient,
    after: Instant,
}

impl Witnesses {
    /// Prepares to ask the witnesses about the log of a tenant.
    pub(crate) fn new(
        tenant: &TenantId,
        witnesses: &[WitnessSettings],
        logs: &Logs,
        objects: KeptLog,
        standing: &Standing,
    ) -> Result<Self, AddressError> {
        let asked = |witness: &WitnessSettings| {
            let config = WitnessConfig {
                url: witness.url.clone(),
                key: witness.key.clone(),
                ca_file: witness.ca_file.clone(),
                timeout: ANSWER_WITHIN,
            };
            Ok(Asked { client: WitnessClient::new(&config)?, after: Instant::now() })
        };
        Ok(Self {
            tenant: tenant.clone(),
            objects,
            logs: logs.clone(),
            standing: standing.clone(),
            clients: witnesses.iter().map(asked).collect::<Result<_, _>>()?,
        })
    }

    /// Asks about every newer checkpoint until the ledger is behind, or the caller stops waiting. What is cosigned is published by
    /// `signatures`.
    pub(crate) async fn run(&mut self, signatures: &AddSignatures) {
        let mut newest = self.logs.published().subscribe(&self.tenant);
        loop {
            let began = Instant::now();
            let checkpoint = newest.borrow_and_update().clone();
            let all = match checkpoint {
                Some(checkpoint) => self.round(&checkpoint, signatures).await,
                None => true,
            };
            if self.standing.behind().is_some() {
                return;
            }
            // Who did not answer is asked again about the same checkpoint, unless there is a newer one by then.
            let again = self.clients.iter().map(|asked| asked.after).min().filter(|_| !all);
            let again = async {
                match again {
                    Some(at) => tokio::time::sleep_until(at.max(began + PACE)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = again => {}
                changed = newest.changed() => match changed {
                    Ok(()) => tokio::time::sleep_until(began + PACE).await,
                    Err(_) => return,
                },
            }
        }
    }

    /// Asks about one checkpoint and keeps what the witnesses say. Returns whether all have cosigned it.
    async fn round(&mut self, checkpoint: &Arc<PublishedCheckpoint>, signatures: &AddSignatures) -> bool {
        let lines = self.ask(checkpoint).await;
        let all = lines.len() == self.clients.len();
        if !lines.is_empty() {
            self.keep(checkpoint, lines, signatures).await;
        }
        all
    }

    /// Asks every witness whose time has come about one checkpoint; returns the lines of those who have cosigned it. A witness that
    /// knows more than the ledger makes the server fall behind.
    pub(crate) async fn ask(&mut self, checkpoint: &PublishedCheckpoint) -> Vec<String> {
        let now = Instant::now();
        let (objects, note) = (&self.objects, checkpoint.note.as_str());
        let asking = self.clients.iter_mut().map(async |asked| {
            if asked.after > now {
                return None;
            }
            let answer = asked.client.cosign(objects, note).await;
            asked.after = Instant::now() + asked.client.pause();
            Some((asked.client.key().name().to_owned(), answer))
        });
        let mut lines = Vec::new();
        for (name, answer) in join_all(asking).await.into_iter().flatten() {
            match answer {
                Ok(Cosigned { line, .. }) => lines.push(line),
                Err(error) => self.refused(&name, checkpoint, &error).await,
            }
        }
        lines
    }

    async fn refused(&self, name: &str, checkpoint: &PublishedCheckpoint, error: &CosignError) {
        let size = checkpoint.tree.size;
        // Published checkpoints only grow: a witness that has seen more than the newest has seen what this ledger has lost.
        let published = self.logs.published().newest(&self.tenant).map_or(0, |newest| newest.tree.size);
        // Another server may have published since this one has read.
        let newest = match self.logs.store().log(&self.tenant).await {
            Ok(log) => log.map_or(0, |log| log.size).max(published),
            Err(error) => {
                return tracing::warn!(witness = name, %error, "the ledger cannot be compared with a witness");
            }
        };
        match error {
            CosignError::Behind { seen, .. } if *seen > newest => {
                let tenant = &self.tenant;
                let why = format!(
                    "witness `{name}` has seen {seen} leaves of the log of `{tenant}`, and the ledger knows of {newest}"
                );
                self.standing.fall_behind(why);
            }
            CosignError::Contradicts(status) => {
                let tenant = &self.tenant;
                let why = format!(
                    "witness `{name}` has seen another history of the log of `{tenant}` (status {status})"
                );
                self.standing.fall_behind(why);
            }
            error => tracing::warn!(witness = name, size, %error, "a checkpoint was not cosigned"),
        }
    }

    /// Keeps cosignatures, durable before anybody is told of them.
    async fn keep(&self, checkpoint: &PublishedCheckpoint, lines: Vec<String>, signatures: &AddSignatures) {
        let (tree, witnesses) = (checkpoint.tree, lines.len());
        let row = LogRow {
            tenant: self.tenant.clone(),
            size: tree.size,
            root: tree.root,
            checkpoint: format!("{}{}", checkpoint.note, lines.concat()),
        };
        let count = u8::try_from(witnesses).unwrap_or(u8::MAX);
        if let Err(error) = self.logs.store().keep_cosigned(count, row).await {
            tracing::error!(%error, "cosignatures are not kept");
            return;
        }
        self.logs.cosigned(&self.tenant, tree, witnesses);
        // Where the log has grown since, readers find the cosigned checkpoint in bundles only.
        if let Err(error) = signatures.add(&self.tenant, tree, lines).await {
            tracing::warn!(%error, "cosignatures are not published");
        }
    }
}
