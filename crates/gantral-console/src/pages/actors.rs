//! Whom identifiers name.

use gantral_api::wire::RequesterView;
use gantral_core::digest::Digest;

/// Returns whom an identifier names: a person is a digest, of which the beginning tells enough.
pub(super) fn shown_actor(id: &str) -> String {
    match Digest::parse(id) {
        Ok(_) => format!("person {}", id.chars().take(12).collect::<String>()),
        Err(_) => id.to_owned(),
    }
}

/// Returns a chain of requesters, the outermost first.
pub(super) fn on_behalf_of(chain: &[RequesterView]) -> String {
    let links = chain.iter().map(|link| {
        let name = link.display.clone().unwrap_or_else(|| shown_actor(link.id.as_str()));
        format!("{name} ({})", link.kind)
    });
    links.collect::<Vec<_>>().join(" → ")
}
