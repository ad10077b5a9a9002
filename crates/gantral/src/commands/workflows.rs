//! `gantral workflows`: registering definitions together with the policy that is active for them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gantral_api::client::Client;
use gantral_api::wire::{AppliedWorkflow, ApplyWorkflow, PageQuery, WorkflowPage, WorkflowSummary, text};
use gantral_core::json::{Number, Object, Value};

use super::{policy, proposals};
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::document;
use crate::out::{GOOD, Out, styled};
use crate::table::table;

/// Who applies workflows in development.
const USUAL: &str = "bob";

/// Subcommands of `workflows`.
#[derive(Debug, Subcommand)]
pub enum WorkflowsCommand {
    /// Registers a definition; publishes the policy that its file names, and puts it in force for the workflow
    Apply(ApplyArgs),
    /// Lists workflows by name
    Ls(LsArgs),
}

/// Arguments of `workflows apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The definition, TOML; its `policy` names the policy bundle, a folder or an archive, relative to the file
    file: PathBuf,
    /// The policy bundle, a folder or an archive of `opa build`, instead of the one that the file names
    #[arg(long, value_name = "BUNDLE")]
    policy: Option<PathBuf>,
}

/// Arguments of `workflows ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Runs a subcommand.
pub fn run(command: &WorkflowsCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    match command {
        WorkflowsCommand::Apply(args) => {
            let definition = Definition::read(&args.file, args.policy.as_deref())?;
            let client = server.client(out, USUAL)?;
            let bundle = definition.policy.as_deref().map(policy::bundle).transpose()?;
            let (published, applied) = converse(async {
                let published = match &bundle {
                    None => None,
                    Some(bundle) => Some(policy::published(&client, bundle).await?),
                };
                let version = published.as_ref().map(|published| published.policy_version_id);
                let applied = register(&client, &definition.id, &definition.value, version).await?;
                Ok((published, applied))
            })?;
            if let Some(published) = published {
                out.talk(format_args!(
                    "published the policy: {} of its tests passed",
                    published.tests.passed
                ));
            }
            out.show(&applied, |applied| {
                format!(
                    "{} workflow {} version {}\n  definition  {}\n  policy      {}",
                    styled(GOOD, "applied"),
                    definition.id,
                    applied.version,
                    applied.workflow_version_id,
                    applied
                        .policy_version_id
                        .map_or_else(|| "none is in force".to_owned(), |id| id.to_string())
                )
            })?;
            if let Some(proposal) = &applied.proposal {
                return Ok(proposals::waits(proposal, out));
            }
            out.hint(format_args!("gantral instances create {}", definition.id));
        }
        WorkflowsCommand::Ls(args) => {
            let client = server.client(out, USUAL)?;
            let query = PageQuery { cursor: args.cursor.clone(), limit: args.limit };
            let page = converse(async { Ok(client.workflows(&query).await?) })?;
            out.show(&page, shown)?;
            if let Some(next) = &page.next {
                out.hint(format_args!("gantral workflows ls --cursor {next}"));
            }
        }
    }
    Ok(Exit::DONE)
}

/// A definition as it stands in a file, and the bundle of its policy.
#[derive(Debug)]
pub struct Definition {
    /// Its name.
    pub id: text::WorkflowId,
    /// The definition without `policy`, which is not part of it.
    pub value: Value,
    /// The policy bundle, a folder or an archive; without one, the policy of the team or the tenant counts.
    pub policy: Option<PathBuf>,
}

impl Definition {
    /// Reads a file.
    pub fn read(file: &Path, policy: Option<&Path>) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
        let (value, named) = parse(&text).map_err(|why| Failure::file("use", file, &why))?;
        let beside = |named: &str| file.parent().unwrap_or(Path::new("")).join(named);
        let policy = policy.map(Path::to_owned).or_else(|| named.as_deref().map(beside));
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = id.parse().map_err(|why: String| Failure::file("use", file, &format!("`id`: {why}")))?;
        Ok(Self { id, value, policy })
    }
}

/// Reads TOML into the definition and the folder that `policy` names.
pub fn parse(text: &str) -> Result<(Value, Option<String>), String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    let Value::Object(mut members) = json(toml::Value::Table(table))? else {
        return Err("it is no table".to_owned());
    };
    let policy = match members.remove("policy") {
        None => None,
        Some(Value::String(folder)) => Some(folder),
        Some(_) => return Err("`policy` is not a text".to_owned()),
    };
    Ok((Value::Object(members), policy))
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

fn json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        // TOML reads fractions as doubles; the shortest decimal of one is what was written, up to 15 digits.
        toml::Value::Float(number) => {
            let number = Number::parse(&number.to_string());
            number.map_err(|_| "a number is not finite".to_owned())?.into()
        }
        toml::Value::Datetime(_) => return Err("it has a date: write dates as texts".to_owned()),
        toml::Value::Array(list) => list.into_iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        toml::Value::Table(table) => {
            let mut object = Object::new();
            for (name, value) in table {
                object.insert(name, json(value)?);
            }
            object.into()
        }
    })
}

/// Registers a definition, and puts a published policy in force for it if one is named.
pub async fn register(
    client: &Client,
    id: &text::WorkflowId,
    definition: &Value,
    policy_version_id: Option<text::PolicyVersionId>,
) -> Result<AppliedWorkflow, Failure> {
    let body = ApplyWorkflow { definition: document(definition)?, policy_version_id };
    Ok(client.apply_workflow(id, &body).await?)
}

fn shown(page: &WorkflowPage) -> String {
    if page.items.is_empty() {
        return "no workflows".to_owned();
    }
    let heading = ["WORKFLOW", "VERSION", "MATERIALITY", "TEAM", "POLICY"].map(str::to_owned).to_vec();
    let line = |item: &WorkflowSummary| {
        let policy = item.policy_version_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        vec![
            item.workflow.id.to_string(),
            item.workflow.version.to_string(),
            item.workflow.materiality.to_string(),
            item.team.to_string(),
            policy.chars().take(16).collect(),
        ]
    };
    table(&std::iter::once(heading).chain(page.items.iter().map(line)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(toml: &str, expect: &str) {
        let (value, _) = parse(toml).unwrap();
        assert_eq!(String::from_utf8(value.to_canonical()).unwrap(), expect);
    }

    #[test]
    fn definition_is_what_the_file_says_without_its_policy() {
        check("policy = \"p\"\nid = \"a\"\n[x.y]\nlist = [1, 2]", r#"{"id":"a","x":{"y":{"list":[1,2]}}}"#);
        assert_eq!(parse("policy = \"../p\"").unwrap().1.as_deref(), Some("../p"));
    }

    #[test]
    fn fraction_keeps_the_digits_that_were_written() {
        check("a = 0.1\nb = 12.50", r#"{"a":0.1,"b":12.5}"#);
    }

    #[test]
    fn what_json_does_not_have_is_refused_in_one_line() {
        assert_eq!(parse("a = nan").unwrap_err(), "a number is not finite");
        assert_eq!(parse("a = 2026-01-01").unwrap_err(), "it has a date: write dates as texts");
        assert!(!parse("a = [").unwrap_err().contains('\n'));
    }
}
