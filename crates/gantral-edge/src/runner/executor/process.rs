//! Commands as processes of this machine, each below a guardian and, where the system has them, in a control group.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::PipeReader;
use std::path::{Path, PathBuf};

use super::{StartError, Work};
use crate::child::{CgroupError, Cgroups, Launched, Plan};
use crate::runner::RunnerConfig;
use crate::runner::secrets::inherited;

/// What launches processes.
#[derive(Debug)]
pub(in crate::runner) struct Process {
    cgroups: Option<Cgroups>,
}

impl Process {
    pub(super) fn open(config: &RunnerConfig, work: &Path) -> Result<Self, CgroupError> {
        let cgroups = Cgroups::open(&config.cgroups, &config.group_limits, work)?;
        tracing::debug!(groups = cgroups.is_some(), "control groups");
        Ok(Self { cgroups })
    }

    pub(super) async fn launch(&self, work: Work<'_>) -> Result<(Launched, PipeReader), StartError> {
        let config = work.config;
        let mut environment = inherited(&config.inherit, |name| std::env::var_os(name));
        find_own_program(&mut environment);
        environment.extend(work.secrets);
        environment.extend(work.facts.variables(&work.paths));
        let groups = self.cgroups.as_ref();
        let name = format!("{}-{}", work.facts.instance, work.facts.attempt);
        let plan = Plan {
            command: work.command,
            environment: &environment,
            directory: config.command_dir.as_deref(),
            limits: &config.limits,
            cgroup: groups.map(|groups| groups.attempt(&name)).transpose()?,
            after: &[],
            until: work.lease.kill_at(),
        };
        Ok(config.launcher.launch(plan).await?)
    }
}

/// Lets scripts find the program that they were launched by, after everything else on the path.
fn find_own_program(environment: &mut BTreeMap<OsString, OsString>) {
    let own = std::env::current_exe().ok().and_then(|program| program.parent().map(PathBuf::from));
    let Some(own) = own else { return };
    let path = environment.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()).chain([own]);
    if let Ok(joined) = std::env::join_paths(folders) {
        environment.insert("PATH".into(), joined);
    }
}
