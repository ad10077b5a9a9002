use axum::http::Request;

use super::*;

fn read(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Head, BadRequest> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Head::read(&request.body(()).unwrap().into_parts().0)
}

#[test]
fn path_has_one_spelling_or_none() {
    for (raw, expected) in [
        ("/", Some("/")),
        ("/orders/7", Some("/orders/7")),
        ("/orders/", Some("/orders/")),
        ("/%6Frders/%7e", Some("/orders/~")),
        ("/caf%c3%a9", Some("/caf%C3%A9")),
        ("/a%20b;v=1", Some("/a%20b;v=1")),
        ("/a/../b", None),
        ("/a/%2e%2E/b", None),
        ("/a/..;x=1/b", None),
        ("/./a", None),
        ("//a", None),
        ("/a//b", None),
        ("/;x/b", None),
        ("/a%2fb", None),
        ("/a%5Cb", None),
        ("/a\\b", None),
        ("/a%00", None),
        ("/a%0d%0ab", None),
        ("/a%zz", None),
        ("/a%+1", None),
        ("/a%2", None),
        ("/a b", None),
        ("/caf\u{e9}", None),
        ("a", None),
        ("", None),
    ] {
        let found = plain_path(raw);
        assert_eq!(found.as_deref(), expected, "{raw}");
        if let Some(path) = found {
            assert_eq!(plain_path(&path).as_deref(), Some(path.as_str()), "it is its own spelling");
        }
    }
    assert_eq!(plain_path(&format!("/{}", "a".repeat(PATH_BYTES_MAX))), None);
}

#[test]
fn request_that_two_readers_could_take_for_two_things_is_refused() {
    for (method, target, headers, expected) in [
        ("CONNECT", "/", &[][..], BadRequest::Method),
        ("TRACE", "/", &[], BadRequest::Method),
        ("GET", "http://elsewhere.example/", &[], BadRequest::Target),
        ("OPTIONS", "*", &[], BadRequest::Target),
        ("GET", "/a/../b", &[], BadRequest::Path),
        ("GET", "/a?b='c'", &[], BadRequest::Query),
        ("GET", "/", &[("upgrade", "websocket"), ("connection", "upgrade")], BadRequest::Upgrade),
        ("GET", "/", &[("x-http-method-override", "DELETE")], BadRequest::Override),
        ("GET", "/", &[("x-original-url", "/admin")], BadRequest::Override),
        ("POST", "/", &[("content-length", "3"), ("transfer-encoding", "chunked")], BadRequest::Framing),
        ("POST", "/", &[("content-length", "3"), ("content-length", "4")], BadRequest::Framing),
        ("POST", "/", &[("content-length", "+3")], BadRequest::Framing),
        ("GET", "/", &[("x-long", &"a".repeat(HEADERS_BYTES_MAX))], BadRequest::Headers),
    ] {
        assert_eq!(read(method, target, headers).unwrap_err(), expected, "{method} {target}");
    }
}

#[test]
fn only_what_is_meant_for_the_service_goes_on() {
    let sent = [
        ("host", "proxy.example"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eDp5"),
        ("gantral-grant", "forged"),
        ("expect", "100-continue"),
        ("content-length", "12"),
        ("x-team", "payments"),
        ("accept", "a"),
        ("accept", "b"),
    ];
    let head = read("POST", "/orders?dry=1", &sent).unwrap();
    let mut names: Vec<&str> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept", "x-team"]);
    assert_eq!((head.query.as_deref(), head.length), (Some("dry=1"), Some(12)));
    assert_eq!(head.one(&HeaderName::from_static("x-team")), Ok(Some("payments")));
    assert_eq!(head.one(&HeaderName::from_static("x-hop")), Ok(None));
    assert_eq!(head.one(&HeaderName::from_static("accept")), Err(BadRequest::Header));
}
