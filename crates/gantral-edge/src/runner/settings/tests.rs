use gantral_core::ids::TenantId;
use gantral_evidence::trust::Trust;

use super::super::Pinned;
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

#[test]
fn what_cannot_be_meant_is_refused() {
    for (settings, said) in [
        (serde_json::json!({"queues": {"no queue": {}}}), "`no queue` is no queue"),
        (serde_json::json!({"limits": {"processes": 0}}), "`limits.processes` is 0"),
        (serde_json::json!({"limits": {"memory": "0MiB"}}), "`limits.memory` is 0"),
        (serde_json::json!({"cgroups": "below"}), "not `below`"),
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
    ] {
        assert!(serde_json::from_value::<RunnerSettings>(settings.clone()).is_err(), "{settings}");
    }
}
