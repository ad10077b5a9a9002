//! From the claims of a verified token to a principal, by the rules of its issuer and client.

use std::collections::BTreeSet;

use gantral_core::ids::{IdError, Role, TeamId, TenantId};
use gantral_core::json::{Object, Value};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::config::ClaimPath;
use crate::error::TokenError;
use crate::issuer::{Client, Issuer, Tenants, ValueMap};
use crate::person::is_identity_text;
use crate::principal::{Facts, Principal, PrincipalKind, Window};

/// The longest name to show, in bytes.
const DISPLAY_NAME_BYTES_MAX: usize = 128;
/// The most roles, and the most teams, of one human: a bound on what travels into policy input.
const MEMBERSHIPS_MAX: usize = 256;

/// Makes a principal of claims whose signature was checked against a key of `issuer`.
pub(crate) fn principal(issuer: &Issuer, claims: &Object, now: UnixMillis) -> Result<Principal, TokenError> {
    let client = client_of(issuer, claims, now)?;
    principal_of(issuer, client, claims, window(claims, issuer.lifetime_max)?)
}

/// Returns the client of claims that are good at `now` as those of an access token.
pub(crate) fn client_of<'a>(
    issuer: &'a Issuer,
    claims: &Object,
    now: UnixMillis,
) -> Result<&'a Client, TokenError> {
    audience(claims, &issuer.audiences)?;
    window(claims, issuer.lifetime_max)?.check(now)?;
    undelegated(claims)?;
    client(issuer, claims)
}

/// Refuses claims by which somebody else acts. RFC 8693 section 4.1 and RFC 7800 section 3.1: with these, whoever presents the
/// token is not, or is not only, its subject. To ignore them would turn an agent that acts for a human into that human.
pub(crate) fn undelegated(claims: &Object) -> Result<(), TokenError> {
    if claims.get("act").is_some() || claims.get("cnf").is_some() {
        return Err(TokenError::Delegated);
    }
    Ok(())
}

/// Makes a principal of claims that were checked, by what the configuration says of issuer and client.
pub(crate) fn principal_of(
    issuer: &Issuer,
    client: &Client,
    claims: &Object,
    window: Window,
) -> Result<Principal, TokenError> {
    let subject = required_text(claims, "sub")?;
    if !is_identity_text(subject) {
        return Err(TokenError::Claim { name: "sub" });
    }
    let required = |(claim, values): (&String, &Vec<String>)| {
        let found = claims.get(claim).and_then(texts).unwrap_or_default();
        found.iter().any(|found| values.iter().any(|value| value == found))
    };
    if !client.require.iter().all(required) {
        return Err(TokenError::Requirement);
    }
    let tenant = tenant(issuer, client, claims)?;
    let (display_name, roles, teams) = match client.kind {
        PrincipalKind::Human => human(issuer, client, claims, subject)?,
        PrincipalKind::Workload | PrincipalKind::Runner | PrincipalKind::Orchestrator => {
            (client.name.clone(), client.roles.clone(), client.teams.clone())
        }
    };
    let administrator = client.kind == PrincipalKind::Human && !roles.is_disjoint(&issuer.admin_roles);
    Ok(Principal::new(Facts {
        tenant,
        kind: client.kind,
        issuer: issuer.url.clone(),
        subject: subject.to_owned(),
        client: client.id.clone(),
        display_name: shown(&display_name),
        roles,
        teams,
        owner: client.owner.clone(),
        executes: client.executes,
        queues: client.queues.clone(),
        attempt: None,
        administrator,
        development: issuer.development,
        window,
    }))
}

/// Checks that `aud`, a text or a list of texts, names one of ours (RFC 7519 section 4.1.3).
pub(crate) fn audience(claims: &Object, ours: &[String]) -> Result<(), TokenError> {
    let found = claims.get("aud").and_then(texts).ok_or(TokenError::Claim { name: "aud" })?;
    if found.iter().any(|found| ours.iter().any(|our| our == found)) {
        Ok(())
    } else {
        Err(TokenError::Audience)
    }
}

/// Reads `iat`, `exp` and, if it is there, `nbf`: whole seconds. `iat` is demanded, as in RFC 9068, because without it
/// nobody can tell how long a token was meant to live.
pub(crate) fn window(claims: &Object, lifetime_max: DurationMs) -> Result<Window, TokenError> {
    let issued = seconds(claims, "iat")?.ok_or(TokenError::Claim { name: "iat" })?;
    let ends = seconds(claims, "exp")?.ok_or(TokenError::Claim { name: "exp" })?;
    let not_before = seconds(claims, "nbf")?.unwrap_or(issued);
    if ends <= issued {
        return Err(TokenError::Claim { name: "exp" });
    }
    if ends.since(issued) > lifetime_max {
        return Err(TokenError::Lifetime);
    }
    Ok(Window { starts: issued.max(not_before), ends })
}

