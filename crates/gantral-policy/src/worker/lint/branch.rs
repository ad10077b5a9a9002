//! What the lint reads out of a rule: its branches, each with a value and the conditions under which it is taken.
//!
//! A condition is understood when it compares one member with constants. Everything else is kept as text: the same
//! text is the same condition, and that is all that is known of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::ast::{Module, Path, Rule, members, own_line, span_text, variant};
use super::allowed::Allowed;

/// Constants that rules are: a rule without conditions whose only value is written out.
pub(super) type Constants = BTreeMap<Path, Value>;

/// One way in which a rule gets a value.
#[derive(Debug)]
pub(super) struct Branch {
    /// The value, where it is written out.
    pub(super) value: Option<Value>,
    pub(super) line: u64,
    pub(super) conditions: Vec<Condition>,
    /// Whether something must hold that stands in no condition here.
    pub(super) incomplete: bool,
    /// Whether it is taken wherever those before it in its chain are not.
    pub(super) is_last_resort: bool,
    /// Branches of one chain of `else` never meet.
    pub(super) chain: (usize, usize),
}

/// What must hold of one subject.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// What it is about, in a spelling that does not depend on how it was written; `None` for what only this rule knows.
    pub(super) subject: Option<String>,
    /// The same as a path below `input`, where it is one.
    pub(super) input: Option<Path>,
    pub(super) allowed: Allowed,
    /// Whether it also holds where the subject is undefined.
    pub(super) or_undefined: bool,
    /// The constants that the subject is compared with.
    pub(super) compared: Vec<Value>,
    pub(super) line: u64,
}

impl Condition {
    fn negated(mut self) -> Self {
        self.allowed = self.allowed.complement();
        self.or_undefined = !self.or_undefined;
        self
    }

    /// Tells whether this and the other can never both hold.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.subject.is_some()
            && self.subject == other.subject
            && !(self.or_undefined && other.or_undefined)
            && self.allowed.is_disjoint(&other.allowed)
    }

    /// Tells whether the other says the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let said =
            |condition: &Self| (condition.subject.clone(), condition.allowed.clone(), condition.or_undefined);
        self.subject.is_some() && said(self) == said(other)
    }
}

/// Reads the branches of a complete rule; none for sets, functions and defaults.
pub(super) fn branches(module: &Module, rule: &Rule, constants: &Constants) -> Vec<Branch> {
    let complete = module.definition(rule).and_then(|definition| definition.pointer("/Spec"));
    let Some(spec) = complete else {
        return Vec::new();
    };
    let Some(head) =
        spec.pointer("/head/Compr").filter(|head| head.get("refr").and_then(whole_path).is_some())
    else {
        return Vec::new();
    };
    let mut reader = Reader { module, rule, constants, bindings: BTreeMap::new() };
    let head_value = head.pointer("/assign/value").map_or(Some(Value::Bool(true)), constant);
    let mut found: Vec<Branch> = Vec::new();
    let mut earlier = Guard::default();
    let mut chain = 0;
    for body in members(spec, "bodies") {
        if body.get("is_else") != Some(&Value::Bool(true)) {
            (earlier, chain) = (Guard::default(), chain + 1);
        }
        let value = match body.pointer("/assign/value") {
            Some(value) => constant(value),
            None if found.is_empty() || chain > 1 => head_value.clone(),
            None => Some(Value::Bool(true)),
        };
        let own = reader.conditions(body);
        let is_last_resort = own.is_empty();
        let line = body.pointer("/span/line").and_then(Value::as_u64).filter(|_| !found.is_empty());
        let mut conditions = own.clone();
        conditions.extend(earlier.conditions.iter().cloned());
        let line = line.unwrap_or(rule.line);
        found.push(Branch {
            value,
            line,
            conditions,
            incomplete: earlier.unknown,
            is_last_resort,
            chain: (rule.index, chain),
        });
        earlier.close(own);
    }
    if found.is_empty() {
        let chain = (rule.index, chain);
        found.push(Branch {
            value: head_value,
            line: rule.line,
            conditions: Vec::new(),
            incomplete: false,
            is_last_resort: true,
            chain,
        });
    }
    found
}

/// What is known once the branches before have not been taken.
#[derive(Default)]
struct Guard {
    conditions: Vec<Condition>,
    unknown: bool,
}

