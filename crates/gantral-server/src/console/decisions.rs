//! What a human says at a gate, by a form: read into what the API takes, and decided where the API decides.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, text};
use gantral_console::changed as changed_action;
use gantral_console::pages::{Acts, ChangesPage, DecidedPage};
use gantral_core::ids::GateId;
use gantral_core::state::{DecisionKind, State as Authority};

use super::form::{Fields, Form};
use super::frame::page;
use super::pages::{acts, of_gate, signing};
use super::passkeys::document;
use super::session::Visitor;
use crate::app::App;
use crate::command::call;
use crate::handlers::{Path, gates, passkeys};
use crate::identity::sees_team;
use crate::problems::{Answer, Failure};

/// POST /console/gates/{gate_id}/changes: shows what would be approved instead. Decides nothing.
pub(super) async fn changes(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    Form { visitor, fields }: Form,
) -> Answer<Response> {
    let id = id.into_inner();
    let gate = gates::one(&app, &visitor.principal, id).await?;
    let (acts, signing) = (acts(&app, &visitor, &gate).await?, signing(&app, &visitor, &gate).await?);
    let approved = match changed_action(&gate.action, |name| fields.text(name)) {
        Ok(approved) => approved,
        Err(error) => return again(&app, &visitor, id, &fields, &error.to_string()).await,
    };
    let shell = visitor.shell(&app, &format!("/console/gates/{id}"))?;
    match ChangesPage::new(shell, gate, approved, acts, signing) {
        Ok(changes) => Ok(page(&changes)?.into_response()),
        Err(error) => again(&app, &visitor, id, &fields, &error.to_string()).await,
    }
}

/// POST /console/gates/{gate_id}/statement, by the script: what a passkey signs, of the fields with which the decision is sent
pub(super) async fn state(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    form: Form,
) -> Answer<Json<wire::ToSign>> {
    app.may_write()?;
    let (id, Form { visitor, fields }) = (id.into_inner(), form);
    let gate = gates::one(&app, &visitor.principal, id).await?;
    let body = body(&gate, &fields)?;
    passkeys::stated(&app, &visitor.principal, call(&app, None)?, id, body).await.map(Json)
}

/// POST /console/gates/{gate_id}/decisions
pub(super) async fn decide(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    form: Form,
) -> Answer<Response> {
    let id = id.into_inner();
    match decided(&app, id, &form).await {
        Ok(decided) => Ok(page(&decided)?.into_response()),
        // What was written is kept, beside what the gate looks like now.
        Err(Failure(problem)) if mended_here(problem.code()) => {
            again(&app, &form.visitor, id, &form.fields, &explained(&problem)).await
        }
        Err(failure) => Err(failure),
    }
}

/// POST /console/gates/{gate_id}/extend
pub(super) async fn extend(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    form: Form,
) -> Answer<Response> {
    let id = id.into_inner();
    match extended(&app, id, &form).await {
        Ok(()) => Ok(Redirect::to(&format!("/console/gates/{id}")).into_response()),
        Err(Failure(problem)) if mended_here(problem.code()) => {
            again(&app, &form.visitor, id, &form.fields, &explained(&problem)).await
        }
        Err(failure) => Err(failure),
    }
}

async fn extended(app: &App, id: GateId, form: &Form) -> Answer<()> {
    let Form { visitor, fields } = form;
    let body =
        wire::Extend { gate_version: fields.read("gate_version")?, deadline: fields.read("deadline")? };
    let call = form.call(app, format!("POST /v1/gates/{id}/extend"), &body)?;
    gates::prolong(app, &visitor.principal, call, id, body).await?;
    Ok(())
}

async fn decided(app: &App, id: GateId, form: &Form) -> Answer<DecidedPage> {
    app.may_write()?;
    let Form { visitor, fields } = form;
    let gate = gates::one(app, &visitor.principal, id).await?;
    let body = body(&gate, fields)?;
    let call = form.call(app, format!("POST /v1/gates/{id}/decisions"), &body)?;
    let signed = body.assertion.is_some();
    let decision = body.decision.into_inner();
    let decided = gates::resolve(app, &visitor.principal, call, id, body).await?;
    let shell = visitor.shell(app, &format!("/console/gates/{id}"))?;
    let said = said(decision, decided.state.into_inner());
    let follows = sees_team(&visitor.principal, &gate.team);
    let granted =
        decision != DecisionKind::Reject && decided.state.into_inner() != Authority::WaitingForHuman;
    let passes = granted.then_some(gate.gate_id);
    Ok(DecidedPage { shell, said, instance: gate.instance_id, follows, passes, signed, decided })
}

