//! Against recorded conversations with a real API server, job controller and garbage collector of Kubernetes 1.33, where the part of the kubelet
//! was played: each request must be the recorded one, in its place, member for member.
//!
//! With `GANTRAL_KUBERNETES` naming an address the same is asked of whatever answers there, which is how the recordings were made.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::ids::{InstanceId, Name, TenantId, WorkflowId};
use gantral_evidence::trust::Trust;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::child::{CgroupPlace, Launcher};
use crate::runner::executor::{Executor, ExecutorConfig, Facts, Paths};
use crate::runner::{Governed, Pinned, Reference, RunnerConfig};

const TRUST: &[u8] = include_bytes!("../../../../../../spec/vectors/bundles/002-overridden/trust.json");
const TOKEN: &str = "runner-token";
/// How far a recorded number of seconds may be from that of a busy machine.
const SECONDS_OFF_MAX: i64 = 60;

/// One request and its answer.
#[derive(Debug, Clone, serde::Deserialize)]
struct Exchange {
    method: String,
    path: String,
    content_type: Option<String>,
    body: Option<Value>,
    status: u16,
    answer: Value,
}

/// A recorded conversation, and how far it has come.
struct Recording {
    exchanges: Vec<Exchange>,
    /// The place of the next change.
    next: usize,
    /// The place of what was shown last, by request.
    shown: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Recording {
    fn read(text: &str) -> Self {
        let exchanges: Vec<Exchange> = serde_json::from_str(text).unwrap();
        let mut this = Self { exchanges, next: 0, shown: BTreeMap::new(), wrong: Vec::new() };
        this.next = this.change_from(0);
        this
    }

    /// Returns the place of the first change from a place on.
    fn change_from(&self, from: usize) -> usize {
        (from..self.exchanges.len())
            .find(|at| self.exchanges[*at].method != "GET")
            .unwrap_or(self.exchanges.len())
    }

    fn answer(&mut self, asked: &Exchange) -> (u16, Value) {
        let found = if asked.method == "GET" { self.show(asked) } else { self.change(asked) };
        match found {
            Ok(at) => (self.exchanges[at].status, self.exchanges[at].answer.clone()),
            Err(why) => {
                self.wrong.push(why);
                (500, serde_json::json!({"kind": "Status", "message": "not what was recorded"}))
            }
        }
    }

    /// Looks may be repeated: each is the next one that was recorded before the next change, or the last one again.
    fn show(&mut self, asked: &Exchange) -> Result<usize, String> {
        let last = self.shown.get(&asked.path).copied();
        let same = |at: &usize| {
            let recorded = &self.exchanges[*at];
            recorded.method == "GET" && recorded.path == asked.path
        };
        let fresh = (last.map_or(0, |last| last + 1)..self.next).find(same);
        let at = fresh.or(last).ok_or_else(|| format!("GET {} was never asked by then", asked.path))?;
        self.shown.insert(asked.path.clone(), at);
        Ok(at)
    }

    fn change(&mut self, asked: &Exchange) -> Result<usize, String> {
        let at = self.next;
        let recorded = self.exchanges.get(at).ok_or_else(|| format!("{asked:?} comes after the end"))?;
        let same = (&recorded.method, &recorded.path, &recorded.content_type)
            == (&asked.method, &asked.path, &asked.content_type);
        let bodies = (plain(recorded.body.clone()), plain(asked.body.clone()));
        if !same || !is_same(&bodies.0, &bodies.1) {
            return Err(format!("{asked:?}\nand not\n{recorded:?}"));
        }
        self.next = self.change_from(at + 1);
        Ok(at)
    }
}

/// Leaves out what is of the machine where the tests run.
fn plain(body: Option<Value>) -> Value {
    const OWN: [&str; 2] = ["LANG", "TZ"];
    let mut body = body.unwrap_or_default();
    if let Some(data) = body.pointer_mut("/data").and_then(Value::as_object_mut) {
        data.retain(|key, _| !OWN.iter().any(|own| *key == format!("env.{own}")));
    }
    if let Some(Value::Array(variables)) = body.pointer_mut("/spec/template/spec/containers/0/env") {
        variables.retain(|variable| !OWN.iter().any(|own| variable["name"] == *own));
    }
    body
}

/// Equal, but for deadlines that a slow machine counts otherwise.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(member, value)| match other.get(member) {
                    Some(found) if member == "activeDeadlineSeconds" => {
                        (value.as_i64().unwrap() - found.as_i64().unwrap()).abs() <= SECONDS_OFF_MAX
                    }
                    Some(found) => is_same(value, found),
                    None => false,
                })
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        _ => one == other,
    }
}

