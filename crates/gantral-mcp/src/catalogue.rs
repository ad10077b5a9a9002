//! What a server says of its tools: which arguments they take, and what is filled in.
//!
//! A server's word about its own tools is believed for filling in defaults and nothing else. The digest of the schema is part of each
//! action, so that a tool whose schema changes is another action.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantral_core::digest::Hasher;
use gantral_core::json::{self, Object, Profile, Value};

use crate::declared::{self, TaskSupport};
use crate::message::{Message, members, span};
use crate::port::{Lost, Port};

/// For how long a server's list of tools is believed: one that is changed in silence is seen after that time.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// The most tools of one server.
const TOOLS_MAX: usize = 4096;
/// The most pages of one list.
const PAGES_MAX: usize = 64;
/// How deep defaults are looked for: schemas refer to themselves.
const DEPTH_MAX: usize = 8;

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The digest of its schema, hex.
    pub digest: String,
    /// The schema, if it can be taken exactly.
    schema: Option<Value>,
    /// What the server claims about it, such as that it only reads.
    pub annotations: Option<Value>,
    /// Whether it promises structured results of a schema.
    pub promises: bool,
    /// Whether it can be called as a task.
    pub tasks: TaskSupport,
}

/// The tools of a server, as they were listed last.
#[derive(Debug, Default)]
pub struct Catalogue {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tools: HashMap<String, Tool>,
    listed: Option<Instant>,
}

impl Catalogue {
    /// Forgets that anything was listed: the server says that it changed.
    pub fn changed(&self) {
        self.known().listed = None;
    }

    /// Learns from a page that passes by. It makes nothing fresh: it may be one of several.
    pub fn learn(&self, answer: &Message) {
        let mut known = self.known();
        for (name, tool) in tools_of(answer.text()) {
            if known.tools.len() < TOOLS_MAX || known.tools.contains_key(&name) {
                known.tools.insert(name, tool);
            }
        }
    }

    /// Returns a tool as the server lists it now, or a minute ago at most; `None` if it lists none of that name. `meta` is what requests
    /// carry in revisions without a handshake.
    ///
    /// # Errors
    /// `Lost`: the server cannot be asked. A server that refuses to list has no tools that we know.
    pub async fn tool(&self, name: &str, port: &dyn Port, meta: Option<&str>) -> Result<Option<Tool>, Lost> {
        if let Some(tool) = self.fresh(name) {
            return Ok(Some(tool));
        }
        self.list(port, meta).await?;
        Ok(self.known().tools.get(name).cloned())
    }

    fn fresh(&self, name: &str) -> Option<Tool> {
        let known = self.known();
        let fresh = known.listed.is_some_and(|at| at.elapsed() < FRESH_FOR);
        fresh.then(|| known.tools.get(name).cloned()).flatten()
    }

    async fn list(&self, port: &dyn Port, meta: Option<&str>) -> Result<(), Lost> {
        let meta = meta.and_then(without_progress);
        let mut tools = HashMap::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let given = [("_meta", &meta), ("cursor", &cursor)];
            let given = given.iter().filter_map(|(name, raw)| Some(format!("\"{name}\":{}", raw.as_ref()?)));
            let params = format!("{{{}}}", given.collect::<Vec<_>>().join(","));
            let answer = port.forward("tools/list", params, None).await?;
            tools.extend(tools_of(answer.text()).into_iter().take(TOOLS_MAX));
            cursor = next_cursor(answer.text());
            if cursor.is_none() || tools.len() >= TOOLS_MAX {
                break;
            }
        }
        *self.known() = Known { tools, listed: Some(Instant::now()) };
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Whoever panicked left whole values.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tool {
    /// Returns arguments with the defaults of the schema filled in.
    pub fn filled(&self, arguments: Object) -> Object {
        match &self.schema {
            Some(schema) => fill(arguments, schema, schema, 0),
            None => arguments,
        }
    }
}

/// Fills in what is absent and has a default, here and in objects that are there or come from a default.
fn fill(mut arguments: Object, schema: &Value, root: &Value, depth: usize) -> Object {
    let schema = resolved(schema, root);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return arguments };
    if depth >= DEPTH_MAX {
        return arguments;
    }
    for (name, property) in properties.iter() {
        let given = arguments.get(name).cloned();
        let value = given
            .or_else(|| resolved(property, root).get("default").or_else(|| property.get("default")).cloned());
        match value {
            Some(Value::Object(inner)) => {
                arguments.insert(name, Value::Object(fill(inner, property, root, depth.saturating_add(1))));
            }
            Some(value) => {
                arguments.insert(name, value);
            }
            None => {}
        }
    }
    arguments
}

