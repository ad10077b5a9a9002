use alloc::format;
use alloc::string::ToString as _;

use super::*;
use crate::json::{Profile, parse};

pub(crate) const REFUND: &str = r#"{
  "id": "refund", "version": "1", "team": "payments", "materiality": "HIGH", "domain": "finance",
  "run": {"queue": "payments", "command": ["agent"], "resume_command": ["agent", "--resume"],
          "secrets": {"API_KEY": "env:REFUND_API_KEY"}},
  "actions": {"refund": {"parameters": {
     "amount": {"type": "integer"}, "currency": {"type": "string", "default": "EUR"},
     "note": {"type": "string", "required": false, "policy": false}}}},
  "floors": {"default_approvers": ["RISK_OFFICER"], "timeout": "30m", "timeout_max": "2h"}
}"#;

fn read(text: &str) -> Result<Workflow, WorkflowError> {
    Workflow::read(&parse(text.as_bytes(), &Profile::DOCUMENT).unwrap())
}

#[test]
fn a_definition_reads_with_its_documented_defaults() {
    let workflow = read(REFUND).unwrap();
    assert_eq!(workflow.floors.timeout, DurationMs::from_secs(1_800));
    assert_eq!(workflow.lifetime, DurationMs::from_secs(7 * 86_400));
    assert_eq!(workflow.grant_lifetime, DurationMs::from_secs(3_600));
    assert_eq!(workflow.failure.closed, Closed::RequireHuman);
    assert_eq!(read(&REFUND.replace(", \"domain\": \"finance\"", "")).unwrap().domain.as_str(), "operations");
    assert_eq!(workflow.run.unwrap().lease, DurationMs::from_secs(30));
}

#[test]
fn spelling_does_not_change_the_digest_and_content_does() {
    let spaced = REFUND.replace("\"1\"", "  \"1\" ");
    assert_eq!(read(&spaced).unwrap().digest, read(REFUND).unwrap().digest);
    let other = REFUND.replace("\"30m\"", "\"31m\"");
    assert_ne!(read(&other).unwrap().digest, read(REFUND).unwrap().digest);
}

#[test]
fn messages_may_show_what_an_action_names_below_its_parameters() {
    let with = |members: &str| {
        let text = format!("\"refund\": {{\"notify_members\": {members}, \"parameters\"");
        read(&REFUND.replace("\"refund\": {\"parameters\"", &text))
    };
    let workflow = with("[\"/amount\", \"/note/0\"]").unwrap();
    let (_, action) = workflow.actions.iter().next().unwrap();
    let pointers: Vec<&str> = action.notify_members.iter().map(Pointer::as_str).collect();
    assert_eq!(pointers, ["/amount", "/note/0"]);
    let (_, action) = read(REFUND).unwrap().actions.into_iter().next().unwrap();
    assert!(action.notify_members.is_empty());
    let many = format!("[{}]", ["\"/amount\""; NOTIFY_MEMBERS_MAX + 1].join(","));
    for bad in ["[\"amount\"]", "[\"\"]", "[\"/amuont\"]", "\"/amount\"", "[7]", "[\"/amount~\"]", &many] {
        assert_eq!(with(bad).unwrap_err().path, "actions.refund.notify_members", "{bad}");
    }
}

#[test]
fn a_wrong_member_is_named() {
    for (from, to, path) in [
        ("\"HIGH\"", "\"high\"", "materiality"),
        ("\"finance\"", "\"Finance\"", "domain"),
        ("\"finance\"", "\"marketing\"", "domain"),
        ("\"run\"", "\"runs\"", "runs"),
        ("[\"RISK_OFFICER\"]", "[]", "floors.default_approvers"),
        ("\"timeout\": \"30m\"", "\"timeout\": \"3h\"", "floors.timeout"),
        ("env:REFUND_API_KEY", "hunter2", "run.secrets.API_KEY"),
        ("\"API_KEY\"", "\"GANTRAL_TOKEN\"", "run.secrets.GANTRAL_TOKEN"),
        ("\"integer\"", "\"int\"", "actions.refund.parameters.amount.type"),
        ("\"default\": \"EUR\"", "\"default\": 7", "actions.refund.parameters.currency.default"),
        ("[\"agent\"]", "[]", "run.command"),
    ] {
        let error = read(&REFUND.replace(from, to)).unwrap_err();
        assert_eq!(error.path, path);
    }
}

#[test]
fn an_outage_cannot_be_open_where_much_is_at_stake() {
    let open = REFUND.replace("\"floors\"", "\"on_failure\": {\"outage\": \"open\"}, \"floors\"");
    assert_eq!(read(&open).unwrap_err().path, "on_failure.outage");
    assert!(read(&open.replace("HIGH", "LOW")).unwrap().failure.open_on_outage);
}

#[test]
fn a_grant_is_released_when_the_definition_says_so() {
    let with = |release: &str| {
        read(&REFUND.replace("\"floors\"", &format!("\"release\": \"{release}\", \"floors\"")))
    };
    assert_eq!(read(REFUND).unwrap().release, Release::Committed);
    for release in [Release::Committed, Release::Sequenced, Release::Witnessed(1), Release::Witnessed(16)] {
        assert_eq!(with(&release.to_string()).unwrap().release, release);
    }
    for wrong in [
        "",
        "witnessed",
        "witnessed()",
        "witnessed(0)",
        "witnessed(01)",
        "witnessed(+1)",
        "witnessed(17)",
        "Sequenced",
    ] {
        assert_eq!(with(wrong).unwrap_err().path, "release", "{wrong}");
    }
}