/// Plays a recording on a port of this machine.
fn play(text: &str) -> (String, Arc<Mutex<Recording>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let recording = Arc::new(Mutex::new(Recording::read(text)));
    let played = Arc::clone(&recording);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let played = Arc::clone(&played);
            std::thread::spawn(move || serve(stream, &played));
        }
    });
    (url, recording)
}

fn serve(mut stream: TcpStream, played: &Mutex<Recording>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace();
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = (length > 0).then(|| serde_json::from_slice(&body).unwrap());
    let content_type = headers.get("content-type").cloned();
    let asked = Exchange { method, path, content_type, body, status: 0, answer: Value::Null };
    let (status, answer) = {
        let mut played = played.lock().unwrap();
        if headers.get("authorization").map(String::as_str) != Some("Bearer runner-token") {
            played.wrong.push(format!("{} without the token", asked.path));
        }
        played.answer(&asked)
    };
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let head =
        format!("HTTP/1.1 {status} Recorded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all(format!("{head}{text}").as_bytes()).unwrap();
}

/// A cluster to be asked, or a recording of one.
struct Stage {
    folder: TempDir,
    cluster: Cluster,
    config: RunnerConfig,
    recording: Option<Arc<Mutex<Recording>>>,
}

impl Stage {
    fn open(recorded: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
        let (server, recording) = match std::env::var("GANTRAL_KUBERNETES") {
            Ok(server) => (server, None),
            Err(_) => {
                let (server, recording) = play(recorded);
                (server, Some(recording))
            }
        };
        let config = KubernetesConfig {
            server,
            ca_file: None,
            token_file,
            timeout: Duration::from_secs(10),
            namespace: "agents".to_owned(),
            service_account: Some("default".to_owned()),
            image: "registry.example.com/agents/refund@sha256:0000000000000000000000000000000000000000000000000000000000000000".to_owned(),
            url: Some("https://gantral.example.com".to_owned()),
            milli_cpus: Some(500),
            user: 65_532,
            writable: false,
            tmp_bytes: 64 << 20,
        };
        let cluster = Cluster::new(config, Path::new("/var/lib/gantral-runner")).unwrap();
        let pinned = Pinned { trust: Trust::parse(TRUST).unwrap(), tenant: TenantId::parse("acme").unwrap() };
        let launcher = Launcher { program: "/bin/true".into(), arguments: Vec::new() };
        let mut config = RunnerConfig::new(Vec::new(), pinned, folder.path().join("work"), launcher);
        config.group_limits.memory_bytes = Some(256 << 20);
        Self { folder, cluster, config, recording }
    }

    async fn launch(&self, attempt: u32) -> Result<(Job, PipeReader), StartError> {
        let of = |name: &str, content: &[u8]| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let command = ["act", "$(GANTRAL_URL)", "for 7"].map(str::to_owned);
        let work = Work {
            config: &self.config,
            lease: lease(),
            facts: Facts {
                instance: InstanceId::from_bytes([7, 7, 7, 7, 7, 7, 0x47, 7, 0x87, 7, 7, 7, 7, 7, 7, 7])
                    .unwrap(),
                attempt,
                url: "http://127.0.0.1:1".to_owned(),
                tenant: TenantId::parse("acme").unwrap(),
                workflow: WorkflowId::parse("refund").unwrap(),
                grant: None,
                traceparent: None,
            },
            command: &command,
            secrets: BTreeMap::from([("KEY".into(), "canary-5f1d8e0c\nin a secret".into())]),
            paths: Paths {
                private: self.folder.path().to_owned(),
                told: self.folder.path().to_owned(),
                token: of("attempt-token", b"first"),
                context: of("context.json", b"{}"),
                journal: self.folder.path().join("journal.jsonl"),
                trust: of("trust.json", b"{\"trust\":1}"),
                mode_lease: self.folder.path().join("lease.json"),
                socket: None,
            },
        };
        self.cluster.launch(work).await
    }

    /// Everything that was recorded was asked for, and nothing else.
    fn close(self) {
        if let Some(recording) = &self.recording {
            let recording = recording.lock().unwrap();
            assert!(recording.wrong.is_empty(), "{}", recording.wrong.join("\n"));
            let left = recording.exchanges.get(recording.next);
            assert!(left.is_none(), "was not asked: {left:?}");
        }
    }
}

fn lease() -> Lease {
    Lease::renewed_now(Duration::from_secs(600), Duration::from_secs(5))
}

/// Reads a line of the output, away from the threads that serve others.
async fn line(output: &mut Option<BufReader<PipeReader>>) -> String {
    let mut reader = output.take().unwrap();
    let (read, reader) = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        (line, reader)
    })
    .await
    .unwrap();
    *output = Some(reader);
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_made_let_go_renewed_followed_and_deleted() {
    let stage = Stage::open(include_str!("../../../../tests/kubernetes/done.json"));
    stage.cluster.ready().await.unwrap();
    let (mut job, output) = stage.launch(1).await.unwrap();
    let mut output = Some(BufReader::new(output));
    assert_eq!(line(&mut output).await, "acting for 7\n");
    job.renewed("second", &lease());
    assert_eq!(line(&mut output).await, "done\n");
    assert_eq!(line(&mut output).await, "");
    assert_eq!(job.ended().await, Ended::Exited(7));
    assert_eq!(job.ended().await, Ended::Exited(7));
    stage.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_must_end_is_deleted_with_its_pod_and_has_failed() {
    for (recorded, attempt, at_once) in [
        (include_str!("../../../../tests/kubernetes/asked.json"), 2, false),
        (include_str!("../../../../tests/kubernetes/killed.json"), 3, true),
    ] {
        let stage = Stage::open(recorded);
        let (mut job, output) = stage.launch(attempt).await.unwrap();
        assert_eq!(line(&mut Some(BufReader::new(output))).await, "acting for 7\n");
        if at_once {
            job.kill()
        } else {
            job.ask_to_end()
        }
        let ended = job.ended().await;
        // What the kubelet says of it, if it is seen before the pod is gone.
        let expected = [Ended::Exited(143), Ended::Killed(if at_once { 9 } else { 15 })];
        assert!(expected.contains(&ended), "{ended:?}");
        stage.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_go_of_a_job_has_it_ended() {
    let stage = Stage::open(include_str!("../../../../tests/kubernetes/dropped.json"));
    let (job, output) = stage.launch(4).await.unwrap();
    let mut output = Some(BufReader::new(output));
    assert_eq!(line(&mut output).await, "acting for 7\n");
    drop(job);
    // The output ends when nobody writes into it any more: then nothing is left.
    while !line(&mut output).await.is_empty() {}
    stage.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_runner_left_is_deleted_and_what_is_there_is_not_taken_for_ours() {
    let stage = Stage::open(include_str!("../../../../tests/kubernetes/left.json"));
    let (mut job, output) = stage.launch(5).await.unwrap();
    assert_eq!(line(&mut Some(BufReader::new(output))).await, "acting for 7\n");
    let again = stage.launch(5).await.err().unwrap();
    assert!(again.to_string().contains("status 409"), "{again}");
    // Another runner with this work directory.
    stage.cluster.ready().await.unwrap();
    assert_ne!(job.ended().await, Ended::Exited(0));
    stage.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_lets_nobody_in_lets_no_runner_start() {
    let stage = Stage::open(include_str!("../../../../tests/kubernetes/refused.json"));
    let error = Cluster::new(
        KubernetesConfig { namespace: "others".to_owned(), ..stage.cluster.config.clone() },
        Path::new("/var/lib/gantral-runner"),
    );
    let error = error.unwrap().ready().await.unwrap_err();
    assert!(error.to_string().contains("status 403") && error.to_string().contains("forbidden"), "{error}");
    stage.close();
}

#[test]
fn nothing_secret_is_in_the_job_and_no_word_of_the_command_is_changed() {
    let recording = Recording::read(include_str!("../../../../tests/kubernetes/done.json"));
    let [job, secret] = [1, 2].map(|at| recording.exchanges[at].body.clone().unwrap());
    let text = job.to_string();
    for hidden in ["canary", "first", TOKEN, STANDARD.encode("canary-5f1d8e0c\nin a secret").as_str()] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    assert_eq!(secret["data"]["env.KEY"], STANDARD.encode("canary-5f1d8e0c\nin a secret"));
    assert_eq!(
        secret["metadata"]["ownerReferences"][0]["uid"],
        recording.exchanges[1].answer["metadata"]["uid"]
    );
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    // As the cluster reads it, `$$` is `$`: nothing is put in.
    assert_eq!(container["command"], json!(["act", "$$(GANTRAL_URL)", "for 7"]));
    assert_eq!(job["spec"]["suspend"], true);
}

#[test]
fn a_recording_takes_nothing_that_is_not_in_it() {
    let mut recording = Recording::read(include_str!("../../../../tests/kubernetes/done.json"));
    let good = recording.exchanges[1].clone();
    let changes: [fn(&mut Exchange); 7] = [
        |asked| asked.method = "PUT".to_owned(),
        |asked| asked.path.push_str("?fieldManager=other"),
        |asked| asked.content_type = None,
        |asked| asked.body = None,
        |asked| asked.body.as_mut().unwrap()["spec"]["more"] = json!(1),
        |asked| asked.body.as_mut().unwrap()["spec"]["suspend"] = json!(false),
        |asked| drop(asked.body.as_mut().unwrap()["spec"].as_object_mut().unwrap().remove("backoffLimit")),
    ];
    for change in changes {
        let mut asked = good.clone();
        change(&mut asked);
        assert!(recording.change(&asked).is_err(), "{asked:?}");
    }
    let later = recording.exchanges[4].clone();
    assert!(recording.show(&later).is_err(), "nobody looks at a pod before there is a job");
    assert!(recording.change(&good).is_ok());
    assert!(recording.change(&good).is_err(), "once");
}

#[test]
fn what_a_pod_cannot_keep_lets_no_runner_start() {
    let stage = Stage::open("[]");
    let config = || RunnerConfig {
        executor: ExecutorConfig::Kubernetes(stage.cluster.config.clone()),
        ..stage.config.clone()
    };
    type Change = fn(&mut RunnerConfig);
    let changes: [(Change, &str); 5] = [
        (|config| config.limits.open_files = Some(64), "`limits`"),
        (|config| config.group_limits.processes = Some(64), "`limits`"),
        (|config| config.command_dir = Some("/".into()), "`--command-dir`"),
        (|config| config.cgroups = CgroupPlace::Folder("/".into()), "`cgroups`"),
        (
            |config| {
                config.secrets.push(Governed {
                    name: Name::parse("pay").unwrap(),
                    from: Reference::parse("env:PAY").unwrap(),
                    workflows: [].into(),
                    actions: [].into(),
                    queues: [].into(),
                });
            },
            "`secrets`",
        ),
    ];
    assert!(Executor::open(&config(), stage.folder.path()).is_ok());
    for (change, said) in changes {
        let mut config = config();
        change(&mut config);
        let error = Executor::open(&config, stage.folder.path()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("executor `kubernetes`"), "{error}");
    }
}

#[test]
fn a_deadline_is_never_later_than_the_lease_and_never_none() {
    let now = Instant::now();
    assert_eq!(seconds_between(now, now + Duration::from_millis(2_999)), 2);
    assert_eq!(seconds_between(now, now), 1);
    assert_eq!(seconds_between(now + Duration::from_secs(5), now), 1);
}
