//! The console as a browser meets it: cookies, forms, and pages that are only text.

use gantral_api::wire::text;
use gantral_core::state::State;
use gantral_core::time::DurationMs;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::browser::Browser;
use crate::place::{LEADS, Place, decision, to};

/// What a form of a gate carries that nobody types.
struct Carried {
    csrf: String,
    key: String,
    version: String,
}

async fn carried(browser: &mut Browser<'_>, gate: text::GateId) -> Carried {
    let seen = browser.get(&format!("/console/gates/{gate}")).await;
    Carried { csrf: seen.hidden("csrf"), key: seen.hidden("key"), version: seen.hidden("gate_version") }
}

impl Carried {
    fn with<'f>(&'f self, fields: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
        let own = [("csrf", self.csrf.as_str()), ("key", &self.key), ("gate_version", &self.version)];
        own.into_iter().chain(fields.iter().copied()).collect()
    }
}

async fn state(place: &Place, id: text::InstanceId) -> State {
    place.show(id).await.state.into_inner()
}

#[tokio::test]
async fn nobody_sees_or_decides_anything_before_they_are_logged_in() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let mut nobody = Browser::new(&place);
    let gate = format!("/console/gates/{}", waits.gate);
    for path in [
        "/console/",
        &gate,
        "/console/instances",
        &format!("/console/instances/{}", waits.id),
        "/console/help",
    ] {
        let seen = nobody.get(path).await;
        assert_eq!((seen.status, seen.location), (303, format!("/console/login?return={path}")));
        assert!(seen.text.is_empty());
    }
    assert_eq!(nobody.get("/console/news").await.status, 401);
    for path in ["decisions", "changes"] {
        let seen =
            nobody.send(&format!("{gate}/{path}"), &[("decision", "APPROVE"), ("gate_version", "1")]).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, "/console/login?return=/console/"));
    }
    nobody.cookie = Some(format!("__Host-gantral={}", "A".repeat(43)));
    assert_eq!(nobody.get("/console/").await.status, 303);
    assert_eq!(state(&place, waits.id).await, State::WaitingForHuman);
}

#[tokio::test]
async fn a_person_sees_exactly_what_is_asked_and_approves_it() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let mut fiona = Browser::of(&place, "fiona").await;
    fiona.get("/console/").await.shows(&format!("/console/gates/{}", waits.gate));
    let page = fiona.get(&format!("/console/gates/{}", waits.gate)).await;
    for text in ["order/7", "48000", "EUR", "FINANCE_LEAD"] {
        page.shows(text);
    }
    let form = carried(&mut fiona, waits.gate).await;
    let path = format!("/console/gates/{}/decisions", waits.gate);
    let fields = form.with(&[("decision", "APPROVE"), ("justification", "looked at the order")]);
    let first = fiona.send(&path, &fields).await;
    assert_eq!(first.status, 200, "{}", first.text);
    first.shows("You approved it as asked.");
    assert_eq!(state(&place, waits.id).await, State::Approved);
    // An impatient second press is the same decision.
    let second = fiona.send(&path, &fields).await;
    assert_eq!((second.status, second.text.contains("You approved it as asked.")), (200, true));
    // Whoever comes later is told, and nothing else happens.
    let mut frank = Browser::of(&place, "frank").await;
    frank.get(&format!("/console/gates/{}", waits.gate)).await.shows("Closed: approved as asked.");
    assert!(!frank.get("/console/").await.text.contains(&waits.gate.to_string()));
}

