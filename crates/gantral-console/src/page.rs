//! What all pages have in common.

use askama::Template;

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
}

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
