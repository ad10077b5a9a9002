//! Members of a call that do not leave this site, and members that policy is shown beside the call.
//!
//! What is withheld is replaced, before anything is asked, by a commitment to it: a salted digest, under which nobody can try values out. The
//! value and its salt lie sealed in the spool until the call is settled. What is sent to the server is what was committed to, or nothing.

use gantral_core::digest::Hasher;
use gantral_core::json::{self, Object, Pointer, Profile, Value};
use serde::{Deserialize, Serialize};

/// What stands in place of a member.
const MARK: &str = "gantral_withheld";
/// The most that is withheld of one call, in bytes: a key or a document, and not a picture.
pub const WITHHELD_BYTES_MAX: usize = 1 << 20;
/// The most rules of each kind.
pub const RULES_MAX: usize = 32;
/// The longest name of an attribute, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Of a salt, in bytes.
const SALT_BYTES: usize = 32;

/// What is withheld, and what is shown.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    withhold: Vec<Pointer>,
    attributes: Vec<(String, Pointer)>,
}

/// What is no rule. Whoever configured it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// A pointer.
    #[error("`{0}` is no pointer below `/arguments`, such as `/arguments/password`")]
    Withhold(String),
    /// An attribute.
    #[error(
        "`{0}` is not `NAME=POINTER`, with a pointer below `/arguments` or `/_meta` and a name of its own"
    )]
    Attribute(String),
    /// Too many.
    #[error("there are more than {RULES_MAX} of one kind")]
    TooMany,
}

impl Rules {
    /// Reads rules: pointers to what is withheld, and `NAME=POINTER` for what is shown to policy as an attribute.
    ///
    /// # Errors
    /// [`BadRule`].
    pub fn parse(withhold: &[String], attributes: &[String]) -> Result<Self, BadRule> {
        if withhold.len().max(attributes.len()) > RULES_MAX {
            return Err(BadRule::TooMany);
        }
        let below = |text: &str, roots: &[&str]| {
            Pointer::parse(text).filter(|found| found.steps().len() > 1 && roots.contains(&found.first()))
        };
        let pointer =
            |text: &String| below(text, &["arguments"]).ok_or_else(|| BadRule::Withhold(text.clone()));
        let attribute = |text: &String| {
            let (name, path) = text.split_once('=')?;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let own = name.len() <= NAME_BYTES_MAX && !name.is_empty() && name.chars().all(plain);
            let found = below(path, &["arguments", "_meta"])?;
            // What the server says of its tool stands under this name.
            (own && name != "annotations").then(|| (name.to_owned(), found))
        };
        let attributes =
            attributes.iter().map(|text| attribute(text).ok_or_else(|| BadRule::Attribute(text.clone())));
        Ok(Self {
            withhold: withhold.iter().map(pointer).collect::<Result<_, _>>()?,
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }

    /// Takes what is withheld out of arguments.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn take(&self, arguments: Object) -> Result<(Object, Withheld), getrandom::Error> {
        let mut root = Value::Object(Object::new().with("arguments", Value::Object(arguments)));
        let mut taken = Withheld::default();
        for pointer in &self.withhold {
            if pointer.find(&root).is_none() {
                continue;
            }
            let mut salt = [0; SALT_BYTES];
            getrandom::fill(&mut salt)?;
            let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
            root = swap(root, pointer.steps(), &mut |value| {
                let member = Member {
                    pointer: pointer.as_str().to_owned(),
                    salt: salt.clone(),
                    value: crate::call::text_of(&value),
                };
                let mark = member.mark();
                taken.members.push(member);
                mark
            });
        }
        let arguments = root.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok((arguments, taken))
    }

    /// Returns what policy is shown beside a call, of which the withheld is taken out: what the server says of its tool, and what was chosen.
    pub(crate) fn attributes(
        &self,
        arguments: &Object,
        meta: Option<&str>,
        annotations: Option<Value>,
    ) -> Option<Value> {
        let meta = meta.and_then(|meta| json::parse(meta.as_bytes(), &Profile::DOCUMENT).ok());
        let mut root = Object::new().with("arguments", Value::Object(arguments.clone()));
        if let Some(meta) = meta {
            root.insert("_meta", meta);
        }
        let root = Value::Object(root);
        let mut shown = Object::new();
        if let Some(annotations) = annotations {
            shown.insert("annotations", annotations);
        }
        for (name, pointer) in &self.attributes {
            if let Some(value) = pointer.find(&root) {
                shown.insert(name.as_str(), value.clone());
            }
        }
        (!shown.is_empty()).then_some(Value::Object(shown))
    }
}

/// What is withheld of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withheld {
    members: Vec<Member>,
}

