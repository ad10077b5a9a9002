//! The server's own tokens, each good for one attempt of one instance.
//!
//! The agent process that a runner starts gets one of these in place of a workload's own credential: it acts within
//! its attempt and nowhere else, and dies within minutes when nobody renews it. It names the workload that it acts
//! for, with roles, teams and owner as configured at that moment. That the attempt is still the newest is for the
//! authority to say, not for the token.

use std::collections::BTreeSet;

use gantral_core::ids::{ActorId, AttemptNo, IdError, InstanceId, Role, TeamId, TenantId};
use gantral_core::json::{Object, Value};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::claims::{audience, required_text, shown, texts, window};
use crate::config::Executes;
use crate::error::{Fault, TokenError};
use crate::jws::Unverified;
use crate::keys::{JwkSet, KeyError, KeyRing};
use crate::person::HumanSubject;
use crate::principal::{AttemptScope, Facts, Principal, PrincipalKind};
use crate::signing::{IssuedToken, TokenKey, list};
use crate::verifier::TOKEN_BYTES_MAX;

/// The `aud` of attempt tokens.
pub const ATTEMPT_AUDIENCE: &str = "gantral-attempt";
/// How long an attempt token lives unless told otherwise; the runner's heartbeat renews it.
pub const ATTEMPT_TTL: DurationMs = DurationMs::from_secs(300);
/// The longest life of an attempt token, made or accepted.
pub const ATTEMPT_TTL_MAX: DurationMs = DurationMs::from_secs(3_600);
/// The `typ` of attempt tokens, in lower case.
pub(crate) const ATTEMPT_TYPE: &str = "gantral-attempt+jwt";

/// The workload that an attempt acts for, as it stands when the token is made. Where a human created the instance, that
/// human is the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingWorkload {
    /// The tenant of the instance.
    pub tenant: TenantId,
    /// The issuer that knows the client.
    pub issuer: String,
    /// The client: the name under which the attempt acts.
    pub client: ActorId,
    /// A name to show.
    pub display_name: String,
    /// The workload's roles.
    pub roles: BTreeSet<Role>,
    /// The workload's teams.
    pub teams: BTreeSet<TeamId>,
    /// The human who answers for it.
    pub owner: Option<HumanSubject>,
}

/// Why no attempt token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Attempts are numbered from 1.
    #[error("attempt 0 is no attempt")]
    NoAttempt,
    /// Roles, teams and names do not fit into a token.
    #[error("the token would be longer than 8192 bytes: the workload has too many roles or teams")]
    TooLong,
    /// The cryptographic library failed: worth one more try.
    #[error("the token could not be signed")]
    Sign,
}

impl MintError {
    /// Returns who is at fault.
    pub const fn fault(self) -> Fault {
        match self {
            Self::NoAttempt | Self::TooLong => Fault::Us,
            Self::Sign => Fault::Environment,
        }
    }
}

/// Makes and verifies attempt tokens with one key of the server.
///
/// Servers that stand side by side share the key; a server with another key refuses these tokens.
pub struct AttemptTokens {
    key: TokenKey,
    ring: KeyRing,
    issuer: String,
    ttl: DurationMs,
    development: bool,
}

impl AttemptTokens {
    /// Uses `key` for nothing but attempt tokens; `issuer` names the deployment, for example by its public address.
    pub fn new(key: TokenKey, issuer: &str) -> Result<Self, KeyError> {
        let ring = KeyRing::new(&JwkSet { keys: vec![key.public_jwk()] })?;
        Ok(Self { key, ring, issuer: issuer.to_owned(), ttl: ATTEMPT_TTL, development: false })
    }

    /// Sets how long tokens live: at least one second, at most [`ATTEMPT_TTL_MAX`].
    #[must_use]
    pub fn with_ttl(mut self, ttl: DurationMs) -> Self {
        self.ttl = ttl.clamp(DurationMs::from_secs(1), ATTEMPT_TTL_MAX);
        self
    }

