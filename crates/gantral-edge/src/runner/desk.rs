//! Where an attempt asks for secrets: a socket of its own, which only its own processes are answered on.
//!
//! The order is fixed: who asks, what the signed chain says of the grant, whether the secret is for that action, the record on this runner's
//! own disk, and only then the value. Source: `spec/runner.md` §6.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_api::client::Client;
use gantral_api::wire::{EvidenceItem, text};
use gantral_core::digest::Digest;
use gantral_core::ids::{GrantId, Name};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::Pinned;
use super::event::{Observer, RunnerEvent};
use super::executor::Members;
use super::governed::{Governed, Unresolved, Vault};
use super::output::SharedMask;
use super::proof::{Asks, prove};
use crate::outage::now;
use crate::private;
use crate::secret::{Answer, Code, REQUEST_BYTES_MAX, Request};

/// How many hand-outs there are for one attempt: what an outcome can name as evidence.
const HAND_OUTS_MAX: usize = 32;
/// How many requests of one attempt are looked at, whatever comes of them: each costs the server a bundle.
const REQUESTS_MAX: usize = 256;
/// How many are served at once.
const AT_ONCE: usize = 4;
/// How long a process may take to say what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to take its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What the name of a record begins with.
const RECORD: &str = "secret-";

/// What answers the processes of one attempt.
pub(super) struct Desk {
    pub asks: Asks,
    pub vault: Arc<Vault>,
    /// The names of what this attempt may have for some action.
    pub offered: Vec<Name>,
    pub pinned: Pinned,
    /// Acts with the attempt's own token.
    pub client: Client,
    pub members: Members,
    pub mask: SharedMask,
    /// The file of records.
    pub records: PathBuf,
    pub observer: Observer,
    pub given: Mutex<Vec<(GrantId, EvidenceItem)>>,
    /// How many requests of its processes were looked at.
    pub asked: AtomicUsize,
}

/// A desk that is open; closed when dropped.
pub(super) struct Open {
    _tasks: JoinSet<()>,
    socket: Option<PathBuf>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket
            && let Err(error) = private::remove(socket)
        {
            tracing::warn!(%error, "the socket of an attempt stays behind");
        }
    }
}

/// Why nothing is given.
#[derive(Debug)]
struct Refusal {
    code: Code,
    detail: String,
}

