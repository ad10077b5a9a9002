//! Principals, each from a verified token.

use std::sync::Arc;

use gantral_core::ids::{AttemptNo, InstanceId, TenantId};
use gantral_core::time::UnixMillis;
use gantral_identity::{
    Administrator, Approver, AttemptBearer, AttemptScope, AttemptTokens, DEV_ISSUER_URL, DEV_TENANT,
    DevDirectory, DevIssuer, DevPerson, IdentityConfig, Principal, Requester, RunnerIdentity, TokenKey,
    Verifier,
};

/// The agent that asks: owned by `bob`, of team `payments`.
pub const AGENT: &str = "refund-agent";
/// Another agent: owned by `carol`, of team `payments`.
pub const OTHER_AGENT: &str = "other-agent";
/// The runner of team `payments`, on queue `default`.
pub const RUNNER: &str = "dev-runner";
/// The name of the deployment in attempt tokens.
const DEPLOYMENT: &str = "https://gantral.invalid";

/// Whom a world knows: the standard people of the development issuer, and `fiona` and `frank` (FINANCE_LEAD), `cora`
/// (CFO), and `rachel` (RELEASE_MANAGER). `bob`, who owns the agent, is a FINANCE_LEAD as well.
pub struct People {
    issuer: DevIssuer,
    tokens: Arc<AttemptTokens>,
    verifier: Verifier,
}

impl Default for People {
    fn default() -> Self {
        Self::new(directory())
    }
}

impl People {
    /// Issues tokens for a directory, and believes them.
    pub fn new(directory: DevDirectory) -> Self {
        let key = || TokenKey::generate().expect("the generator of this system works");
        let issuer = DevIssuer::new(key(), directory);
        let tokens = AttemptTokens::new(key(), DEPLOYMENT).expect("a new key is a key").for_development();
        let tokens = Arc::new(tokens);
        let config = IdentityConfig { issuers: vec![issuer.config()] };
        let verifier = Verifier::new(&config).expect("the development issuer is well configured");
        let verifier = verifier.with_attempts(Arc::clone(&tokens));
        Self { issuer, tokens, verifier }
    }

    /// Returns the tenant of everybody here.
    pub fn tenant(&self) -> TenantId {
        TenantId::parse(DEV_TENANT).expect("the development tenant is a name")
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> &DevIssuer {
        &self.issuer
    }

    /// Returns a human.
    pub fn human(&self, subject: &str, now: UnixMillis) -> Principal {
        let token = self.issuer.human_token(subject, now).expect("the directory knows the human");
        self.verifier.verify(token.expose(), now).expect("the token is good")
    }

    /// Returns a workload or runner.
    pub fn client(&self, client: &str, now: UnixMillis) -> Principal {
        let token = self.issuer.client_token(client, now).expect("the directory knows the client");
        self.verifier.verify(token.expose(), now).expect("the token is good")
    }

    /// Returns an agent as whoever creates instances.
    pub fn requester(&self, client: &str, now: UnixMillis) -> Requester {
        self.client(client, now).requester().expect("a workload requests")
    }

    /// Returns a human who may decide.
    pub fn approver(&self, subject: &str, now: UnixMillis) -> Approver {
        self.human(subject, now).approver().expect("a human approves")
    }

    /// Returns a human who administers.
    pub fn administrator(&self, subject: &str, now: UnixMillis) -> Administrator {
        self.human(subject, now).administrator().expect("the human holds an administrator's role")
    }

    /// Returns a runner.
    pub fn runner(&self, client: &str, now: UnixMillis) -> RunnerIdentity {
        self.client(client, now).runner().expect("a runner runs")
    }

    /// Returns the bearer of a token for one attempt of an instance that an agent created.
    pub fn bearer(
        &self,
        client: &str,
        instance: InstanceId,
        attempt: AttemptNo,
        now: UnixMillis,
    ) -> AttemptBearer {
        let agent = self.client(client, now);
        let acting = self.verifier.acting_workload(agent.tenant(), DEV_ISSUER_URL, agent.client());
        let acting = acting.expect("the agent is a configured workload");
        let scope = AttemptScope { instance, attempt };
        let token = self.tokens.mint(&acting, scope, now).expect("a token is made");
        let principal = self.verifier.verify(token.expose(), now).expect("the token is good");
        principal.attempt_bearer().expect("the token is of an attempt")
    }
}

fn directory() -> DevDirectory {
    let mut directory = DevDirectory::standard();
    for (subject, roles) in [
        ("fiona", &["FINANCE_LEAD"][..]),
        ("frank", &["FINANCE_LEAD"]),
        ("cora", &["CFO"]),
        ("rachel", &["RELEASE_MANAGER"]),
        ("bob", &["DEVELOPER", "FINANCE_LEAD"]),
    ] {
        let person = DevPerson {
            name: subject.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            teams: vec!["payments".to_owned()],
        };
        directory.people.insert(subject.to_owned(), person);
    }
    let other = DevDirectory::workload("Another agent", "carol", &["payments"]);
    directory.clients.insert(OTHER_AGENT.to_owned(), other);
    let runner = DevDirectory::runner("Development runner", &["default"], &["payments"]);
    directory.clients.insert(RUNNER.to_owned(), runner);
    directory
}