/// Returns a top-level text that must be there.
pub(crate) fn required_text<'a>(claims: &'a Object, name: &'static str) -> Result<&'a str, TokenError> {
    claims.get(name).and_then(Value::as_str).ok_or(TokenError::Claim { name })
}

/// Returns one text as a list, or a list of nothing but texts.
pub(crate) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn seconds(claims: &Object, name: &'static str) -> Result<Option<UnixMillis>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let millis = value.as_u64().and_then(|seconds| seconds.checked_mul(1_000));
    let instant = millis.and_then(|millis| UnixMillis::new(millis).ok());
    instant.map(Some).ok_or(TokenError::Claim { name })
}

fn client<'a>(issuer: &'a Issuer, claims: &Object) -> Result<&'a Client, TokenError> {
    let mut found = None;
    for value in issuer.claims.client.iter().filter_map(|name| claims.get(name)) {
        let value = value.as_str().ok_or(TokenError::Claim { name: "client" })?;
        if found.is_some_and(|found| found != value) {
            return Err(TokenError::Claim { name: "client" });
        }
        found = Some(value);
    }
    issuer.clients.get(found.ok_or(TokenError::Claim { name: "client" })?).ok_or(TokenError::UnknownClient)
}

/// Finds the tenant. A claim that the issuer's rule reads can choose among the configured ones, or contradict the
/// client's; it can never add one.
fn tenant(issuer: &Issuer, client: &Client, claims: &Object) -> Result<TenantId, TokenError> {
    let claimed = match &issuer.tenants {
        Tenants::Fixed(tenant) => return Ok(client.tenant.as_ref().unwrap_or(tenant).clone()),
        Tenants::Claim { claim, tenants } => match at(claims, claim) {
            None => None,
            Some(value) => {
                Some(value.as_str().and_then(|value| tenants.get(value)).ok_or(TokenError::Tenant)?)
            }
        },
    };
    match (client.tenant.as_ref(), claimed) {
        (Some(own), Some(claimed)) if own != claimed => Err(TokenError::Tenant),
        (Some(tenant), _) | (None, Some(tenant)) => Ok(tenant.clone()),
        (None, None) => Err(TokenError::Tenant),
    }
}

type Human = (String, BTreeSet<Role>, BTreeSet<TeamId>);

fn human(issuer: &Issuer, client: &Client, claims: &Object, subject: &str) -> Result<Human, TokenError> {
    // RFC 9068 section 5: a client that speaks for itself is its own subject, and is no human.
    if subject == client.id.as_str() {
        return Err(TokenError::Requirement);
    }
    let mapping = &issuer.claims;
    let name = at(claims, &mapping.name).and_then(Value::as_str).unwrap_or_default();
    let roles = memberships(claims, mapping.roles.as_ref(), &issuer.role_map, Role::parse, "roles")?;
    let teams = memberships(claims, mapping.teams.as_ref(), &issuer.team_map, TeamId::parse, "teams")?;
    Ok((name.to_owned(), roles, teams))
}

fn memberships<T: Ord + Clone>(
    claims: &Object,
    path: Option<&ClaimPath>,
    map: &ValueMap<T>,
    parse: fn(&str) -> Result<T, IdError>,
    name: &'static str,
) -> Result<BTreeSet<T>, TokenError> {
    let Some(value) = path.and_then(|path| at(claims, path)) else { return Ok(BTreeSet::new()) };
    let values = texts(value).ok_or(TokenError::Claim { name })?;
    let found: BTreeSet<T> = match map {
        Some(map) => values.iter().filter_map(|value| map.get(*value)).flatten().cloned().collect(),
        None => values.iter().filter_map(|value| parse(value).ok()).collect(),
    };
    if found.len() > MEMBERSHIPS_MAX { Err(TokenError::Claim { name }) } else { Ok(found) }
}

fn at<'a>(claims: &'a Object, path: &ClaimPath) -> Option<&'a Value> {
    match path {
        ClaimPath::Name(name) => claims.get(name),
        ClaimPath::Nested(names) => {
            let (first, rest) = names.split_first()?;
            rest.iter().try_fold(claims.get(first)?, |value, name| value.get(name))
        }
    }
}

/// Returns at most 128 bytes of a name, with what hides, reorders or controls text made visible.
pub(crate) fn shown(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let c = if c.is_control() || is_invisible(c) { '\u{fffd}' } else { c };
        if out.len() + c.len_utf8() > DISPLAY_NAME_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}

/// Zero-width characters, bidirectional controls, separators, variation selectors and tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_to_show_is_bounded_and_cannot_hide_or_reorder_text() {
        assert_eq!(shown("Alice\u{202e}ecilA\u{200b}\n"), "Alice\u{fffd}ecilA\u{fffd}\u{fffd}");
        assert_eq!(shown(&"ä".repeat(500)).len(), DISPLAY_NAME_BYTES_MAX);
        assert_eq!(shown("Zoë 王"), "Zoë 王");
    }
}