impl Guard {
    fn close(&mut self, conditions: Vec<Condition>) {
        match <[Condition; 1]>::try_from(conditions) {
            Ok([only]) if only.subject.is_some() => self.conditions.push(only.negated()),
            // That not all of several hold is nothing that one condition says.
            Ok(_) | Err(_) => self.unknown = true,
        }
    }
}

/// Returns the value of a `default` rule.
pub(super) fn default_value(module: &Module, rule: &Rule) -> Option<Value> {
    constant(module.definition(rule)?.pointer("/Default/value")?)
}

/// Returns the value that an expression writes out.
pub(super) fn constant(node: &Value) -> Option<Value> {
    let (kind, body) = variant(node)?;
    match kind {
        "String" | "RawString" | "Number" | "Bool" | "Null" => body.get("value").cloned(),
        "UnaryExpr" => {
            let negative = constant(body.get("expr")?)?.to_string();
            serde_json::from_str(&format!("-{negative}")).ok()
        }
        "Array" | "Set" => members(body, "items").map(constant).collect::<Option<Vec<_>>>().map(Value::Array),
        _ => None,
    }
}

/// Returns a reference whose parts are all names.
pub(super) fn whole_path(node: &Value) -> Option<Path> {
    let (kind, body) = variant(node)?;
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (above, last) = match kind {
        "Var" => return Some(vec![text("/value")?]),
        "RefDot" => (body.get("refr")?, text("/field/1")?),
        "RefBrack" => (body.get("refr")?, text("/index/String/value")?),
        _ => return None,
    };
    let mut path = whole_path(above)?;
    path.push(last);
    Some(path)
}

struct Reader<'a> {
    module: &'a Module,
    rule: &'a Rule,
    constants: &'a Constants,
    /// Local names that stand for a member.
    bindings: BTreeMap<String, Path>,
}

