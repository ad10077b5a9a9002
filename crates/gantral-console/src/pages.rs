//! One type for each page: what it shows.

mod actors;
mod gate;
mod inbox;
mod instances;
mod plain;

pub use gate::{ChangesPage, DecidedPage, GatePage};
pub use inbox::InboxPage;
pub use instances::{InstancePage, InstancesPage, Moment, Story};
pub use plain::{HelpPage, LoginPage, Person, ProblemPage};
