//! The OpenAPI document: kept as a golden file, complete, and free of loose ends.

use std::collections::BTreeSet;

use gantral_api::openapi::document_text;
use gantral_api::routes::{Method, ROUTES};
use serde_json::Value;

use crate::repository;

fn document() -> Value {
    serde_json::to_value(gantral_api::openapi::document()).unwrap_or_default()
}

#[test]
fn the_document_is_the_one_that_is_kept() {
    let path = repository("api/openapi.json");
    let text = document_text().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == text,
        "api/openapi.json differs: run the test with UPDATE_GOLDEN=1 and review the change"
    );
}

#[test]
fn the_document_has_exactly_the_routes_of_the_table() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.insert((
                method.to_uppercase(),
                path.clone(),
                operation["operationId"].as_str().unwrap().to_owned(),
            ));
        }
    }
    let expected: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.as_str().to_owned(), route.path.to_owned(), route.operation_id.to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.len() > 50, "only {} references", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "`{reference}` leads nowhere");
    }
}

fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                into.insert(reference.clone());
            }
            members.values().for_each(|value| collect(value, into));
        }
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}

#[test]
fn every_component_says_what_it_is() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let described = schema["description"].is_string() || schema["oneOf"].is_array();
        assert!(described, "component `{name}` has no description");
        let Some(members) = schema["properties"].as_object() else { continue };
        for (member, schema) in members {
            let text = schema.to_string();
            assert!(
                text.contains("description") || text.contains("$ref"),
                "`{name}.{member}` has no description"
            );
        }
    }
}

#[test]
fn requests_are_closed_and_answers_are_open() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let closed = |name: &str| schemas[name]["additionalProperties"] == false;
    for name in ["Ask", "Decide", "CreateInstance", "Consume", "Empty", "Action", "WorkflowDefinition"] {
        assert!(closed(name), "`{name}` is open");
    }
    for name in ["InstanceView", "GateView", "Task", "Problem", "Moved"] {
        assert!(!closed(name), "`{name}` is closed");
    }
}

#[test]
fn every_write_asks_for_a_key_and_a_token() {
    let document = document();
    for route in ROUTES.iter().filter(|route| route.method != Method::Get) {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let key =
            operation["parameters"].as_array().unwrap().iter().find(|one| one["name"] == "idempotency-key");
        assert_eq!(key.unwrap()["required"], true, "{}", route.operation_id);
        assert_eq!(operation["security"][0]["bearer"], Value::Array(Vec::new()), "{}", route.operation_id);
    }
}