/// One member. It is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    pointer: String,
    salt: String,
    value: String,
}

impl core::fmt::Debug for Member {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Member").field("pointer", &self.pointer).finish_non_exhaustive()
    }
}

impl Member {
    fn mark(&self) -> Value {
        let hasher = Hasher::new("gantral/mcp/withheld/v1").text(&self.salt).text(&self.pointer);
        let commitment = hasher.bytes(self.value.as_bytes()).finish().to_hex();
        Value::Object(Object::new().with(MARK, commitment))
    }
}

/// What was approved is not what was withheld: nothing may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was withheld is not what was committed to")]
pub struct NotCommitted;

impl Withheld {
    /// Reads what was sealed; `None` if it is nothing withheld.
    pub fn read(plain: &[u8]) -> Option<Self> {
        serde_json::from_slice(plain).ok()
    }

    /// Returns what is sealed.
    pub fn to_plain(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Tells whether nothing is withheld.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns how much is withheld, in bytes.
    pub fn bytes(&self) -> usize {
        self.members.iter().map(|member| member.value.len()).sum()
    }

    /// Returns pointers and values, to tell the same call by.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|member| (member.pointer.as_str(), member.value.as_str()))
    }

    /// Returns arguments without the commitments, which are never the same twice.
    pub(crate) fn unmarked(&self, arguments: Object) -> Object {
        let mut root = Value::Object(Object::new().with("arguments", Value::Object(arguments)));
        for pointer in self.members.iter().filter_map(|member| Pointer::parse(&member.pointer)) {
            root = swap(root, pointer.steps(), &mut |_| Value::Object(Object::new().with(MARK, Value::Null)));
        }
        root.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Puts what is withheld back into arguments as approved. A member that a human replaced stays as they left it.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub(crate) fn restored(&self, arguments: Value) -> Result<Value, NotCommitted> {
        let mut root = Value::Object(Object::new().with("arguments", arguments));
        for member in &self.members {
            let pointer = Pointer::parse(&member.pointer).ok_or(NotCommitted)?;
            let value = json::parse(member.value.as_bytes(), &Profile::DOCUMENT).map_err(|_| NotCommitted)?;
            match pointer.find(&root) {
                Some(found) if *found == member.mark() => {
                    root = swap(root, pointer.steps(), &mut |_| value.clone());
                }
                Some(found) if found.get(MARK).is_some() => return Err(NotCommitted),
                Some(_) | None => {}
            }
        }
        root.get("arguments").cloned().ok_or(NotCommitted)
    }
}

/// Returns a value with what stands at a path changed; as it is where there is nothing.
fn swap(value: Value, steps: &[String], change: &mut dyn FnMut(Value) -> Value) -> Value {
    let Some((step, below)) = steps.split_first() else { return change(value) };
    match value {
        Value::Object(mut object) => {
            if let Some(found) = object.remove(step) {
                object.insert(step.as_str(), swap(found, below, change));
            }
            Value::Object(object)
        }
        Value::Array(items) => {
            let at = step.parse::<usize>().ok();
            let each = items
                .into_iter()
                .enumerate()
                .map(|(here, item)| if Some(here) == at { swap(item, below, &mut *change) } else { item });
            Value::Array(each.collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

#[cfg(test)]
mod tests;
