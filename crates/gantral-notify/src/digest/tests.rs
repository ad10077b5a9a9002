#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

use gantral_core::ids::GateId;
use gantral_store::{About, OutboxRow, ToldGate};

use super::*;
use crate::message::tests::{gate, proposal, row};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A message about a gate that has ended like this by now; one about an end says so itself.
fn item(of: u8, kind: &str, ended: Option<&str>) -> Gathered {
    let ended = ended.map(name);
    let says = ["gate.decided", "gate.expired", "gate.withdrawn"].contains(&kind);
    let about = About::Gate(ToldGate { id: GateId::from_random([of; 16]), ..gate() });
    let resolution = ended.clone().filter(|_| says);
    Gathered { row: OutboxRow { kind: name(kind), about, resolution, ..row() }, ended }
}

fn kinds(items: &[Gathered]) -> Vec<&str> {
    items.iter().map(|item| item.row.kind.as_str()).collect()
}

#[test]
fn the_newest_message_of_each_is_said_in_the_order_in_which_they_were_first_told() {
    let gathered = vec![
        item(1, "gate.opened", None),
        item(2, "gate.opened", None),
        item(1, "gate.reminder", None),
        Gathered { row: proposal(), ended: None },
    ];
    let composed = compose(gathered, true);
    assert_eq!(kinds(&composed.said), ["gate.reminder", "gate.opened", "proposal.opened"]);
    assert_eq!((composed.told.len(), composed.left_out.len()), (4, 0));
}

#[test]
fn what_was_decided_meanwhile_is_left_out_of_a_digest_and_of_nothing_that_was_put_off() {
    let check = |gathered: Vec<Gathered>, is_left_out: bool| {
        let count = gathered.len();
        let composed = compose(gathered.clone(), true);
        let expected = if is_left_out { (0, 0, count) } else { (1, count, 0) };
        assert_eq!(
            (composed.said.len(), composed.told.len(), composed.left_out.len()),
            expected,
            "{gathered:?}"
        );
        let all = compose(gathered, false);
        assert_eq!((all.said.len(), all.told.len(), all.left_out.len()), (1, count, 0));
    };
    let approved = Some("approved");
    check(vec![item(1, "gate.opened", None)], false);
    check(vec![item(1, "gate.opened", approved)], true);
    check(vec![item(1, "gate.opened", approved), item(1, "gate.decided", approved)], true);
    check(vec![item(1, "gate.reminder", approved)], true);
    // An earlier message spoke of it: how it ended is news.
    check(vec![item(1, "gate.decided", approved)], false);
    check(vec![item(1, "gate.reminder", approved), item(1, "gate.decided", approved)], false);
    // Nobody decided, and that is news to everybody.
    check(vec![item(1, "gate.opened", Some("timeout")), item(1, "gate.expired", Some("timeout"))], false);
    check(vec![Gathered { row: proposal(), ended: Some(name("confirmed")) }], true);
}

#[test]
fn what_does_not_fit_waits_for_the_next_one() {
    let many = (0..u8::try_from(DIGEST_MAX).unwrap() + 5).map(|of| item(of, "gate.opened", None));
    let more = many
        .clone()
        .map(|one| Gathered { row: OutboxRow { kind: name("gate.reminder"), ..one.row }, ended: None });
    let composed = compose(many.chain(more).collect(), false);
    assert_eq!((composed.said.len(), composed.told.len()), (DIGEST_MAX, 2 * DIGEST_MAX));
    assert!(composed.left_out.is_empty());
    assert!(composed.said.iter().all(|item| item.row.kind.as_str() == "gate.reminder"));
}
