//! The router and the table of routes are one, in both directions.

use std::collections::BTreeSet;

use gantral_api::problem::Code;
use gantral_api::routes::{ROUTES, Route};

use crate::place::{Place, refused};

/// Fills the parameters of a path with what names nothing.
fn path(route: &Route) -> String {
    let digest = "0".repeat(64);
    let value = |name: &str| match name {
        "n" => "1".to_owned(),
        "version" | "delegation" | "entry_digest" => digest.clone(),
        "id" if route.path.contains("workflows") => "nothing".to_owned(),
        _ => "00000000-0000-4000-8000-000000000000".to_owned(),
    };
    let mut path = route.path.to_owned();
    for name in route.path_parameters() {
        path = path.replace(&format!("{{{name}}}"), &value(name));
    }
    path
}

#[tokio::test]
async fn every_route_of_the_table_answers_and_asks_for_a_token() {
    let place = Place::start().await;
    for route in ROUTES {
        let name = route.operation_id;
        let response = place.request(route.method.as_str(), &path(route), None).send().await.unwrap();
        let headers = response.headers().clone();
        assert_eq!(headers["cache-control"], "no-store", "{name}");
        let number = headers["x-request-id"].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        if route.is_open() {
            assert_eq!(status, 200, "{name}");
            continue;
        }
        assert_eq!(status, 401, "{name}");
        assert_eq!(headers["www-authenticate"], "Bearer", "{name}");
        let bytes = response.bytes().await.unwrap();
        let problem: gantral_api::problem::Problem = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(problem.code(), Code::Unauthenticated, "{name}");
        assert_eq!(problem.instance(), Some(path(route).as_str()), "{name}");
        assert_eq!(problem.member("request_id").unwrap(), number.as_str(), "{name}");
    }
}

#[tokio::test]
async fn every_other_method_is_refused_and_the_lawful_ones_are_named() {
    let place = Place::start().await;
    let token = place.human_token("dave");
    let paths: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    for template in paths {
        let routes: Vec<&Route> = ROUTES.iter().filter(|route| route.path == template).collect();
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if routes.iter().any(|route| route.method.as_str() == method) {
                continue;
            }
            let request = place.request(method, &path(routes[0]), Some(&token));
            let response = request.try_clone().unwrap().send().await.unwrap();
            let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
            for route in &routes {
                assert!(allowed.contains(route.method.as_str()), "{template}: {allowed}");
            }
            assert_eq!(refused(request).await.code(), Code::MethodNotAllowed, "{method} {template}");
        }
    }
}

#[tokio::test]
async fn what_has_no_route_is_not_found_and_not_repeated() {
    let place = Place::start().await;
    let token = place.human_token("dave");
    for path in ["/nothing", "/v1", "/v2/me", "/v1/me/", "/v1/gates/x/decisions/y"] {
        for token in [None, Some(token.as_str())] {
            let problem = refused(place.request("GET", path, token)).await;
            assert_eq!(problem.code(), Code::NotFound, "{path}");
        }
    }
}
