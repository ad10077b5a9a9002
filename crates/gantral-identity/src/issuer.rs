//! One issuer as configured, after every name in it was checked.

use std::collections::{BTreeMap, BTreeSet};

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, IdError, Name, Role, TeamId, TenantId};
use gantral_core::time::DurationMs;

use crate::config::{
    ClaimMapping, ClaimPath, ClientConfig, ConsoleConfig, Executes, IdentityConfig, IssuerConfig, KeySource,
    LoginConfig, LoginToken, TenantRule, TokenType,
};
use crate::dev::DEV_ISSUER_URL;
use crate::error::Fault;
use crate::keys::{Algorithm, KeyError, KeyRing};
use crate::person::{HumanSubject, is_identity_text};
use crate::principal::PrincipalKind;
use crate::verifier::Holders;

/// Why a configuration of issuers is refused. All of it is for the operator to mend; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An issuer that is not 1 to 512 bytes without control characters.
    #[error("an issuer is 1 to 512 bytes without control characters")]
    Issuer,
    /// One `iss` value, two configurations.
    #[error("issuer `{issuer}` is configured twice")]
    IssuerTwice {
        /// The issuer.
        issuer: String,
    },
    /// The name of the development issuer, whose key lies on developers' disks.
    #[error("issuer `{issuer}` is the development issuer and cannot be configured")]
    Development {
        /// The issuer.
        issuer: String,
    },
    /// A member that must say something and says nothing.
    #[error("issuer `{issuer}`: `{member}` is empty")]
    Empty {
        /// The issuer.
        issuer: String,
        /// The member.
        member: &'static str,
    },
    /// A text that is not the name it stands for.
    #[error("issuer `{issuer}`: {source}")]
    Name {
        /// The issuer.
        issuer: String,
        /// What is wrong.
        source: IdError,
    },
    /// Its keys cannot be used.
    #[error("issuer `{issuer}`: {source}")]
    Keys {
        /// The issuer.
        issuer: String,
        /// What is wrong.
        source: KeyError,
    },
    /// A member that does not fit the client's kind, in either direction.
    #[error("issuer `{issuer}`, client `{client}`: a {} {rule}", kind.as_str())]
    Client {
        /// The issuer.
        issuer: String,
        /// The client.
        client: String,
        /// Its kind.
        kind: PrincipalKind,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A machine's identifier that looks like a person's: 64 hexadecimal digits.
    #[error("issuer `{issuer}`, client `{client}`: a machine must not be called like a person")]
    LooksLikePerson {
        /// The issuer.
        issuer: String,
        /// The client.
        client: String,
    },
    /// Two machines of one name in one tenant: the records could not tell them apart.
    #[error("client `{client}` of tenant `{tenant}` is configured for two issuers")]
    ClientTwice {
        /// The client.
        client: String,
        /// The tenant that both may act in.
        tenant: TenantId,
    },
    /// A way to log in to the console that could let nobody in.
    #[error("issuer `{issuer}`: `console` {rule}")]
    Console {
        /// The issuer.
        issuer: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A way to log in that could let nobody in.
    #[error("issuer `{issuer}`: `login` {rule}")]
    Login {
        /// The issuer.
        issuer: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The owner of a workload could never be met, so that nothing could be kept apart from them.
    #[error("issuer `{issuer}`, client `{client}`: the owner's issuer is not configured")]
    OwnerIssuer {
        /// The issuer.
        issuer: String,
        /// The client.
        client: String,
    },
}

impl ConfigError {
    /// Returns who is at fault: always the configuration.
    pub const fn fault(&self) -> Fault {
        Fault::Us
    }
}

/// How tenants are found, checked.
pub(crate) enum Tenants {
    Fixed(TenantId),
    Claim { claim: ClaimPath, tenants: BTreeMap<String, TenantId> },
}

/// What claim values stand for; without a map each stands for itself.
pub(crate) type ValueMap<T> = Option<BTreeMap<String, BTreeSet<T>>>;

pub(crate) struct Client {
    pub id: ActorId,
    pub kind: PrincipalKind,
    pub name: String,
    pub tenant: Option<TenantId>,
    pub roles: BTreeSet<Role>,
    pub teams: BTreeSet<TeamId>,
    pub owner: Option<HumanSubject>,
    pub executes: Executes,
    pub queues: BTreeSet<Name>,
    pub require: BTreeMap<String, Vec<String>>,
}

pub(crate) struct Issuer {
    pub url: String,
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    pub token_types: Vec<TokenType>,
    /// The keys that were written down; `None` where the issuer publishes them.
    pub keys: Option<KeyRing>,
    pub tenants: Tenants,
    pub claims: ClaimMapping,
    pub role_map: ValueMap<Role>,
    pub team_map: ValueMap<TeamId>,
    pub admin_roles: BTreeSet<Role>,
    pub lifetime_max: DurationMs,
    pub clients: BTreeMap<String, Client>,
    pub login: Option<LoginConfig>,
    pub development: bool,
}

/// Checks a whole configuration: each issuer by itself, then what they must not share.
pub(crate) fn compile(config: &IdentityConfig) -> Result<BTreeMap<String, Issuer>, ConfigError> {
    let mut issuers = BTreeMap::new();
    for issuer in &config.issuers {
        if issuers.insert(issuer.issuer.clone(), Issuer::new(issuer)?).is_some() {
            return Err(ConfigError::IssuerTwice { issuer: issuer.issuer.clone() });
        }
    }
    let mut machines: BTreeSet<(&ActorId, &TenantId)> = BTreeSet::new();
    for issuer in issuers.values() {
        for client in issuer.clients.values() {
            if client.owner.as_ref().is_some_and(|owner| !issuers.contains_key(owner.issuer())) {
                let (issuer, client) = (issuer.url.clone(), client.id.to_string());
                return Err(ConfigError::OwnerIssuer { issuer, client });
            }
            if client.kind == PrincipalKind::Human {
                continue;
            }
            for tenant in issuer.tenants_of(client) {
                if !machines.insert((&client.id, tenant)) {
                    let (client, tenant) = (client.id.to_string(), tenant.clone());
                    return Err(ConfigError::ClientTwice { client, tenant });
                }
            }
        }
    }
    Ok(issuers)
}

impl Issuer {
    fn new(config: &IssuerConfig) -> Result<Self, ConfigError> {
        let issuer = &config.issuer;
        if !is_identity_text(issuer) {
            return Err(ConfigError::Issuer);
        }
        if issuer == DEV_ISSUER_URL && !config.development {
            return Err(ConfigError::Development { issuer: issuer.clone() });
        }
        let empty = |member| Err(ConfigError::Empty { issuer: issuer.clone(), member });
        if config.audiences.is_empty() || config.audiences.iter().any(String::is_empty) {
            return empty("audiences");
        }
        if config.algorithms.is_empty() {
            return empty("algorithms");
        }
        if config.token_types.is_empty() {
            return empty("token_types");
        }
        if config.claims.client.is_empty() {
            return empty("claims.client");
        }
        let keys = match &config.keys {
            KeySource::Static(set) => {
                let wrong = |source| ConfigError::Keys { issuer: issuer.clone(), source };
                Some(KeyRing::new(set).map_err(wrong)?)
            }
            KeySource::Published(_) => None,
        };
        if let Some(rule) = config.login.as_ref().and_then(|login| unusable(login, config)) {
            return Err(ConfigError::Login { issuer: issuer.clone(), rule });
        }
        if let Some(rule) = config.console.as_ref().and_then(|console| unusable_console(console, config)) {
            return Err(ConfigError::Console { issuer: issuer.clone(), rule });
        }
        let name = |source| ConfigError::Name { issuer: issuer.clone(), source };
        let clients =
            config.clients.iter().map(|(id, client)| Ok((id.clone(), Client::new(issuer, id, client)?)));
        Ok(Self {
            url: issuer.clone(),
            audiences: config.audiences.clone(),
            algorithms: config.algorithms.clone(),
            token_types: config.token_types.clone(),
            keys,
            tenants: Tenants::new(&config.tenant).map_err(name)?,
            claims: config.claims.clone(),
            role_map: value_map(config.claims.role_map.as_ref(), Role::parse).map_err(name)?,
            team_map: value_map(config.claims.team_map.as_ref(), TeamId::parse).map_err(name)?,
            admin_roles: names(&config.admin_roles, Role::parse).map_err(name)?,
            lifetime_max: DurationMs::from_secs(config.token_lifetime_seconds_max),
            clients: clients.collect::<Result<_, ConfigError>>()?,
            login: config.login.clone(),
            development: config.development,
        })
    }

    /// Tells whether an access token of this issuer may have this `typ`, in lower case and without `application/`.
    pub(crate) fn accepts_type(&self, typ: Option<&str>) -> bool {
        self.token_types.iter().any(|accepted| accepted.matches(typ))
    }

    /// Tells whether a human of this issuer may come to act in a tenant.
    pub(crate) fn has_humans_of(&self, tenant: &TenantId) -> bool {
        let mut humans = self.clients.values().filter(|client| client.kind == PrincipalKind::Human);
        humans.any(|client| self.tenants_of(client).contains(tenant))
    }

    /// Returns what the configuration says about humans of this issuer who hold a role.
    pub(crate) fn holders(&self, role: &Role) -> Holders {
        match (&self.claims.roles, &self.role_map) {
            (None, _) => Holders::Nobody,
            (Some(_), None) => Holders::Unknown,
            (Some(_), Some(map)) if map.values().any(|roles| roles.contains(role)) => Holders::Named,
            (Some(_), Some(_)) => Holders::Nobody,
        }
    }

    /// Returns every tenant that a client of this issuer may come to act in.
    pub(crate) fn tenants_of<'a>(&'a self, client: &'a Client) -> BTreeSet<&'a TenantId> {
        match (&client.tenant, &self.tenants) {
            (Some(tenant), _) | (None, Tenants::Fixed(tenant)) => BTreeSet::from([tenant]),
            (None, Tenants::Claim { tenants, .. }) => tenants.values().collect(),
        }
    }
}

impl Tenants {
    fn new(rule: &TenantRule) -> Result<Self, IdError> {
        match rule {
            TenantRule::Fixed(tenant) => Ok(Self::Fixed(TenantId::parse(tenant)?)),
            TenantRule::Claim { claim, tenants } => {
                let tenants =
                    tenants.iter().map(|(value, tenant)| Ok((value.clone(), TenantId::parse(tenant)?)));
                Ok(Self::Claim { claim: claim.clone(), tenants: tenants.collect::<Result<_, IdError>>()? })
            }
        }
    }
}

impl Client {
    fn new(issuer: &str, id: &str, config: &ClientConfig) -> Result<Self, ConfigError> {
        let name = |source| ConfigError::Name { issuer: issuer.to_owned(), source };
        let broken = |rule| ConfigError::Client {
            issuer: issuer.to_owned(),
            client: id.to_owned(),
            kind: config.kind,
            rule,
        };
        if let Some(rule) = misfit(config) {
            return Err(broken(rule));
        }
        if config.kind != PrincipalKind::Human && Digest::parse(id).is_ok() {
            return Err(ConfigError::LooksLikePerson { issuer: issuer.to_owned(), client: id.to_owned() });
        }
        let owner = config.owner.as_ref().map(|owner| HumanSubject::new(&owner.issuer, &owner.subject));
        Ok(Self {
            id: ActorId::parse(id).map_err(name)?,
            kind: config.kind,
            name: config.name.clone().unwrap_or_else(|| id.to_owned()),
            tenant: config.tenant.as_deref().map(TenantId::parse).transpose().map_err(name)?,
            roles: names(&config.roles, Role::parse).map_err(name)?,
            teams: names(&config.teams, TeamId::parse).map_err(name)?,
            owner: owner.transpose().map_err(|_| broken("needs an owner with an issuer and a subject"))?,
            executes: config.executes,
            queues: names(&config.queues, Name::parse).map_err(name)?,
            require: config.require.clone(),
        })
    }
}

/// Returns the rule that a client's configuration breaks. What its kind could not use is refused and not ignored: it
/// shows that the operator meant something else.
fn misfit(config: &ClientConfig) -> Option<&'static str> {
    let ClientConfig { kind, name: _, tenant: _, roles, teams, owner, executes, queues, require: _ } = config;
    let intercepts = *executes == Executes::Interceptor;
    match kind {
        PrincipalKind::Human if !roles.is_empty() || !teams.is_empty() => {
            Some("has roles and teams from claims, not from its client")
        }
        PrincipalKind::Human if owner.is_some() || !queues.is_empty() => Some("has no owner and no queues"),
        PrincipalKind::Orchestrator
            if owner.is_some() || !roles.is_empty() || !teams.is_empty() || !queues.is_empty() =>
        {
            Some("is of its whole tenant: it has no owner, no roles, no teams and no queues")
        }
        PrincipalKind::Human | PrincipalKind::Runner | PrincipalKind::Orchestrator if intercepts => {
            Some("is no interceptor: only a workload is one")
        }
        PrincipalKind::Workload if owner.is_none() => Some("needs an owner"),
        PrincipalKind::Workload if !queues.is_empty() => Some("has no queues"),
        PrincipalKind::Runner if queues.is_empty() => Some("needs a queue"),
        PrincipalKind::Runner if owner.is_some() || !roles.is_empty() => Some("has no owner and no roles"),
        PrincipalKind::Human
        | PrincipalKind::Workload
        | PrincipalKind::Runner
        | PrincipalKind::Orchestrator => None,
    }
}

/// Returns the rule that a way to log in to the console breaks.
fn unusable_console(console: &ConsoleConfig, config: &IssuerConfig) -> Option<&'static str> {
    let ConsoleConfig { client, secret_file, key_file, key_id, scopes, prompt, ca_file: _ } = console;
    if config.clients.get(client).is_none_or(|client| client.kind != PrincipalKind::Human) {
        return Some("names a `client` that is none of `clients` of kind `human`");
    }
    if secret_file.is_some() && key_file.is_some() {
        return Some("has both `secret_file` and `key_file`");
    }
    if key_id.is_some() && key_file.is_none() {
        return Some("has a `key_id` without a `key_file`");
    }
    if !scopes.iter().all(|scope| is_scope(scope)) || !scopes.iter().any(|scope| scope == "openid") {
        return Some("has `scopes` that are none, or lack `openid`");
    }
    let fits = prompt.as_deref().is_none_or(is_identity_text);
    (!fits).then_some("has a `prompt` that is not 1 to 512 bytes without control characters")
}