impl Reader<'_> {
    fn conditions(&mut self, body: &Value) -> Vec<Condition> {
        self.bindings.clear();
        let statements: Vec<&Value> =
            body.get("query").into_iter().flat_map(|query| members(query, "stmts")).collect();
        for statement in &statements {
            self.bind(statement);
        }
        statements.into_iter().map(|statement| self.condition(statement)).collect()
    }

    /// Remembers `name := input.member`.
    fn bind(&mut self, statement: &Value) {
        let assigned = statement.pointer("/literal/Expr/expr/AssignExpr");
        let Some(assigned) = assigned.filter(|assigned| assigned.get("op").is_some_and(|op| op == "ColEq"))
        else {
            return;
        };
        let name = assigned.pointer("/lhs/Var/value").and_then(Value::as_str);
        let path = assigned.get("rhs").and_then(|path| self.path(path));
        if let (Some(name), Some(path)) = (name, path) {
            self.bindings.insert(name.to_owned(), path);
        }
    }

    fn condition(&self, statement: &Value) -> Condition {
        let literal = statement.get("literal").unwrap_or(&Value::Null);
        let substituted = !members(statement, "with_mods").collect::<Vec<_>>().is_empty();
        match variant(literal) {
            Some(("Expr", body)) if !substituted => self.expression(body.get("expr").unwrap_or(body)),
            Some(("NotExpr", body)) if !substituted => {
                self.expression(body.get("expr").unwrap_or(body)).negated()
            }
            _ => self.opaque(statement),
        }
    }

    fn expression(&self, node: &Value) -> Condition {
        let read = match variant(node) {
            Some(("BoolExpr", body)) => self.comparison(body),
            Some(("AssignExpr", body)) if body.get("op").is_some_and(|op| op == "Eq") => {
                self.sides(body, |value| Allowed::OneOf(vec![value]), |value| Allowed::OneOf(vec![value]))
            }
            Some(("AssignExpr", body)) => body.get("rhs").and_then(|rhs| {
                let (subject, input) = self.subject(rhs)?;
                Some((subject, input, Allowed::NoneOf(Vec::new()), Vec::new()))
            }),
            Some(("Membership", body)) if body.get("key").is_none_or(Value::is_null) => self.membership(body),
            _ => None,
        };
        match read {
            Some((subject, input, allowed, compared)) => {
                let line = own_line(node).unwrap_or(self.rule.line);
                Condition { subject: Some(subject), input, allowed, or_undefined: false, compared, line }
            }
            None => self.opaque(node),
        }
    }

    fn comparison(&self, body: &Value) -> Option<Comparison> {
        let above = |inclusive| move |value| Allowed::Above(value, inclusive);
        let below = |inclusive| move |value| Allowed::Below(value, inclusive);
        match body.get("op").and_then(Value::as_str)? {
            "Eq" => {
                self.sides(body, |value| Allowed::OneOf(vec![value]), |value| Allowed::OneOf(vec![value]))
            }
            "Ne" => {
                self.sides(body, |value| Allowed::NoneOf(vec![value]), |value| Allowed::NoneOf(vec![value]))
            }
            "Gt" => self.sides(body, above(false), below(false)),
            "Ge" => self.sides(body, above(true), below(true)),
            "Lt" => self.sides(body, below(false), above(false)),
            "Le" => self.sides(body, below(true), above(true)),
            _ => None,
        }
    }

    /// Reads a comparison of a member with a constant, whichever stands on the left.
    fn sides(
        &self,
        body: &Value,
        member_left: impl Fn(Value) -> Allowed,
        member_right: impl Fn(Value) -> Allowed,
    ) -> Option<Comparison> {
        let (lhs, rhs) = (body.get("lhs")?, body.get("rhs")?);
        if let Some(value) = self.value(rhs) {
            let (subject, input) = self.subject(lhs)?;
            return Some((subject, input, member_left(value.clone()), vec![value]));
        }
        let value = self.value(lhs)?;
        let (subject, input) = self.subject(rhs)?;
        Some((subject, input, member_right(value.clone()), vec![value]))
    }

    fn membership(&self, body: &Value) -> Option<Comparison> {
        let Value::Array(values) = self.value(body.get("collection")?)? else {
            return None;
        };
        let (subject, input) = self.subject(body.get("value")?)?;
        Some((subject, input, Allowed::OneOf(values.clone()), values))
    }

    /// Returns the value of an expression that is a constant or the name of one.
    fn value(&self, node: &Value) -> Option<Value> {
        let named = || self.constants.get(&self.path(node)?).cloned();
        constant(node).or_else(named)
    }

    fn subject(&self, node: &Value) -> Option<(String, Option<Path>)> {
        let path = self.path(node)?;
        let input = path.split_first().filter(|(root, _)| *root == "input").map(|(_, below)| below.to_vec());
        Some((path.join("."), input))
    }

    /// Returns a path from `input` or `data`, with imports and local names replaced by what they stand for.
    fn path(&self, node: &Value) -> Option<Path> {
        let path = whole_path(node)?;
        let (root, below) = path.split_first()?;
        let absolute = match (root.as_str(), self.bindings.get(root), self.module.imports.get(root)) {
            ("input" | "data", ..) => return Some(path),
            (_, Some(bound), _) => bound.clone(),
            _ if self.rule.uses.locals.contains(root) || root.starts_with('_') => return None,
            (_, None, Some(import)) => import.clone(),
            (_, None, None) => {
                let package = ["data".to_owned()].into_iter().chain(self.module.package.iter().cloned());
                package.chain([root.clone()]).collect()
            }
        };
        Some(absolute.into_iter().chain(below.iter().cloned()).collect())
    }

    /// Keeps a condition as text. A bare reference holds unless it is undefined or false.
    fn opaque(&self, node: &Value) -> Condition {
        let holds = Allowed::NoneOf(vec![Value::Bool(false)]);
        let line = own_line(node).unwrap_or(self.rule.line);
        let (subject, input) = match self.subject(node) {
            Some((subject, input)) => (Some(subject), input),
            None if self.mentions_local(node) => (None, None),
            None => (self.text(node), None),
        };
        Condition { subject, input, allowed: holds, or_undefined: false, compared: Vec::new(), line }
    }

    fn mentions_local(&self, node: &Value) -> bool {
        match node {
            Value::Object(fields) => {
                let name = fields.get("Var").and_then(|var| var.get("value")).and_then(Value::as_str);
                let local = |name: &str| self.rule.uses.locals.contains(name) || name.starts_with('_');
                name.is_some_and(local) || fields.values().any(|part| self.mentions_local(part))
            }
            Value::Array(items) => items.iter().any(|item| self.mentions_local(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }

    fn text(&self, node: &Value) -> Option<String> {
        let span = node.get("span").or_else(|| variant(node)?.1.get("span"))?;
        let text = span_text(&self.module.source, span)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Subject, the same below `input`, what is let through, and the constants compared with.
type Comparison = (String, Option<Path>, Allowed, Vec<Value>);
