//! Messages about gates, and reminders.

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, GateId, ProposalId};
use gantral_store::{
    About, Addressee, Attempted, Counted, DEAD_MAX, DeadLetters, Effect, Gathered, NewProposal, OutboxRow,
    OutboxTurn, ProposalOutcome, Reminded, Store, StoreError, Tell, TellProposal,
};

use crate::conformance::conformance;
use crate::world::{Chain, at, courier, gate, gate_row, name, role, tell, tenant};

conformance!(
    a_message_says_how_the_gate_stood_when_it_was_written,
    messages_of_one_gate_wait_for_each_other_and_for_no_other_gate,
    a_recipient_that_is_away_holds_up_nobody_else,
    a_message_that_failed_is_due_again_also_when_the_clock_went_back,
    dead_letters_stay_with_their_tenant_until_they_are_tried_again,
    what_has_waited_too_long_is_given_up,
    old_dead_letters_make_room,
    messages_of_forgotten_recipients_are_dropped,
    a_recipient_with_roles_is_told_of_gates_that_ask_them,
    what_is_gathered_says_how_it_stands_now,
    a_proposal_is_told_in_the_transaction_that_makes_it,
    what_was_told_counts_for_as_long_as_it_matters,
    a_reminder_is_written_once,
    a_gate_that_moved_or_closed_is_reminded_of_no_more,
);

/// Opens a gate at a new instance and tells the recipients of it.
async fn opened(store: &Store, to: &[&str]) -> (Chain, GateId) {
    let mut chain = Chain::new(&tenant("acme"));
    let id = gate();
    let row = gate_row(id, &["approver", "lead"], 5_000);
    chain.commit(store, vec![Effect::OpenGate(row), tell(id, "gate.opened", to)]).await;
    (chain, id)
}

async fn waiting(store: &Store, recipient: &str, now: u64) -> Vec<OutboxRow> {
    let turn = OutboxTurn { recipient: name(recipient), now: at(now), latest: at(now + 1_000) };
    store.outbox(turn, 100).await.unwrap()
}

fn said(rows: &[OutboxRow]) -> Vec<(GateId, &str)> {
    rows.iter().map(|row| (row.about.gate().unwrap().id, row.kind.as_str())).collect()
}

async fn bury(store: &Store, row: &OutboxRow) {
    let dead = Attempted::Dead { number: row.number, tried: true, failure: "no connection".to_owned() };
    store.settle_outbox(&courier(store, row.recipient.as_str()).await, vec![dead], None).await.unwrap();
}

async fn a_message_says_how_the_gate_stood_when_it_was_written(store: &Store) {
    let (mut chain, id) = opened(store, &["pager"]).await;
    let moved = Effect::MoveGate { id, version: 2, roles: vec![role("head")], deadline: at(8_000) };
    chain.commit(store, vec![moved, tell(id, "gate.escalated", &["pager"])]).await;
    let close = Effect::CloseGate { id, resolution: name("approved"), decided_by: None, at: at(6_000) };
    chain.commit(store, vec![close, tell(id, "gate.decided", &["pager"])]).await;
    let mut seen = Vec::new();
    while let Some(row) = waiting(store, "pager", 9_000).await.pop() {
        assert_eq!(
            (row.about.gate().unwrap().instance, row.tenant.clone(), row.attempts),
            (chain.id, tenant("acme"), 0)
        );
        assert_eq!(
            (row.about.gate().unwrap().team.as_str(), row.about.gate().unwrap().workflow.as_str()),
            ("payments", "refund")
        );
        assert_eq!(
            (row.about.gate().unwrap().action_name.as_str(), row.about.gate().unwrap().opened_at),
            ("refund.create", at(1_000))
        );
        let resolution = row.resolution.map(|word| word.as_str().to_owned());
        seen.push((
            row.about.gate().unwrap().version,
            row.about.gate().unwrap().roles.clone(),
            row.about.gate().unwrap().deadline.get(),
            resolution,
        ));
        store
            .settle_outbox(
                &courier(store, "pager").await,
                vec![Attempted::Delivered { number: row.number }],
                None,
            )
            .await
            .unwrap();
    }
    let head = vec![role("head")];
    let expected = [
        (1, vec![role("approver"), role("lead")], 5_000, None),
        (2, head.clone(), 8_000, None),
        (2, head, 8_000, Some("approved".to_owned())),
    ];
    assert_eq!(seen, expected);
    let nowhere = store.append(chain.with(vec![tell(gate(), "gate.opened", &["pager"])])).await;
    assert!(matches!(nowhere, Err(StoreError::Contradiction { .. })), "{nowhere:?}");
    chain.stands(store).await;
}

