//! Machines that get their tokens from a real identity provider.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::provider::{Followed, private};
use crate::support::{Killed, Ran, gantral, repository, runner, wait_until};

/// Returns a command of the agent, which proves who it is by a secret.
pub fn agent(site: &Followed, url: &str) -> Command {
    let secret = site.path("agent.secret");
    private(&secret, "agent-secret\n");
    let mut command = gantral(&site.path(""));
    command
        .env("GANTRAL_URL", url)
        .env("GANTRAL_CLIENT_ISSUER", &site.provider.issuer)
        .env("GANTRAL_CLIENT_ID", "refund-agent")
        .env("GANTRAL_CLIENT_SECRET_FILE", secret);
    command
}

pub fn ran(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap())
}

/// Starts a runner, which proves who it is by a key.
pub fn start_runner(site: &Followed, url: &str) -> Killed {
    let log = std::fs::File::create(site.path("runner.log")).unwrap();
    let mut command = runner(&site.path(""), "payments");
    command
        .args(["--url", url, "--client-issuer", &site.provider.issuer, "--client-id", "payments-runner"])
        .args(["--client-key-file", "runner.pem", "--client-key-id", "runner"])
        .stdout(Stdio::null())
        .stderr(log);
    Killed::of(command.spawn().unwrap())
}

/// Applies the workflow `refund` with this command, and pins the server's keys for the runner.
pub fn apply(site: &Followed, url: &str, command: &[&str]) {
    write_workflow(site, command);
    let admin = site.provider.human_token("pia");
    site.run(url, &admin, &["workflows", "apply", "workflow.toml"]).status(0);
    let data = site.path("data");
    let export = ["keys", "export-trust", "--data", data.to_str().unwrap()];
    let trust = ran(gantral(&site.path("")).args(export)).status(0).data;
    std::fs::write(site.path("trust.json"), trust).unwrap();
}

/// Writes the definition that `apply` applies, `workflow.toml`.
pub fn write_workflow(site: &Followed, command: &[&str]) {
    let definition = format!(
        "policy = '{}'
         id = 'refund'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'\ndomain = 'finance'
         [run]\nqueue = 'payments'\nlease = '10s'\ncommand = {command:?}
         [actions.refund.parameters]\namount = {{ type = 'integer' }}
         [floors]\ndefault_approvers = ['RISK_OFFICER']\nrequired_evidence = 'operator'\n",
        repository().join("policies/demo").display(),
    );
    std::fs::write(site.path("workflow.toml"), definition).unwrap();
}

#[test]
fn runner_with_a_key_and_agent_with_a_secret_need_no_token_file_and_survive_an_outage() {
    let mut site = Followed::new();
    let (_server, url) = site.serve();
    apply(&site, &url, &["true"]);

    let me = ran(agent(&site, &url).args(["whoami", "--json"])).status(0).json();
    assert_eq!((me["id"].as_str(), me["kind"].as_str()), (Some("refund-agent"), Some("workload")), "{me}");
    let create = |site: &Followed| ran(agent(site, &url).args(["instances", "create", "refund"]));
    let first = create(&site).status(0).word();
    let _runner = start_runner(&site, &url);
    let agents_token = |site: &Followed| site.provider.client_token("refund-agent", "agent-secret");
    let mut token = agents_token(&site);
    let completed = |site: &Followed, token: &str, id: &str| {
        let mut shown = Value::Null;
        let reached = wait_until(|| {
            shown = site.run(&url, token, &["instances", "show", id, "--json"]).status(0).json();
            shown["state"] == "COMPLETED"
        });
        let log = || std::fs::read_to_string(site.path("runner.log")).unwrap();
        assert!(reached, "{shown}\n{}", log());
    };
    completed(&site, &token, &first);

    // The key of the provider was stolen and is gone: what the runner holds is refused, and it fetches another token.
    site.provider.test("rotate?drop");
    let admin = site.provider.human_token("pia");
    assert!(wait_until(|| site.run(&url, &admin, &["issuers", "refresh"]).status == 0));
    token = agents_token(&site);
    let second = create(&site).status(0).word();
    completed(&site, &token, &second);

    // Who has a good token goes on without the provider; who needs one is told why there is none.
    site.provider.stop();
    let third = site.run(&url, &token, &["instances", "create", "refund"]).status(0).word();
    completed(&site, &token, &third);
    let refused = create(&site).status(1);
    assert!(refused.talk.contains("no connection") && refused.talk.contains("[no_token]"), "{refused:?}");
}

#[test]
fn machine_with_a_wrong_secret_or_half_of_its_credentials_gets_no_token() {
    let site = Followed::new();
    let (_server, url) = site.serve();
    let mut command = agent(&site, &url);
    private(&site.path("agent.secret"), "another-secret");
    let refused = ran(command.arg("whoami")).status(1);
    assert!(refused.talk.contains("it refuses: `invalid_client`"), "{refused:?}");
    assert!(!refused.talk.contains("another-secret"));
    let refused = ran(agent(&site, &url).env_remove("GANTRAL_CLIENT_SECRET_FILE").arg("whoami")).status(1);
    assert!(refused.talk.contains("either a secret or a key"), "{refused:?}");
    let refused = ran(agent(&site, &url).env_remove("GANTRAL_CLIENT_ID").arg("whoami")).status(1);
    assert!(refused.talk.contains("both its issuer and its client"), "{refused:?}");
    let refused = ran(agent(&site, &url).args(["whoami", "--token-file", "agent.secret"])).status(1);
    assert!(refused.talk.contains("both a token file and"), "{refused:?}");
}
