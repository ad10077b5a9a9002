use gantral_core::ids::TenantId;
use gantral_evidence::trust::Trust;

use super::super::Pinned;
use super::super::executor::{EngineKind, ExecutorConfig, Pull};
use super::*;
use crate::child::Launcher;

fn config() -> RunnerConfig {
    let trust = Trust::parse(include_bytes!("../../../../../spec/vectors/bundles/002-overridden/trust.json"))
        .unwrap();
    let pinned = Pinned { trust, tenant: TenantId::parse("acme").unwrap() };
    let launcher = Launcher { program: "/bin/true".into(), arguments: Vec::new() };
    RunnerConfig::new(vec![Name::parse("named").unwrap()], pinned, "/nowhere".into(), launcher)
}

fn applied(settings: serde_json::Value) -> Result<RunnerConfig, SettingsError> {
    let settings: RunnerSettings = serde_json::from_value(settings).unwrap();
    let mut config = config();
    settings.apply(&mut config).map(|()| config)
}

#[test]
fn what_the_file_says_counts_and_the_rest_stays() {
    let config = applied(serde_json::json!({
        "concurrency": 4, "drain": "10m", "cgroups": "none",
        "queues": {"payments": {"max_concurrent": 2}, "named": {}},
        "limits": {"time": "1h", "cpu_time": "1500ms", "open_files": 64, "memory": "512MiB", "output": 1000},
    }))
    .unwrap();
    let queues: Vec<&str> = config.queues.iter().map(Name::as_str).collect();
    assert_eq!(queues, ["named", "payments"]);
    assert_eq!(config.per_queue.len(), 1);
    assert_eq!((config.concurrency.get(), config.drain.as_secs()), (4, 600));
    assert_eq!((config.grace, config.cgroups), (self::config().grace, CgroupPlace::Nowhere));
    assert_eq!(config.time_max, Some(Duration::from_secs(3_600)));
    // Whole seconds, and never less than was said.
    assert_eq!((config.limits.cpu_seconds, config.limits.open_files), (Some(2), Some(64)));
    assert_eq!((config.group_limits.memory_bytes, config.group_limits.processes), (Some(512 << 20), None));
    assert_eq!(config.log_bytes_max, 1_000);
}

/// Settings of containers, changed.
fn container(change: serde_json::Value) -> serde_json::Value {
    let mut executor = serde_json::json!({"kind": "container", "engine": "podman", "image": "agents:1"});
    for (member, value) in change.as_object().unwrap() {
        executor[member] = value.clone();
    }
    serde_json::json!({"executor": executor})
}

#[test]
fn containers_are_made_of_what_the_file_says() {
    assert_eq!(
        applied(serde_json::json!({"executor": {"kind": "process"}})).unwrap().executor,
        ExecutorConfig::Process
    );
    let said =
        container(serde_json::json!({"cpus": "1500m", "network": "none", "tmp": "1MiB", "pull": "never"}));
    let ExecutorConfig::Container(config) = applied(said).unwrap().executor else { panic!("no containers") };
    assert_eq!((config.engine, config.program.to_str()), (EngineKind::Podman, Some("podman")));
    assert_eq!((config.image.as_str(), config.network.as_deref()), ("agents:1", Some("none")));
    assert_eq!((config.milli_cpus, config.tmp_bytes, config.pull), (Some(1_500), 1 << 20, Pull::Never));
    // Nobody may write to the image or leave its limits by an oversight.
    assert!(!config.writable && config.run_options.is_empty());
}

#[test]
fn jobs_are_made_of_what_the_file_says() {
    let mut said = serde_json::json!({"kind": "kubernetes", "namespace": "agents", "image": "agents:1"});
    // Where these tests run there is no cluster around them.
    let error = applied(serde_json::json!({"executor": said})).unwrap_err();
    assert!(error.to_string().contains("say where the API is"), "{error}");
    said["server"] = "https://kubernetes.example.com:6443".into();
    let ExecutorConfig::Kubernetes(config) = applied(serde_json::json!({"executor": said})).unwrap().executor
    else {
        panic!("no jobs")
    };
    // The authorities are not those of another cluster.
    assert_eq!((config.ca_file, config.user, config.writable), (None, 65_532, false));
    assert_eq!(config.token_file.to_str(), Some("/var/run/secrets/kubernetes.io/serviceaccount/token"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (settings, said) in [
        (serde_json::json!({"queues": {"no queue": {}}}), "`no queue` is no queue"),
        (serde_json::json!({"limits": {"processes": 0}}), "`limits.processes` is 0"),
        (serde_json::json!({"limits": {"memory": "0MiB"}}), "`limits.memory` is 0"),
        (serde_json::json!({"cgroups": "below"}), "not `below`"),
        (container(serde_json::json!({"tmp": 0})), "`executor.tmp`: it is 0"),
        (container(serde_json::json!({"image": ""})), "`executor.image`: it is empty"),
        (container(serde_json::json!({"image": "--privileged"})), "`executor.image`: it begins with `-`"),
        (container(serde_json::json!({"network": "a b"})), "`executor.network`: it holds a blank"),
    ] {
        let error = applied(settings).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    for settings in [
        serde_json::json!({"limit": {}}),
        serde_json::json!({"limits": {"memroy": 1}}),
        serde_json::json!({"limits": {"memory": "much"}}),
        serde_json::json!({"limits": {"memory": "99999999999999TiB"}}),
        serde_json::json!({"limits": {"memory": -1}}),
        serde_json::json!({"queues": {"a": {"max_concurrent": 0}}}),
        serde_json::json!({"limits": {"time": "0s"}}),
        serde_json::json!({"drain": "soon"}),
        serde_json::json!({"executor": {}}),
        serde_json::json!({"executor": {"kind": "vm"}}),
        serde_json::json!({"executor": {"kind": "kubernetes", "image": "a"}}),
        serde_json::json!({"executor": {"kind": "kubernetes", "image": "a", "namespace": "a", "user": 0}}),
        serde_json::json!({"executor": {"kind": "process", "image": "a"}}),
        serde_json::json!({"executor": {"kind": "container", "image": "a"}}),
        container(serde_json::json!({"imgae": "a"})),
        container(serde_json::json!({"engine": "lxc"})),
        container(serde_json::json!({"cpus": "some"})),
        container(serde_json::json!({"cpus": "0m"})),
        container(serde_json::json!({"pull": "sometimes"})),
    ] {
        assert!(serde_json::from_value::<RunnerSettings>(settings.clone()).is_err(), "{settings}");
    }
}
