//! What an operator writes down about issuers and clients: the form of the configuration file.
//!
//! Everything here is text as written; [`crate::Verifier::new`] checks it once and refuses what does not fit. A member
//! that nobody knows is refused too, because a misspelt restriction must not vanish.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::keys::{Algorithm, JwkSet};
use crate::principal::PrincipalKind;

/// Every issuer that is believed, side by side.
///
/// ```
/// let config: gantral_identity::IdentityConfig = toml::from_str(r#"
/// [[issuers]]
/// issuer = "https://id.example.com/realms/main"
/// audiences = ["gantral"]
/// algorithms = ["RS256"]
/// tenant = { claim = "org", tenants = { "Example Ltd" = "example" } }
/// admin_roles = ["PLATFORM_ADMIN"]
///
/// [issuers.keys.static]
/// keys = [{ kty = "RSA", kid = "2026-01", n = "…", e = "AQAB" }]
///
/// [issuers.claims]
/// roles = ["realm_access", "roles"]
/// role_map = { "risk-officers" = ["RISK_OFFICER"] }
///
/// [issuers.clients.gantral-console]
/// kind = "human"
///
/// [issuers.clients.refund-agent]
/// kind = "workload"
/// teams = ["payments"]
/// owner = { issuer = "https://id.example.com/realms/main", subject = "6f1c…" }
/// "#)?;
/// assert_eq!(config.issuers.len(), 1);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The issuers; none means that nobody gets in.
    #[serde(default)]
    pub issuers: Vec<IssuerConfig>,
}

/// One issuer, and what it may say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The exact `iss` value.
    pub issuer: String,
    /// The `aud` values that we answer to; a token must name one of them.
    pub audiences: Vec<String>,
    /// The algorithms that its tokens may use.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` values that its tokens may have.
    #[serde(default = "default_types")]
    pub token_types: Vec<TokenType>,
    /// Where its public keys come from.
    pub keys: KeySource,
    /// Which tenant its subjects belong to.
    pub tenant: TenantRule,
    /// Where to find what in its tokens.
    #[serde(default)]
    pub claims: ClaimMapping,
    /// The roles, after mapping, that make one of its humans an administrator of their tenant.
    #[serde(default)]
    pub admin_roles: Vec<String>,
    /// The longest time from `iat` to `exp`, in seconds.
    #[serde(default = "default_lifetime")]
    pub token_lifetime_seconds_max: u64,
    /// Its clients, by the identifier that tokens carry. Any other client is refused.
    pub clients: BTreeMap<String, ClientConfig>,
    /// How its people log in through programs of ours; absent where they bring their tokens themselves.
    #[serde(default)]
    pub login: Option<LoginConfig>,
    /// How its people log in to the console; absent where they do not.
    #[serde(default)]
    pub console: Option<ConsoleConfig>,
    /// Set by the development issuer alone: no file can say so.
    #[serde(skip)]
    pub(crate) development: bool,
}

fn default_types() -> Vec<TokenType> {
    vec![TokenType::Jwt, TokenType::AccessToken]
}

/// One day: longer than access tokens of any common provider, shorter than a forgotten one.
const fn default_lifetime() -> u64 {
    86_400
}

/// A `typ` header value, compared without regard to case and to a leading `application/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TokenType {
    /// `JWT`.
    #[serde(rename = "JWT")]
    Jwt,
    /// `at+jwt` (RFC 9068).
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// No `typ` at all, as in Kubernetes service-account tokens.
    #[serde(rename = "none")]
    Absent,
}

impl TokenType {
    /// Says whether a `typ`, in lower case and without `application/`, is this one.
    pub(crate) fn matches(self, typ: Option<&str>) -> bool {
        match self {
            Self::Jwt => typ == Some("jwt"),
            Self::AccessToken => typ == Some("at+jwt"),
            Self::Absent => typ.is_none(),
        }
    }
}

/// Where an issuer's public keys come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A document that is written down here.
    Static(JwkSet),
    /// What the issuer publishes, found by OpenID Connect Discovery 1.0 or, with `jwks_url`, at that address. This crate fetches
    /// nothing: until [`crate::Verifier::put_keys`] brings a set, the issuer's tokens are refused.
    Published(PublishedKeys),
}

/// Keys that the issuer publishes, and may exchange at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublishedKeys {
    /// Where the discovery document is fetched, if not below the issuer itself: an address inside of a cluster, say. What it says
    /// of the issuer must be the exact `issuer` all the same.
    pub discovery_url: Option<String>,
    /// Where the set is fetched, without discovery.
    pub jwks_url: Option<String>,
    /// The authorities to trust for these addresses, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token that goes with each request, as the API server of Kubernetes asks for; read anew each time.
    pub token_file: Option<PathBuf>,
    /// The longest time that a set counts as current, in seconds; the issuer's `Cache-Control` may shorten it.
    pub refresh_seconds: u64,
    /// The longest time that a set is believed while no newer one can be had, in seconds. After it the issuer's tokens are refused.
    pub keep_seconds: u64,
}

impl Default for PublishedKeys {
    fn default() -> Self {
        Self {
            discovery_url: None,
            jwks_url: None,
            ca_file: None,
            token_file: None,
            // Five minutes: what a provider takes out of its set is out here soon, and a provider is asked seldom.
            refresh_seconds: 300,
            // One day: longer than the outage of a provider should last, and short against the life of a key.
            keep_seconds: 86_400,
        }
    }
}

