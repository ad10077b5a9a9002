//! Which requests are asked for, which pass, and which are refused here: rules by method and path, the first that fits counts.
//!
//! What no rule fits is asked for, so that a service's new path is governed before anybody thought of it.

use axum::http::Method;

/// The most rules: more than a person looks through, and each request is held against all.
pub const RULES_MAX: usize = 256;
/// The longest rule, in bytes.
const RULE_BYTES_MAX: usize = 1024;

/// What a rule says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is sent on as it is, and Gantral does not hear of it.
    Pass,
    /// It is asked for.
    Ask,
    /// It goes nowhere.
    Refuse,
}

/// Why a text is no rule. Whoever wrote it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It does not have three words.
    #[error(
        "`{rule}` is not `pass`, `ask` or `refuse`, methods, and a path, such as `ask POST,PUT /orders/{{order}}/refunds`"
    )]
    Shape {
        /// The rule.
        rule: String,
    },
    /// The methods.
    #[error("`{word}` is not `*` or methods with commas between them")]
    Methods {
        /// The word.
        word: String,
    },
    /// The path.
    #[error("`{word}` is no path: segments are plain, `{{name}}` or `*`, and `**` stands at the end alone")]
    Path {
        /// The word.
        word: String,
    },
    /// Too many.
    #[error("there are more than {RULES_MAX} rules")]
    TooMany,
}

/// What is known of a request by its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Treated<'a> {
    /// What is done with it.
    pub treatment: Treatment,
    /// The path of the rule that asks, which names the target of the action.
    pub template: Option<&'a str>,
    /// What stands at the names of the template.
    pub values: Vec<(&'a str, String)>,
}

/// Rules in their order.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    treatment: Treatment,
    /// None for all.
    methods: Option<Vec<Method>>,
    path: String,
    segments: Vec<Segment>,
    /// Whether everything below is meant too.
    below: bool,
}

#[derive(Debug, Clone)]
enum Segment {
    Plain(String),
    Any,
    Named(String),
}

impl Rules {
    /// Reads rules; empty lines and lines that begin with `#` say nothing.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, RuleError> {
        let lines =
            lines.into_iter().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules = lines.map(Rule::parse).collect::<Result<Vec<Rule>, RuleError>>()?;
        if rules.len() > RULES_MAX { Err(RuleError::TooMany) } else { Ok(Self(rules)) }
    }

    /// Returns what is done with a request. `path` is in its one spelling.
    pub fn treat(&self, method: &Method, path: &str) -> Treated<'_> {
        let fits = |rule: &'_ Rule| rule.methods.as_ref().is_none_or(|methods| methods.contains(method));
        for rule in self.0.iter().filter(|rule| fits(rule)) {
            if let Some(values) = rule.values(path) {
                // A template that stands for many paths does not name one.
                let template = (!rule.below).then_some(rule.path.as_str());
                return Treated { treatment: rule.treatment, template, values };
            }
        }
        Treated { treatment: Treatment::Ask, template: None, values: Vec::new() }
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self, RuleError> {
        let shape = || RuleError::Shape { rule: line.chars().take(120).collect() };
        let mut words = line.split_whitespace();
        let (Some(treatment), Some(methods), Some(path), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(shape());
        };
        if line.len() > RULE_BYTES_MAX {
            return Err(shape());
        }
        let treatment = match treatment {
            "pass" => Treatment::Pass,
            "ask" => Treatment::Ask,
            "refuse" => Treatment::Refuse,
            _ => return Err(shape()),
        };
        let (segments, below) = segments(path).ok_or_else(|| RuleError::Path { word: path.to_owned() })?;
        Ok(Self { treatment, methods: methods_of(methods)?, path: path.to_owned(), segments, below })
    }

    fn values(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let mut given = path.split('/').skip(1);
        let mut values = Vec::new();
        for segment in &self.segments {
            let found = given.next()?;
            match segment {
                Segment::Plain(text) if text == found => {}
                Segment::Plain(_) => return None,
                Segment::Any if found.is_empty() => return None,
                Segment::Any => {}
                Segment::Named(_) if found.is_empty() => return None,
                Segment::Named(name) => values.push((name.as_str(), found.to_owned())),
            }
        }
        (self.below || given.next().is_none()).then_some(values)
    }
}

fn methods_of(word: &str) -> Result<Option<Vec<Method>>, RuleError> {
    if word == "*" {
        return Ok(None);
    }
    let method = |name: &str| {
        let large = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        Method::from_bytes(name.as_bytes()).ok().filter(|_| large)
    };
    let methods: Option<Vec<Method>> = word.split(',').map(method).collect();
    methods.map(Some).ok_or_else(|| RuleError::Methods { word: word.to_owned() })
}

/// Reads the path of a rule: its segments, and whether it goes on below.
fn segments(path: &str) -> Option<(Vec<Segment>, bool)> {
    let path = path.strip_prefix('/')?;
    if path == "**" {
        return Some((Vec::new(), true));
    }
    let (path, below) = match path.strip_suffix("/**") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let mut segments = Vec::new();
    let mut texts = path.split('/').peekable();
    while let Some(text) = texts.next() {
        // A slash at the end is a segment without a name; elsewhere there is none.
        let ends = texts.peek().is_none() && !below;
        segments.push(match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) if is_name(name) => Segment::Named(name.to_owned()),
            Some(_) => return None,
            None if text == "*" => Segment::Any,
            None if text.is_empty() && !ends => return None,
            // A rule that is spelled otherwise than paths are would never fit.
            None => {
                let plain = crate::request::plain_path(&format!("/{text}"))?;
                if plain.strip_prefix('/') != Some(text) || text.contains('*') {
                    return None;
                }
                Segment::Plain(text.to_owned())
            }
        });
    }
    Some((segments, below))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests;
