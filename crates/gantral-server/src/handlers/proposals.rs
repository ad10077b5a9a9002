//! Four eyes: changes of the rules that wait for a second person.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::Problem;
use gantral_api::wire::{self, text};
use gantral_core::ids::ProposalId;
use gantral_engine::{Call, EngineError, Governor, ProposalStanding, ProposalView, Ruled};
use gantral_evidence::governance::Detail;
use gantral_identity::{Approver, Principal};
use gantral_store::ProposalEnding;

use super::governance::governed;
use super::policies::{owned, scope_view};
use super::standing::changed_files;
use super::{Numbered, Path, Query};
use crate::app::App;
use crate::command::{Write, acting};
use crate::identity::{Caller, governs};
use crate::problems::{Answer, Failure};
use crate::views::stored;

/// GET /v1/proposals
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::ProposalsQuery>,
) -> Answer<Json<wire::ProposalPage>> {
    found(&app, &principal, &query).await.map(Json)
}

/// Returns the proposals of the tenant of a principal, from the newest.
pub(crate) async fn found(
    app: &App,
    principal: &Principal,
    query: &wire::ProposalsQuery,
) -> Answer<wire::ProposalPage> {
    let page = Numbered::read(query.cursor.as_deref(), query.limit)?;
    let (tenant, now, open) = (principal.tenant(), app.0.clock.now(), query.open.unwrap_or(false));
    let found = app.engine().proposals(tenant, now, open, page.cursor, page.limit).await?;
    let next = page.next(&found, |last| last.number);
    Ok(wire::ProposalPage { items: found.iter().map(view).collect::<Answer<_>>()?, next })
}

/// GET /v1/proposals/{proposal_id}
pub(crate) async fn show(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<text::ProposalId>,
) -> Answer<Json<wire::Proposal>> {
    let found = app.engine().proposal(principal.tenant(), id.0, app.0.clock.now()).await?;
    whole(&app, &principal, &found).await.map(Json)
}

/// POST /v1/proposals/{proposal_id}/confirm
pub(crate) async fn confirm(
    State(app): State<App>,
    Path(id): Path<text::ProposalId>,
    write: Write<wire::ConfirmProposal>,
) -> Answer<Json<wire::Governed>> {
    agree(&app, &write.principal, write.call, id.0, write.body).await.map(Json)
}

