//! The rules at the console: policies, proposals, freezes, delegations and their history, by pages and forms.

use gantral_api::wire::{Activate, GateList, MineQuery, ProposalsQuery, text};
use gantral_core::state::State;
use gantral_core::time::DurationMs;
use gantral_engine::{FourEyesRules, Unfreeze};
use gantral_testkit::policy::{example, rules};
use gantral_testkit::workflows;
use serde_json::json;

use crate::browser::{Browser, Seen};
use crate::place::{Place, decision, freeze, minutes, refund, to};

/// Fills in the form of a page, and sends it.
async fn sends(browser: &mut Browser<'_>, page: &str, to: &str, fields: &[(&str, &str)]) -> Seen {
    let seen = browser.get(page).await;
    assert_eq!(seen.status, 200, "{page}: {}", seen.text);
    let (csrf, key) = (seen.hidden("csrf"), form_key(&seen));
    let own = [("csrf", csrf.as_str()), ("key", &key)];
    browser.send(to, &own.into_iter().chain(fields.iter().copied()).collect::<Vec<_>>()).await
}

/// Returns the number of a form of the page, or one that somebody made up where it has no form.
fn form_key(seen: &Seen) -> String {
    if seen.text.contains("name=\"key\"") { seen.hidden("key") } else { "made-up".to_owned() }
}

async fn published(place: &Place, verdict: &str) -> text::PolicyVersionId {
    let archive = rules(&format!("decision := \"{verdict}\"")).to_archive().unwrap();
    place.human("bob").publish_policy(archive).await.unwrap().policy_version_id
}

#[tokio::test]
async fn a_freeze_is_set_by_its_owners_and_lifted_by_administrators_at_the_console_too() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (mut fiona, mut dave) = (Browser::of(&place, "fiona").await, Browser::of(&place, "dave").await);
    let page = "/console/freezes";
    let freezing = [("frozen", "true"), ("kind", "workflow"), ("name", "refund")];
    let why = ("justification", "the <b>provider</b>\u{202e} fails");
    let seen = sends(&mut fiona, page, page, &[&freezing[..], &[why]].concat()).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    seen.shows("Freeze of workflow refund");
    let listed = fiona.get(page).await;
    listed.shows("the &lt;b&gt;provider&lt;/b&gt;");
    listed.shows("U+202E");
    listed.hides("<b>provider");
    listed.hides("Lift the freeze");
    let lifting =
        [("frozen", "false"), ("kind", "workflow"), ("name", "refund"), ("justification", "mended")];
    assert_eq!(sends(&mut fiona, page, page, &lifting).await.status, 403);
    assert_eq!(place.human("fiona").freezes().await.unwrap().items.len(), 1);
    dave.get(page).await.shows("Lift the freeze");
    sends(&mut dave, page, page, &lifting).await.shows("End of the freeze of workflow refund");
    assert_eq!(place.human("fiona").freezes().await.unwrap().items, []);

    // What others may not do through the API they may not do here.
    let mut eve = Browser::of(&place, "eve").await;
    for (who, kind, name, status) in [
        ("eve", "workflow", "refund", 404),
        ("fiona", "tenant", "", 403),
        ("fiona", "team", "logistics", 403),
        ("fiona", "galaxy", "", 422),
        ("fiona", "tenant", "refund", 422),
        ("fiona", "workflow", "no such name!", 422),
    ] {
        let fields = [("frozen", "true"), ("kind", kind), ("name", name), ("justification", "no")];
        let browser = if who == "eve" { &mut eve } else { &mut fiona };
        assert_eq!(sends(browser, page, page, &fields).await.status, status, "{kind} {name}");
    }
    let silent = sends(&mut fiona, page, page, &[&freezing[..], &[("justification", " ")]].concat()).await;
    assert_eq!(silent.status, 422);
    silent.shows("Nothing was changed.");
    silent.shows("value=\"refund\"");
    assert_eq!(place.human("fiona").freezes().await.unwrap().items, []);
}