/// Follows one reference into the definitions of the schema.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/"));
    let steps = target.map(|path| path.split('/').try_fold(root, |value, step| value.get(step)));
    steps.flatten().unwrap_or(schema)
}

/// Reads the tools of one page.
fn tools_of(answer: &str) -> Vec<(String, Tool)> {
    let Some(list) = list_of(answer, "tools") else { return Vec::new() };
    let elements: Vec<&serde_json::value::RawValue> = serde_json::from_str(list).unwrap_or_default();
    elements.into_iter().filter_map(|raw| tool_of(raw.get())).collect()
}

fn tool_of(text: &str) -> Option<(String, Tool)> {
    let found = members(text).ok()?;
    let name = serde_json::from_str(found.last("name")?).ok()?;
    let raw = found.last("inputSchema").unwrap_or("{}");
    let parse = |raw: &str| json::parse(raw.as_bytes(), &Profile::DOCUMENT).ok();
    let schema = parse(raw);
    let canonical = schema.as_ref().map_or_else(|| raw.as_bytes().to_vec(), Value::to_canonical);
    let digest = Hasher::new("gantral/mcp/schema/v1").bytes(&canonical).finish().to_hex();
    let annotations = found.last("annotations").and_then(parse);
    let promises = found.last("outputSchema").is_some_and(|raw| raw != "null");
    let tasks = declared::support(text);
    Some((name, Tool { digest, schema, annotations, promises, tasks }))
}

fn list_of<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    members(members(answer).ok()?.last("result")?).ok()?.last(name)
}

fn next_cursor(answer: &str) -> Option<String> {
    let result = members(answer).ok()?.last("result")?;
    let cursor = members(result).ok()?.last("nextCursor")?;
    (cursor != "null").then(|| cursor.to_owned())
}

/// Leaves out what progress would be told under: nobody asked for progress of our own request.
pub(crate) fn without_progress(meta: &str) -> Option<String> {
    let found = members(meta).ok()?;
    let kept = found.iter().filter(|(name, _)| *name != "progressToken");
    let kept = kept.map(|(name, raw)| format!("{}:{raw}", crate::call::quoted(name))).collect::<Vec<_>>();
    (!kept.is_empty()).then(|| format!("{{{}}}", kept.join(",")))
}

/// Tells whether no further page follows.
pub(crate) fn is_last_page(answer: &str) -> bool {
    next_cursor(answer).is_none()
}

/// Adds elements of ours, JSON, to the last page of a list; the rest stays byte for byte. Any other answer stays as it is.
pub(crate) fn with_elements(answer: Message, name: &str, ours: &[String]) -> Message {
    let text = answer.text();
    if ours.is_empty() || !is_last_page(text) {
        return answer;
    }
    let Some(place) = list_of(text, name).and_then(|list| span(text, list)) else { return answer };
    let Some(list) = text.get(place.clone()) else { return answer };
    let Some((before, _)) = list.rsplit_once(']') else { return answer };
    let comma = if before.trim_end().ends_with('[') { "" } else { "," };
    let head = text.get(..place.start).unwrap_or_default();
    let tail = text.get(place.end..).unwrap_or_default();
    let written = format!("{head}{before}{comma}{}]{tail}", ours.join(","));
    let kind = answer.kind().clone();
    Message::ours(written, kind)
}

#[cfg(test)]
mod tests;