/// Puts in force what somebody else proposed: the one way, wherever the request comes from.
pub(crate) async fn agree(
    app: &App,
    principal: &Principal,
    mut call: Call,
    id: ProposalId,
    body: wire::ConfirmProposal,
) -> Answer<wire::Governed> {
    let tenant = principal.tenant().clone();
    principal.approver()?;
    let proposal = app.engine().proposal(&tenant, id, call.now).await?.proposal;
    let approver = may_do(app, principal, &proposal.detail).await?;
    let actor = acting(app, &mut call, approver.principal()).await?;
    let why = body.justification.as_ref().map(|why| why.as_str());
    let (by, digest) = (Governor { actor: &actor, why }, body.digest.into_inner());
    match app.engine().confirm_proposal(&mut call, &tenant, by, id, digest).await {
        Ok(sealed) => governed(&[sealed]),
        Err(error @ EngineError::ProposalMoved { changed }) => {
            let newest = match changed {
                Some(sequence) => app.engine().governance(&tenant, sequence, 1).await?,
                None => Vec::new(),
            };
            let changed = newest.first().map(|event| {
                serde_json::json!({
                    "sequence": event.sequence,
                    "event": event.event.as_str(),
                    "actor": event.actor.to_string(),
                    "at": event.at.to_text(),
                })
            });
            let Failure(problem) = error.into();
            Err(problem.with("changed", changed).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// POST /v1/proposals/{proposal_id}/withdraw
pub(crate) async fn withdraw(
    State(app): State<App>,
    Path(id): Path<text::ProposalId>,
    write: Write<wire::Empty>,
) -> Answer<Json<wire::Proposal>> {
    take_back(&app, &write.principal, write.call, id.0).await.map(Json)
}

/// Takes a proposal back: the one way, wherever the request comes from.
pub(crate) async fn take_back(
    app: &App,
    principal: &Principal,
    mut call: Call,
    id: ProposalId,
) -> Answer<wire::Proposal> {
    let approver = principal.approver()?;
    let actor = acting(app, &mut call, approver.principal()).await?;
    let withdrawn = app.engine().withdraw_proposal(principal.tenant(), &actor, id, call.now).await?;
    view(&withdrawn)
}

/// Refuses whoever may not do by themselves what is proposed.
pub(crate) async fn may_do(app: &App, principal: &Principal, detail: &Detail) -> Answer<Approver> {
    match detail {
        Detail::PolicyActivated { scope, .. } | Detail::ModeChanged { scope, .. } => {
            governs(principal)?;
            owned(app, principal, scope_view(scope.clone())).await?;
        }
        // What else there is, only an administrator does.
        Detail::Lifted { .. }
        | Detail::KeyAdded { .. }
        | Detail::KeyRetired { .. }
        | Detail::KeyCompromised { .. }
        | Detail::Frozen { .. }
        | Detail::Delegated { .. }
        | Detail::DelegationRevoked { .. }
        | Detail::Enrolled { .. }
        | Detail::EnrolmentRevoked { .. }
        | Detail::Erased { .. } => _ = principal.administrator()?,
    }
    Ok(principal.approver()?)
}

/// Answers a change of the rules: what was sealed, or what is proposed.
pub(crate) fn ruled(ruled: Ruled) -> Answer<(StatusCode, Json<wire::Governed>)> {
    match ruled {
        Ruled::Same | Ruled::Sealed(_) => Ok((StatusCode::OK, Json(outcome(ruled)?))),
        Ruled::Proposed(_) => Ok((StatusCode::ACCEPTED, Json(outcome(ruled)?))),
    }
}

/// Shows what became of a change of the rules.
pub(crate) fn outcome(ruled: Ruled) -> Answer<wire::Governed> {
    match ruled {
        Ruled::Same => governed(&[]),
        Ruled::Sealed(receipt) => governed(&[*receipt]),
        Ruled::Proposed(proposed) => {
            Ok(wire::Governed { sealed: Vec::new(), proposal: Some(view(&proposed)?) })
        }
    }
}

/// Shows a proposal with what would change, while it can be confirmed.
pub(crate) async fn whole(app: &App, principal: &Principal, found: &ProposalView) -> Answer<wire::Proposal> {
    let mut shown = view(found)?;
    if found.standing == ProposalStanding::Open {
        shown.files = changed_files(app, principal.tenant(), &found.proposal.detail).await?;
    }
    Ok(shown)
}

/// Shows a proposal.
pub(crate) fn view(found: &ProposalView) -> Answer<wire::Proposal> {
    let proposal = &found.proposal;
    let mut view = wire::Proposal {
        proposal_id: proposal.id.into(),
        digest: found.digest.into(),
        event: proposal.detail.kind().as_str().to_owned(),
        detail: stored(&proposal.detail.to_canonical(), "proposal")?,
        proposed_by: proposal.proposer.actor.id.clone().into(),
        proposed_at: proposal.proposer.at.into(),
        justification: found.why.clone(),
        expires_at: proposal.expires_at.into(),
        state: wire::ProposalState::Open,
        ended_at: None,
        ended_by: None,
        sequence: None,
        files: None,
        next: None,
        document: stored(&proposal.encode(), "proposal")?,
    };
    match &found.standing {
        ProposalStanding::Open => view.next = Some(next(proposal.id)),
        ProposalStanding::Ended { how, at, by, sealed } => {
            view.state = match how {
                ProposalEnding::Confirmed => wire::ProposalState::Confirmed,
                ProposalEnding::Withdrawn => wire::ProposalState::Withdrawn,
                ProposalEnding::Expired => wire::ProposalState::Expired,
            };
            (view.ended_at, view.sequence) = (Some((*at).into()), *sealed);
            view.ended_by = by.clone().map(Into::into);
        }
    }
    Ok(view)
}

fn next(id: ProposalId) -> String {
    format!(
        "nothing is in force yet: before `expires_at`, another person who may do the same reads it and sends its `digest` to \
         POST /v1/proposals/{id}/confirm"
    )
}

/// The members of a problem that says how a proposal has ended.
pub(crate) fn ended(problem: Problem, standing: ProposalStanding) -> Problem {
    match standing {
        ProposalStanding::Open => problem,
        ProposalStanding::Ended { how, at, by, sealed } => problem
            .with("state", how.as_str())
            .with("ended_at", at.to_text())
            .with("ended_by", by.map(|by| by.to_string()))
            .with("sequence", sealed),
    }
}