#[tokio::test]
async fn a_role_is_lent_used_and_taken_back_at_the_console() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let (mut fiona, mut eve) = (Browser::of(&place, "fiona").await, Browser::of(&place, "eve").await);
    let (page, gate) = ("/console/delegations", format!("/console/gates/{}", waits.gate));
    assert_eq!(eve.get(&gate).await.status, 404);
    let from = fiona.get(page).await.hidden("from");
    let fields = [
        ("from", from.as_str()),
        ("subject", "eve"),
        ("hours", "24"),
        ("justification", "on <i>holiday</i>"),
    ];
    let none = sends(&mut fiona, page, page, &fields).await;
    assert_eq!(none.status, 422, "no role was chosen");
    none.shows("value=\"eve\"");
    let lent = sends(&mut fiona, page, page, &[&fields[..], &[("roles", "FINANCE_LEAD")]].concat()).await;
    lent.shows("FINANCE_LEAD of person");
    let twice = sends(&mut fiona, page, page, &[&fields[..], &[("roles", "FINANCE_LEAD")]].concat()).await;
    twice.shows("It was so already.");
    let of_others = [("roles", "PLATFORM_ADMIN")];
    assert_eq!(sends(&mut fiona, page, page, &[&fields[..], &of_others].concat()).await.status, 403);

    let held = eve.get(page).await;
    held.shows("on &lt;i&gt;holiday&lt;/i&gt;");
    held.hides("Take it back");
    let shown = eve.get(&gate).await;
    let delegation = place.human("eve").delegations(&MineQuery::default()).await.unwrap().items[0].delegation;
    let role = format!("FINANCE_LEAD {delegation}");
    shown.shows(&format!("<option value=\"{role}\""));
    shown.hides("Extend the deadline");
    let decide = |role| {
        [("gate_version", "1"), ("decision", "APPROVE"), ("justification", "looked at it"), ("role", role)]
    };
    let bare = sends(&mut eve, &gate, &format!("{gate}/decisions"), &decide("FINANCE_LEAD")).await;
    assert_eq!(bare.status, 403, "a role that is not hers");
    let done = sends(&mut eve, &gate, &format!("{gate}/decisions"), &decide(&role)).await;
    done.shows("You approved it as asked.");
    assert_eq!(place.show(waits.id).await.state.into_inner(), State::Approved);

    let revoke = format!("{page}/{delegation}/revoke");
    assert_eq!(sends(&mut eve, page, &revoke, &[]).await.status, 403, "it is not hers");
    sends(&mut fiona, page, &revoke, &[]).await.shows("End of delegation");
    eve.get(page).await.shows("Nobody lends you a role.");
}

#[tokio::test]
async fn the_glass_is_broken_at_the_console_by_whoever_may_and_with_a_reason() {
    let place = Place::start().await;
    let glass = "\"break_glass_roles\": [\"CLERK\"], \"timeout\": \"30m\"";
    let definition = workflows::REFUND.replace("\"timeout\": \"30m\"", glass);
    place.apply(&definition, &example("refunds")).await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    attempt.ask(id, &refund(480_000)).await.unwrap();
    let (mut eve, mut fiona) = (Browser::of(&place, "eve").await, Browser::of(&place, "fiona").await);
    let gate = place.human("eve").gates(&GateList::default()).await.unwrap().items.remove(0).gate_id;
    let (page, decisions) = (format!("/console/gates/{gate}"), format!("/console/gates/{gate}/decisions"));
    fiona.get(&page).await.hides("Emergency");
    eve.get(&page).await.shows("Emergency: decide alone");
    let say = |why, role| {
        let fixed = [("gate_version", "1"), ("decision", "APPROVE"), ("break_glass", "true")];
        [fixed[0], fixed[1], fixed[2], ("justification", why), ("role", role)]
    };
    let long = "the site is down and nobody of finance answers the phone";
    let short = sends(&mut eve, &page, &decisions, &say("too short", "CLERK")).await;
    assert_eq!(short.status, 422);
    short.shows("too short</textarea>");
    let other = sends(&mut fiona, &page, &decisions, &say(long, "FINANCE_LEAD")).await;
    assert!(other.status >= 400, "{}", other.status);
    sends(&mut eve, &page, &decisions, &say(long, "CLERK")).await.shows("You approved it as asked.");
    fiona.get(&format!("/console/instances/{id}")).await.shows("BROKE THE GLASS");
    eve.get(&page).await.hides(&format!("/console/instances/{id}"));
}

#[tokio::test]
async fn a_gate_is_given_more_time_at_the_console_up_to_its_limit() {
    let place = Place::without_scheduler().await;
    let waits = place.waiting().await;
    let mut fiona = Browser::of(&place, "fiona").await;
    let (gate, frank) = (format!("/console/gates/{}", waits.gate), place.human("frank"));
    let view = frank.gate(waits.gate).await.unwrap();
    fiona.get(&gate).await.shows(&format!("<option value=\"{}\">as far as it goes", view.latest_deadline));
    let later = text::Time::from(view.latest_deadline.into_inner().plus(minutes(1))).to_string();
    let extend = format!("{gate}/extend");
    let past = sends(&mut fiona, &gate, &extend, &[("gate_version", "1"), ("deadline", &later)]).await;
    assert_eq!(past.status, 422, "{}", past.text);
    let latest = view.latest_deadline.to_string();
    let done = sends(&mut fiona, &gate, &extend, &[("gate_version", "1"), ("deadline", &latest)]).await;
    assert_eq!((done.status, done.location.as_str()), (303, gate.as_str()));
    assert_eq!(frank.gate(waits.gate).await.unwrap().deadline, view.latest_deadline);
    fiona.get(&gate).await.hides("Extend the deadline");
}

