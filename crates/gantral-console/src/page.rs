//! What all pages have in common.

use askama::Template;
use gantral_api::wire::text;
use gantral_core::time::UnixMillis;

use crate::when::When;

/// A page that cannot be written. The fault is ours.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be written: {0}")]
pub struct RenderError(#[from] askama::Error);

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Who {
    /// A name to show. Untrusted.
    pub name: String,
    /// Their tenant.
    pub tenant: String,
    /// Their roles, in words.
    pub roles: String,
    /// Whether a development issuer vouches, which proves nothing.
    pub development: bool,
    /// What a form has to send along, so that no other page can send it.
    pub csrf: String,
}

/// The frame around a page.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Who is logged in; nobody on the pages before a login.
    pub who: Option<Who>,
    /// The path of the page.
    pub path: String,
    /// The present.
    pub now: UnixMillis,
    /// A number that no other page has, so that a form of it that is sent twice counts once.
    pub key: String,
}

impl Shell {
    /// Shows an instant of the wire, and how far away it is.
    pub(crate) fn when(&self, at: &text::Time) -> When {
        When { at: at.into_inner(), now: self.now }
    }

    /// Tells whether the page is the one of a path, or below it.
    pub(crate) fn is_within(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the pages about rules and proof: path and name.
    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    pub(crate) const fn oversight(&self) -> &'static [(&'static str, &'static str)] {
        &OVERSIGHT
    }

    /// Tells whether the page is one of those.
    pub(crate) fn is_oversight(&self) -> bool {
        OVERSIGHT.iter().any(|(path, _)| self.is_within(path))
    }
}

/// The pages about rules and proof. Whoever may read the API of a tenant may read them.
const OVERSIGHT: [(&str, &str); 6] = [
    ("/console/policies", "Policies"),
    ("/console/proposals", "Proposals"),
    ("/console/freezes", "Freezes"),
    ("/console/observed", "Observed"),
    ("/console/history", "History"),
    ("/console/log", "Log"),
];

/// One page.
pub trait Page: Template {
    /// Writes the document.
    ///
    /// # Errors
    /// `RenderError`.
    fn html(&self) -> Result<String, RenderError> {
        Ok(self.render()?)
    }
}
