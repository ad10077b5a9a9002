//! What holds for every route.

use std::collections::BTreeSet;

use super::{Method, ROUTES, Who};
use crate::problem::Code;

#[test]
fn no_two_routes_share_a_name_or_an_address() {
    let names: BTreeSet<&str> = ROUTES.iter().map(|route| route.operation_id).collect();
    let addresses: BTreeSet<(Method, &str)> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
    assert_eq!((names.len(), addresses.len()), (ROUTES.len(), ROUTES.len()));
}

#[test]
fn every_code_refuses_something_somewhere() {
    let used: BTreeSet<Code> = ROUTES.iter().flat_map(|route| route.codes()).collect();
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(used, all);
}

#[test]
fn only_humans_decide() {
    for name in ["decide", "extend", "cancel", "reconcile"] {
        let route = ROUTES.iter().find(|route| route.operation_id == name).unwrap();
        assert!(
            route.who.iter().all(|who| matches!(who, Who::Human | Who::Admin | Who::Developer)),
            "{name}"
        );
    }
}

#[test]
fn nothing_is_written_without_a_token() {
    assert!(ROUTES.iter().all(|route| !(route.writes() && route.is_open())));
}

#[test]
fn path_parameters_are_read_off_the_path() {
    let route = ROUTES.iter().find(|route| route.operation_id == "consume").unwrap();
    assert_eq!(route.path_parameters().collect::<Vec<_>>(), ["id", "grant_id"]);
}
