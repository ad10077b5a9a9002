//! The witness as a program: a folder with a key and a memory, and the one request that logs send to it.
//!
//! Whoever runs it is not whoever runs the logs. What is checked before a checkpoint is cosigned is
//! `gantral_log::witness`; here are the folder, the list of logs, and HTTP. Source: C2SP `tlog-witness`, `spec/log.md`.

mod folder;
mod logs;
mod server;

pub use folder::{FolderError, KeyCosigner, WitnessFolder};
pub use gantral_listen::{ListenError, Listening, TlsFiles};
pub use logs::{LogsError, parse_logs};
pub use server::{StartError, WitnessServer, serve};
