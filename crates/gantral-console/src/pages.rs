//! One type for each page: what it shows.

mod actors;
mod acts;
mod delegations;
mod freezes;
mod gate;
mod inbox;
mod instances;
mod log;
mod observed;
mod passkeys;
mod plain;
mod policies;
mod proposals;
mod rules;
mod signing;
mod standing;

pub use acts::Acts;
pub use delegations::DelegationsPage;
pub use freezes::FreezesPage;
pub use gate::{ChangesPage, DecidedPage, GatePage};
pub use inbox::InboxPage;
pub use instances::{InstancePage, InstancesPage, Moment, Story};
pub use log::{LogPage, ShownLog, ShownWitness};
pub use observed::{ObservedFilters, ObservedPage};
pub use passkeys::PasskeysPage;
pub use plain::{HelpPage, LoginPage, Person, ProblemPage};
pub use policies::{PoliciesPage, PolicyFile, PolicyPage};
pub use proposals::{ProposalPage, ProposalsPage};
pub use rules::{GovernedPage, HistoryPage};
pub use signing::Signing;
pub use standing::StandingPage;
