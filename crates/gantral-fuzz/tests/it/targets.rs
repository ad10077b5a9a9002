//! Targets, each for a moment; `GANTRAL_FUZZ_SECONDS` says how long.

use std::sync::OnceLock;

use gantral_fuzz::runner::Terms;
use gantral_fuzz::seeds::{self, Vectors};
use gantral_fuzz::targets::{TARGETS, find};

use crate::alone;

fn vectors() -> &'static Vectors {
    static VECTORS: OnceLock<Vectors> = OnceLock::new();
    VECTORS.get_or_init(|| Vectors::load().unwrap())
}

#[track_caller]
fn keeps_its_promises(name: &str) {
    let _alone = alone();
    let target = find(name).unwrap();
    let seeds = seeds::of(target, vectors()).unwrap();
    match Terms::from_environment().run(target, &seeds) {
        Ok(tally) => {
            println!("{name}: {tally:?}");
            assert!(tally.seeds_accepted > 0, "{name} reads none of its {} seeds", tally.seeds);
            assert!(tally.tried > 0, "{name}: no damaged seed was tried");
        }
        Err(failure) => panic!("{failure}"),
    }
}

macro_rules! every_target {
    ($($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { keeps_its_promises(stringify!($name)); })+

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),+];
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, run);
        }
    };
}

every_target!(
    json_document,
    json_artifact,
    words,
    statement,
    governance,
    envelope,
    delegation,
    disclosure,
    trust,
    receipts,
    assertion,
    enrolment,
    client_data,
    authenticator_data,
    es256,
    window,
    instances,
    mode_lease,
    proposal,
    leaf,
    note,
    checkpoint,
    log_proof,
    log_consistency,
    log_policy,
    log_key,
    witness_request,
    mirror,
    tiles,
    monitor_state,
    archive_segment,
    archive_head,
    tar,
    manifest,
    bundle,
    bundle_files,
    http_path,
    http_rules,
    http_envoy_check,
    http_envoy_logs,
    http_access,
    mcp_message,
    mcp_events,
    mcp_state,
    policy_archive,
    policy_tar,
    policy_output,
    opa_answer,
    policy_input,
    workflow,
    hook,
    command,
    secret_request,
    api_body,
    token,
    key_set,
    keys_json,
    traceparent,
);

#[test]
fn every_committed_seed_is_of_a_target() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(find(&name).is_some(), "{name}");
    }
}