    /// Marks every principal of these tokens as a development identity, good on the loopback interface only.
    #[must_use]
    pub fn for_development(mut self) -> Self {
        self.development = true;
        self
    }

    /// Derives 32 bytes that nobody outside the servers of this deployment can guess, the same on each of them for the same purpose and
    /// context; `None` if the cryptographic library fails.
    pub fn derive(&self, purpose: &str, context: &[&[u8]]) -> Option<[u8; 32]> {
        self.key.derive(purpose, context)
    }

    /// Makes a token for one attempt, valid from `now`. Calling it again makes the renewal.
    pub fn mint(
        &self,
        workload: &ActingWorkload,
        scope: AttemptScope,
        now: UnixMillis,
    ) -> Result<IssuedToken, MintError> {
        if scope.attempt == AttemptNo::NONE {
            return Err(MintError::NoAttempt);
        }
        let owner = workload
            .owner
            .as_ref()
            .map(|owner| Object::new().with("issuer", owner.issuer()).with("subject", owner.subject()));
        let claims = Object::new()
            .with("iss", self.issuer.as_str())
            .with("aud", ATTEMPT_AUDIENCE)
            .with("sub", workload.client.as_str())
            .with("tenant", workload.tenant.as_str())
            .with("instance", scope.instance.to_string())
            .with("attempt", scope.attempt.0)
            .with("client_issuer", workload.issuer.as_str())
            .with("name", shown(&workload.display_name))
            .with("roles", list(workload.roles.iter().map(Role::as_str)))
            .with("teams", list(workload.teams.iter().map(TeamId::as_str)))
            .with("owner", owner);
        let token = self.key.issue(ATTEMPT_TYPE, claims, now, self.ttl).ok_or(MintError::Sign)?;
        if token.expose().len() > TOKEN_BYTES_MAX { Err(MintError::TooLong) } else { Ok(token) }
    }

    /// Verifies an attempt token as of `now`; the principal is always a workload with an attempt.
    ///
    /// # Errors
    /// As [`crate::Verifier::verify`]; a token of an issuer is refused with [`TokenError::Type`].
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Principal, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        self.check(Unverified::parse(token)?, now)
    }

    pub(crate) fn check(&self, token: Unverified<'_>, now: UnixMillis) -> Result<Principal, TokenError> {
        if token.typ() != Some(ATTEMPT_TYPE) {
            return Err(TokenError::Type);
        }
        let claims = token.verify(&self.ring)?;
        if required_text(&claims, "iss")? != self.issuer {
            return Err(TokenError::UnknownIssuer);
        }
        audience(&claims, &[ATTEMPT_AUDIENCE.to_owned()])?;
        let window = window(&claims, ATTEMPT_TTL_MAX)?;
        window.check(now)?;
        let instance = parsed(&claims, "instance", InstanceId::parse)?;
        let attempt = claims.get("attempt").and_then(Value::as_u32).filter(|number| *number > 0);
        let attempt = AttemptNo(attempt.ok_or(TokenError::Claim { name: "attempt" })?);
        Ok(Principal::new(Facts {
            tenant: parsed(&claims, "tenant", TenantId::parse)?,
            kind: PrincipalKind::Workload,
            issuer: required_text(&claims, "client_issuer")?.to_owned(),
            subject: required_text(&claims, "sub")?.to_owned(),
            client: parsed(&claims, "sub", ActorId::parse)?,
            display_name: required_text(&claims, "name")?.to_owned(),
            roles: set(&claims, "roles", Role::parse)?,
            teams: set(&claims, "teams", TeamId::parse)?,
            owner: owner(&claims)?,
            executes: Executes::Itself,
            queues: BTreeSet::new(),
            attempt: Some(AttemptScope { instance, attempt }),
            administrator: false,
            development: self.development,
            window,
        }))
    }
}

