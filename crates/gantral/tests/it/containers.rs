//! The chart and the compose file: what they render is what Kubernetes takes, leaves containers no rights, and starts this server. No cluster and no
//! container runtime takes part: the words of the manifest are run as processes here.

use std::path::Path;
use std::process::{Command, Stdio};

use gantral_server::settings::Settings;
use gantral_testkit::cluster::shared;
use serde_json::Value;

use crate::support::{Ran, block_on, gantral, part, repository, run, start, wait_until};

const CHART: &str = "deploy/helm/gantral";

fn helm(arguments: &[&str]) -> Ran {
    let mut command = Command::new(part("helm/bin/helm"));
    // It keeps what it caches in a home, and needs none.
    let home = tempfile::tempdir().unwrap();
    command.env("HOME", home.path()).current_dir(repository()).stdin(Stdio::null());
    Ran::of(command.args(arguments).output().unwrap())
}

fn rendered() -> String {
    helm(&["template", "authority", CHART, "--values", &format!("{CHART}/ci/values.yaml")]).status(0).data
}

/// Reads documents of YAML.
fn documents(text: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text"), text).unwrap();
    let program = "import json, yaml; print(json.dumps(list(yaml.safe_load_all(open('text')))))";
    let mut python = Command::new(part("schemas/bin/python"));
    let read =
        Ran::of(python.args(["-c", program]).current_dir(folder.path()).output().unwrap()).status(0).json();
    read.as_array().unwrap().iter().filter(|document| !document.is_null()).cloned().collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// Returns the variables of a container that have a value; those of secrets have the name of their key.
fn variables(container: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let env = container["env"].as_array().unwrap().iter();
    env.map(|variable| {
        let secret = || text(&variable["valueFrom"]["secretKeyRef"]["key"]);
        (text(&variable["name"]).unwrap(), text(&variable["value"]).or_else(secret).unwrap())
    })
    .collect()
}

#[test]
fn chart_is_sound_and_what_it_renders_is_what_kubernetes_takes() {
    helm(&["lint", "--strict", CHART, "--values", &format!("{CHART}/ci/values.yaml")]).status(0);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rendered.yaml"), rendered()).unwrap();
    // The oldest that the chart takes, and one that is new.
    for version in ["1.30", "1.37"] {
        let mut validate = Command::new(part("schemas/bin/kubernetes-validate"));
        validate
            .args(["--strict", "--kubernetes-version", version, "rendered.yaml"])
            .current_dir(folder.path());
        let said = Ran::of(validate.output().unwrap()).status(0);
        let passed = format!("{}{}", said.data, said.talk).matches("passed").count();
        assert_eq!(passed, 6, "{version}: {said:?}");
    }
}

#[test]
fn chart_names_what_a_deployment_has_to_say() {
    let missing = helm(&["template", "authority", CHART]).status(1);
    assert!(missing.talk.contains("config: say public_url, tenants and identity"), "{missing:?}");
    for (value, said) in [
        ("database.url=", "database.url: the ledger of several servers is in PostgreSQL"),
        ("keysSecret=", "keysSecret: a secret with the files of gantral keys init"),
        ("tlsSecret=", "tlsSecret: a secret of type kubernetes.io/tls"),
    ] {
        let values = format!("{CHART}/ci/values.yaml");
        let refused = helm(&["template", "authority", CHART, "--values", &values, "--set", value]).status(1);
        assert!(refused.talk.contains(said), "{refused:?}");
    }
}

#[test]
fn containers_of_the_chart_have_no_right_that_they_do_not_need() {
    let documents = documents(&rendered());
    let deployment = of_kind(&documents, "Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(
        (&pod["securityContext"]["runAsNonRoot"], &pod["securityContext"]["runAsUser"]),
        (&true.into(), &65532.into())
    );
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let containers =
        ["initContainers", "containers"].map(|kind| pod[kind].as_array().unwrap().clone()).concat();
    assert_eq!(containers.len(), 2);
    for container in &containers {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
        assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
    }
    for volume in pod["volumes"].as_array().unwrap() {
        assert!(volume["hostPath"].is_null(), "{volume}");
    }
    let policy = of_kind(&documents, "NetworkPolicy");
    assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    assert_eq!(of_kind(&documents, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    // No document of it is a secret: each is only named.
    assert!(documents.iter().all(|document| document["kind"] != "Secret"));
}

#[test]
fn chart_asks_machines_for_certificates_where_an_authority_is_named_and_nobody_where_none_is() {
    let values = format!("{CHART}/ci/values.yaml");
    let words = ["template", "authority", CHART, "--values", &values, "--set", "clientCaConfigMap=clients"];
    for (text, asks) in [(rendered(), false), (helm(&words).status(0).data, true)] {
        let documents = documents(&text);
        let pod = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let said: Vec<_> =
            variables(container).into_iter().filter(|(name, _)| name.contains("__CLIENT_")).collect();
        let mounted =
            container["volumeMounts"].as_array().unwrap().iter().any(|at| at["mountPath"] == "/run/clients");
        let named =
            pod["volumes"].as_array().unwrap().iter().any(|volume| volume["configMap"]["name"] == "clients");
        assert_eq!((mounted, named), (asks, asks));
        let expected = [
            ("GANTRAL__TLS__CLIENT_CA", "/run/clients/ca.crt"),
            ("GANTRAL__TLS__CLIENT_CERTIFICATES", "machines"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(said, if asks { expected.to_vec() } else { Vec::new() });
    }
}

#[test]
fn words_of_the_chart_start_a_server() {
    let documents = documents(&rendered());
    let pod = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"];
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    // What would be mounted is in one folder here.
    let placed = |text: &str| {
        ["/run/keys", "/run/tls", "/data", "/etc/gantral"].iter().fold(text.to_owned(), |text, place| {
            if text.starts_with(place) { format!("{root}{text}") } else { text }
        })
    };
    let words = |container: &Value| -> Vec<String> {
        container["args"].as_array().unwrap().iter().map(|word| placed(word.as_str().unwrap())).collect()
    };
    for place in ["run/tls", "etc/gantral", "data"] {
        std::fs::create_dir_all(folder.path().join(place)).unwrap();
    }
    run(folder.path(), &["keys", "init", "--data", "run/keys"]).status(0);
    certificate(&folder.path().join("run/tls"));
    let settings = of_kind(&documents, "ConfigMap")["data"]["gantral.toml"].as_str().unwrap();
    std::fs::write(folder.path().join("etc/gantral/gantral.toml"), settings).unwrap();

    let init = words(&pod["initContainers"][0]);
    run(folder.path(), &init.iter().map(String::as_str).collect::<Vec<_>>()).status(0);
    let container = &pod["containers"][0];
    let mut server = gantral(folder.path());
    server.args(words(container));
    for (name, value) in variables(container) {
        server.env(name, placed(&value));
    }
    let database = shared().url(&block_on(shared().database()));
    server.env("GANTRAL__STORE__URL", database).env_remove("GANTRAL__STORE__PASSWORD");
    server.env("GANTRAL__LISTEN", "0.0.0.0:0");
    let (_server, said) = start(server, &folder.path().join("server.log"));
    assert!(said.starts_with("https://0.0.0.0:"), "{said}");
    // As the probes of the chart ask, who compare no name either.
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(container[probe]["httpGet"]["scheme"], "HTTPS");
        let asked = || {
            let mut curl = Command::new("curl");
            curl.args(["--insecure", "--fail", "--silent", &format!("{said}{path}")]);
            curl.output().unwrap().status.success()
        };
        assert!(
            wait_until(asked),
            "{probe}\n{}",
            std::fs::read_to_string(folder.path().join("server.log")).unwrap()
        );
    }
    let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

/// Makes a certificate as the secret of a deployment has it.
fn certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(folder.join("tls.key")).arg("-out").arg(folder.join("tls.crt"));
    assert!(openssl.output().expect("this test needs the openssl command").status.success());
}

#[test]
fn compose_file_says_what_a_server_understands_and_gives_it_no_rights() {
    let text = std::fs::read_to_string(repository().join("deploy/docker/compose.yaml")).unwrap();
    let compose = &documents(&text)[0];
    let ours: Vec<&Value> = ["keys", "gantral"].iter().map(|name| &compose["services"][name]).collect();
    for service in &ours {
        assert_eq!(
            (&service["read_only"], &service["user"]),
            (&true.into(), &"65532:65532".into()),
            "{service}"
        );
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
        assert!(service["privileged"].is_null());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gantral.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1\"\ndata = \"x\"\ntenants = [\"acme\"]\nidentity = {}\n")
        .unwrap();
    let variables = ours[1]["environment"].as_object().unwrap().iter();
    let variables = variables.map(|(name, value)| (name.into(), value.as_str().unwrap().into()));
    let settings = Settings::read(&file, variables).unwrap();
    assert_eq!(settings.listen.to_string(), "0.0.0.0:7420");
    assert_eq!(settings.store.unwrap().password.as_deref(), Some("env:GANTRAL_DATABASE_PASSWORD"));
    assert_eq!(
        (settings.data.to_str(), settings.archive.unwrap().url.as_str()),
        (Some("/data/gantral"), "file:///archive")
    );
    // Nobody reaches the database from outside.
    assert!(compose["services"]["database"]["ports"].is_null());
    assert_eq!(compose["networks"]["inside"]["internal"], true);
}
