//! Temporal as the orchestrator of a fleet of Gantral.
//!
//! Temporal keeps time, dispatches and retries, across machines and for as long as it takes; the authority stays with the server, whose client
//! this is. One workflow runs for each instance ([`execution`]). It is told where the instance stands, and says two things to the API: look
//! at the instance now, because something of it is due; and runners may claim its next attempt. Everything else it only waits for.
//!
//! Nothing here can grant, decide or end anything: the API has no such route for an orchestrator. What stands in Temporal is a copy of
//! references and digests, and may be thrown away: from the API alone everything is started again ([`keeping`]).
//!
//! A decision never travels through Temporal. It is in the ledger before anybody is told, and is told again until Temporal has acknowledged
//! it. A signal is acknowledged when it is durable, worker or not; an update would be only once a worker has accepted it.

pub mod activities;
pub mod bridge;
pub mod execution;
mod failure;
pub mod keeping;
pub mod names;
mod time;
mod watch;
