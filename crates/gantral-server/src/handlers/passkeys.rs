//! Passkeys: the authenticators of approvers, and what they sign.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::wire::{self, Document, text};
use gantral_core::digest::{Digest, parse_hex};
use gantral_core::ids::GateId;
use gantral_engine::{Call, EnrolmentStanding, EnrolmentView, Governor, NewPasskey};
use gantral_evidence::human::{Algorithm, ApproverKey, Assertion, CredentialId, Enrolment, to_base64url};
use gantral_identity::Principal;

use super::governance::governed;
use super::{Numbered, Path, Query, gates, value};
use crate::app::App;
use crate::command::{Write, acting, asking};
use crate::identity::Caller;
use crate::problems::{Answer, Failure};
use crate::views::stored;

/// GET /v1/passkeys
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::MineQuery>,
) -> Answer<Json<wire::PasskeyPage>> {
    found(&app, &principal, &query).await.map(Json)
}

/// Returns the passkeys of a human, or those of everybody to an administrator.
pub(crate) async fn found(
    app: &App,
    principal: &Principal,
    query: &wire::MineQuery,
) -> Answer<wire::PasskeyPage> {
    principal.approver()?;
    let page = Numbered::read(query.cursor.as_deref(), query.limit)?;
    let of = if query.mine.unwrap_or(false) {
        Some(asking(app, principal).await?)
    } else {
        principal.administrator()?;
        None
    };
    let found = app.engine().enrolments(principal.tenant(), of.as_ref(), page.cursor, page.limit).await?;
    let next = page.next(&found, |last| last.number);
    Ok(wire::PasskeyPage { items: found.iter().map(view).collect(), next })
}

/// GET /v1/passkeys/{entry_digest}
pub(crate) async fn show(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(entry): Path<text::Digest>,
) -> Answer<Json<wire::PasskeyRequest>> {
    principal.approver()?;
    let request = app.engine().enrolment_request(principal.tenant(), entry.into_inner()).await?;
    if principal.administrator().is_err() {
        let me = asking(&app, &principal).await?;
        if request.view.enrolment.person.actor() != me.id {
            return Err(Failure::not_found("the passkey"));
        }
    }
    let requested_by = request.asked_by.map(|(human, salt)| wire::PasskeyOwner {
        issuer: human.issuer().to_owned(),
        subject: human.subject().to_owned(),
        salt: salt.into(),
    });
    Ok(Json(wire::PasskeyRequest {
        passkey: view(&request.view),
        enrolment: stored(&request.view.enrolment.encode(), "enrolment")?,
        assertion: stored(&request.assertion, "assertion")?,
        requested_by,
    }))
}

/// POST /v1/passkeys/draft
pub(crate) async fn draft(
    State(app): State<App>,
    write: Write<wire::NewPasskey>,
) -> Answer<Json<wire::PasskeyDraft>> {
    drafted(&app, &write.principal, write.call, &write.body).await.map(Json)
}

/// Says what the directory is to sign of a key: the one way, wherever the request comes from.
pub(crate) async fn drafted(
    app: &App,
    principal: &Principal,
    mut call: Call,
    body: &wire::NewPasskey,
) -> Answer<wire::PasskeyDraft> {
    let approver = principal.approver()?;
    let wrong = |member: &str, why: String| Failure::member(member, why);
    let unread = |member: &'static str| move || Failure::member(member, format!("`{member}` cannot be read"));
    let algorithm = Algorithm::parse(&body.algorithm);
    let algorithm =
        algorithm.ok_or_else(|| wrong("algorithm", "is neither `es256` nor `ed25519`".to_owned()))?;
    let new = NewPasskey {
        credential_id: CredentialId::parse(&body.credential_id).ok_or_else(unread("credential_id"))?,
        key: ApproverKey::parse(algorithm, &body.public_key)
            .map_err(|error| wrong("public_key", error.to_string()))?,
        aaguid: parse_hex(&body.aaguid).ok_or_else(unread("aaguid"))?,
        backup_eligible: body.backup_eligible,
    };
    let enrolment = app.engine().draft_enrolment(&mut call, &approver, new).await?;
    Ok(wire::PasskeyDraft {
        entry_digest: enrolment.digest().into(),
        enrolment: stored(&enrolment.encode(), "enrolment")?,
    })
}

/// POST /v1/passkeys
pub(crate) async fn request(
    State(app): State<App>,
    write: Write<wire::RequestPasskey>,
) -> Answer<(StatusCode, Json<wire::Passkey>)> {
    let passkey = requested(&app, &write.principal, write.call, &write.body).await?;
    Ok((StatusCode::CREATED, Json(passkey)))
}