async fn messages_of_one_gate_wait_for_each_other_and_for_no_other_gate(store: &Store) {
    let (mut first, one) = opened(store, &["pager"]).await;
    let (_, two) = opened(store, &["pager"]).await;
    first.commit(store, vec![tell(one, "gate.extended", &["pager"])]).await;
    let rows = waiting(store, "pager", 1_000).await;
    assert_eq!(said(&rows), [(one, "gate.opened"), (two, "gate.opened")]);
    let failed = |due_at| Attempted::Failed {
        number: rows[0].number,
        due_at: at(due_at),
        failure: "answered 500".to_owned(),
    };
    store.settle_outbox(&courier(store, "pager").await, vec![failed(1_500)], None).await.unwrap();
    assert_eq!(said(&waiting(store, "pager", 1_499).await), [(two, "gate.opened")]);
    bury(store, &rows[0]).await;
    assert_eq!(
        said(&waiting(store, "pager", 1_499).await),
        [(two, "gate.opened"), (one, "gate.extended")],
        "what was given up holds nothing up"
    );
}

async fn a_recipient_that_is_away_holds_up_nobody_else(store: &Store) {
    let (_, id) = opened(store, &["pager", "audit"]).await;
    let row = waiting(store, "pager", 1_000).await.remove(0);
    let (number, failure) = (row.number, "no connection".to_owned());
    store
        .settle_outbox(
            &courier(store, "pager").await,
            vec![Attempted::Failed { number, due_at: at(2_000), failure }],
            None,
        )
        .await
        .unwrap();
    assert_eq!(said(&waiting(store, "audit", 1_000).await), [(id, "gate.opened")]);
    let counts = store.outbox_counts().await.unwrap();
    let counted: Vec<_> = counts
        .iter()
        .map(|count| (count.recipient.as_str(), count.waiting, count.oldest, count.dead))
        .collect();
    assert_eq!(counted, [("audit", 1, Some(at(1_000)), 0), ("pager", 1, Some(at(1_000)), 0)]);
}

async fn a_message_that_failed_is_due_again_also_when_the_clock_went_back(store: &Store) {
    let (_, _) = opened(store, &["pager"]).await;
    let row = waiting(store, "pager", 50_000).await.remove(0);
    let (number, failure) = (row.number, "answered 500".to_owned());
    let failed = Attempted::Failed { number, due_at: at(50_500), failure };
    store.settle_outbox(&courier(store, "pager").await, vec![failed], None).await.unwrap();
    assert_eq!(waiting(store, "pager", 50_499).await, []);
    let again = waiting(store, "pager", 50_500).await.remove(0);
    assert_eq!((again.attempts, again.failure.as_deref()), (1, Some("answered 500")));
    assert_eq!(waiting(store, "pager", 10_000).await.len(), 1, "nobody waits for forty seconds here");
}

