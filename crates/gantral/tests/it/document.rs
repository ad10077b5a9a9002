//! The document of the API, read and tried by tools of others: a linter, and one that makes requests of what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{World, part, repository};

/// What all cases are drawn from: a run that fails is repeated with it.
const SEED: &str = "20261122";
/// Drawn cases of each operation for each of the roles. With these, all of it takes a minute of two processors.
const EXAMPLES: &str = "3";
/// Each is its own kind of somebody: an administrator, an approver, a developer, an agent, a runner.
const ROLES: [&str; 5] = ["dave", "alice", "bob", "refund-agent", "dev-runner"];
/// What must hold of every answer: it is no failure of the server, and the document has its status, type, headers and members.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// Returns a program of the parts, with an environment that holds nothing but the path to programs.
fn program(path: &str, home: &Path) -> Command {
    let mut command = Command::new(part(path));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

/// Returns what a program wrote, when it found nothing.
#[track_caller]
fn clean(output: &Output, about: &str) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{about}, seed {SEED}\n{text}");
    text
}

#[test]
fn a_linter_finds_nothing_in_the_document() {
    let home = tempfile::tempdir().unwrap();
    let lint = |document: &Path| {
        let mut command = program("lint/node_modules/.bin/redocly", home.path());
        command.args(["lint", "--config"]).arg(repository().join("api/redocly.yaml")).arg(document);
        command
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .output()
            .unwrap()
    };
    let document = repository().join("api/openapi.json");
    clean(&lint(&document), "the document");
    // It does read it: an operation that nobody can name is found.
    let text = std::fs::read_to_string(document).unwrap();
    let unnamed = home.path().join("unnamed.json");
    std::fs::write(&unnamed, text.replacen("\"operationId\"", "\"x-operation\"", 1)).unwrap();
    let said = lint(&unnamed);
    let text = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    assert!(!said.status.success() && text.contains("operation-operationId"), "{text}");
}

/// Somebody's requests, in a folder of their own.
struct Tries {
    folder: PathBuf,
    url: String,
    token: String,
}

impl Tries {
    /// Gives somebody an execution and a gate to name, beside what is drawn.
    fn of(world: &World, who: &str, instance: &str, gate: &str) -> Self {
        let folder = world.path(&format!("tries-{who}"));
        std::fs::create_dir(&folder).unwrap();
        let hooks = repository().join("crates/gantral/tests/document/hooks.py");
        std::fs::copy(hooks, folder.join("hooks.py")).unwrap();
        // A request that waits for news is answered soon.
        let settings = format!(
            "[parameters]\n\"query.wait\" = \"1ms\"\n\"path.workflow\" = \"refund\"\n\"path.team\" = \"payments\"\n\
             \"path.id\" = \"{instance}\"\n\"path.gate_id\" = \"{gate}\"\n"
        );
        std::fs::write(folder.join("schemathesis.toml"), settings).unwrap();
        let token = world.text(&format!(".gantral-dev/tokens/{who}.token")).trim().to_owned();
        Self { folder, url: world.url().to_owned(), token }
    }

    fn run(&self, document: &str, phases: &str) -> Output {
        let mut command = program("schemathesis/bin/st", &self.folder);
        command
            .args(["run", document, "--url", &self.url, "--checks", CHECKS, "--phases", phases])
            .args(["--seed", SEED, "--max-examples", EXAMPLES, "--workers", "1", "--request-timeout", "30"])
            .args(["--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off"])
            .args(["--header", &format!("Authorization: Bearer {}", self.token)])
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", &self.folder);
        command.output().unwrap()
    }
}

/// Returns a world in which a refund waits for a human, its execution and its gate.
fn waiting() -> (World, String, String) {
    let mut world = World::start();
    world.apply("gantral ask refund --target order/1 --set amount=4800 --consume\nexit $?\n", "30s");
    let id = world.create();
    world.start_runner();
    let gate = world.reach(&id, "WAITING_FOR_HUMAN")["gate"]["gate_id"].as_str().unwrap().to_owned();
    world.kill_runner();
    (world, id, gate)
}

#[test]
fn no_role_gets_an_answer_that_the_document_does_not_have() {
    let (world, id, gate) = waiting();
    let document = format!("{}/v1/openapi.json", world.url());
    let tries = ROLES.map(|who| (who, Tries::of(&world, who, &id, &gate)));
    let found: Vec<(&str, Output)> = std::thread::scope(|scope| {
        let (first, others) = tries.split_first().unwrap();
        // Every limit and kind of each member is tried by whoever most doors are open to; the others draw.
        let first = scope.spawn(|| vec![(first.0, first.1.run(&document, "coverage,fuzzing"))]);
        let others = scope.spawn(|| {
            others.iter().map(|(who, tries)| (*who, tries.run(&document, "fuzzing"))).collect::<Vec<_>>()
        });
        [first.join().unwrap(), others.join().unwrap()].concat()
    });
    for (who, output) in found {
        let said = clean(&output, who);
        assert!(said.contains("No issues found"), "{who}: {said}");
    }
}

#[test]
fn an_answer_that_the_document_does_not_have_is_found() {
    let (world, id, gate) = waiting();
    let text = std::fs::read_to_string(repository().join("api/openapi.json")).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| path == "/v1/governance");
    let answers = paths["/v1/governance"]["get"]["responses"].as_object_mut().unwrap();
    answers.remove("200").unwrap();
    let silent = world.path("silent.json");
    std::fs::write(&silent, document.to_string()).unwrap();
    let output = Tries::of(&world, "dave", &id, &gate).run(silent.to_str().unwrap(), "fuzzing");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("Undocumented"), "{said}");
}
