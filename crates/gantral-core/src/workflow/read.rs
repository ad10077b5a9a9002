//! Reads a definition from its document.

use super::*;

type Result<T> = core::result::Result<T, WorkflowError>;

const HOUR: DurationMs = DurationMs::from_secs(3_600);
const DAY: DurationMs = DurationMs::from_secs(86_400);
/// The lease of an attempt when the definition does not say.
const LEASE_DEFAULT: DurationMs = DurationMs::from_secs(30);

fn wrong(path: &str, why: &'static str) -> WorkflowError {
    WorkflowError { path: path.to_string(), why }
}

/// One object being read: remembers where it stands, and refuses what nobody asked for.
struct Reader<'a> {
    path: &'a str,
    object: &'a Object,
}

impl<'a> Reader<'a> {
    fn new(value: &'a Value, path: &'a str, known: &[&str]) -> Result<Self> {
        let object = value.as_object().ok_or_else(|| wrong(path, "is not an object"))?;
        match object.names().find(|name| !known.contains(name)) {
            Some(name) => Err(wrong(&join(path, name), "is not a known member")),
            None => Ok(Self { path, object }),
        }
    }

    fn at(&self, name: &str) -> String {
        join(self.path, name)
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.object.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(&self.at(name), "is not a string")),
        }
    }

    fn parsed<T>(
        &self,
        name: &str,
        why: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| wrong(&self.at(name), why)),
        }
    }

    fn needed<T>(&self, name: &str, why: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.parsed(name, why, parse)?.ok_or_else(|| wrong(&self.at(name), "is missing"))
    }

    fn duration(&self, name: &str, default: DurationMs, max: DurationMs) -> Result<DurationMs> {
        let duration =
            self.parsed(name, "is not a duration like `30m`", DurationMs::parse)?.unwrap_or(default.min(max));
        if duration > max { Err(wrong(&self.at(name), "is too long")) } else { Ok(duration) }
    }

    fn count(&self, name: &str, default: u32, max: u32) -> Result<u32> {
        match self.object.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_u32()
                .filter(|count| *count <= max)
                .ok_or_else(|| wrong(&self.at(name), "is not a whole number in its range")),
        }
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.object.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(&self.at(name), "is not true or false")),
        }
    }

    fn texts(&self, name: &str, max: usize) -> Result<Vec<&'a str>> {
        let Some(value) = self.object.get(name) else { return Ok(Vec::new()) };
        let list = value.as_array().ok_or_else(|| wrong(&self.at(name), "is not a list"))?;
        if list.len() > max {
            return Err(wrong(&self.at(name), "has too many elements"));
        }
        list.iter()
            .map(|v| v.as_str().ok_or_else(|| wrong(&self.at(name), "is not a list of strings")))
            .collect()
    }

    fn roles(&self, name: &str) -> Result<Vec<Role>> {
        self.texts(name, RULE_PARTS_MAX)?
            .into_iter()
            .map(|text| Role::parse(text).map_err(|_| wrong(&self.at(name), "is not a list of role names")))
            .collect()
    }
}

fn join(path: &str, name: &str) -> String {
    let shown = name.chars().filter(|c| !c.is_control()).take(64);
    let mut joined = String::from(path);
    if !path.is_empty() {
        joined.push('.');
    }
    joined.extend(shown);
    joined
}

pub(super) fn workflow(value: &Value) -> Result<Workflow> {
    let known = [
        "id",
        "version",
        "team",
        "materiality",
        "domain",
        "run",
        "actions",
        "floors",
        "evaluator",
        "on_failure",
        "justification_min",
        "lifetime",
        "grant_lifetime",
        "attempts_max",
        "release",
        "totals",
    ];
    let reader = Reader::new(value, "", &known)?;
    let materiality = reader.needed("materiality", "is not LOW, MEDIUM or HIGH", Materiality::parse)?;
    let lifetime = reader.duration("lifetime", DurationMs::from_secs(7 * 86_400), LIFETIME_MAX)?;
    let canonical = value.to_canonical();
    Ok(Workflow {
        id: reader.needed("id", "is not a name", |text| WorkflowId::parse(text).ok())?,
        version: reader.needed("version", "is not a name", name)?,
        team: reader.needed("team", "is not a name", |text| TeamId::parse(text).ok())?,
        materiality,
        domain: reader
            .parsed("domain", "is not sdlc, finance, operations or support", domain)?
            .map_or_else(|| default_name("operations"), Ok)?,
        run: reader.object.get("run").map(run).transpose()?,
        actions: actions(&reader)?,
        floors: floors(reader.object.get("floors"), lifetime)?,
        evaluator: reader.parsed("evaluator", "is not a name", name)?,
        failure: failure(reader.object.get("on_failure"), materiality)?,
        justification_min: reader.count("justification_min", 1, 10_000)?,
        lifetime,
        grant_lifetime: reader.duration("grant_lifetime", HOUR.min(lifetime), lifetime)?,
        attempts_max: reader.count("attempts_max", 3, 1_000)?.max(1),
        release: reader
            .parsed(
                "release",
                "is not `committed`, `sequenced` or `witnessed(k)`, k from 1 to 16",
                Release::parse,
            )?
            .unwrap_or(Release::Committed),
        totals: reader.flag("totals", false)?,
        digest: digest_of(&canonical),
        canonical,
    })
}

