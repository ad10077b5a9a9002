//! What clients and proxies of others send to what stands before services.

use gantral_http::authz::access;
use gantral_http::authz::envoy;
use gantral_http::request::plain_path;
use gantral_http::rules::Rules;

use crate::target::{Answer, Seen, Target, ensure, refused, twice};

pub const PATH: Target = Target {
    name: "http_path",
    bytes_max: 1 << 10,
    tokens: &[
        "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "%00", "%0d%0a", "%61", "%C3%A9", ";", "..;", "?",
    ],
    seeds: |_| {
        ["/orders/7/refunds", "/a%20b;v=1/", "/%7Euser/caf%c3%a9"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec()
    },
    check: check_path,
};
pub const RULES: Target = Target {
    name: "http_rules",
    bytes_max: 1 << 10,
    tokens: &["pass", "ask", "refuse", " GET,HEAD ", " * ", "/**", "/*", "/{id}", "#", "\n"],
    seeds: |_| vec![b"pass GET,HEAD /**\nrefuse * /internal/**\nask POST /orders/{order}/refunds\n".to_vec()],
    check: check_rules,
};
pub const CHECK: Target = Target {
    name: "http_envoy_check",
    bytes_max: 4 << 10,
    tokens: &[
        "\x0a",
        "\x12",
        "\x1a",
        "\x22",
        "GET",
        "POST",
        "/a?b=c",
        "content-length",
        "x-envoy-auth-partial-body",
        "false",
    ],
    seeds: |_| vec![CHECK_SEED.to_vec()],
    check: check_check,
};
pub const LOGS: Target = Target {
    name: "http_envoy_logs",
    bytes_max: 4 << 10,
    tokens: &["\x12", "\x0a", "gantral-instance", "gantral-grant", "via_upstream", "\x32"],
    seeds: |_| vec![LOGS_SEED.to_vec()],
    check: check_logs,
};
pub const ACCESS: Target = Target {
    name: "http_access",
    bytes_max: 4 << 10,
    tokens: &[
        "\"subject\":",
        "\"action\":",
        "\"resource\":",
        "\"context\":{}",
        "\"evaluations\":[",
        "\"options\":",
        "\"id\":",
        "\"type\":",
    ],
    seeds: |_| {
        let one =
            r#"{"subject":{"type":"a","id":"b"},"action":{"name":"c"},"resource":{"type":"d","id":"e"}}"#;
        let many = r#"{"subject":{"type":"a","id":"b"},"resource":{"type":"d","id":"e"},"evaluations":[{"action":{"name":"c"}}],"options":{"evaluations_semantic":"execute_all"}}"#;
        [one, many].map(|text| text.as_bytes().to_vec()).to_vec()
    },
    check: check_access,
};

/// `attributes { request { http { method: "GET" path: "/a" } } }`.
const CHECK_SEED: &[u8] = b"\x0a\x0f\x22\x0d\x12\x0b\x12\x03GET\x22\x04/a?b";
/// `http_logs { log_entry { request { request_headers { "gantral-instance": "…" } } response { response_code { 201 } response_code_details } } }`.
const LOGS_SEED: &[u8] = b"\x12\x53\x0a\x51\x1a\x3a\x6a\x38\x0a\x10gantral-instance\x12\x24f1dae692-328e-4f55-8c77-7b836af61ac2\x22\x13\x0a\x03\x08\xc9\x01\x32\x0cvia_upstream";

fn check_path(bytes: &[u8]) -> Answer {
    let Ok(text) = core::str::from_utf8(bytes) else { return Ok(refused(&"not text")) };
    let Some(path) = twice(|| plain_path(text))? else { return Ok(refused(&"no path")) };
    ensure(plain_path(&path).as_ref() == Some(&path), "a path in its one spelling stays as it is")?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>?#".contains(&byte));
    ensure(plain && path.starts_with('/'), "a path holds nothing but what a path holds")?;
    let dots = path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")));
    ensure(!dots && !path.contains("//"), "no path goes upwards, or has an empty segment")?;
    let lower = path.to_ascii_lowercase();
    ensure(!["%2f", "%5c", "%2e", "%00"].iter().any(|part| lower.contains(part)), "nothing hides in a path")?;
    Ok(Seen::Accepted)
}

fn check_rules(bytes: &[u8]) -> Answer {
    let Ok(text) = core::str::from_utf8(bytes) else { return Ok(refused(&"not text")) };
    match twice(|| Rules::parse(text.lines()).map(|rules| format!("{rules:?}")))? {
        Ok(_) => Ok(Seen::Accepted),
        Err(error) => Ok(refused(&error)),
    }
}

fn check_check(bytes: &[u8]) -> Answer {
    let read = |bodies| {
        envoy::read(bytes, bodies).map(|told| (told.head.path, told.head.query, told.body.is_some()))
    };
    match twice(|| read(false))? {
        Ok((path, _, body)) => {
            ensure(
                plain_path(&path) == Some(path) && !body,
                "a path is plain, and a body that is not waited for is not there",
            )?;
        }
        Err(error) => return Ok(refused(&error)),
    }
    match twice(|| read(true))? {
        Ok((_, _, body)) => {
            ensure(body, "a body that is waited for is there, or is refused").map(|()| Seen::Accepted)
        }
        Err(error) => Ok(refused(&error)),
    }
}

fn check_logs(bytes: &[u8]) -> Answer {
    match twice(|| envoy::came(bytes))? {
        Some(_) => Ok(Seen::Accepted),
        None => Ok(refused(&"no access log")),
    }
}

fn check_access(bytes: &[u8]) -> Answer {
    let one = twice(|| access::one(bytes))?;
    match twice(|| access::many(bytes))? {
        Ok((evaluations, _)) => {
            ensure(evaluations.len() <= access::EVALUATIONS_MAX, "no more are asked than are taken")?;
            Ok(Seen::Accepted)
        }
        Err(error) => {
            // What is asked alone may stand beside what only several have.
            ensure(one.is_err() || error != access::BadEvaluation::Body, "both read the same JSON")?;
            Ok(refused(&error))
        }
    }
}