#[tokio::test]
async fn a_change_is_shown_before_it_is_decided_and_then_runs_as_shown() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let mut fiona = Browser::of(&place, "fiona").await;
    let form = carried(&mut fiona, waits.gate).await;
    let path = format!("/console/gates/{}", waits.gate);
    let wrong = form.with(&[
        ("target", "order/7"),
        ("parameter:amount_minor", "a lot"),
        ("parameter:currency", "EUR"),
    ]);
    let seen = fiona.send(&format!("{path}/changes"), &wrong).await;
    assert_eq!(seen.status, 422);
    seen.shows("`amount_minor` must be a number");
    seen.shows("value=\"a lot\"");
    let fields = [("target", "order/7"), ("parameter:amount_minor", "480"), ("parameter:currency", "EUR")];
    let changes = fiona.send(&format!("{path}/changes"), &form.with(&fields)).await;
    changes.shows("<del>48000</del>");
    changes.shows("<ins>480</ins>");
    assert_eq!(state(&place, waits.id).await, State::WaitingForHuman, "looking decides nothing");
    let (csrf, key) = (changes.hidden("csrf"), changes.hidden("key"));
    let own = [("csrf", csrf.as_str()), ("key", &key), ("gate_version", "1"), ("decision", "OVERRIDE")];
    let more = [("justification", "one month is owed")];
    let decided = fiona.send(&format!("{path}/decisions"), &[&own[..], &fields, &more].concat()).await;
    decided.shows("You approved it with your changes.");
    let seen = place.show(waits.id).await;
    assert_eq!(seen.state.into_inner(), State::Overridden);
    let granted: Value =
        serde_json::from_str(seen.pending_grant.unwrap().action.parameters.as_str()).unwrap();
    assert_eq!(granted, json!({"amount_minor": 480, "currency": "EUR"}));
}

#[tokio::test]
async fn a_form_of_another_page_session_or_site_decides_nothing() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let (mut fiona, mut frank) = (Browser::of(&place, "fiona").await, Browser::of(&place, "frank").await);
    let (hers, his) = (carried(&mut fiona, waits.gate).await, carried(&mut frank, waits.gate).await);
    let path = format!("/console/gates/{}/decisions", waits.gate);
    let say = [("decision", "APPROVE"), ("justification", "looked at the order")];
    assert_eq!(fiona.send(&path, &his.with(&say)).await.status, 403, "his form, her session");
    let bare = [("key", hers.key.as_str()), ("gate_version", "1"), ("decision", "APPROVE")];
    assert_eq!(fiona.send(&path, &bare).await.status, 403);
    for site in ["cross-site", "same-site"] {
        assert_eq!(fiona.send_from(&path, &hers.with(&say), site).await.status, 403, "{site}");
    }
    let claimed = hers.with(&[
        ("decision", "APPROVE"),
        ("justification", "looked"),
        ("actor", "frank"),
        ("role", "PLATFORM_ADMIN"),
    ]);
    let seen = fiona.send(&path, &claimed).await;
    assert_eq!(seen.status, 403, "a role that she does not hold");
    assert_eq!(state(&place, waits.id).await, State::WaitingForHuman);
}

#[tokio::test]
async fn fetching_every_link_decides_nothing() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let mut fiona = Browser::of(&place, "fiona").await;
    let (mut queue, mut fetched) =
        (vec!["/console/".to_owned(), format!("/console/gates/{}", waits.gate)], 0);
    let events = crate::governance::events(&place).await;
    let (mut known, mut links) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    while let Some(path) = queue.pop() {
        if !known.insert(path.clone()) || path == "/console/news" {
            continue;
        }
        let seen = fiona.get(&path).await;
        fetched += 1;
        for link in seen.text.split("href=\"").skip(1).filter_map(|part| part.split('"').next()) {
            links.insert(link.split('#').next().unwrap().replace("&amp;", "&"));
        }
        if links.contains(&path) {
            assert_eq!(seen.status, 200, "a dead link: {path}");
        }
        for part in seen.text.split(&['"', '\''][..]).filter(|part| part.starts_with("/console")) {
            queue.push(part.split('#').next().unwrap().replace("&amp;", "&"));
        }
    }
    assert!(fetched > 8, "{known:?}");
    for page in ["policies", "proposals", "freezes", "observed", "history", "log", "delegations"] {
        assert!(links.contains(&format!("/console/{page}")), "{page}: {links:?}");
    }
    assert_eq!(crate::governance::events(&place).await, events, "no rule was changed either");
    for form in ["decisions", "changes"] {
        let path = format!("/console/gates/{}/{form}?decision=APPROVE&gate_version=1", waits.gate);
        assert_eq!(fiona.get(&path).await.status, 405);
    }
    assert_eq!(state(&place, waits.id).await, State::WaitingForHuman);
    assert_eq!(fiona.get("/console/").await.status, 200, "not even a logout is a link");
}