fn name(text: &str) -> Option<Name> {
    Name::parse(text).ok()
}

/// Reads a word of the policy contract: another one would have to be bent into it before any policy saw it.
fn domain(text: &str) -> Option<Name> {
    DOMAINS.contains(&text).then(|| name(text)).flatten()
}

fn default_name(text: &str) -> Result<Name> {
    name(text).ok_or_else(|| wrong(text, "is not a name"))
}

fn run(value: &Value) -> Result<Run> {
    let reader = Reader::new(value, "run", &["queue", "command", "resume_command", "lease", "secrets"])?;
    let words = |name| -> Result<Vec<String>> {
        Ok(reader.texts(name, COMMAND_WORDS_MAX)?.into_iter().map(String::from).collect())
    };
    let command = words("command")?;
    if command.is_empty() {
        return Err(wrong("run.command", "is missing or empty"));
    }
    let resume = words("resume_command")?;
    let mut secrets = BTreeMap::new();
    if let Some(value) = reader.object.get("secrets") {
        let object = value.as_object().ok_or_else(|| wrong("run.secrets", "is not an object"))?;
        for (variable, reference) in object.iter() {
            let path = join("run.secrets", variable);
            let reference = reference.as_str().filter(|text| is_reference(text));
            let reference = reference.ok_or_else(|| wrong(&path, "is not a reference like `env:NAME`"))?;
            if !is_variable(variable) {
                return Err(wrong(&path, "is not the name of an environment variable"));
            }
            secrets.insert(variable.to_string(), reference.to_string());
        }
        if secrets.len() > COMMAND_WORDS_MAX {
            return Err(wrong("run.secrets", "has too many members"));
        }
    }
    Ok(Run {
        queue: reader.needed("queue", "is not a name", name)?,
        resume_command: if resume.is_empty() { command.clone() } else { resume },
        command,
        lease: reader.duration("lease", LEASE_DEFAULT, HOUR)?,
        secrets,
    })
}

/// Names that a shell could set, without those that Gantral sets itself.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with("GANTRAL_")
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn actions(reader: &Reader<'_>) -> Result<BTreeMap<Name, ActionDeclaration>> {
    let Some(value) = reader.object.get("actions") else { return Err(wrong("actions", "is missing")) };
    let object = value.as_object().ok_or_else(|| wrong("actions", "is not an object"))?;
    if object.is_empty() || object.len() > DECLARATIONS_MAX {
        return Err(wrong("actions", "declares none, or more than 128"));
    }
    let mut declared = BTreeMap::new();
    for (key, value) in object.iter() {
        let path = join("actions", key);
        let action = name(key).ok_or_else(|| wrong(&path, "is not a name"))?;
        let reader = Reader::new(value, &path, &["parameters", "notify_members"])?;
        let mut declaration = ActionDeclaration::default();
        if let Some(parameters) = reader.object.get("parameters") {
            let path = reader.at("parameters");
            let parameters = parameters.as_object().ok_or_else(|| wrong(&path, "is not an object"))?;
            if parameters.len() > DECLARATIONS_MAX {
                return Err(wrong(&path, "declares more than 128"));
            }
            for (key, value) in parameters.iter() {
                declaration.parameters.insert(key.to_string(), parameter(value, &join(&path, key))?);
            }
        }
        declaration.notify_members = notify_members(&reader, &declaration.parameters)?;
        declared.insert(action, declaration);
    }
    Ok(declared)
}

