//! What the checks need to know of parsed modules: rules, what they call and what they refer to.
//!
//! The engine keeps its syntax tree private but serialises it; this reads the serialised form. Only the shape of
//! references, calls and bindings is known here, everything else is walked through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A path of names: a reference, a package, or a rule within its package.
pub(super) type Path = Vec<String>;

/// One parsed module.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) file: String,
    pub(super) source: String,
    /// The serialised tree, for what only the lint looks at.
    pub(super) tree: Value,
    pub(super) package: Path,
    pub(super) imports: BTreeMap<String, Path>,
    pub(super) rules: Vec<Rule>,
}

/// One definition of a rule; a rule may have several.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Path,
    pub(super) line: u64,
    /// The number of its definition among the rules of the tree.
    pub(super) index: usize,
    pub(super) uses: Uses,
}

/// What a rule's definition mentions.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Function calls, with their line.
    pub(super) calls: Vec<(Path, u64)>,
    /// References other than calls, with their line.
    pub(super) references: Vec<(Path, u64)>,
    /// Names bound within the rule: arguments and local variables.
    pub(super) locals: BTreeSet<String>,
}

impl Module {
    /// Reads the serialised tree of one module.
    pub(super) fn read(file: &str, source: &str, tree: Value) -> Self {
        let package = tree.pointer("/package/refr").map(static_path).unwrap_or_default();
        let imports = members(&tree, "imports").filter_map(|import| read_import(source, import)).collect();
        let rules = members(&tree, "rules").enumerate();
        let rules = rules.filter_map(|(index, rule)| read_rule(source, index, rule)).collect();
        Self { file: file.to_owned(), source: source.to_owned(), package, imports, rules, tree }
    }

    /// Returns the serialised definition of one of its rules.
    pub(super) fn definition(&self, rule: &Rule) -> Option<&Value> {
        self.tree.get("rules")?.get(rule.index)
    }
}

pub(super) fn members<'a>(tree: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    tree.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn read_import(source: &str, import: &Value) -> Option<(String, Path)> {
    let path = static_path(import.get("refr")?);
    let alias = match import.get("as") {
        Some(span) => span_text(source, span)?.to_owned(),
        None => path.last()?.clone(),
    };
    Some((alias, path))
}

fn read_rule(source: &str, index: usize, rule: &Value) -> Option<Rule> {
    let (kind, body) = rule.as_object()?.iter().next()?;
    let line = body.pointer("/span/line").and_then(Value::as_u64).unwrap_or(0);
    let head = match kind.as_str() {
        "Default" => body,
        _ => body.get("head")?.as_object()?.values().next()?,
    };
    let refr = head.get("refr")?;
    let mut walk = Walk { source, line, uses: Uses::default() };
    walk.indices(refr);
    for argument in members(head, "args") {
        walk.bind(argument);
    }
    for part in ["key", "assign", "value"] {
        head.get(part).into_iter().for_each(|part| walk.node(part));
    }
    body.get("bodies").into_iter().for_each(|bodies| walk.node(bodies));
    Some(Rule { name: static_path(refr), line, index, uses: walk.uses })
}

/// Returns the names of a reference from its root up to the first part that is computed.
fn static_path(expr: &Value) -> Path {
    let mut reversed = Vec::new();
    let mut at = Some(expr);
    while let Some((kind, body)) = at.and_then(variant) {
        at = body.get("refr");
        match kind {
            "Var" => reversed.extend(body.get("value").and_then(Value::as_str).map(str::to_owned)),
            "RefDot" => reversed.extend(body.pointer("/field/1").and_then(Value::as_str).map(str::to_owned)),
            "RefBrack" => match body.pointer("/index/String/value").and_then(Value::as_str) {
                Some(name) => reversed.push(name.to_owned()),
                // What follows a computed part is unknown: only the part before it counts.
                None => reversed.clear(),
            },
            // A call, an array or anything else at the root names nothing.
            _ => return Vec::new(),
        }
    }
    reversed.reverse();
    reversed
}