#[tokio::test]
async fn what_an_agent_wrote_is_text_and_nothing_else() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let hostile = "<script>alert(1)</script><img src=//evil.example/x onerror=alert(1)>";
    let fake = "</section><div class=\"state\">APPROVED by the security team</div>";
    let hidden = "pay\u{202e}reverse\u{200b}\u{2066}me\u{1b}[2J";
    let asked = to(json!({
        "action": {"name": "refund", "target": hostile,
            "parameters": {"amount_minor": 48_000, "currency": "EUR", "note": fake}},
        "attributes": {"why": hidden, "long": "x".repeat(20_000)}, "step": "refund",
    }));
    attempt.ask(id, &asked).await.unwrap();
    let mut fiona = Browser::of(&place, "fiona").await;
    let inbox = fiona.get("/console/").await;
    let gate = place.human("fiona").gates(&Default::default()).await.unwrap().items.remove(0).gate_id;
    let page = fiona.get(&format!("/console/gates/{gate}")).await;
    let story = fiona.get(&format!("/console/instances/{id}")).await;
    for seen in [&inbox, &page, &story] {
        for bad in
            ["<script>alert", "<img", "<div class=\"state\"", "\u{202e}", "\u{200b}", "\u{2066}", "\u{1b}"]
        {
            assert!(!seen.text.contains(bad), "{bad:?} in {}", seen.text);
        }
        // Our own scripts are the only ones, and nothing is loaded from elsewhere.
        let ours = ["console.js", "passkeys.js"].map(|name| format!("<script src=\"/console/{name}\""));
        let scripts: usize = ours.iter().map(|script| seen.text.matches(script).count()).sum();
        assert_eq!(seen.text.matches("<script").count(), scripts);
        assert!(!seen.text.contains("src=\"//") && !seen.text.contains("src=\"http"));
    }
    page.shows("&lt;script&gt;alert(1)&lt;/script&gt;");
    page.shows("U+202E");
    page.shows("characters more");
}

#[tokio::test]
async fn other_teams_and_tenants_see_nothing_of_it() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    for who in ["mallory", "eve"] {
        let mut browser = Browser::of(&place, who).await;
        assert!(!browser.get("/console/?all=true").await.text.contains(&waits.gate.to_string()), "{who}");
        assert!(!browser.get("/console/instances").await.text.contains(&waits.id.to_string()[..8]), "{who}");
        for path in [
            format!("/console/gates/{}", waits.gate),
            format!("/console/instances/{}", waits.id),
            format!("/console/instances/{}/evidence", waits.id),
        ] {
            assert_eq!(browser.get(&path).await.status, 404, "{who} {path}");
        }
        let csrf = browser.get("/console/").await.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("key", "k"), ("gate_version", "1"), ("decision", "APPROVE")];
        let seen = browser.send(&format!("/console/gates/{}/decisions", waits.gate), &fields).await;
        assert_eq!(seen.status, 404, "{who}: {}", seen.text);
    }
    assert_eq!(state(&place, waits.id).await, State::WaitingForHuman);
}