/// Shows the name of the key and nothing of it.
impl std::fmt::Debug for AttemptTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttemptTokens")
            .field("key", &self.key)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

fn parsed<T>(
    claims: &Object,
    name: &'static str,
    parse: fn(&str) -> Result<T, IdError>,
) -> Result<T, TokenError> {
    parse(required_text(claims, name)?).map_err(|_| TokenError::Claim { name })
}

fn set<T: Ord>(
    claims: &Object,
    name: &'static str,
    parse: fn(&str) -> Result<T, IdError>,
) -> Result<BTreeSet<T>, TokenError> {
    let values = claims.get(name).and_then(texts).ok_or(TokenError::Claim { name })?;
    values.into_iter().map(|value| parse(value).map_err(|_| TokenError::Claim { name })).collect()
}

fn owner(claims: &Object) -> Result<Option<HumanSubject>, TokenError> {
    let wrong = TokenError::Claim { name: "owner" };
    match claims.get("owner").ok_or(wrong)? {
        Value::Null => Ok(None),
        owner => {
            let text = |name| owner.get(name).and_then(Value::as_str).ok_or(wrong);
            HumanSubject::new(text("issuer")?, text("subject")?).map(Some).map_err(|_| wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> UnixMillis {
        UnixMillis::new(1_767_225_600_000).unwrap()
    }

    fn claims() -> Object {
        Object::new()
            .with("iss", "https://gantral.example")
            .with("aud", ATTEMPT_AUDIENCE)
            .with("sub", "agent")
            .with("tenant", "example")
            .with("instance", InstanceId::from_random([7; 16]).to_string())
            .with("attempt", 1_u32)
            .with("client_issuer", "https://id.example")
            .with("name", "Agent")
            .with("roles", Vec::<Value>::new())
            .with("teams", Vec::<Value>::new())
            .with("owner", Value::Null)
    }

    /// Verifies claims that were signed by the right key.
    fn check(tokens: &AttemptTokens, claims: Object) -> Result<(), TokenError> {
        let token = tokens.key.issue(ATTEMPT_TYPE, claims, now(), ATTEMPT_TTL).unwrap();
        tokens.verify(token.expose(), now()).map(|_| ())
    }

    #[test]
    fn claims_that_we_would_not_write_are_refused_though_our_key_signed_them() {
        let tokens = AttemptTokens::new(TokenKey::generate().unwrap(), "https://gantral.example").unwrap();
        assert_eq!(check(&tokens, claims()), Ok(()));
        assert_eq!(check(&tokens, claims().with("aud", "gantral")), Err(TokenError::Audience));
        for (name, value) in [
            ("attempt", Value::from(0_u32)),
            ("attempt", Value::from("1")),
            ("instance", Value::from("7")),
            ("tenant", Value::from("Upper")),
            ("sub", Value::from("with space")),
            ("roles", Value::Null),
            ("teams", Value::from(vec![Value::from("with space")])),
            ("owner", Value::from("bob")),
            ("name", Value::Null),
            ("client_issuer", Value::Null),
        ] {
            assert_eq!(check(&tokens, claims().with(name, value)), Err(TokenError::Claim { name }), "{name}");
        }
    }

    #[test]
    fn a_token_of_our_key_for_another_purpose_is_no_attempt_token() {
        let tokens = AttemptTokens::new(TokenKey::generate().unwrap(), "https://gantral.example").unwrap();
        let token = tokens.key.issue("JWT", claims(), now(), ATTEMPT_TTL).unwrap();
        assert_eq!(tokens.verify(token.expose(), now()).map(|_| ()), Err(TokenError::Type));
        let token = tokens.key.issue(ATTEMPT_TYPE, claims(), now(), DurationMs::from_secs(3_601)).unwrap();
        assert_eq!(tokens.verify(token.expose(), now()).map(|_| ()), Err(TokenError::Lifetime));
    }
}
