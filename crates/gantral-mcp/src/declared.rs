//! What clients and servers declare that they can do, and how what we add is declared: to a client that can make use of it, and to no other.
//!
//! A client of 2025-11-25 that declares tasks is offered tasks for every tool; one of 2026-07-28 says with each request what it takes.

use crate::message::{Message, members, span, with_value};

/// The extension by which clients of 2026-07-28 take tasks.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";
/// Where requests of that revision say what the client can do.
const CLIENT: &str = "io.modelcontextprotocol/clientCapabilities";
/// The revision that has tasks of its own.
const REVISION: &str = "2025-11-25";
/// The revision that has batches.
const BATCHES: &str = "2025-03-26";
/// What a server of tasks declares.
const CAPABILITY: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;

/// What a server itself can do with tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerTasks {
    /// It takes calls of tools as tasks.
    pub calls: bool,
    /// It lists its tasks.
    pub lists: bool,
}

/// Whether a tool can be called as a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskSupport {
    /// Only as a call.
    #[default]
    Forbidden,
    /// As both.
    Optional,
    /// Only as a task.
    Required,
}

/// Returns what stands at a path of an object.
pub fn at<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(text, |text, name| members(text).ok()?.last(name))
}

/// Tells whether a client that begins declares tasks.
pub fn of_client(initialize: &Message) -> bool {
    at(initialize.text(), &["params", "capabilities", "tasks"]).is_some_and(|raw| raw != "null")
}

/// Reads what a server says of itself when a client begins.
pub fn of_server(answer: &Message) -> ServerTasks {
    let tasks = ["result", "capabilities", "tasks"];
    let has = |path: &[&str]| at(answer.text(), &[&tasks, path].concat()).is_some_and(|raw| raw != "null");
    ServerTasks { calls: has(&["requests", "tools", "call"]), lists: has(&["list"]) }
}

/// Tells whether client and server agreed upon the revision that has tasks of its own.
pub fn has_tasks(answer: &Message) -> bool {
    agreed(answer).as_deref() == Some(REVISION)
}

/// Tells whether client and server agreed upon the revision that has batches.
pub fn has_batches(answer: &Message) -> bool {
    agreed(answer).as_deref() == Some(BATCHES)
}

fn agreed(answer: &Message) -> Option<String> {
    serde_json::from_str(at(answer.text(), &["result", "protocolVersion"])?).ok()
}

/// Declares tasks in the answer to a client that begins.
pub fn with_tasks(answer: Message) -> Message {
    let place = ["result", "capabilities", "tasks"];
    let server = of_server(&answer);
    if answer.member("result").is_none() {
        return answer;
    }
    if at(answer.text(), &place).is_none() {
        return answer.with(&place, CAPABILITY);
    }
    let mut answer = answer;
    for (path, there) in [
        (&["list"][..], server.lists),
        (&["cancel"], at(answer.text(), &[&place[..], &["cancel"]].concat()).is_some()),
        (&["requests", "tools", "call"], server.calls),
    ] {
        if !there {
            answer = answer.with(&[&place, path].concat(), "{}");
        }
    }
    answer
}

/// Declares the extension in the answer to a client that looks what there is.
pub fn with_extension(answer: Message) -> Message {
    let place = ["result", "capabilities", "extensions", TASKS];
    if at(answer.text(), &place[..1]).is_none() || at(answer.text(), &place).is_some() {
        return answer;
    }
    answer.with(&place, "{}")
}

/// Says of each tool of a list that it can be called as a task; a tool that must be stays so.
pub fn with_support(answer: Message) -> Message {
    let text = answer.text();
    let Some(list) = at(text, &["result", "tools"]) else { return answer };
    let elements: Vec<&serde_json::value::RawValue> = serde_json::from_str(list).unwrap_or_default();
    let mut written = String::with_capacity(text.len());
    let mut from = 0;
    for element in elements.into_iter().map(serde_json::value::RawValue::get) {
        let (Some(place), TaskSupport::Forbidden) = (span(text, element), support(element)) else { continue };
        let Some(new) = with_value(element, &["execution", "taskSupport"], "\"optional\"") else { continue };
        written.push_str(text.get(from..place.start).unwrap_or_default());
        written.push_str(&new);
        from = place.end;
    }
    written.push_str(text.get(from..).unwrap_or_default());
    let kind = answer.kind().clone();
    Message::ours(written, kind)
}