/// Which tenant a subject belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum TenantRule {
    /// Every subject of the issuer belongs to this tenant.
    Fixed(String),
    /// A claim says which, among those listed.
    Claim {
        /// Where the claim is.
        claim: ClaimPath,
        /// Values of the claim, and the tenant that each stands for. Any other value is refused.
        tenants: BTreeMap<String, String>,
    },
}

/// Where a claim is: the name of a top-level claim, or the names on the way to a nested one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClaimPath {
    /// A top-level claim, whatever characters its name has.
    Name(String),
    /// Names from the outermost object inwards.
    Nested(Vec<String>),
}

impl From<&str> for ClaimPath {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// Where to find what in an issuer's tokens. Roles and teams are read for humans only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimMapping {
    /// Top-level claims that may name the client. At least one must be there, and all that are must agree.
    pub client: Vec<String>,
    /// A name to show; untrusted.
    pub name: ClaimPath,
    /// A human's roles: a text or a list of texts.
    pub roles: Option<ClaimPath>,
    /// What each value of the roles claim stands for; a value that is not listed stands for nothing. Without this map
    /// each value is the role itself, and one that is not a role name stands for nothing.
    pub role_map: Option<BTreeMap<String, Vec<String>>>,
    /// A human's teams: a text or a list of texts.
    pub teams: Option<ClaimPath>,
    /// As `role_map`, for teams.
    pub team_map: Option<BTreeMap<String, Vec<String>>>,
}

impl Default for ClaimMapping {
    fn default() -> Self {
        Self {
            client: vec!["client_id".to_owned(), "azp".to_owned()],
            name: "name".into(),
            roles: None,
            role_map: None,
            teams: None,
            team_map: None,
        }
    }
}

/// One client of an issuer. What it is stands here, whatever its tokens say.
///
/// A client of kind `human` must be one that only a person can log in with: switch off its client-credentials grant at
/// the provider, and name in `require` a claim that tells a person's tokens from a service's where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// What whoever comes through this client is.
    pub kind: PrincipalKind,
    /// A name to show for a machine; its identifier if there is none.
    #[serde(default)]
    pub name: Option<String>,
    /// The client's tenant, in place of the issuer's rule. Where the rule reads a claim, a claim that names another
    /// tenant is refused.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The roles of a workload.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The teams of a workload or runner.
    #[serde(default)]
    pub teams: Vec<String>,
    /// The human who answers for a workload: needed for a workload.
    #[serde(default)]
    pub owner: Option<OwnerConfig>,
    /// Who carries out what a workload asks for in a governed call: the asking program itself, or an interceptor that stands before
    /// the action and holds what is needed to do it. Only say so of a client whose credentials no agent can read.
    #[serde(default)]
    pub executes: Executes,
    /// The queues that a runner claims from: needed for a runner.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Top-level claims that each token must carry, with one of the values listed.
    #[serde(default)]
    pub require: BTreeMap<String, Vec<String>>,
}

/// Who carries out what a workload asks for in a governed call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executes {
    /// The program that asks: evidence says that it was not enforced.
    #[default]
    #[serde(rename = "self")]
    Itself,
    /// An interceptor: a program in the path of the action, apart from the agent that wants it.
    Interceptor,
}

/// How people of an issuer log in. Nothing of it is secret: the server tells it to anybody who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// The client of the command line: one of `clients`, of kind `human`, and public at the issuer (RFC 8252 section 8.4).
    pub client: String,
    /// The scopes that are asked for; `offline_access` among them lets most issuers give a refresh token.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The parameter `audience` of the requests, which some issuers want.
    #[serde(default)]
    pub audience: Option<String>,
    /// The parameter `resource` of the requests (RFC 8707).
    #[serde(default)]
    pub resource: Option<String>,
    /// The parameter `prompt` of a login with a browser: `consent` where the issuer ignores `offline_access` without it (OpenID
    /// Connect Core 1.0 section 11).
    #[serde(default)]
    pub prompt: Option<String>,
    /// Which of the issuer's tokens is sent to us.
    #[serde(default)]
    pub token: LoginToken,
}

fn default_scopes() -> Vec<String> {
    vec!["openid".to_owned()]
}

/// How people of an issuer log in to the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// The client of the console: one of `clients`, of kind `human`.
    pub client: String,
    /// The file with the client's secret, mode 0600; absent for a public client.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The file with the client's private key, PEM, mode 0600, in place of a secret (`private_key_jwt`).
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The `kid` under which the issuer knows that key, if it knows it by one.
    #[serde(default)]
    pub key_id: Option<String>,
    /// The scopes that are asked for.
    #[serde(default = "console_scopes")]
    pub scopes: Vec<String>,
    /// The parameter `prompt`: `login` where a person has to prove themselves at each login.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The authorities to trust for the issuer's endpoints, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn console_scopes() -> Vec<String> {
    ["openid", "profile"].map(str::to_owned).to_vec()
}

/// Which token of a login is sent to us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginToken {
    /// The access token, which has to be a JWT for one of our audiences.
    #[default]
    Access,
    /// The ID token, whose audience is the client itself. For issuers whose access tokens are not for others to read.
    Id,
}

/// The human who answers for a workload, as their issuer knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerConfig {
    /// The exact identifier of a configured issuer.
    pub issuer: String,
    /// The exact subject.
    pub subject: String,
}
