//! The binary as people, scripts and agents meet it: processes, files, exit statuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod approvals;
mod archive;
mod auditors;
mod away;
mod backup;
mod break_glass;
mod captured;
mod certificates;
mod commands;
mod console;
mod consoles;
mod containers;
mod copying;
mod delegations;
mod demo;
mod deployment;
mod dev;
mod directory;
mod doctor;
mod document;
mod documents;
mod examples;
mod faults;
mod freezes;
mod help;
mod hooks;
mod http;
mod identity;
mod keys;
mod login;
mod loss;
mod machines;
mod mcp;
mod monitor;
mod nodes;
mod notifications;
mod offline;
mod oversight;
mod passkeys;
mod policies;
mod proposals;
mod provider;
mod python_client;
mod replay;
mod retention;
mod runner;
mod scripts;
mod secrets;
mod serve;
mod shadow;
mod support;
mod temporal;
mod terminals;
mod told;
mod tutorials;
mod typescript;
mod windows;
mod witness;
