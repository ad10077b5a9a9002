//! What a program was told to believe, out of band: issuer keys and a tenant.

use std::path::{Path, PathBuf};

use clap::Args;
use gantral_core::ids::TenantId;
use gantral_edge::runner::Pinned;
use gantral_evidence::trust::Trust;
use gantral_identity::DEV_TENANT;

use crate::connection::Target;
use crate::failure::Failure;

/// Options of whatever acts on a server's word only as far as a pinned key signed it.
#[derive(Debug, Args)]
pub struct PinnedArgs {
    /// The trust file that you pinned: nothing is done that its keys did not sign
    #[arg(long, value_name = "FILE", env = "GANTRAL_TRUST", hide_env_values = true)]
    trust: Option<PathBuf>,
    /// The tenant to work for, and no other
    #[arg(long, env = "GANTRAL_TENANT", hide_env_values = true)]
    tenant: Option<String>,
}

impl PinnedArgs {
    /// Returns what is pinned: what was said, or what `gantral dev` wrote.
    pub fn of(&self, target: &Target) -> Result<Pinned, Failure> {
        let trust = match (&self.trust, &target.dev) {
            (Some(trust), _) => read_trust(trust)?,
            (None, Some(dev)) => read_trust(&dev.trust())?,
            (None, None) => {
                return Err(Failure::new("no trust file").hint(
                    "give `--trust FILE` with the issuer keys that you pinned: no server is believed by its word",
                ));
            }
        };
        let tenant = match (&self.tenant, &target.dev) {
            (Some(tenant), _) => tenant.as_str(),
            (None, Some(_)) => DEV_TENANT,
            (None, None) => return Err(Failure::new("no tenant").hint("give `--tenant TENANT`")),
        };
        let tenant = TenantId::parse(tenant)
            .map_err(|error| Failure::new(format!("`{tenant}` is no tenant: {error}")))?;
        Ok(Pinned { trust, tenant })
    }
}

fn read_trust(path: &Path) -> Result<Trust, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    Trust::parse(&bytes).map_err(|error| Failure::file("use", path, &error))
}