/// Reads which members messages may show: each below a parameter that is declared, so that a misspelt one is noticed.
fn notify_members(reader: &Reader<'_>, parameters: &BTreeMap<String, Parameter>) -> Result<Vec<Pointer>> {
    let wrong = || wrong(&reader.at("notify_members"), "is not a list of pointers below declared parameters");
    let texts = reader.texts("notify_members", NOTIFY_MEMBERS_MAX)?.into_iter();
    let read = |text| Pointer::parse(text).filter(|pointer| parameters.contains_key(pointer.first()));
    texts.map(|text| read(text).ok_or_else(wrong)).collect()
}

fn parameter(value: &Value, path: &str) -> Result<Parameter> {
    let reader = Reader::new(value, path, &["type", "required", "default", "policy"])?;
    let kind = reader.needed("type", "is not a known type", ParameterKind::parse)?;
    let default = reader.object.get("default").cloned();
    if default.as_ref().is_some_and(|value| !kind.admits(value)) {
        return Err(wrong(&reader.at("default"), "is not of the declared type"));
    }
    Ok(Parameter {
        kind,
        required: reader.flag("required", default.is_none())?,
        default,
        policy: reader.flag("policy", true)?,
    })
}

/// How long the justification of a decision by break-glass is at least where a workflow does not say: a sentence.
const BREAK_GLASS_JUSTIFICATION_MIN: u32 = 50;

fn floors(value: Option<&Value>, lifetime: DurationMs) -> Result<Floors> {
    let value = value.ok_or_else(|| wrong("floors", "is missing"))?;
    let known = [
        "least_verdict",
        "default_approvers",
        "least_roles",
        "required_approvals",
        "rejections_max",
        "break_glass_roles",
        "break_glass_justification_min",
        "required_evidence",
        "timeout",
        "timeout_max",
        "on_timeout",
    ];
    let reader = Reader::new(value, "floors", &known)?;
    let default_approvers = reader.roles("default_approvers")?;
    if default_approvers.is_empty() {
        return Err(wrong("floors.default_approvers", "names nobody: somebody must be able to decide"));
    }
    let least = reader.parsed("least_verdict", "is not ALLOW, REQUIRE_HUMAN or DENY", Verdict::parse)?;
    let evidence = reader.parsed("required_evidence", "is not a kind of evidence", HumanEvidence::parse)?;
    let timeout_max = reader.duration("timeout_max", DAY.min(lifetime), lifetime)?;
    let escalate = reader.parsed("on_timeout", "is not `close` or `escalate`", |text| match text {
        "close" => Some(false),
        "escalate" => Some(true),
        _ => None,
    })?;
    Ok(Floors {
        least_verdict: least.unwrap_or(Verdict::Allow),
        default_approvers,
        least_roles: reader.roles("least_roles")?,
        required_approvals: reader.count("required_approvals", 1, APPROVALS_MAX)?.max(1),
        rejections_max: reader.count("rejections_max", REJECTIONS_MAX, REJECTIONS_MAX)?.max(1),
        break_glass_roles: reader.roles("break_glass_roles")?,
        break_glass_justification_min: reader.count(
            "break_glass_justification_min",
            BREAK_GLASS_JUSTIFICATION_MIN,
            10_000,
        )?,
        required_evidence: evidence.unwrap_or(HumanEvidence::Operator),
        timeout: reader.duration("timeout", HOUR.min(timeout_max), timeout_max)?,
        timeout_max,
        escalate: escalate.unwrap_or(false),
    })
}

fn failure(value: Option<&Value>, materiality: Materiality) -> Result<FailurePolicy> {
    let closed = FailurePolicy { closed: Closed::RequireHuman, open_on_outage: false };
    let Some(value) = value else { return Ok(closed) };
    let reader = Reader::new(value, "on_failure", &["closed", "outage"])?;
    let kind = reader.parsed("closed", "is not `require_human` or `deny`", |text| match text {
        "require_human" => Some(Closed::RequireHuman),
        "deny" => Some(Closed::Deny),
        _ => None,
    })?;
    let open = reader.parsed("outage", "is not `closed` or `open`", |text| match text {
        "closed" => Some(false),
        "open" => Some(true),
        _ => None,
    })?;
    if open == Some(true) && materiality == Materiality::High {
        return Err(wrong("on_failure.outage", "cannot be `open` at HIGH materiality"));
    }
    Ok(FailurePolicy { closed: kind.unwrap_or(closed.closed), open_on_outage: open.unwrap_or(false) })
}
