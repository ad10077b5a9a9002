//! Several servers upon one PostgreSQL database, as a load balancer without memory would use them.

mod crowd;
mod dumps;
mod faults;
pub mod fleet;
mod kills;
mod life;
mod limits;
mod starts;
mod trial;