/// Returns what became of a decision, in words for whoever made it.
const fn said(decision: DecisionKind, state: Authority) -> &'static str {
    match (decision, state) {
        (DecisionKind::Reject, Authority::WaitingForHuman) => {
            "Your rejection counts. Others must reject it too before it is refused."
        }
        (_, Authority::WaitingForHuman) => {
            "Your agreement counts. Others must agree too before anything happens."
        }
        (DecisionKind::Approve, _) => "You approved it as asked.",
        (DecisionKind::Override, _) => "You approved it with your changes.",
        (DecisionKind::Reject, _) => "You rejected it.",
    }
}

/// Reads the form into what the API takes. Who decides comes from the session and from nothing that was sent.
fn body(gate: &wire::GateView, fields: &Fields) -> Answer<wire::Decide> {
    let wrong = |name: &str| Failure::member(name, format!("`{name}` is missing or cannot be read"));
    let decision: text::DecisionKind =
        fields.get("decision").and_then(|text| text.parse().ok()).ok_or_else(|| wrong("decision"))?;
    let version = fields.get("gate_version").and_then(|text| text.parse().ok());
    let (role, delegation) = fields.get("role").map(Acts::read).unzip();
    let role = role.map(str::parse).transpose().map_err(|_| wrong("role"))?;
    let delegation = delegation.flatten().map(str::parse).transpose().map_err(|_| wrong("role"))?;
    let action = match decision.into_inner() {
        DecisionKind::Override => {
            let changed = changed_action(&gate.action, |name| fields.text(name));
            Some(changed.map_err(|error| Failure::member("action", error.to_string()))?)
        }
        DecisionKind::Approve | DecisionKind::Reject => None,
    };
    // A page that could have been signed has the field, and it is empty until it was.
    let assertion = fields.get("assertion").filter(|text| !text.is_empty());
    let assertion = assertion.map(|_| document(fields, "assertion")).transpose()?;
    Ok(wire::Decide {
        decision,
        gate_version: version.ok_or_else(|| wrong("gate_version"))?,
        role,
        action,
        justification: fields
            .text("justification")
            .unwrap_or_default()
            .trim()
            .parse()
            .map_err(|_| wrong("justification"))?,
        delegation,
        break_glass: fields.get("break_glass") == Some("true"),
        assertion,
    })
}

/// Shows the gate as it is now, with what was written, and what was wrong with it.
async fn again(app: &App, visitor: &Visitor, id: GateId, fields: &Fields, problem: &str) -> Answer<Response> {
    let shown = of_gate(app, visitor, id).await?.with_problem(problem.to_owned(), |name| fields.text(name));
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&shown)?).into_response())
}

/// Whether a human mends it on the page of the gate.
fn mended_here(code: Code) -> bool {
    matches!(
        code,
        Code::AlreadyDecided
            | Code::GateMoved
            | Code::DeadlinePassed
            | Code::NotEligible
            | Code::AlreadyVoted
            | Code::SelfApproval
            | Code::DelegationNotInForce
            | Code::PasskeyRefused
            | Code::EvidenceTooWeak
            | Code::JustificationRequired
            | Code::ActionInvalid
            | Code::ActionMismatch
            | Code::ActionUndeclared
            | Code::SecretInline
            | Code::InvalidBody
            | Code::Conflict
    )
}

fn explained(problem: &Problem) -> String {
    let why = format!("Nothing was decided: {}. {}", problem.detail(), problem.code().remedy());
    let changed = problem.member("changed").and_then(serde_json::Value::as_array);
    changed.into_iter().flatten().filter_map(moved).fold(why, |text, moved| text + " " + &moved)
}

/// Says how a gate has moved, of one item of `changed`.
fn moved(change: &serde_json::Value) -> Option<String> {
    let (event, deadline) = (change["event"].as_str()?, change["deadline"].as_str()?);
    if event == "extended" {
        return Some(format!("Since you looked, somebody gave it more time: until {deadline}."));
    }
    let roles: Vec<&str> = change["roles"].as_array()?.iter().filter_map(serde_json::Value::as_str).collect();
    Some(format!(
        "Since you looked, it escalated: {} are asked now, until {deadline}, and earlier agreement does not count any more.",
        roles.join(", ")
    ))
}
