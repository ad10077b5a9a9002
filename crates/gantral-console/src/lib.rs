//! The pages of the console: what the API answers, as people see it.
//!
//! Values of the wire go in, HTML comes out; who may see what is decided before. No page needs a script, each is one document, and
//! nothing on it is loaded from elsewhere.
//!
//! Text that an agent or a policy wrote is never markup: templates escape everything, and [`Inert`] shows characters that act, hide
//! or reorder by their number. It stands below what is certain, and is labelled.

mod action;
mod assets;
mod chart;
mod inert;
mod kept;
mod page;
pub mod pages;
mod when;
mod words;

pub use action::{Field, FieldKind, FormError, changed};
pub use assets::{ASSETS, Asset, CONTENT_SECURITY_POLICY};
pub use inert::Inert;
pub use kept::Kept;
pub use page::{Page, RenderError, Shell, Who};