async fn dead_letters_stay_with_their_tenant_until_they_are_tried_again(store: &Store) {
    let (_, _) = opened(store, &["pager", "audit"]).await;
    for recipient in ["pager", "audit"] {
        let row = waiting(store, recipient, 1_000).await.remove(0);
        bury(store, &row).await;
    }
    let acme = tenant("acme");
    let dead = store.dead_letters(&acme, 0, 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!((dead[0].attempts, dead[0].failure.as_deref()), (1, Some("no connection")));
    assert_eq!(store.dead_letters(&acme, dead[0].number, 10).await.unwrap(), dead[1..]);
    assert_eq!(store.dead_letters(&tenant("other"), 0, 10).await.unwrap(), []);
    let all = DeadLetters::default();
    assert_eq!(store.retry_dead(&tenant("other"), all.clone(), at(9_000)).await.unwrap(), 0);
    let one = DeadLetters { recipient: Some(name("pager")), number: None };
    assert_eq!(store.retry_dead(&acme, one, at(9_000)).await.unwrap(), 1);
    let again = waiting(store, "pager", 9_000).await.remove(0);
    assert_eq!((again.queued_at, again.at, again.attempts), (at(9_000), at(1_000), 0));
    let one = DeadLetters { recipient: None, number: Some(again.number) };
    assert_eq!(store.retry_dead(&acme, one, at(9_000)).await.unwrap(), 0, "it waits already");
    assert_eq!(store.retry_dead(&acme, all, at(9_000)).await.unwrap(), 1);
}

async fn a_recipient_with_roles_is_told_of_gates_that_ask_them(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let id = gate();
    let to = |roles: &[&str]| {
        let roles = roles.iter().map(|text| role(text)).collect();
        let to = vec![Addressee { name: name("heads"), roles }, name("pager").into()];
        Effect::Tell(Tell { gate: id, kind: name("gate.opened"), percent: None, at: at(1_000), to })
    };
    let row = gate_row(id, &["approver", "lead"], 5_000);
    chain.commit(store, vec![Effect::OpenGate(row), to(&["head"])]).await;
    let moved = Effect::MoveGate { id, version: 2, roles: vec![role("head")], deadline: at(8_000) };
    chain.commit(store, vec![moved, to(&["chair", "head"])]).await;
    let close = Effect::CloseGate { id, resolution: name("approved"), decided_by: None, at: at(6_000) };
    chain.commit(store, vec![close, to(&["head"]), to(&["approver"])]).await;
    let mut seen = Vec::new();
    while let Some(row) = waiting(store, "heads", 9_000).await.pop() {
        seen.push((row.about.gate().unwrap().version, row.resolution.is_some()));
        store
            .settle_outbox(
                &courier(store, "heads").await,
                vec![Attempted::Delivered { number: row.number }],
                None,
            )
            .await
            .unwrap();
    }
    assert_eq!(seen, [(2, false), (2, true)]);
    let counts = store.outbox_counts().await.unwrap();
    assert_eq!(
        counts.iter().map(|count| (count.recipient.as_str(), count.waiting)).collect::<Vec<_>>(),
        [("pager", 4)]
    );
}

async fn what_is_gathered_says_how_it_stands_now(store: &Store) {
    let (mut first, one) = opened(store, &["pager", "audit"]).await;
    let (_, two) = opened(store, &["pager"]).await;
    first.commit(store, vec![tell(one, "gate.extended", &["pager"])]).await;
    let row = waiting(store, "pager", 1_000).await.remove(0);
    let failed = Attempted::Failed { number: row.number, due_at: at(90_000), failure: "no".to_owned() };
    store.settle_outbox(&courier(store, "pager").await, vec![failed], None).await.unwrap();
    let gathered = async |limit| {
        let found = store.gathered(&name("pager"), at(1_500), limit).await.unwrap();
        let words = |one: &Gathered| {
            (one.row.kind.as_str().to_owned(), one.ended.as_ref().map(|word| word.as_str().to_owned()))
        };
        found.iter().map(words).collect::<Vec<_>>()
    };
    let open = [("gate.opened", None), ("gate.opened", None), ("gate.extended", None)];
    let owned = |(kind, ended): (&str, Option<&str>)| (kind.to_owned(), ended.map(str::to_owned));
    assert_eq!(gathered(10).await, open.map(owned), "all of them, in the order of the commits, due or not");
    assert_eq!(gathered(2).await, open[..2].iter().map(|one| owned(*one)).collect::<Vec<_>>());
    let close = Effect::CloseGate { id: one, resolution: name("approved"), decided_by: None, at: at(1_400) };
    first.commit(store, vec![close]).await;
    let now = [("gate.opened", Some("approved")), ("gate.opened", None), ("gate.extended", Some("approved"))];
    assert_eq!(gathered(10).await, now.map(owned));
    assert_ne!(one, two);
}

async fn a_proposal_is_told_in_the_transaction_that_makes_it(store: &Store) {
    let proposal = |number: u8, tell| NewProposal {
        tenant: tenant("acme"),
        id: ProposalId::from_random([number; 16]),
        same: Digest::of(&[number]),
        proposer: ActorId::parse("dave").unwrap(),
        body: vec![number],
        reason: None,
        at: at(1_000),
        expires_at: at(5_000),
        tell,
    };
    let tell = TellProposal {
        kind: name("proposal.opened"),
        proposes: name("policy_activated"),
        scope: name("team"),
        scope_name: Some(name("payments")),
        to: vec![name("admins"), name("audit")],
    };
    store.put_proposal(proposal(1, Some(tell.clone())), 2).await.unwrap();
    store.put_proposal(proposal(1, Some(tell.clone())), 2).await.unwrap();
    store.put_proposal(proposal(2, None), 2).await.unwrap();
    let full = store.put_proposal(proposal(3, Some(tell)), 2).await.unwrap();
    assert_eq!(full, ProposalOutcome::Full);
    for recipient in ["admins", "audit"] {
        let rows = waiting(store, recipient, 1_000).await;
        assert_eq!(rows.len(), 1, "only what was made is told, and once");
        let About::Proposal(told) = &rows[0].about else { panic!("{rows:?}") };
        assert_eq!((told.id, told.deadline), (ProposalId::from_random([1; 16]), at(5_000)));
        assert_eq!((told.proposes.as_str(), told.scope.as_str()), ("policy_activated", "team"));
        assert_eq!(told.scope_name, Some(name("payments")));
    }
    let ended = async |now| {
        let found = store.gathered(&name("audit"), at(now), 10).await.unwrap();
        found[0].ended.as_ref().map(|word| word.as_str().to_owned())
    };
    assert_eq!((ended(4_999).await, ended(5_000).await.as_deref()), (None, Some("expired")));
    let by = ActorId::parse("dave").unwrap();
    store.withdraw_proposal(&tenant("acme"), ProposalId::from_random([1; 16]), at(2_000), by).await.unwrap();
    assert_eq!(ended(2_000).await.as_deref(), Some("withdrawn"));
}

async fn what_was_told_counts_for_as_long_as_it_matters(store: &Store) {
    let (pager, other) = (name("pager"), name("other"));
    let count = async |at_ms: u64, since: u64| {
        let counted = Counted { at: at(at_ms), since: at(since) };
        store.settle_outbox(&courier(store, "pager").await, Vec::new(), Some(counted)).await.unwrap();
    };
    for at_ms in [1_000, 2_000, 2_000, 3_000] {
        count(at_ms, 0).await;
    }
    let told = async |since, now| store.told(&pager, at(since), at(now)).await.unwrap();
    assert_eq!((told(0, 9_000).await, told(1_000, 9_000).await, told(2_000, 9_000).await), (4, 3, 1));
    assert_eq!(told(0, 2_000).await, 3, "what a clock that went back has ahead of it does not count");
    assert_eq!(store.told(&other, at(0), at(9_000)).await.unwrap(), 0);
    count(9_000, 2_000).await;
    assert_eq!(told(0, 9_000).await, 2);
    store.forget_recipients(vec![(tenant("acme"), other)]).await.unwrap();
    assert_eq!(told(0, 9_000).await, 0);
}

async fn what_has_waited_too_long_is_given_up(store: &Store) {
    let (mut chain, id) = opened(store, &["pager", "audit"]).await;
    let to = vec![name("pager").into()];
    let later = Tell { gate: id, kind: name("gate.extended"), percent: None, at: at(1_001), to };
    chain.commit(store, vec![Effect::Tell(later)]).await;
    assert_eq!(store.give_up(&name("pager"), at(999), "too old").await.unwrap(), 0);
    assert_eq!(store.give_up(&name("pager"), at(1_000), "too old").await.unwrap(), 1);
    assert_eq!(said(&waiting(store, "pager", 9_000).await), [(id, "gate.extended")]);
    assert_eq!(said(&waiting(store, "audit", 9_000).await), [(id, "gate.opened")]);
    let dead = store.dead_letters(&tenant("acme"), 0, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts, dead[0].failure.as_deref()), (1, 0, Some("too old")));
}