#[tokio::test]
async fn a_gate_that_moved_is_shown_anew_and_what_was_written_is_kept() {
    let place = Place::without_scheduler().await;
    let waits = place.waiting().await;
    let mut fiona = Browser::of(&place, "fiona").await;
    let form = carried(&mut fiona, waits.gate).await;
    let view = place.human("frank").gate(waits.gate).await.unwrap();
    let later = view.deadline.into_inner().plus(DurationMs::from_secs(60));
    let extend = to(json!({"gate_version": 1, "deadline": later.to_string()}));
    place.human("frank").extend(waits.gate, &extend).await.unwrap();
    let path = format!("/console/gates/{}/decisions", waits.gate);
    let fields = form.with(&[("decision", "REJECT"), ("justification", "this is <mine> to say")]);
    let seen = fiona.send(&path, &fields).await;
    assert_eq!(seen.status, 422);
    seen.shows("Nothing was decided");
    seen.shows(&format!("somebody gave it more time: until {later}."));
    seen.shows("this is &#60;mine&#62; to say");
    assert_eq!(seen.hidden("gate_version"), "2");
    let form = Carried { csrf: seen.hidden("csrf"), key: seen.hidden("key"), version: "2".to_owned() };
    let fields = form.with(&[("decision", "REJECT"), ("justification", "this is mine to say")]);
    fiona.send(&path, &fields).await.shows("You rejected it.");
    assert_eq!(state(&place, waits.id).await, State::Terminated);
    fiona.get(&format!("/console/gates/{}", waits.gate)).await.shows("Closed: rejected");
}

#[tokio::test]
async fn a_session_ends_by_itself_by_a_logout_and_not_by_a_restart() {
    let mut place = Place::start().await;
    let cookie = {
        let fiona = Browser::of(&place, "fiona").await;
        fiona.cookie.clone().unwrap()
    };
    place.restart().await;
    let mut fiona = Browser::new(&place);
    fiona.cookie = Some(cookie.clone());
    let csrf = fiona.get("/console/").await.hidden("csrf");
    let seen = fiona.send("/console/logout", &[("csrf", &csrf)]).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, "/console/login"));
    fiona.cookie = Some(cookie);
    assert_eq!(fiona.get("/console/").await.status, 303, "the cookie itself is good for nothing any more");
    let mut frank = Browser::of(&place, "frank").await;
    place.clock.advance(DurationMs::from_secs(3_599));
    assert_eq!(frank.get("/console/").await.status, 200);
    place.clock.advance(DurationMs::from_secs(1));
    assert_eq!(frank.get("/console/").await.status, 303);
}

#[tokio::test]
async fn the_ledger_holds_no_cookie() {
    let place = Place::start().await;
    let fiona = Browser::of(&place, "fiona").await;
    let secret = fiona.cookie.clone().unwrap().split_once('=').unwrap().1.to_owned();
    let raw = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &secret).unwrap();
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for needle in [secret.as_bytes(), raw.as_slice()] {
                assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn of_ten_who_press_at_once_one_decides_and_nine_are_told_so() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let before = place.show(waits.id).await.head.sequence;
    let path = format!("/console/gates/{}/decisions", waits.gate);
    let mut ready = Vec::new();
    for lead in &LEADS[..5] {
        let mut browser = Browser::of(&place, lead).await;
        let form = carried(&mut browser, waits.gate).await;
        let fields = form.with(&[("decision", "APPROVE"), ("justification", "looked at the order")]);
        ready.push(browser.form(&path, &fields, "same-origin"));
    }
    let mut pressed = JoinSet::new();
    for request in ready {
        pressed.spawn(async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        });
    }
    for lead in &LEADS[5..] {
        let (client, body) = (place.human(lead), decision("REJECT", 1));
        pressed.spawn(async move {
            match client.decide(waits.gate, &body).await {
                Ok(decided) => (200, decided.state.to_string()),
                Err(error) => (422, error.problem().unwrap().code().to_string()),
            }
        });
    }
    let answers = pressed.join_all().await;
    let late = |(status, text): &&(u16, String)| {
        *status == 422 && (text == "already_decided" || text.contains("Nothing was decided: "))
    };
    assert_eq!(answers.iter().filter(late).count(), 9, "{answers:?}");
    let first = answers.iter().find(|(status, _)| *status == 200).unwrap();
    // A rejection is sealed, and so is the end that follows from it.
    let (expected, sealed) = if first.1.contains("You approved it as asked.") {
        (State::Approved, 1)
    } else {
        (State::Terminated, 2)
    };
    let after = place.show(waits.id).await;
    assert_eq!((after.state.into_inner(), after.head.sequence - before), (expected, sealed));
}