/// Reads what a tool of a list says of tasks.
pub fn support(tool: &str) -> TaskSupport {
    let word = at(tool, &["execution", "taskSupport"]);
    match word.and_then(|raw| serde_json::from_str::<String>(raw).ok()).as_deref() {
        Some("required") => TaskSupport::Required,
        Some("optional") => TaskSupport::Optional,
        _ => TaskSupport::Forbidden,
    }
}

/// Tells whether a request of a revision without a handshake says that its client takes tasks.
pub fn takes_tasks(meta: Option<&str>) -> bool {
    meta.is_some_and(|meta| at(meta, &[CLIENT, "extensions", TASKS]).is_some_and(|raw| raw != "null"))
}

/// Tells whether a request of such a revision says that its client can lead a person to an address.
pub fn takes_addresses(meta: Option<&str>) -> bool {
    meta.is_some_and(|meta| at(meta, &[CLIENT, "elicitation", "url"]).is_some_and(|raw| raw != "null"))
}

/// Returns the same metadata of a client that can do nothing: nobody is there who could be asked.
pub fn of_nobody(meta: &str) -> String {
    match at(meta, &[CLIENT]) {
        Some(_) => with_value(meta, &[CLIENT], "{}").unwrap_or_else(|| meta.to_owned()),
        None => meta.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::from_server(text.as_bytes().to_vec())
    }

    #[test]
    fn tasks_are_declared_beside_what_the_server_can_do() {
        let answer = |capabilities: &str| {
            message(&format!(
                r#"{{"id":0,"result":{{"protocolVersion":"2025-11-25","capabilities":{capabilities}}}}}"#
            ))
        };
        let none = answer(r#"{"tools":{ }}"#);
        assert!(has_tasks(&none));
        assert_eq!(of_server(&none), ServerTasks::default());
        let declared = with_tasks(none);
        assert!(
            declared.text().contains(&format!(r#"{{"tools":{{ }},"tasks":{CAPABILITY}}}"#)),
            "{}",
            declared.text()
        );
        let all = ServerTasks { calls: true, lists: true };
        assert_eq!(of_server(&declared), all);
        let half = with_tasks(answer(r#"{"tasks":{"cancel":{"x":1},"requests":{"tools":{}}}}"#));
        assert_eq!(of_server(&half), all);
        assert!(half.text().contains(r#""cancel":{"x":1}"#), "{}", half.text());
        let error = r#"{"id":0,"error":{"code":1,"message":"no"}}"#;
        assert_eq!(with_tasks(message(error)).text(), error);
        assert_eq!(with_extension(message(error)).text(), error);
    }

    #[test]
    fn each_tool_of_a_list_can_be_a_task_and_nothing_else_changes() {
        let list = message(
            r#"{"id":1,"result":{"tools":[ {"name":"a"} ,{"name":"b","execution":{"taskSupport":"required"}},{"name":"c","execution":{"taskSupport":"forbidden", "x":1}}] }}"#,
        );
        assert_eq!(
            with_support(list).text(),
            r#"{"id":1,"result":{"tools":[ {"name":"a","execution":{"taskSupport":"optional"}} ,{"name":"b","execution":{"taskSupport":"required"}},{"name":"c","execution":{"taskSupport":"optional", "x":1}}] }}"#
        );
    }

    #[test]
    fn request_says_itself_what_its_client_takes() {
        let meta = r#"{"a":1,"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}},"sampling":{}}}"#;
        assert!(takes_tasks(Some(meta)));
        assert!(!takes_tasks(Some("{}")) && !takes_tasks(None));
        assert!(!takes_addresses(Some(meta)));
        assert!(takes_addresses(Some(
            r#"{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{},"url":{}}}}"#
        )));
        assert_eq!(of_nobody(meta), r#"{"a":1,"io.modelcontextprotocol/clientCapabilities":{}}"#);
    }
}
