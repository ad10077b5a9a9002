//! Messages that no channel took, for administrators.

use axum::Json;
use axum::extract::State;
use gantral_api::wire;
use gantral_engine::EngineError;
use gantral_notify::message_id;
use gantral_store::{About, DeadLetters, OutboxRow, ToldGate};

use super::{Numbered, Query};
use crate::app::App;
use crate::command::Write;
use crate::identity::Caller;
use crate::problems::Answer;

/// GET /v1/dead-letters
pub(crate) async fn dead(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::PageQuery>,
) -> Answer<Json<wire::DeadLetterPage>> {
    principal.administrator()?;
    let page = Numbered::read(query.cursor.as_deref(), query.limit)?;
    let after = page.cursor.unwrap_or(0);
    let rows = app.engine().store().dead_letters(principal.tenant(), after, page.limit).await;
    let rows = rows.map_err(EngineError::from)?;
    let next = page.next(&rows, |last| last.number);
    Ok(Json(wire::DeadLetterPage { items: rows.into_iter().map(letter).collect(), next }))
}

/// POST /v1/dead-letters/retry
pub(crate) async fn retry(
    State(app): State<App>,
    write: Write<wire::RetryDeadLetters>,
) -> Answer<Json<wire::RetriedDeadLetters>> {
    write.principal.administrator()?;
    let wire::RetryDeadLetters { channel, number } = write.body;
    let which = DeadLetters { recipient: channel.map(wire::Text::into_inner), number };
    let (store, tenant) = (app.engine().store(), write.principal.tenant());
    let retried = store.retry_dead(tenant, which, write.call.now).await.map_err(EngineError::from)?;
    Ok(Json(wire::RetriedDeadLetters { retried: u64::try_from(retried).unwrap_or(u64::MAX) }))
}

fn letter(row: OutboxRow) -> wire::DeadLetter {
    let message_id = message_id(&row);
    let (gate, proposal_id) = match row.about {
        About::Gate(gate) => (Some(about(gate)), None),
        About::Proposal(proposal) => (None, Some(proposal.id.into())),
    };
    wire::DeadLetter {
        message_id,
        number: row.number,
        channel: row.recipient.into(),
        kind: row.kind.as_str().to_owned(),
        percent: row.percent,
        at: row.at.into(),
        gate,
        proposal_id,
        attempts: row.attempts,
        failure: row.failure.unwrap_or_default(),
    }
}

fn about(gate: ToldGate) -> wire::DeadLetterGate {
    wire::DeadLetterGate {
        instance_id: gate.instance.into(),
        gate_id: gate.id.into(),
        gate_version: gate.version,
        workflow: gate.workflow.into(),
        team: gate.team.into(),
    }
}
