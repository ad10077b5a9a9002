//! The development issuer: a provider in a box for `gantral dev` and `gantral demo`.
//!
//! Whoever can read its key file is anybody, so it proves nothing to anybody: it works on the loopback interface only,
//! its principals are marked, and no configuration file can name it. It issues what a real provider issues, so that
//! replacing it replaces an [`IssuerConfig`] and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use gantral_core::json::Object;
use gantral_core::time::{DurationMs, UnixMillis};

use crate::config::{
    ClaimMapping, ClientConfig, Executes, IssuerConfig, KeySource, OwnerConfig, TenantRule, TokenType,
};
use crate::error::Fault;
use crate::keys::{Algorithm, JwkSet};
use crate::principal::PrincipalKind;
use crate::signing::{IssuedToken, TokenKey, list};

/// The `iss` of the development issuer: a name that can never resolve (RFC 6761 section 6.4).
pub const DEV_ISSUER_URL: &str = "https://issuer.gantral.invalid";
/// The `aud` of its tokens.
pub const DEV_AUDIENCE: &str = "gantral";
/// The tenant of everybody it knows.
pub const DEV_TENANT: &str = "dev";
/// How long its tokens live.
pub const DEV_TOKEN_TTL: DurationMs = DurationMs::from_secs(3_600);
/// The client through which its humans come.
const DEV_HUMAN_CLIENT: &str = "gantral-cli";

/// A development identity was used, or was about to be served, on an address that others can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("development identities are for the loopback interface, and `{address}` is not on it")]
pub struct DevelopmentRefused {
    /// The address.
    pub address: SocketAddr,
}

impl DevelopmentRefused {
    /// Returns the stable code; never reused for another meaning.
    pub const fn code(self) -> &'static str {
        "development_not_loopback"
    }

    /// Returns who is at fault: whoever came from there, or whoever configured the server to listen there.
    pub const fn fault(self) -> Fault {
        Fault::Caller
    }
}

/// Refuses an address that is not on the loopback interface. Asked of the listening address when a server starts, and
/// of the peer's at each request with a development identity ([`crate::Principal::allowed_from`]).
///
/// A proxy on the same machine makes every peer look local: a server in development mode must also refuse requests
/// that carry forwarding headers.
pub fn development_allowed(address: &SocketAddr) -> Result<(), DevelopmentRefused> {
    if address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(DevelopmentRefused { address: *address })
    }
}

/// Why the development issuer made no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DevTokenError {
    /// Nobody of that name is in its directory.
    #[error("the development issuer knows no `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The cryptographic library failed: worth one more try.
    #[error("the token could not be signed")]
    Sign,
}

impl DevTokenError {
    /// Returns who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unknown { .. } => Fault::Caller,
            Self::Sign => Fault::Environment,
        }
    }
}

/// A human of the development issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevPerson {
    /// A name to show.
    pub name: String,
    /// The roles that their tokens claim.
    pub roles: Vec<String>,
    /// The teams that their tokens claim.
    pub teams: Vec<String>,
}

/// Whom the development issuer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevDirectory {
    /// Humans, by subject.
    pub people: BTreeMap<String, DevPerson>,
    /// Workloads and runners, by client identifier.
    pub clients: BTreeMap<String, ClientConfig>,
}

impl DevDirectory {
    /// Returns the standard people and clients: `alice` decides (RISK_OFFICER), `bob` develops and owns the agent
    /// (DEVELOPER), `carol` leads (TECH_LEAD), `dave` administers (PLATFORM_ADMIN); `refund-agent` asks, `dev-runner`
    /// runs what is on queue `default`, `dev-gate` stands before tools and commands (an interceptor), `dev-orchestrator` says
    /// when work may begin where that is not the server's affair.
    pub fn standard() -> Self {
        let people = [
            ("alice", "Alice", "RISK_OFFICER", "payments"),
            ("bob", "Bob", "DEVELOPER", "payments"),
            ("carol", "Carol", "TECH_LEAD", "payments"),
            ("dave", "Dave", "PLATFORM_ADMIN", "platform"),
        ];
        let person = |(subject, name, role, team): (&str, &str, &str, &str)| {
            let (roles, teams) = (vec![role.to_owned()], vec![team.to_owned()]);
            (subject.to_owned(), DevPerson { name: name.to_owned(), roles, teams })
        };
        let agent = Self::workload("Refund agent", "bob", &["payments"]);
        let gate = ClientConfig {
            executes: Executes::Interceptor,
            ..Self::workload("Development interceptor", "bob", &["payments", "platform"])
        };
        let runner = Self::runner("Development runner", &["default"], &["payments", "platform"]);
        Self {
            people: people.into_iter().map(person).collect(),
            clients: BTreeMap::from([
                ("dev-gate".to_owned(), gate),
                ("dev-orchestrator".to_owned(), orchestrator()),
                ("dev-runner".to_owned(), runner),
                ("refund-agent".to_owned(), agent),
            ]),
        }
    }

