//! What is made in the cluster: a Job, and the Secret with everything that nobody else may read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::KubernetesConfig;
use super::api::CONTAINER;
use crate::runner::RunnerConfig;
use crate::runner::executor::{Paths, StartError, Work};
use crate::runner::secrets::inherited;

/// Where a pod finds what it is told.
const TOLD: &str = "/run/gantral/attempt";
/// Where it keeps what it must not forget as long as it lives.
const KEPT: &str = "/run/gantral/kept";
/// How much that may be: receipts of one attempt.
const KEPT_LIMIT: &str = "64Mi";
/// For the group of the pod, and nobody else: 0440.
const FILE_MODE: u32 = 0o440;
/// How long a Job that is over stays if no runner deletes it, in seconds.
const LINGERS_SECONDS: u32 = 300;
/// What the keys of variables begin with, beside those of files.
const VARIABLE: &str = "env.";

/// What a command is told.
pub(super) struct Said {
    command: Vec<String>,
    /// Nothing of it is secret.
    plain: BTreeMap<String, String>,
    secret: BTreeMap<String, String>,
    pub token: String,
    context: Vec<u8>,
    trust: Vec<u8>,
}

impl Said {
    /// `url` is where the server is, as pods reach it.
    pub(super) fn read(work: &Work<'_>, url: Option<&str>) -> Result<Self, StartError> {
        let text = |(name, value): (OsString, OsString)| {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) if !value.contains('\0') => Ok((name, value)),
                Ok(_) | Err(_) => Err(StartError::Variable(name)),
            }
        };
        let told = Path::new(TOLD);
        let paths = Paths {
            private: told.to_owned(),
            told: told.to_owned(),
            token: told.join("token"),
            context: told.join("context.json"),
            journal: Path::new(KEPT).join("journal.jsonl"),
            trust: told.join("trust.json"),
            mode_lease: Path::new(KEPT).join("mode-lease.json"),
            socket: None,
        };
        let mut plain = work.facts.variables(&paths);
        plain.extend(url.map(|url| ("GANTRAL_URL".into(), url.into())));
        let mut secret = inherited(&work.config.inherit, |name| std::env::var_os(name));
        // Those are of the image.
        secret.retain(|name, _| name != "PATH" && name != "HOME");
        secret.extend(work.secrets.clone());
        secret.retain(|name, _| !plain.contains_key(name));
        let read = |path: &Path| std::fs::read(path).map_err(StartError::Environment);
        let token = String::from_utf8_lossy(&read(&work.paths.token)?).into_owned();
        Ok(Self {
            command: work.command.to_vec(),
            plain: plain.into_iter().map(text).collect::<Result<_, _>>()?,
            secret: secret.into_iter().map(text).collect::<Result<_, _>>()?,
            token,
            context: read(&work.paths.context)?,
            trust: read(&work.paths.trust)?,
        })
    }
}

/// Returns the Secret of a Job, which owns it.
pub(super) fn secret(name: &str, uid: &str, labels: &Value, said: &Said) -> Value {
    let mut data = BTreeMap::from([
        ("token".to_owned(), STANDARD.encode(&said.token)),
        ("context.json".to_owned(), STANDARD.encode(&said.context)),
        ("trust.json".to_owned(), STANDARD.encode(&said.trust)),
    ]);
    let variables = said.secret.iter();
    data.extend(variables.map(|(variable, value)| (format!("{VARIABLE}{variable}"), STANDARD.encode(value))));
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid},
        ]},
        "data": data,
    })
}

/// Returns a Job that is suspended: it runs one pod, once, when it is let go.
pub(super) fn job(
    config: &KubernetesConfig,
    name: &str,
    labels: &Value,
    said: &Said,
    runner: &RunnerConfig,
    grace: Duration,
) -> Value {
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": grace.as_secs().max(1),
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": config.user, "runAsGroup": config.user, "fsGroup": config.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(config, name, said, runner)],
        "volumes": [
            {"name": "told", "secret": {"secretName": name, "defaultMode": FILE_MODE, "items": [
                {"key": "token", "path": "token"},
                {"key": "context.json", "path": "context.json"},
                {"key": "trust.json", "path": "trust.json"},
            ]}},
            {"name": "kept", "emptyDir": {"sizeLimit": KEPT_LIMIT}},
            {"name": "tmp", "emptyDir": {"sizeLimit": config.tmp_bytes.to_string()}},
        ],
    });
    if let (Some(account), Some(pod)) = (&config.service_account, pod.as_object_mut()) {
        pod.insert("serviceAccountName".to_owned(), json!(account));
    }
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "suspend": true, "parallelism": 1, "completions": 1, "backoffLimit": 0,
            "podReplacementPolicy": "Failed", "ttlSecondsAfterFinished": LINGERS_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

fn container(config: &KubernetesConfig, name: &str, said: &Said, runner: &RunnerConfig) -> Value {
    let plain =
        said.plain.iter().map(|(variable, value)| json!({"name": variable, "value": verbatim(value)}));
    let secret = said.secret.keys().map(|variable| {
        let key = format!("{VARIABLE}{variable}");
        json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}})
    });
    let memory = runner.group_limits.memory_bytes.map(|bytes| ("memory", bytes.to_string()));
    let cpus = config.milli_cpus.map(|milli| ("cpu", format!("{milli}m")));
    let limits: BTreeMap<&str, String> = memory.into_iter().chain(cpus).collect();
    json!({
        "name": CONTAINER,
        "image": config.image,
        "command": said.command.iter().map(|word| verbatim(word)).collect::<Vec<_>>(),
        "env": plain.chain(secret).collect::<Vec<_>>(),
        "resources": {"limits": limits, "requests": limits},
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": !config.writable,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "told", "mountPath": TOLD, "readOnly": true},
            {"name": "kept", "mountPath": KEPT},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    })
}

/// Keeps the cluster from putting variables in: `$(NAME)` of a definition is not one of its.
fn verbatim(text: &str) -> String {
    text.replace('$', "$$")
}
