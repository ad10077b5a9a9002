//! Codes, pages and document name the same errors.

use std::collections::BTreeSet;

use gantral_api::problem::Code;

use crate::repository;

fn codes() -> BTreeSet<String> {
    Code::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(repository("docs/errors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".md").unwrap_or_else(|| panic!("`{name}` is not a page"));
        if stem != "README" {
            pages.insert(stem.to_owned());
        }
    }
    assert_eq!(pages, codes());
}

#[test]
fn a_page_says_what_the_table_says() {
    for code in Code::ALL {
        let page = std::fs::read_to_string(repository(&format!("docs/errors/{code}.md"))).unwrap();
        let expected = format!(
            "# `{code}`\n\n{}\n\n| status | at fault | sending it again |\n|---|---|---|\n| {} | {} | {} |\n",
            code.title(),
            code.status(),
            code.fault().as_str(),
            code.retry().as_str(),
        );
        assert!(page.starts_with(&expected), "docs/errors/{code}.md should begin:\n{expected}");
        for heading in ["\n## What happened\n", "\n## What to do\n"] {
            assert!(page.contains(heading), "docs/errors/{code}.md has no `{}`", heading.trim());
        }
    }
}

#[test]
fn the_index_lists_every_code_as_the_table_has_it() {
    let index = std::fs::read_to_string(repository("docs/errors/README.md")).unwrap();
    let listed: Vec<&str> = index.lines().filter(|line| line.starts_with("| [`")).collect();
    let expected: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            format!(
                "| [`{code}`]({code}.md) | {} | {} | {} | {} |",
                code.status(),
                code.fault().as_str(),
                code.retry().as_str(),
                code.title()
            )
        })
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_document_names_every_code_where_it_can_be_answered() {
    let document: serde_json::Value =
        serde_json::from_str(&gantral_api::openapi::document_text().unwrap()).unwrap();
    let mut named = BTreeSet::new();
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for line in response["description"].as_str().unwrap().lines() {
                let Some(code) = line.strip_prefix("- `").and_then(|rest| rest.split_once('`')) else {
                    continue;
                };
                assert_eq!(Code::parse(code.0).unwrap().status().to_string(), *status);
                named.insert(code.0.to_owned());
            }
        }
    }
    assert_eq!(named, codes());
}
