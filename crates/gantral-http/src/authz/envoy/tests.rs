use super::*;
use crate::request::BadRequest;

fn check(http: HttpRequest, bodies: bool) -> Result<Told, BadRequest> {
    let request = Some(Request { http: Some(http) });
    read(&CheckRequest { attributes: Some(Attributes { request }) }.encode_to_vec(), bodies)
}

fn http(headers: &[(&str, &str)], body: &str) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        path: "/orders/7?dry=1".to_owned(),
        host: "shop.example".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.to_owned(),
        ..HttpRequest::default()
    }
}

#[test]
fn request_that_envoy_tells_of_is_read_as_if_it_had_come_here() {
    let told = check(http(&[(":authority", "x"), ("x-team", "payments")], "ignored"), false).unwrap();
    assert_eq!((told.head.path.as_str(), told.head.query.as_deref()), ("/orders/7", Some("dry=1")));
    assert_eq!((told.host.as_str(), told.head.headers.len(), told.body.is_none()), ("shop.example", 1, true));
    let bad = HttpRequest { path: "/a/../b".to_owned(), ..http(&[], "") };
    assert_eq!(check(bad, false).unwrap_err(), BadRequest::Path);
    assert_eq!(check(http(&[("x", "a\r\nb")], ""), false).unwrap_err(), BadRequest::Header);
    for bytes in [&b"\xff\xff"[..], b""] {
        assert_eq!(read(bytes, false).unwrap_err(), BadRequest::Target);
    }
}

#[test]
fn body_counts_only_if_it_is_whole() {
    let whole = [("x-envoy-auth-partial-body", "false"), ("content-length", "2")];
    assert_eq!(check(http(&whole, "{}"), true).unwrap().body.unwrap().size, 2);
    assert_eq!(check(http(&[], ""), true).unwrap().body.unwrap().size, 0);
    for (headers, body) in [
        (&[("x-envoy-auth-partial-body", "true")][..], "{}"),
        (&[("x-envoy-auth-partial-body", "false"), ("content-length", "9")], "{}"),
        (&[], "{}"),
        (&[("content-length", "2")], ""),
    ] {
        assert_eq!(check(http(headers, body), true).unwrap_err(), BadRequest::Framing, "{headers:?}");
    }
}

fn logged(headers: &[(&str, &str)], details: &str, code: u32, common: Common) -> Vec<(Pass, Came)> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let entry = HttpEntry {
        common: Some(common),
        request: Some(LoggedRequest { headers }),
        response: Some(LoggedResponse { code: Some(Number { value: code }), details: details.to_owned() }),
    };
    came(&AccessLogs { http: Some(HttpEntries { entries: vec![entry] }) }.encode_to_vec()).unwrap()
}

#[test]
fn access_log_says_what_came_of_a_call_only_where_that_is_certain() {
    let instance = "f1dae692-328e-4f55-8c77-7b836af61ac2";
    let named = [("gantral-instance", instance)];
    let one = || Common { attempts: 1, ..Common::default() };
    let seen = logged(&named, "via_upstream", 201, one());
    assert_eq!(seen.len(), 1);
    let (pass, came) = seen.first().unwrap();
    assert_eq!((pass.instance.to_string().as_str(), pass.grant), (instance, None));
    assert_eq!(*came, Came::Answered(StatusCode::CREATED));
    let refused = Flags { connection_failure: true, ..Flags::default() };
    let unsent = logged(&named, "upstream_reset", 503, Common { flags: Some(refused), ..one() });
    assert_eq!(unsent.first().unwrap().1, Came::NotSent);
    for nothing in [
        logged(&named, "upstream_reset_after_response_started", 503, one()),
        logged(&named, "via_upstream", 201, Common { attempts: 2, ..Common::default() }),
        logged(&named, "via_upstream", 201, Common { intermediate: true, ..one() }),
        logged(&named, "via_upstream", 70_000, one()),
        logged(&[], "via_upstream", 201, one()),
        logged(&[("gantral-instance", "x")], "via_upstream", 201, one()),
        logged(&[("gantral-instance", instance), ("gantral-grant", "x")], "via_upstream", 201, one()),
    ] {
        assert!(nothing.is_empty(), "{nothing:?}");
    }
    assert_eq!(super::came(b"\xff"), None);
}
