//! Whoever the server sees, as people read it.

use gantral_api::wire::Me;
use gantral_core::json::text::inert;

use super::row;

/// Returns them in one line.
pub fn line(me: &Me) -> String {
    let (roles, teams) = memberships(me);
    format!("{}, a {} of tenant {}; roles {roles}; teams {teams}", name(me), me.kind, me.tenant)
}

/// Returns them line by line.
pub fn rows(me: &Me) -> String {
    let (roles, teams) = memberships(me);
    [
        row("who", format_args!("{}, a {}", name(me), me.kind)),
        row("id", &me.id),
        row("issuer", inert(&me.issuer)),
        row("tenant", &me.tenant),
        row("roles", roles),
        row("teams", teams),
    ]
    .concat()
}

fn name(me: &Me) -> String {
    me.display.as_deref().map_or_else(|| me.id.to_string(), inert)
}

fn memberships(me: &Me) -> (String, String) {
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let roles = me.roles.iter().map(ToString::to_string).collect();
    (list(roles), list(me.teams.iter().map(ToString::to_string).collect()))
}
