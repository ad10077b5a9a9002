//! The governance chain, and what changes the rules for everybody.

use axum::Json;
use axum::extract::State;
use gantral_api::wire;
use gantral_engine::{EngineError, GovernanceReceipt, Remembered};
use gantral_identity::{HumanSubject, PrincipalKind};

use super::{Numbered, Query};
use crate::app::App;
use crate::command::{Write, acting};
use crate::identity::Caller;
use crate::problems::{Answer, Failure};
use crate::views::stored;

/// GET /v1/governance
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::PageQuery>,
) -> Answer<Json<wire::GovernancePage>> {
    let page = Numbered::read(query.cursor.as_deref(), query.limit)?;
    let from = page.cursor.unwrap_or(0);
    let found = app.engine().governance(principal.tenant(), from, page.limit).await?;
    let next = page.next(&found, |last| last.sequence.saturating_add(1));
    Ok(Json(wire::GovernancePage { items: found.iter().map(event).collect::<Answer<_>>()?, next }))
}

/// POST /v1/erasures
pub(crate) async fn erase(
    State(app): State<App>,
    mut write: Write<wire::Erase>,
) -> Answer<Json<wire::Governed>> {
    let administrator = write.principal.administrator()?;
    let actor = acting(&app, &mut write.call, administrator.principal()).await?;
    let (engine, tenant) = (app.engine(), write.principal.tenant());
    let sealed = match write.body {
        wire::Erase::Snapshot { instance_id, commitment } => {
            let (id, commitment) = (instance_id.into_inner(), commitment.into_inner());
            engine.erase_snapshot(write.call, tenant, (&actor).into(), id, commitment).await?
        }
        wire::Erase::Justification { commitment } => {
            engine.erase_justification(write.call, tenant, (&actor).into(), commitment.into_inner()).await?
        }
        wire::Erase::Person { issuer, subject } => {
            let human = HumanSubject::new(&issuer, &subject)
                .map_err(|_| Failure::member("subject", "`issuer` or `subject` is not one of a token"))?;
            engine.erase_person(write.call, tenant, (&actor).into(), &human).await?
        }
    };
    governed(&[sealed]).map(Json)
}

/// POST /v1/journal
pub(crate) async fn journal(
    State(app): State<App>,
    write: Write<wire::PresentJournal>,
) -> Answer<Json<wire::JournalHeld>> {
    if matches!(write.principal.kind(), PrincipalKind::Human | PrincipalKind::Orchestrator) {
        write.principal.runner()?;
    }
    if write.body.envelopes.len() > wire::JOURNAL_ITEMS_MAX {
        return Err(Failure::member("envelopes", "`envelopes` has more than 100 items"));
    }
    let mut held = 0;
    for envelope in &write.body.envelopes {
        match app.engine().remembers(write.principal.tenant(), envelope.as_str().as_bytes()).await? {
            Remembered::Held => held += 1,
            Remembered::Foreign => {}
            Remembered::Forgotten { instance, sequence } => {
                let why = format!(
                    "an executor holds artifact {sequence} of instance {instance}, and the ledger does not"
                );
                app.0.standing.fall_behind(why);
                return Err(app.may_write().err().unwrap_or_else(|| EngineError::Conflict.into()));
            }
        }
    }
    Ok(Json(wire::JournalHeld { held }))
}

pub(crate) fn governed(sealed: &[GovernanceReceipt]) -> Answer<wire::Governed> {
    let sealed = sealed.iter().map(event).collect::<Answer<_>>()?;
    Ok(wire::Governed { sealed, proposal: None })
}

/// Shows an artifact of the governance chain.
pub(crate) fn event(receipt: &GovernanceReceipt) -> Answer<wire::GovernanceEvent> {
    Ok(wire::GovernanceEvent {
        sequence: receipt.sequence,
        event: receipt.event.as_str().to_owned(),
        actor: receipt.actor.clone().into(),
        at: receipt.at.into(),
        hash: receipt.hash.into(),
        detail: stored(&receipt.detail.to_canonical(), "governance event")?,
        justification: receipt.why.clone(),
        proposed_by: receipt.proposed_by.as_ref().map(|by| wire::ProposedBy {
            actor: by.proposer.actor.id.clone().into(),
            at: by.proposer.at.into(),
            justification: by.why.clone(),
        }),
        envelope: stored(&receipt.envelope, "governance envelope")?,
    })
}
