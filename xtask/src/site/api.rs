//! The API document, read out for people: every route with who may call it, what it takes and what it answers.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// Answers that every route gives in the same words are said once.
const EVERYWHERE: &[&str] = &["401", "405", "429", "500", "503"];

/// Returns the page of an OpenAPI document.
///
/// # Errors
/// When it is no such document.
pub fn page(document: &str) -> Result<String> {
    let document: Value = serde_json::from_str(document).context("not JSON")?;
    let paths = document.get("paths").and_then(Value::as_object).context("it has no paths")?;
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, methods) in paths {
        for (method, route) in methods.as_object().into_iter().flatten() {
            let tag = text(route, "/tags/0").unwrap_or("other");
            sections.entry(tag).or_default().push(route_of(method, path, route));
        }
    }
    let about = text(&document, "/info/description").unwrap_or_default();
    let mut page = format!(
        "# HTTP API\n\n{about}\n\nAny route may answer with the errors of a caller who is not known (401), of a method that it does not take \
         (405), of too many requests (429), and of a server that is not well (500, 503): [every error](../docs/errors/index.md). The document \
         itself, with every schema: [openapi.json](openapi.json); a server answers with the same at `/v1/openapi.json`.\n"
    );
    for (tag, routes) in sections {
        page.push_str(&format!("\n## {tag}\n\n{}", routes.join("\n")));
    }
    Ok(page)
}

fn route_of(method: &str, path: &str, route: &Value) -> String {
    let mut said = format!("### `{} {path}`\n\n", method.to_uppercase());
    for part in ["/summary", "/description"] {
        if let Some(words) = text(route, part) {
            said.push_str(&format!("{}{}\n\n", words, if words.ends_with('.') { "" } else { "." }));
        }
    }
    let parameters = list(route, "/parameters");
    if !parameters.is_empty() {
        said.push_str("| parameter | in | |\n|---|---|---|\n");
        for parameter in parameters {
            let (name, place) = (text(parameter, "/name"), text(parameter, "/in"));
            said.push_str(&format!(
                "| `{}` | {} | {} |\n",
                name.unwrap_or_default(),
                place.unwrap_or_default(),
                cell(text(parameter, "/description").unwrap_or_default())
            ));
        }
        said.push('\n');
    }
    let body = route.pointer("/requestBody/content").and_then(Value::as_object);
    for (kind, body) in body.into_iter().flatten() {
        said.push_str(&format!("Takes {} as `{kind}`.\n\n", schema(body)));
    }
    said.push_str("| answer | |\n|---|---|\n");
    let answers = route.pointer("/responses").and_then(Value::as_object);
    for (status, answer) in answers.into_iter().flatten() {
        if EVERYWHERE.contains(&status.as_str()) {
            continue;
        }
        let words = cell(text(answer, "/description").unwrap_or_default());
        let kinds = answer.pointer("/content").and_then(Value::as_object);
        let shown = kinds.and_then(|kinds| kinds.get("application/json")).map(schema);
        let shown = shown.map(|schema| format!(" {schema}")).unwrap_or_default();
        said.push_str(&format!("| {status} | {words}{shown} |\n"));
    }
    said
}

/// Names the schema of a body.
fn schema(body: &Value) -> String {
    let name = text(body, "/schema/$ref").and_then(|reference| reference.rsplit('/').next());
    name.map_or_else(|| "a document".to_owned(), |name| format!("`{name}`"))
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Fits words into a cell of a table.
fn cell(words: &str) -> String {
    words.replace('|', "\\|").replace("\n- ", "<br>").trim_start_matches("- ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_is_read_out_with_what_it_takes_and_answers() {
        let document = r##"{"info": {"description": "About."}, "paths": {"/v1/gates/{id}": {"post": {
            "tags": ["gates"], "summary": "Decides", "description": "For: humans.",
            "parameters": [{"name": "id", "in": "path", "description": "a | b"}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decide"}}}},
            "responses": {
                "200": {"description": "Done.", "content": {"application/json": {"schema": {"$ref": "#/x/Decided"}}}},
                "409": {"description": "- `a`: A.\n- `b`: B."}, "401": {"description": "who?"}}}}}}"##;
        let page = page(document).unwrap();
        for line in [
            "About.",
            "## gates",
            "### `POST /v1/gates/{id}`",
            "Decides.",
            "For: humans.",
            "| `id` | path | a \\| b |",
            "Takes `Decide` as `application/json`.",
            "| 200 | Done. `Decided` |",
            "| 409 | `a`: A.<br>`b`: B. |",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(!page.contains("who?"), "{page}");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "[]", "{}"] {
            page(text).unwrap_err();
        }
    }
}
