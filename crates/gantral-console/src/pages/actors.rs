//! On whose behalf something is done.

use gantral_api::wire::RequesterView;

use crate::words::actor;

/// Returns a chain of requesters, the outermost first.
pub(super) fn on_behalf_of(chain: &[RequesterView]) -> String {
    let links = chain.iter().map(|link| {
        let name = link.display.clone().unwrap_or_else(|| actor(link.id.as_str()));
        format!("{name} ({})", link.kind)
    });
    links.collect::<Vec<_>>().join(" → ")
}