async fn old_dead_letters_make_room(store: &Store) {
    let (mut chain, id) = opened(store, &[]).await;
    let told = || {
        Effect::Tell(Tell {
            gate: id,
            kind: name("t"),
            percent: None,
            at: at(1_000),
            to: std::iter::repeat_n(name("pager").into(), 200).collect(),
        })
    };
    for _ in 0..DEAD_MAX / 200 + 1 {
        chain.commit(store, vec![told()]).await;
    }
    let bury = |number| Attempted::Dead { number, tried: false, failure: "gone".to_owned() };
    let all = (1..=DEAD_MAX as u64 + 200).map(bury).collect();
    store.settle_outbox(&courier(store, "pager").await, all, None).await.unwrap();
    let counts = store.outbox_counts().await.unwrap();
    assert_eq!((counts[0].waiting, counts[0].dead), (0, DEAD_MAX as u64));
    let oldest = store.dead_letters(&chain.tenant, 0, 1).await.unwrap();
    assert_eq!((oldest[0].number, oldest[0].attempts), (201, 0));
}

async fn messages_of_forgotten_recipients_are_dropped(store: &Store) {
    let (_, _) = opened(store, &["pager", "audit"]).await;
    let keep = |of: &str| vec![(tenant(of), name("pager"))];
    assert_eq!(store.forget_recipients(keep("acme")).await.unwrap(), 1);
    assert_eq!(
        (waiting(store, "pager", 1_000).await.len(), waiting(store, "audit", 1_000).await.len()),
        (1, 0)
    );
    // The name now stands for somebody whom another tenant tells.
    assert_eq!(store.forget_recipients(keep("other")).await.unwrap(), 1);
    assert_eq!(waiting(store, "pager", 1_000).await, []);
}