/// Asks the directory to enrol an authenticator: the one way, wherever the request comes from.
pub(crate) async fn requested(
    app: &App,
    principal: &Principal,
    mut call: Call,
    body: &wire::RequestPasskey,
) -> Answer<wire::Passkey> {
    let approver = principal.approver()?;
    let enrolment = Enrolment::decode(&canonical(&body.enrolment, "enrolment")?)
        .map_err(|error| Failure::member("enrolment", error.to_string()))?;
    let assertion = assertion(&body.assertion)?;
    let entry = app.engine().ask_for_enrolment(&mut call, &approver, &enrolment, &assertion).await?;
    Ok(view(&app.engine().enrolment_request(principal.tenant(), entry).await?.view))
}

/// POST /v1/passkeys/{entry_digest}/enrol
pub(crate) async fn enrol(
    State(app): State<App>,
    Path(entry): Path<text::Digest>,
    mut write: Write<wire::EnrolPasskey>,
) -> Answer<Json<wire::Governed>> {
    let approver = write.principal.approver()?;
    let envelope = canonical(&write.body.envelope, "envelope")?;
    let is_named = app.engine().entry_of(&envelope)? == entry.into_inner();
    if !is_named {
        return Err(Failure::member("envelope", "is of another enrolment than the path names"));
    }
    let actor = acting(&app, &mut write.call, approver.principal()).await?;
    let by = Governor::from(&actor);
    let sealed = app.engine().enrol(&mut write.call, write.principal.tenant(), by, &envelope).await?;
    governed(&[sealed]).map(Json)
}

/// POST /v1/passkeys/{entry_digest}/revoke
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(entry): Path<text::Digest>,
    write: Write<wire::RevokePasskey>,
) -> Answer<Json<wire::Governed>> {
    ended(&app, &write.principal, write.call, entry.into_inner(), &write.body).await.map(Json)
}

/// Ends a passkey: the one way, wherever the request comes from.
pub(crate) async fn ended(
    app: &App,
    principal: &Principal,
    mut call: Call,
    entry: Digest,
    body: &wire::RevokePasskey,
) -> Answer<wire::Governed> {
    principal.approver()?;
    let actor = acting(app, &mut call, principal).await?;
    let by = Governor { actor: &actor, why: body.justification.as_ref().map(|why| why.as_str()) };
    let administers = principal.administrator().is_ok();
    let sealed = app.engine().revoke_enrolment(&mut call, principal.tenant(), by, administers, entry).await?;
    governed(sealed.as_slice())
}

/// POST /v1/gates/{gate_id}/statement
pub(crate) async fn state(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    write: Write<wire::Decide>,
) -> Answer<Json<wire::ToSign>> {
    stated(&app, &write.principal, write.call, id.into_inner(), write.body).await.map(Json)
}

/// Says what an authenticator is to sign for a decision: the one way, wherever the request comes from.
pub(crate) async fn stated(
    app: &App,
    principal: &Principal,
    call: Call,
    id: GateId,
    body: wire::Decide,
) -> Answer<wire::ToSign> {
    let passkeys = app.engine().passkeys().map(|passkeys| passkeys.relying_party.id.to_string());
    let to_sign = gates::statement(app, principal, call, id, body).await?;
    let query = wire::MineQuery { mine: Some(true), ..wire::MineQuery::default() };
    let mut mine = found(app, principal, &query).await?.items;
    mine.retain(|passkey| passkey.counts_at(to_sign.opened_at));
    Ok(wire::ToSign {
        decision_digest: to_sign.digest.into(),
        statement: stored(&to_sign.statement, "statement")?,
        relying_party_id: passkeys.unwrap_or_default(),
        passkeys: mine,
    })
}

/// Reads an assertion out of a body.
pub(crate) fn assertion(document: &Document) -> Answer<Assertion> {
    let bytes = canonical(document, "assertion")?;
    Assertion::parse(&bytes).map_err(|error| Failure::member("assertion", error.to_string()))
}

fn canonical(document: &Document, member: &str) -> Answer<Vec<u8>> {
    Ok(value(document, member)?.to_canonical())
}

fn view(found: &EnrolmentView) -> wire::Passkey {
    let EnrolmentView { enrolment, entry, standing, .. } = found;
    let (state, enrolled_at) = match standing {
        EnrolmentStanding::Waits => (wire::PasskeyState::Requested, None),
        EnrolmentStanding::Enrolled(since) => (wire::PasskeyState::Enrolled, Some((*since).into())),
        EnrolmentStanding::Revoked => (wire::PasskeyState::Revoked, None),
    };
    wire::Passkey {
        entry_digest: (*entry).into(),
        person: enrolment.person.actor().into(),
        state,
        enrolled_at,
        requested_at: enrolment.created_at.into(),
        credential_id: to_base64url(enrolment.credential_id.as_bytes()),
        algorithm: enrolment.key.algorithm().as_str().to_owned(),
        backup_eligible: enrolment.backup_eligible,
        relying_party_id: enrolment.relying_party.to_string(),
    }
}
