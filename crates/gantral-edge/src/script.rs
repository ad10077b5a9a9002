//! What a process that a runner launched asks of the server: authority, consumption, outcome.
//!
//! For the commands that scripts use, and for Rust agents. All that is needed comes from the environment that the
//! runner made; the token file is read anew for each call, because the runner renews it.

use std::path::PathBuf;

use gantral_api::client::{CertificateFiles, Client, ClientConfig, ClientError, ConfigError, TokenSource};
use gantral_api::wire::{
    Action, Ask, AuthorityAnswer, Consume, ConsumeAnswer, EVIDENCE_ITEMS_MAX, IdempotencyKey, Moved, Receipt,
    ReportOutcome, text,
};
use gantral_core::digest::Hasher;
use gantral_core::ids::{GrantId, InstanceId, TenantId, WorkflowId};
use gantral_core::json::{self, Profile, Value};
use gantral_evidence::trust::Trust;

use crate::journal::{Journal, JournalError};
use crate::outage::{MayNot, Outages, is_outage};
use crate::secret::{self, AskError, SOCKET_VARIABLE, Secret};

/// The largest context that is read, in bytes: a document, with room for the grant around it.
pub const CONTEXT_BYTES_MAX: usize = 4 << 20;

/// Why a script cannot speak to the server at all, or was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A variable is missing: not launched by a runner.
    #[error("`{variable}` is not set: this command is for processes that a runner launched")]
    Unset {
        /// The variable.
        variable: &'static str,
    },
    /// A variable has a value that no runner sets.
    #[error("`{variable}` is not usable: {why}")]
    Unusable {
        /// The variable.
        variable: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The context file cannot be used.
    #[error("the context `{path}` cannot be used: {why}")]
    Context {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// There is no grant to use.
    #[error("there is no grant: this attempt was not launched after a gate, and none is named")]
    NoGrant,
    /// The address of the server cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The call did not succeed.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// No answer, and nothing that permits going on without one. Nothing may be done.
    #[error("{error}; without an answer nothing goes on: {why}")]
    Outage {
        /// Why there is no answer.
        error: ClientError,
        /// Why the action waits for one.
        why: MayNot,
    },
    /// The runner has no secret for such an attempt.
    #[error("the runner has no secret for this attempt: none is configured for its workflow and queue")]
    NoSecrets,
    /// The runner gives no secret.
    #[error(transparent)]
    Secret(#[from] AskError),
    /// The receipt could not be kept. What it says may be so; nothing may be done on its ground.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The attempt that this process is.
#[derive(Debug, Clone)]
pub struct Script {
    client: Client,
    instance: InstanceId,
    /// Where the runner wrote the context; an agent that runs itself has none.
    context: Option<PathBuf>,
    grant: Option<GrantId>,
    journal: Option<Journal>,
    outages: Option<Outages>,
    /// Where the runner hands out secrets, if it has any for this attempt.
    secrets: Option<PathBuf>,
}

/// What came of an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The server's answer.
    Answered(Box<AuthorityAnswer>),
    /// No server answered, and a mode lease says that the action is only observed: it may be done, and was counted if that was possible.
    /// There is no grant, and no outcome to report.
    Unobserved {
        /// Whether it was counted.
        counted: bool,
    },
}

impl Script {
    /// Reads what the runner put into the environment.
    ///
    /// # Errors
    /// If a variable is missing or not what a runner sets.
    pub fn from_environment() -> Result<Self, ScriptError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the variables from somewhere else.
    ///
    /// # Errors
    /// As [`Self::from_environment`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ScriptError> {
        let needed = |name: &'static str| variable(name).ok_or(ScriptError::Unset { variable: name });
        let instance = InstanceId::parse(&needed("GANTRAL_INSTANCE_ID")?);
        let instance = instance.map_err(|error| unusable("GANTRAL_INSTANCE_ID", &error))?;
        let token = TokenSource::File(needed("GANTRAL_TOKEN_FILE")?.into());
        let outages = outages(&variable)?;
        let file = |name| variable(name).map(PathBuf::from);
        let certificate = file("GANTRAL_CERTIFICATE_FILE")
            .map(|chain| CertificateFiles { chain, key: file("GANTRAL_CERTIFICATE_KEY_FILE") });
        let config = ClientConfig {
            ca_file: file("GANTRAL_CA_FILE"),
            certificate,
            ..ClientConfig::new(needed("GANTRAL_URL")?, token)
        };
        let grant = variable("GANTRAL_GRANT").map(|text| GrantId::parse(&text)).transpose();
        let client = Client::new(config)?;
        Ok(Self {
            // What it asks is part of the trace that whoever launched it says.
            client: variable("TRACEPARENT").map_or(client.clone(), |place| client.with_traceparent(&place)),
            instance,
            context: variable("GANTRAL_CONTEXT").map(Into::into),
            grant: grant.map_err(|error| unusable("GANTRAL_GRANT", &error))?,
            journal: variable("GANTRAL_JOURNAL").map(Journal::new),
            outages,
            secrets: variable(SOCKET_VARIABLE).map(Into::into),
        })
    }

    /// Returns the instance.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Returns the grant of humans that this attempt may consume.
    pub fn grant(&self) -> Option<GrantId> {
        self.grant
    }

    /// Returns the context that the runner verified.
    ///
    /// # Errors
    /// If the file is gone or not JSON.
    pub fn context(&self) -> Result<Value, ScriptError> {
        let wrong = |why: String| self.unusable_context(why);
        let path = self.context.as_ref().ok_or(ScriptError::Unset { variable: "GANTRAL_CONTEXT" })?;
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let profile = Profile::DOCUMENT.with_bytes_max(CONTEXT_BYTES_MAX);
        json::parse(&bytes, &profile).map_err(|error| wrong(error.to_string()))
    }

    /// Returns the action that was approved, as the context has it: after an OVERRIDE, as the human changed it.
    ///
    /// # Errors
    /// `NoGrant` before a gate; if the context cannot be used.
    pub fn approved_action(&self) -> Result<Action, ScriptError> {
        let context = self.context()?;
        let action =
            context.get("grant").and_then(|grant| grant.get("action")).ok_or(ScriptError::NoGrant)?;
        let wrong = |why: String| self.unusable_context(why);
        let text = String::from_utf8(action.to_canonical()).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    fn unusable_context(&self, why: String) -> ScriptError {
        let path = self.context.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        ScriptError::Context { path, why }
    }

    /// Asks whether an action may be done, before it is done. Where a mode lease says that it is only observed, it is not waited long for a
    /// server that does not answer.
    ///
    /// After REQUIRE_HUMAN the process must end with status 3: a fresh one continues when humans have decided.
    ///
    /// # Errors
    /// Without an answer nothing is authorised: never act on an error.
    pub async fn ask(&self, ask: &Ask) -> Result<Asked, ScriptError> {
        let Some(outages) = &self.outages else {
            return self.asked(self.client.ask(self.instance.into(), ask).await?);
        };
        let action = &ask.action.name;
        let kept = outages.kept().map(|lease| {
            let permitted = outages.permits(&lease, action);
            (lease, permitted)
        });
        let goes_on = matches!(kept, Ok((_, Ok(()))));
        let client = if goes_on { self.client.without_retries() } else { self.client.clone() };
        match client.ask(self.instance.into(), ask).await {
            Ok(answer) => {
                let observed = matches!(&answer, AuthorityAnswer::Allow(allowed) if !allowed.enforced);
                let asked = self.asked(answer)?;
                let lease = kept.as_ref().ok().map(|(lease, _)| lease);
                outages.answered(&self.client, lease, action, observed).await;
                Ok(asked)
            }
            Err(error) if is_outage(&error) => match kept {
                Ok((_, Ok(()))) => Ok(Asked::Unobserved { counted: outages.count(action) }),
                Ok((_, Err(why))) => Err(ScriptError::Outage { error, why: why.into() }),
                Err(why) => Err(ScriptError::Outage { error, why }),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn asked(&self, answer: AuthorityAnswer) -> Result<Asked, ScriptError> {
        self.keep(match &answer {
            AuthorityAnswer::Allow(allowed) => &allowed.artifacts,
            AuthorityAnswer::RequireHuman(waiting) => &waiting.artifacts,
            AuthorityAnswer::Deny(denied) => &denied.artifacts,
        })?;
        Ok(Asked::Answered(Box::new(answer)))
    }

    /// Reports what came of an action that was only observed, under which there is no grant.
    ///
    /// `None`: no server answers, and by a mode lease the agent may go on without having reported it.
    ///
    /// # Errors
    /// A report that is repeated after a lost answer may be sealed twice: nothing tells two actions under SHADOW apart.
    pub async fn observed_outcome(&self, report: &ReportOutcome) -> Result<Option<Moved>, ScriptError> {
        let moved = match (self.client.report_observed(self.instance.into(), report).await, &self.outages) {
            (Err(error), Some(outages)) if is_outage(&error) => {
                return match outages.observes() {
                    Ok(()) => Ok(None),
                    Err(why) => Err(ScriptError::Outage { error, why }),
                };
            }
            (moved, _) => moved?,
        };
        self.keep(&moved.artifacts)?;
        Ok(Some(moved))
    }

    /// Writes the receipts of an answer into the journal, before anybody acts on it.
    fn keep(&self, receipts: &[Receipt]) -> Result<(), JournalError> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.append(receipts))
    }

    /// Uses a grant up, just before the action starts: with the approved action of the context when none is given, and
    /// the grant of the environment when none is named.
    ///
    /// # Errors
    /// Without an answer nothing may be done: never act on an error.
    pub async fn consume(
        &self,
        grant: Option<GrantId>,
        action: Option<Action>,
    ) -> Result<(GrantId, ConsumeAnswer), ScriptError> {
        let grant = grant.or(self.grant).ok_or(ScriptError::NoGrant)?;
        let action = match action {
            Some(action) => action,
            None => self.approved_action()?,
        };
        let body = Consume { action, executor: None };
        // Never under a key that follows from the call: whoever consumes a second time must be refused, because the
        // first time may have acted.
        let answer = self.client.consume(self.instance.into(), grant.into(), &body).await?;
        self.keep(match &answer {
            ConsumeAnswer::Allow(consumed) => &consumed.artifacts,
            ConsumeAnswer::RequireHuman(waiting) => &waiting.artifacts,
            ConsumeAnswer::Deny(denied) => &denied.artifacts,
        })?;
        Ok((grant, answer))
    }

    /// Reports what came of a consumed grant; that of the environment when none is named.
    ///
    /// # Errors
    /// May be repeated until it succeeds: the report is sealed once.
    pub async fn outcome(
        &self,
        grant: Option<GrantId>,
        report: &ReportOutcome,
    ) -> Result<Moved, ScriptError> {
        let grant = grant.or(self.grant).ok_or(ScriptError::NoGrant)?;
        let report = &self.with_records(grant, report).await;
        // A report is sealed once, so a line that is repeated after a lost answer means the same write.
        let unsendable = |why: String| ClientError::Unsendable { why };
        let body = serde_json::to_vec(report).map_err(|error| unsendable(error.to_string()))?;
        let digest = Hasher::new("gantral/script/v1").bytes(grant.as_bytes()).bytes(&body).finish();
        let key = IdempotencyKey::parse(&digest.to_hex()).map_err(|error| unsendable(error.to_string()))?;
        let client = self.client.with_key(key);
        let moved = client.report_outcome(self.instance.into(), grant.into(), report).await?;
        self.keep(&moved.artifacts)?;
        Ok(moved)
    }
}

impl Script {
    /// Asks the runner for a secret, against a grant that was used up; that of the environment when none is named.
    ///
    /// # Errors
    /// `Secret`. A value is never to be passed on in arguments, files or output.
    pub async fn secret(&self, name: text::Name, grant: Option<GrantId>) -> Result<Secret, ScriptError> {
        let grant = grant.or(self.grant).ok_or(ScriptError::NoGrant)?;
        let socket = self.secrets.clone().ok_or(ScriptError::NoSecrets)?;
        let asked = tokio::task::spawn_blocking(move || secret::ask(&socket, name, grant.into())).await;
        Ok(asked.unwrap_or(Err(AskError::Answer))?)
    }

    /// Returns the report with what was handed out under its grant. A runner that does not say so holds up no report.
    async fn with_records(&self, grant: GrantId, report: &ReportOutcome) -> ReportOutcome {
        let mut report = report.clone();
        if let Some(socket) = self.secrets.clone() {
            let asked = tokio::task::spawn_blocking(move || secret::records(&socket, grant.into())).await;
            let records = asked.unwrap_or(Err(AskError::Answer)).unwrap_or_default();
            let left = EVIDENCE_ITEMS_MAX.saturating_sub(report.evidence.len());
            let fresh = records.into_iter().filter(|record| !report.evidence.contains(record));
            let fresh: Vec<_> = fresh.take(left).collect();
            report.evidence.extend(fresh);
        }
        report
    }
}

/// Reads what an outage needs, all of it or nothing.
fn outages(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Outages>, ScriptError> {
    let Some(lease) = variable("GANTRAL_MODE_LEASE") else { return Ok(None) };
    let needed = |name: &'static str| variable(name).ok_or(ScriptError::Unset { variable: name });
    let trust = std::fs::read(needed("GANTRAL_TRUST")?).map_err(|error| unusable("GANTRAL_TRUST", &error))?;
    let trust = Trust::parse(&trust).map_err(|error| unusable("GANTRAL_TRUST", &error))?;
    let tenant = TenantId::parse(&needed("GANTRAL_TENANT")?);
    let tenant = tenant.map_err(|error| unusable("GANTRAL_TENANT", &error))?;
    let workflow = WorkflowId::parse(&needed("GANTRAL_WORKFLOW")?);
    let workflow = workflow.map_err(|error| unusable("GANTRAL_WORKFLOW", &error))?;
    Ok(Some(Outages::new(trust, tenant, workflow, lease.into())))
}

fn unusable(variable: &'static str, error: &dyn core::fmt::Display) -> ScriptError {
    ScriptError::Unusable { variable, why: error.to_string() }
}