async fn a_reminder_is_written_once(store: &Store) {
    let (mut chain, id) = opened(store, &[]).await;
    let remind = Effect::Remind { gate: id, since: at(1_000), at: at(3_000) };
    chain.commit(store, vec![remind]).await;
    assert_eq!(store.due_reminders(at(2_999), 10).await.unwrap(), []);
    assert_eq!(store.due_reminders(at(5_000), 10).await.unwrap(), [], "its deadline has passed");
    let found = store.due_reminders(at(3_000), 10).await.unwrap().remove(0);
    assert_eq!((found.gate, found.since, found.deadline, found.due), (id, at(1_000), at(5_000), at(3_000)));
    let to = vec![name("pager").into()];
    let message = Tell { gate: id, kind: name("gate.reminder"), percent: Some(50), at: at(3_000), to };
    let reminded = Reminded { found, next: Some(at(4_600)), tell: vec![message] };
    assert_eq!(store.remind(vec![reminded.clone(), reminded.clone()]).await.unwrap(), 1);
    assert_eq!(store.remind(vec![reminded]).await.unwrap(), 0);
    let rows = waiting(store, "pager", 3_000).await;
    assert_eq!((rows.len(), rows[0].percent, rows[0].at), (1, Some(50), at(3_000)));
    assert_eq!(store.due_reminders(at(4_599), 10).await.unwrap(), []);
    assert_eq!(store.due_reminders(at(4_600), 10).await.unwrap().len(), 1);
}

async fn a_gate_that_moved_or_closed_is_reminded_of_no_more(store: &Store) {
    let acts: [fn(GateId) -> Effect; 2] = [
        |id| Effect::MoveGate { id, version: 2, roles: vec![role("head")], deadline: at(8_000) },
        |id| Effect::CloseGate { id, resolution: name("timeout"), decided_by: None, at: at(3_100) },
    ];
    for act in acts {
        let (mut chain, id) = opened(store, &[]).await;
        chain.commit(store, vec![Effect::Remind { gate: id, since: at(1_000), at: at(3_000) }]).await;
        let found = store.due_reminders(at(3_000), 10).await.unwrap().remove(0);
        chain.commit(store, vec![act(id)]).await;
        assert_eq!(store.due_reminders(at(4_000), 10).await.unwrap(), []);
        let to = vec![name("pager").into()];
        let message = Tell { gate: id, kind: name("gate.reminder"), percent: Some(50), at: at(3_000), to };
        let late = Reminded { found, next: None, tell: vec![message] };
        assert_eq!(store.remind(vec![late]).await.unwrap(), 0);
        assert_eq!(waiting(store, "pager", 4_000).await, []);
    }
}