/// RFC 6749 section 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Returns the rule that a way to log in breaks.
fn unusable(login: &LoginConfig, config: &IssuerConfig) -> Option<&'static str> {
    let LoginConfig { client, scopes, audience, resource, prompt, token } = login;
    if config.clients.get(client).is_none_or(|client| client.kind != PrincipalKind::Human) {
        return Some("names a `client` that is none of `clients` of kind `human`");
    }
    if !scopes.iter().all(|scope| is_scope(scope)) {
        return Some("has `scopes` that are none");
    }
    if [audience, resource, prompt].into_iter().flatten().any(|text| !is_identity_text(text)) {
        return Some(
            "has an `audience`, `resource` or `prompt` that is not 1 to 512 bytes without control characters",
        );
    }
    let asked = scopes.iter().any(|scope| scope == "openid");
    match token {
        LoginToken::Id if !asked => Some("sends ID tokens, and `scopes` lacks `openid`"),
        LoginToken::Id if !config.audiences.contains(client) => {
            Some("sends ID tokens, whose audience is `client`: name it in `audiences`")
        }
        LoginToken::Id | LoginToken::Access => None,
    }
}

fn names<T: Ord>(texts: &[String], parse: fn(&str) -> Result<T, IdError>) -> Result<BTreeSet<T>, IdError> {
    texts.iter().map(|text| parse(text)).collect()
}

fn value_map<T: Ord>(
    map: Option<&BTreeMap<String, Vec<String>>>,
    parse: fn(&str) -> Result<T, IdError>,
) -> Result<ValueMap<T>, IdError> {
    map.map(|map| map.iter().map(|(value, texts)| Ok((value.clone(), names(texts, parse)?))).collect())
        .transpose()
}