pub(super) fn variant(node: &Value) -> Option<(&str, &Value)> {
    let members = node.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(name, body)| (name.as_str(), body))
}

pub(super) fn span_text<'a>(source: &'a str, span: &Value) -> Option<&'a str> {
    let bound = |name: &str| usize::try_from(span.get(name)?.as_u64()?).ok();
    source.get(bound("start")?..bound("end")?)
}

struct Walk<'a> {
    source: &'a str,
    line: u64,
    uses: Uses,
}

impl Walk<'_> {
    fn node(&mut self, node: &Value) {
        if let Some(line) = node.pointer("/span/line").and_then(Value::as_u64) {
            self.line = line;
        }
        match (variant(node), node) {
            (Some(("Call", body)), _) => self.call(body),
            (Some(("Var" | "RefDot" | "RefBrack", _)), _) => self.reference(node),
            (Some(("SomeVars", body)), _) => {
                let names = members(body, "vars").filter_map(|span| span_text(self.source, span));
                self.uses.locals.extend(names.map(str::to_owned));
            }
            (Some(("SomeIn", body)), _) => {
                ["key", "value"].iter().filter_map(|part| body.get(part)).for_each(|part| self.bind(part));
                body.get("collection").into_iter().for_each(|part| self.node(part));
            }
            (Some(("Every", body)), _) => {
                let spans = ["key", "value"].into_iter().filter_map(|part| body.get(part));
                let names = spans.filter_map(|span| span_text(self.source, span)).map(str::to_owned);
                self.uses.locals.extend(names);
                ["domain", "query"].iter().filter_map(|part| body.get(part)).for_each(|part| self.node(part));
            }
            (Some(("AssignExpr", body)), _) if body.get("op").is_some_and(|op| op == "ColEq") => {
                body.get("lhs").into_iter().for_each(|part| self.bind(part));
                body.get("rhs").into_iter().for_each(|part| self.node(part));
            }
            (_, Value::Object(members)) => {
                members.iter().filter(|(name, _)| *name != "span").for_each(|(_, part)| self.node(part));
            }
            (_, Value::Array(items)) => items.iter().for_each(|item| self.node(item)),
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
        }
    }

    fn call(&mut self, body: &Value) {
        if let Some(function) = body.get("fcn") {
            let line = own_line(function).unwrap_or(self.line);
            self.uses.calls.push((static_path(function), line));
            self.indices(function);
        }
        body.get("params").into_iter().for_each(|params| self.node(params));
    }

    fn reference(&mut self, node: &Value) {
        let path = static_path(node);
        if !path.is_empty() {
            let line = own_line(node).unwrap_or(self.line);
            self.uses.references.push((path, line));
        }
        self.indices(node);
    }

    /// Walks the computed parts of a reference, and its root where that is no name.
    fn indices(&mut self, reference: &Value) {
        let mut at = Some(reference);
        while let Some((kind, body)) = at.and_then(variant) {
            match kind {
                "Var" => return,
                "RefDot" => {}
                "RefBrack" => body.get("index").into_iter().for_each(|index| self.node(index)),
                _ => return at.into_iter().for_each(|root| self.node(root)),
            }
            at = body.get("refr");
        }
    }

    /// Binds every name of a pattern: of an argument, or of the left side of an assignment.
    fn bind(&mut self, pattern: &Value) {
        match (variant(pattern), pattern) {
            (Some(("Var", body)), _) => {
                self.uses.locals.extend(body.get("value").and_then(Value::as_str).map(str::to_owned));
            }
            (_, Value::Object(members)) => {
                members.iter().filter(|(name, _)| *name != "span").for_each(|(_, part)| self.bind(part));
            }
            (_, Value::Array(items)) => items.iter().for_each(|item| self.bind(item)),
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
        }
    }
}

/// Returns the line of an expression: its own span, one level below its kind.
pub(super) fn own_line(node: &Value) -> Option<u64> {
    variant(node)?.1.pointer("/span/line")?.as_u64()
}
