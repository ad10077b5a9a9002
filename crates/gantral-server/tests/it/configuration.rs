//! `deploy/gantral.toml` is the documented configuration: it is read as it stands and with everything switched on, and has every member
//! that the types of the configuration have. Which these are is asked of the types themselves, by a member that nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gantral_server::settings::Settings;
use serde::Deserialize as _;
use toml::{Table, Value};

/// A member that no type has.
const UNKNOWN: &str = "nobody-knows-this";
/// Tables whose members the operator names, or that are somebody else's format.
const NAMED_BY_THE_OPERATOR: &[&str] = &[
    "four_eyes.tenants",
    "identity.issuers[].claims.role_map",
    "identity.issuers[].claims.team_map",
    "identity.issuers[].clients",
    "identity.issuers[].clients.*.require",
    "identity.issuers[].keys.static",
    "identity.issuers[].keys.static.*[]",
    "identity.issuers[].tenant.tenants",
    "limits.tenants",
    "policy.evaluators",
    "policy.signing.keys",
    "retention.tenants",
];

/// What is a text or a table, and says only that it is neither.
const TEXT_OR_TABLE: &str = "identity.issuers[].tenant";

/// One step on the way to a table.
#[derive(Clone)]
enum Step {
    Member(String),
    Place(usize),
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn documented() -> String {
    std::fs::read_to_string(repository("deploy/gantral.toml")).unwrap()
}

/// Switches on whatever is switched off.
fn switched_on(text: &str) -> Table {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_alphabetic()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    toml::from_str(&text.lines().map(line).collect::<Vec<_>>().join("\n")).unwrap()
}

/// Returns the way to every table within a value, the value itself first.
fn tables(value: &Value, way: &[Step], found: &mut Vec<Vec<Step>>) {
    let next = |step: Step| [way, &[step]].concat();
    match value {
        Value::Table(table) => {
            found.push(way.to_vec());
            table.iter().for_each(|(name, member)| tables(member, &next(Step::Member(name.clone())), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| tables(item, &next(Step::Place(at)), found));
        }
        _ => {}
    }
}

fn at<'a>(value: &'a mut Value, way: &[Step]) -> &'a mut Table {
    let inner = way.iter().fold(value, |value, step| match step {
        Step::Member(name) => &mut value[name.as_str()],
        Step::Place(place) => &mut value[*place],
    });
    inner.as_table_mut().unwrap()
}

/// Names the kind of table at the end of a way: what the operator named is `*`, and places of lists are left out.
fn kind(way: &[Step]) -> String {
    let mut text = String::new();
    for step in way {
        match step {
            Step::Place(_) => text.push_str("[]"),
            Step::Member(_) if NAMED_BY_THE_OPERATOR.contains(&text.as_str()) => text.push_str(".*"),
            Step::Member(name) if text.is_empty() => text.push_str(name),
            Step::Member(name) => text.push_str(&format!(".{name}")),
        }
    }
    text
}

/// Returns the members that the type of a table has, as its refusal of another one names them.
fn members_of(all: &Value, way: &[Step]) -> Option<BTreeSet<String>> {
    if kind(way) == TEXT_OR_TABLE {
        let mut more = all.clone();
        at(&mut more, way).insert(UNKNOWN.to_owned(), Value::Boolean(true));
        Settings::deserialize(more).unwrap_err();
        return Some(["claim", "tenants"].map(str::to_owned).into());
    }
    let refusal = |change: &dyn Fn(&mut Table)| {
        let mut all = all.clone();
        change(at(&mut all, way));
        Settings::deserialize(all).err().map(|error| error.message().to_owned())
    };
    let unknown = || (UNKNOWN.to_owned(), Value::Table(Table::new()));
    let added = refusal(&|table| table.extend([unknown()]));
    // Where one of several members is chosen, another one stands in its place.
    let replaced = refusal(&|table| *table = Table::from_iter([unknown()]));
    let expected = [added, replaced].into_iter().flatten().find_map(|said| {
        let (_, expected) = said.split_once(&format!("`{UNKNOWN}`, expected "))?;
        Some(expected.to_owned())
    })?;
    Some(expected.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

#[test]
fn documented_configuration_is_read_as_it_stands() {
    let read = Settings::read(&repository("deploy/gantral.toml"), []).unwrap();
    assert_eq!((read.tenants.len(), read.identity.issuers.len()), (1, 1));
    assert!(read.tls.is_none() && read.store.is_none() && read.archive.is_none());
}

#[test]
fn documented_configuration_has_every_member_that_there_is() {
    let all = Value::Table(switched_on(&documented()));
    Settings::deserialize(all.clone()).unwrap();
    let mut ways = Vec::new();
    tables(&all, &[], &mut ways);
    let (mut there, mut known) = (BTreeMap::new(), BTreeMap::new());
    for way in &ways {
        let kind = kind(way);
        let members: BTreeSet<String> = at(&mut all.clone(), way).keys().cloned().collect();
        there.entry(kind.clone()).or_insert_with(BTreeSet::new).extend(members);
        match members_of(&all, way) {
            Some(members) => _ = known.insert(kind, members),
            None => {
                assert!(
                    NAMED_BY_THE_OPERATOR.contains(&kind.as_str()),
                    "`{kind}` refuses no member that it does not know"
                );
            }
        }
    }
    assert!(known.len() > 20, "{known:?}");
    for (kind, members) in &known {
        let missing: Vec<&String> = members.difference(&there[kind]).collect();
        assert!(missing.is_empty(), "deploy/gantral.toml lacks {missing:?} in `{kind}`");
    }
    for name in NAMED_BY_THE_OPERATOR {
        assert!(there.contains_key(*name), "deploy/gantral.toml has no `{name}`");
    }
}

#[test]
fn every_member_is_explained_on_a_page() {
    let mut pages = String::new();
    let mut folders = vec![repository("docs"), repository("docs/platform")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                pages.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let all = Value::Table(switched_on(&documented()));
    let mut ways = Vec::new();
    tables(&all, &[], &mut ways);
    for way in &ways {
        let kind = kind(way);
        let names = members_of(&all, way).unwrap_or_default();
        for name in names {
            // In a table of members, behind the name of its section, or in an example.
            let ways =
                [format!("`{name}`"), format!(".{name}`"), format!("`{name}[]`"), format!("{name} = ")];
            let sections =
                [format!("\n[{name}"), format!(".{name}."), format!(".{name}]"), format!("`{name}.")];
            let is_there = ways.iter().chain(&sections).any(|text| pages.contains(text.as_str()));
            assert!(is_there, "no page explains `{name}` of `{kind}`");
        }
    }
}
