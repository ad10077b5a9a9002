use super::*;
use crate::authority::Denial;

fn handle() -> Handle {
    Handle::new().unwrap()
}

fn answer(text: &str) -> Message {
    Message::from_server(text.as_bytes().to_vec())
}

fn done(succeeded: bool, member: &str) -> Progress {
    Progress::Over(Outcome::Done { succeeded, answer: (member.to_owned(), r#"{"content":[]}"#.to_owned()) })
}

#[test]
fn name_of_a_task_is_ours_or_is_left_to_the_server() {
    let id = handle().id;
    assert_eq!(TaskId::parse(&id.to_string()), Some(id.clone()));
    for text in ["786512e2-9e0d-44bd", "gantral-task-", "gantral-task-../../../etc/passwd", "gantral-task-00"]
    {
        assert_eq!(TaskId::parse(text), None, "{text}");
    }
    let asked = |name: &str| {
        TaskId::named_by(&answer(&format!(
            r#"{{"id":1,"method":"tasks/get","params":{{"taskId":"{name}"}}}}"#
        )))
    };
    assert_eq!(asked(&id.to_string()), Some(Ok(id)));
    assert_eq!(asked("gantral-task-x"), Some(Err(())));
    assert_eq!(asked("786512e2"), None);
}

#[test]
fn both_revisions_say_how_a_call_ended_in_their_own_words() {
    let denied = |code: &str| {
        Progress::Over(Outcome::Denied { denial: Denial { code: code.to_owned(), reasons: Vec::new() } })
    };
    for (progress, params, extension) in [
        (Progress::Begun, Status::Working, Status::Working),
        (done(true, "result"), Status::Completed, Status::Completed),
        (done(false, "result"), Status::Failed, Status::Completed),
        (done(false, "error"), Status::Failed, Status::Failed),
        (denied("rejected"), Status::Failed, Status::Completed),
        (denied("withdrawn"), Status::Cancelled, Status::Cancelled),
    ] {
        assert_eq!(status(&progress, Manner::Params), params, "{progress:?}");
        assert_eq!(status(&progress, Manner::Extension), extension, "{progress:?}");
    }
}

#[test]
fn look_brings_the_result_only_where_the_revision_has_it_so() {
    let (handle, id) = (handle(), Id::Number(1));
    let text = |progress: &Progress, manner| looked_at(&id, &handle, progress, manner).text().to_owned();
    assert!(!text(&done(true, "result"), Manner::Params).contains("content"));
    let value: Value = serde_json::from_str(&text(&done(true, "result"), Manner::Extension)).unwrap();
    assert_eq!(value["result"]["result"], json!({"content": []}));
    assert_eq!(value["result"]["resultType"], "complete");
    let value: Value = serde_json::from_str(&text(&done(false, "error"), Manner::Extension)).unwrap();
    assert_eq!(
        (&value["result"]["status"], &value["result"]["error"]["content"]),
        (&json!("failed"), &json!([]))
    );
}

#[test]
fn task_begins_as_working_whatever_became_of_its_call() {
    let created = created(&Id::Number(1), &handle(), &done(false, "result"), Manner::Params);
    let value: Value = serde_json::from_str(created.text()).unwrap();
    assert_eq!(
        (&value["result"]["task"]["status"], &value["result"]["task"]["ttl"]),
        (&json!("working"), &Value::Null)
    );
}

#[test]
fn result_says_which_task_it_belongs_to_and_nothing_else_changes() {
    let id = handle().id;
    let own = format!(r#""io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}"#);
    let check = |before: &str, after: String| {
        let changed = related(answer(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{before}}}"#)), &id);
        assert_eq!(changed.text(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{after}}}"#));
    };
    check("{}", format!(r#"{{"_meta":{{{own}}}}}"#));
    check(r#"{"content":[ 1 ]}"#, format!(r#"{{"content":[ 1 ],"_meta":{{{own}}}}}"#));
    check(r#"{"_meta":{"a":1.50},"b":2}"#, format!(r#"{{"_meta":{{"a":1.50,{own}}},"b":2}}"#));
    let theirs = r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"x"}}}"#;
    check(theirs, format!(r#"{{"_meta":{{{own}}}}}"#));
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#;
    assert_eq!(related(answer(error), &id).text(), error);
}
