//! One module for each subcommand: arguments in, library calls, words out.

pub mod approvals;
pub mod completions;
pub mod demo;
pub mod demo_agent;
pub mod dev;
pub mod doctor;
pub mod enforce;
pub mod evidence;
pub mod governance;
pub mod instances;
pub mod issuers;
pub mod keys;
pub mod log;
pub mod notifications;
pub mod policy;
pub mod policy_worker;
pub mod proposals;
pub mod runner;
pub mod runner_child;
pub mod script;
pub mod serve;
pub mod shadow;
pub mod verify;
pub mod witness;
pub mod workflows;