    /// Returns a workload's configuration, owned by a human of this issuer.
    pub fn workload(name: &str, owner: &str, teams: &[&str]) -> ClientConfig {
        ClientConfig {
            name: Some(name.to_owned()),
            teams: teams.iter().map(|team| (*team).to_owned()).collect(),
            owner: Some(OwnerConfig { issuer: DEV_ISSUER_URL.to_owned(), subject: owner.to_owned() }),
            ..client(PrincipalKind::Workload)
        }
    }

    /// Returns a runner's configuration.
    pub fn runner(name: &str, queues: &[&str], teams: &[&str]) -> ClientConfig {
        ClientConfig {
            name: Some(name.to_owned()),
            teams: teams.iter().map(|team| (*team).to_owned()).collect(),
            queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
            ..client(PrincipalKind::Runner)
        }
    }
}

/// Returns the configuration of the one orchestrator of the directory.
fn orchestrator() -> ClientConfig {
    ClientConfig { name: Some("Orchestrator".to_owned()), ..client(PrincipalKind::Orchestrator) }
}

fn client(kind: PrincipalKind) -> ClientConfig {
    ClientConfig {
        kind,
        name: None,
        tenant: None,
        roles: Vec::new(),
        teams: Vec::new(),
        owner: None,
        executes: Executes::Itself,
        queues: Vec::new(),
        require: BTreeMap::new(),
    }
}

/// The development issuer: its key, its directory, and tokens for anybody in it.
pub struct DevIssuer {
    key: TokenKey,
    directory: DevDirectory,
}

impl DevIssuer {
    /// Makes an issuer of a key, new or kept in a file ([`TokenKey::load_or_generate`]).
    pub fn new(key: TokenKey, directory: DevDirectory) -> Self {
        Self { key, directory }
    }

    /// Returns whom it knows.
    pub fn directory(&self) -> &DevDirectory {
        &self.directory
    }

    /// Returns its public keys.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: vec![self.key.public_jwk()] }
    }

    /// Returns the configuration that makes a verifier believe it.
    pub fn config(&self) -> IssuerConfig {
        let mut clients = self.directory.clients.clone();
        clients.insert(DEV_HUMAN_CLIENT.to_owned(), client(PrincipalKind::Human));
        // Each role stands for itself; written down, it is one of which the server knows that somebody has it.
        let roles = self.directory.people.values().flat_map(|person| &person.roles);
        let role_map = roles.map(|role| (role.clone(), vec![role.clone()])).collect();
        IssuerConfig {
            issuer: DEV_ISSUER_URL.to_owned(),
            audiences: vec![DEV_AUDIENCE.to_owned()],
            algorithms: vec![Algorithm::EdDsa],
            token_types: vec![TokenType::AccessToken],
            keys: KeySource::Static(self.jwks()),
            tenant: TenantRule::Fixed(DEV_TENANT.to_owned()),
            claims: ClaimMapping {
                roles: Some("roles".into()),
                role_map: Some(role_map),
                teams: Some("teams".into()),
                ..ClaimMapping::default()
            },
            admin_roles: vec!["PLATFORM_ADMIN".to_owned()],
            token_lifetime_seconds_max: DEV_TOKEN_TTL.get() / 1_000,
            clients,
            login: None,
            console: None,
            development: true,
        }
    }

    /// Makes a token for a human of the directory, valid from `now` for [`DEV_TOKEN_TTL`].
    pub fn human_token(&self, subject: &str, now: UnixMillis) -> Result<IssuedToken, DevTokenError> {
        let person = self.directory.people.get(subject).ok_or_else(|| unknown(subject))?;
        let claims = Object::new()
            .with("sub", subject)
            .with("client_id", DEV_HUMAN_CLIENT)
            .with("name", person.name.as_str())
            .with("roles", list(person.roles.iter().map(String::as_str)))
            .with("teams", list(person.teams.iter().map(String::as_str)));
        self.mint(claims, now)
    }

    /// Makes a token for a workload or runner of the directory, valid from `now` for [`DEV_TOKEN_TTL`].
    pub fn client_token(&self, client: &str, now: UnixMillis) -> Result<IssuedToken, DevTokenError> {
        if !self.directory.clients.contains_key(client) {
            return Err(unknown(client));
        }
        let claims = Object::new().with("sub", client).with("client_id", client);
        self.mint(claims, now)
    }

    fn mint(&self, claims: Object, now: UnixMillis) -> Result<IssuedToken, DevTokenError> {
        let claims = claims.with("iss", DEV_ISSUER_URL).with("aud", DEV_AUDIENCE);
        self.key.issue("at+jwt", claims, now, DEV_TOKEN_TTL).ok_or(DevTokenError::Sign)
    }
}

impl fmt::Debug for DevIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevIssuer").field("key", &self.key).finish_non_exhaustive()
    }
}

fn unknown(name: &str) -> DevTokenError {
    DevTokenError::Unknown { name: name.to_owned() }
}