/// Makes the socket, before the process that is told of it. Only its owner may connect.
pub(super) fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Desk {
    /// Answers on a socket from now on.
    pub(super) fn open(self, listener: UnixListener) -> Open {
        let socket = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::new(self).serve(listener));
        Open { _tasks: tasks, socket }
    }

    async fn serve(self: Arc<Self>, listener: UnixListener) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut answering = JoinSet::new();
        // The semaphore is never closed.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a process that asks for a secret cannot be heard");
                    tokio::time::sleep(REQUEST_WITHIN).await;
                    continue;
                }
            };
            while answering.try_join_next().is_some() {}
            let desk = Arc::clone(&self);
            answering.spawn(async move {
                desk.answer(stream).await;
                drop(place);
            });
        }
    }

    async fn answer(&self, stream: UnixStream) {
        let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let (reading, mut writing) = stream.into_split();
        let member = match peer {
            Some(peer) if self.members.hold(peer).await => Some(peer),
            Some(_) | None => None,
        };
        let answer = match member {
            Some(peer) => {
                let limit = u64::try_from(REQUEST_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
                let mut line = Vec::new();
                let mut reading = BufReader::new(reading.take(limit));
                let read = reading.read_until(b'\n', &mut line);
                match tokio::time::timeout(REQUEST_WITHIN, read).await {
                    Ok(Ok(1..)) => self.settle(&line, peer).await,
                    // Nothing was asked.
                    _ => return,
                }
            }
            // Not heard at all: a stranger may take neither the attempt's requests nor its time.
            None => self.refused("", refusal(Code::SecretNotYours, "the process is none of this attempt")),
        };
        let mut line = Zeroizing::new(serde_json::to_vec(&answer).unwrap_or_default());
        line.push(b'\n');
        // Who does not take it does not get it; that it was given out is recorded.
        let _ = tokio::time::timeout(ANSWER_WITHIN, writing.write_all(&line)).await;
    }

    async fn settle(&self, line: &[u8], peer: i32) -> Answer {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= REQUESTS_MAX {
            let detail = format_args!("an attempt may ask {REQUESTS_MAX} times").to_string();
            return self.refused("", refusal(Code::SecretTooMany, detail));
        }
        match Request::parse(line.trim_ascii_end()) {
            Ok(Request::Records { grant }) => self.recorded(*grant),
            Ok(Request::Secret { name, grant }) => match self.hand_out(&name, *grant, peer).await {
                Ok(answer) => answer,
                Err(refusal) => self.refused(name.as_str(), refusal),
            },
            Err(why) => self.refused("", refusal(Code::SecretRequestInvalid, why)),
        }
    }

    fn refused(&self, secret: &str, Refusal { code, detail }: Refusal) -> Answer {
        self.observer.tell(&RunnerEvent::SecretRefused {
            instance: self.asks.instance,
            attempt: self.asks.attempt.0,
            secret: secret.to_owned(),
            why: detail.clone(),
        });
        Answer::Refused { code, detail }
    }

    fn recorded(&self, grant: GrantId) -> Answer {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let of_grant = given.iter().filter(|(of, _)| *of == grant);
        Answer::Records { records: of_grant.map(|(_, record)| record.clone()).collect() }
    }

    async fn hand_out(&self, name: &Name, grant: GrantId, peer: i32) -> Result<Answer, Refusal> {
        let unknown = || {
            let detail = format_args!("this runner has no secret `{name}` for such an attempt").to_string();
            refusal(Code::SecretNotForThis, detail)
        };
        let offered = self.offered.iter().any(|offered| offered == name);
        let secret = self.vault.secrets.iter().find(|secret| offered && secret.name == *name);
        let secret = secret.ok_or_else(unknown)?;
        let action = self.proved(grant).await?;
        if !secret.actions.contains(&action) {
            let detail = format_args!("the secret `{name}` is not for the action `{action}`").to_string();
            return Err(refusal(Code::SecretNotForThis, detail));
        }
        let value = self.vault.value(secret).await.map_err(|error| unresolved(&error))?;
        let record = self.record(secret, grant, &action, peer).await?;
        // Before the process has it: what it prints is masked from the first byte.
        self.mask.lock().unwrap_or_else(PoisonError::into_inner).add(&value);
        self.observer.tell(&RunnerEvent::SecretGiven {
            instance: self.asks.instance,
            attempt: self.asks.attempt.0,
            secret: name.to_string(),
            grant,
            action: action.to_string(),
        });
        Ok(Answer::Value { value: STANDARD.encode(&*value), record })
    }

    /// Asks the server for the evidence of the instance, and believes what was signed.
    async fn proved(&self, grant: GrantId) -> Result<Name, Refusal> {
        let bundle = self.client.evidence(self.asks.instance.into()).await;
        let bundle = bundle.map_err(|error| {
            refusal(Code::SecretUnavailable, format_args!("the server gives no evidence: {error}"))
        })?;
        let (pinned, asks, at) = (self.pinned.clone(), self.asks.clone(), now());
        // A long chain takes a while.
        let proved = tokio::task::spawn_blocking(move || prove(&bundle, &pinned, &asks, grant, at)).await;
        match proved {
            Ok(proved) => proved.map_err(|error| refusal(Code::SecretWithoutGrant, error)),
            Err(_) => Err(refusal(Code::SecretUnavailable, "the evidence was not looked at")),
        }
    }

    /// Writes down what is about to be given, durable when this returns.
    async fn record(
        &self,
        secret: &Governed,
        grant: GrantId,
        action: &Name,
        peer: i32,
    ) -> Result<EvidenceItem, Refusal> {
        let line = serde_json::json!({
            "at": now().to_text(),
            "instance_id": self.asks.instance.to_string(),
            "attempt": self.asks.attempt.0,
            "grant_id": grant.to_string(),
            "action": action.as_str(),
            "secret": secret.name.as_str(),
            "reference_digest": secret.from.digest().to_hex(),
            "process": peer,
        });
        let line = line.to_string();
        let digest = Digest::of(line.as_bytes());
        let name = Name::parse(&format!("{RECORD}{}", secret.name)).unwrap_or_else(|_| secret.name.clone());
        let item = EvidenceItem { name: text::Name::from(name), digest: digest.into(), url: None };
        {
            let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            if given.len() >= HAND_OUTS_MAX {
                let detail = format_args!("an attempt is given {HAND_OUTS_MAX} secrets at most");
                return Err(refusal(Code::SecretTooMany, detail));
            }
            given.push((grant, item.clone()));
        }
        let (path, mut bytes) = (self.records.clone(), line.into_bytes());
        bytes.push(b'\n');
        let written = tokio::task::spawn_blocking(move || private::append(&path, bytes)).await;
        match written.map_err(std::io::Error::other) {
            Ok(Ok(())) => Ok(item),
            Ok(Err(error)) | Err(error) => {
                // The record may be there without the hand-out, never the other way round.
                let detail = format_args!("the hand-out cannot be recorded: {error}").to_string();
                Err(refusal(Code::SecretUnavailable, detail))
            }
        }
    }
}

fn refusal(code: Code, detail: impl ToString) -> Refusal {
    Refusal { code, detail: detail.to_string() }
}

fn unresolved(error: &Unresolved) -> Refusal {
    refusal(Code::SecretUnavailable, error)
}