#[tokio::test]
async fn the_last_decisions_of_a_kind_are_the_newest() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let fiona = place.human("fiona");
    let mut gates = Vec::new();
    for _ in 0..8 {
        let id = place.create("refund").await.instance_id;
        let (attempt, _) = place.begin(id).await;
        attempt.ask(id, &refund(48_000)).await.unwrap();
        let open = fiona.gates(&Default::default()).await.unwrap().items.remove(0).gate_id;
        place.clock.advance(DurationMs::from_secs(5));
        fiona.decide(open, &decision("REJECT", 1)).await.unwrap();
        gates.push(open);
    }
    let shown = Browser::of(&place, "fiona").await.get(&format!("/console/gates/{}", gates[7])).await.text;
    let places: Vec<Option<usize>> =
        gates[..7].iter().map(|gate| shown.find(&format!("/gates/{gate}\""))).collect();
    assert!(places[..2].iter().all(Option::is_none), "the oldest are left out: {places:?}");
    let newest: Vec<usize> = places[2..].iter().map(|place| place.unwrap()).collect();
    assert!(newest.is_sorted_by(|older, newer| older > newer), "{newest:?}");
}

#[tokio::test]
async fn a_policy_is_read_put_in_force_and_rolled_back_at_the_console() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let hostile = "# </pre><script>alert(1)</script> \u{202e}drawkcab\ndecision := \"DENY\"";
    let archive = rules(hostile).to_archive().unwrap();
    let version = place.human("bob").publish_policy(archive).await.unwrap().policy_version_id;
    let before = place.human("bob").activations().await.unwrap().items[0].policy_version_id;
    let (mut bob, mut fiona) = (Browser::of(&place, "bob").await, Browser::of(&place, "fiona").await);
    let path = format!("/console/policies/{version}");
    let shown = bob.get(&path).await;
    shown.shows("&lt;/pre&gt;&lt;script&gt;alert(1)");
    shown.shows("U+202E");
    assert_eq!(shown.text.matches("<script").count(), 1);
    assert_eq!(bob.get(&format!("{path}/archive")).await.status, 200);
    let fields =
        [("version", version.to_string()), ("kind", "workflow".to_owned()), ("name", "refund".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // An approver reads it, and is offered no form; one that they make up is refused as the API refuses it.
    fiona.get(&path).await.hides("Put it in force");
    assert_eq!(sends(&mut fiona, &path, "/console/activations", &fields).await.status, 403);
    let done = sends(&mut bob, &path, "/console/activations", &fields).await;
    done.shows("in place of");
    assert_eq!(place.human("bob").activations().await.unwrap().items[0].policy_version_id, version);
    bob.get("/console/policies").await.shows("in force for workflow refund");

    let (present, gone) = (version.to_string(), before.to_string());
    let back = |present| [("kind", "workflow"), ("name", "refund"), ("present", present)];
    let stale = sends(&mut bob, "/console/policies", "/console/activations", &back(gone.as_str())).await;
    assert_eq!(stale.status, 409, "another version is in force by now");
    let unsaid = sends(&mut bob, "/console/policies", "/console/activations", &back("")[..2]).await;
    assert_eq!(unsaid.status, 400, "neither a version nor which one is left");
    sends(&mut bob, "/console/policies", "/console/activations", &back(&present)).await.shows("in place of");
    assert_eq!(place.human("bob").activations().await.unwrap().items[0].policy_version_id, before);
    let nothing = [&fields[..2], &[("name", "nothing")]].concat();
    let nowhere = sends(&mut bob, &path, "/console/activations", &nothing);
    assert_eq!(nowhere.await.status, 404);
    bob.get("/console/history").await.shows("in place of");
}

#[tokio::test]
async fn two_persons_change_a_rule_at_the_console() {
    let rules = FourEyesRules { policy: true, unfreeze: Unfreeze::Two, ..FourEyesRules::default() };
    let place = Place::four_eyes(rules).await;
    let version = published(&place, "DENY").await;
    let (mut bob, mut grace, mut fiona) = (
        Browser::of(&place, "bob").await,
        Browser::of(&place, "grace").await,
        Browser::of(&place, "fiona").await,
    );
    let path = format!("/console/policies/{version}");
    let named = version.to_string();
    let fields = [
        ("version", named.as_str()),
        ("kind", "team"),
        ("name", "payments"),
        ("justification", "<u>safer</u>"),
    ];
    let waits = sends(&mut bob, &path, "/console/activations", &fields).await;
    waits.shows("It waits for a second person.");
    let proposal = place.human("bob").proposals(&ProposalsQuery::default()).await.unwrap().items.remove(0);
    let page = format!("/console/proposals/{}", proposal.proposal_id);
    waits.shows(&page);
    fiona.get("/console/proposals").await.shows(&page);
    fiona.get(&page).await.hides("Confirm it");
    bob.get(&page).await.shows("somebody else must confirm it");
    grace.get(&page).await.shows("&lt;u&gt;safer&lt;/u&gt;");
    let (digest, confirm) = (proposal.digest.to_string(), format!("{page}/confirm"));
    let agreed = [("digest", digest.as_str()), ("justification", "read it")];
    assert_eq!(sends(&mut fiona, &page, &confirm, &agreed).await.status, 403);
    let alone = sends(&mut bob, &page, &confirm, &agreed).await;
    assert!(matches!(alone.status, 403 | 422), "{}", alone.status);
    let other = "0".repeat(64);
    assert_eq!(
        sends(&mut grace, &page, &confirm, &[("digest", &other)]).await.status,
        422,
        "she read another one"
    );
    assert_eq!(place.human("bob").activations().await.unwrap().items, []);
    sends(&mut grace, &page, &confirm, &agreed).await.shows("for team payments");
    assert_eq!(place.human("bob").activations().await.unwrap().items[0].policy_version_id, version);
    grace.get(&page).await.shows("A second person has confirmed it.");

    // Its author takes one back; nobody else does.
    let body: Activate = to(
        json!({"scope": {"kind": "team", "name": "payments"}, "policy_version_id": published(&place, "ALLOW").await}),
    );
    let proposal = place.human("bob").activate(&body).await.unwrap().proposal.unwrap();
    let page = format!("/console/proposals/{}", proposal.proposal_id);
    let withdraw = format!("{page}/withdraw");
    assert_eq!(sends(&mut grace, &page, &withdraw, &[]).await.status, 403);
    let done = sends(&mut bob, &page, &withdraw, &[]).await;
    assert_eq!((done.status, done.location.as_str()), (303, page.as_str()));
    bob.get(&page).await.shows("Its author has taken it back.");
}

#[tokio::test]
async fn pages_about_rules_change_nothing_and_show_nothing_of_other_tenants() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let version = place.human("bob").activations().await.unwrap().items[0].policy_version_id;
    place
        .human("dave")
        .set_freeze(&freeze(&json!({"kind": "workflow", "name": "refund"}), true))
        .await
        .unwrap();
    let events = crate::governance::events(&place).await;
    let (mut mallory, mut fiona) = (Browser::of(&place, "mallory").await, Browser::of(&place, "fiona").await);
    for page in [
        "/console/policies",
        "/console/freezes",
        "/console/history",
        "/console/proposals",
        "/console/delegations",
        "/console/observed",
        "/console/log",
    ] {
        let seen = mallory.get(page).await;
        assert_eq!(seen.status, 200);
        seen.hides("refund");
        seen.hides(&version.to_string()[..12]);
        assert_eq!(fiona.get(page).await.status, 200, "no dead links: {page}");
        let unsent = fiona
            .send_from(page, &[("kind", "tenant"), ("frozen", "true"), ("justification", "x")], "cross-site")
            .await;
        assert!(matches!(unsent.status, 403 | 405), "{page}: {}", unsent.status);
    }
    assert_eq!(mallory.get(&format!("/console/policies/{version}")).await.status, 404);
    for path in ["/console/activations", "/console/freezes?frozen=true&kind=tenant&justification=x"] {
        assert!(matches!(fiona.get(path).await.status, 200 | 405), "{path}");
    }
    let mut nobody = Browser::new(&place);
    for page in [
        "/console/policies",
        "/console/freezes",
        "/console/history",
        "/console/proposals",
        "/console/delegations",
    ] {
        assert_eq!(nobody.get(page).await.location, format!("/console/login?return={page}"));
    }
    assert_eq!(crate::governance::events(&place).await, events);
}
