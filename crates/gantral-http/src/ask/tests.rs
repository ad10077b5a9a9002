use axum::http::Request;

use super::*;
use crate::rules::Rules;

fn asked(target: &str, kind: &str, body: &str) -> Result<Asked, BadRequest> {
    let mut request = Request::builder().method("POST").uri(target).header("x-team", "payments");
    request = request.header("authorization", "Bearer hidden");
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    let head = Head::read(&request.body(()).unwrap().into_parts().0)?;
    let rules = Rules::parse(["ask POST /orders/{order}/refunds"]).unwrap();
    let choice = Choice::parse(["header:x-team", "query:dry", "body:/amount"]).unwrap();
    let bytes = Bytes::from(body.to_owned());
    let body = Body { sha256: "ab".repeat(32), size: bytes.len() as u64, kept: Kept::Memory(bytes) };
    ask("shop", &head, &rules.treat(&head.method, &head.path), &choice, Some(&body))
}

fn changed(asked: &Asked, text: &str) -> Result<Approved, Differs> {
    let action = &asked.wanted.action;
    asked.approved(&Action {
        name: action.name.clone(),
        target: action.target.clone(),
        parameters: Document::from_text(text).unwrap(),
    })
}

const JSON: &str = "application/json; charset=utf-8";

#[test]
fn approver_reads_the_body_and_no_credential() {
    let asked = asked("/orders/7/refunds?dry=1", JSON, r#"{"currency":"EUR", "amount":4800.00}"#).unwrap();
    let action = &asked.wanted.action;
    assert_eq!(action.target, "POST shop/orders/{order}/refunds");
    assert_eq!(
        action.parameters.as_str(),
        r#"{"body":{"amount":4800,"currency":"EUR"},"content_type":"application/json; charset=utf-8","headers":{"x-team":"payments"},"method":"POST","path":"/orders/7/refunds","query":"dry=1"}"#
    );
    assert_eq!(
        asked.wanted.attributes.as_ref().unwrap().as_str(),
        r#"{"body:/amount":4800,"header:x-team":"payments","path:order":"7","query:dry":"1"}"#
    );
}

#[test]
fn any_other_body_is_named_by_its_digest() {
    for kind in ["application/x-www-form-urlencoded", "", "text/json"] {
        let asked = asked("/x", kind, "amount=1").unwrap();
        let parameters = asked.wanted.action.parameters.to_value().unwrap();
        assert_eq!(parameters.get("body_sha256").unwrap().as_str().unwrap(), "ab".repeat(32));
        assert_eq!(parameters.get("body_bytes").unwrap().as_u64(), Some(8));
        assert_eq!(asked.wanted.action.target, "POST shop/x");
    }
    let none = asked("/x", JSON, "").unwrap().wanted.action.parameters;
    assert!(!none.as_str().contains("body"), "{}", none.as_str());
}

#[test]
fn what_cannot_be_shown_as_it_is_meant_is_refused() {
    for body in [r#"{"a":1,"a":2}"#, "{", "\u{feff}{}", r#"{"a":"\ud800"}"#] {
        assert_eq!(asked("/x", JSON, body).unwrap_err(), BadRequest::Json, "{body}");
    }
    for query in ["password=x", "a=1&access_token=x", "t=ghp_0123456789abcdef0123"] {
        assert_eq!(asked(&format!("/x?{query}"), "", "").unwrap_err(), BadRequest::Secret, "{query}");
    }
    let long = format!("/{}", "a".repeat(TARGET_BYTES_MAX));
    assert_eq!(asked(&long, "", "").unwrap_err(), BadRequest::Unnamed);
}

#[test]
fn human_may_change_body_and_query_and_nothing_else() {
    let asked = asked("/orders/7/refunds?dry=1", "application/json", r#"{"amount":1.50}"#).unwrap();
    let same = asked.wanted.action.parameters.as_str().to_owned();
    assert_eq!(changed(&asked, &same), Ok(Approved { query: Some("dry=1".to_owned()), body: None }));
    let less = changed(&asked, &same.replace("1.5", "1").replace("dry=1", "dry=0"));
    assert_eq!(
        less,
        Ok(Approved { query: Some("dry=0".to_owned()), body: Some(br#"{"amount":1}"#.to_vec()) })
    );
    for other in [
        same.replace("/orders/7", "/orders/8"),
        same.replace("POST", "PUT"),
        same.replace("payments", "admins"),
        same.replace("application/json", "text/plain"),
        same.replace("dry=1", "dry=1 HTTP/1.1"),
        same.replace(r#""body":{"amount":1.5},"#, ""),
        "{}".to_owned(),
    ] {
        assert_eq!(changed(&asked, &other), Err(Differs), "{other}");
    }
}
