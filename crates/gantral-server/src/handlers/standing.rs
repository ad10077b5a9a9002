//! Standing rules: a human who is asked the same again proposes what nobody need be asked about, and another one puts it in force.

use std::num::NonZeroUsize;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::Code;
use gantral_api::wire::{self, ChangedFile, FileChange, text};
use gantral_core::ids::{ActorId, GateId, TenantId};
use gantral_core::json::Pointer;
use gantral_core::policy::{Evaluation, PolicyVersionId, Verdict};
use gantral_engine::{Call, EngineError, Governor, Precedent, Ruled};
use gantral_evidence::governance::Detail;
use gantral_identity::Principal;
use gantral_policy::bundle::Bundle;
use gantral_policy::compare::Comparison;
use gantral_policy::standing::{CallAtGate, Reach, StandingRule};

use super::Path;
use super::diffs::{not_ready, not_started};
use super::gates::askable;
use super::policies::{bundle, keep, scope_view};
use super::proposals::view;
use crate::app::App;
use crate::command::{Write, acting};
use crate::problems::{Answer, Failure};

/// The longest file that a proposal shows, in bytes: a rule is much shorter.
const FILE_SHOWN_BYTES_MAX: usize = 16 << 10;
/// The most files that a proposal names.
const FILES_SHOWN_MAX: usize = 100;

/// POST /v1/gates/{gate_id}/rules
pub(crate) async fn propose(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    write: Write<wire::ProposeRule>,
) -> Answer<(StatusCode, Json<wire::ProposedRule>)> {
    let proposed = draft(&app, &write.principal, write.call, id.into_inner(), write.body).await?;
    let status = if proposed.proposal.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(proposed)))
}

/// Drafts a rule and proposes it: the one way, wherever the request comes from. The draft is the policy in force where the workflow has its own
/// from, and the rule; it must let pass the very call at the gate, which the policy in force must not.
pub(crate) async fn draft(
    app: &App,
    principal: &Principal,
    mut call: Call,
    id: GateId,
    body: wire::ProposeRule,
) -> Answer<wire::ProposedRule> {
    let approver = principal.approver()?;
    askable(app, &approver, id).await?;
    if body.justification.as_str().trim().is_empty() {
        return Err(Failure::new(Code::JustificationRequired, "say why, for whoever is to confirm it"));
    }
    let tenant = principal.tenant();
    let precedent = app.engine().precedent(tenant, id, call.now).await?;
    let precedent = precedent.ok_or_else(|| refused("humans did not let the call at this gate pass"))?;
    let actor = acting(app, &mut call, approver.principal()).await?;
    if precedent.is_requester(&actor) {
        let why = "who is behind an agent proposes nothing that lets it pass";
        return Err(Failure::new(Code::SelfApproval, why));
    }
    if body.uses.is_some() && !precedent.workflow.totals {
        return Err(refused(
            "the workflow counts nothing: leave `uses` out, or give the workflow `totals = true`",
        ));
    }
    let rule = rule_of(&precedent, id, &body, &call)?;
    let (scope, present) = app.engine().policy_scope(tenant, &precedent.workflow).await?;
    let base = bundle(app, tenant, present).await?;
    let drafted = base.with_rule(&rule, call.now);
    let drafted = drafted.map_err(|error| refused(&error.to_string()))?;
    let version = drafted.version();
    let ruled = if version == present {
        Ruled::Same
    } else {
        lets_pass(app, &precedent, [&base, &drafted], &rule, &call).await?;
        keep(app, tenant, drafted, call.now).await?;
        let by = Governor { actor: &actor, why: Some(body.justification.as_str()) };
        app.engine().propose_policy(&mut call, tenant, by, &scope, version, present).await?
    };
    let proposal = match &ruled {
        Ruled::Proposed(proposed) => Some(view(proposed)?),
        Ruled::Same | Ruled::Sealed(_) => None,
    };
    Ok(wire::ProposedRule {
        rule: rule.name.to_string(),
        until: rule.until.into(),
        uses: body.uses,
        rego: rule.rego,
        policy_version_id: version.into(),
        scope: scope_view(scope),
        proposal,
    })
}

fn rule_of(
    precedent: &Precedent,
    gate: GateId,
    body: &wire::ProposeRule,
    call: &Call,
) -> Answer<StandingRule> {
    let pointer = |text: &String| {
        Pointer::parse(text).ok_or_else(|| {
            Failure::new(Code::InvalidBody, "`free` and `at_most` name members by pointers such as `/amount`")
        })
    };
    let bounded = |(text, bound): (&String, &i64)| Ok((pointer(text)?, *bound));
    let reach = Reach {
        free: body.free.iter().map(pointer).collect::<Answer<_>>()?,
        at_most: body.at_most.iter().map(bounded).collect::<Answer<_>>()?,
        lasts: body.lasts.into_inner(),
        uses: body.uses,
    };
    let agent = precedent.agent().and_then(|agent| ActorId::parse(agent).ok());
    let at_gate = CallAtGate {
        gate,
        workflow: precedent.workflow.id.clone(),
        agent: agent.ok_or_else(|| refused("the context of the gate names no agent"))?,
        action: precedent.action.name.clone(),
        target: precedent.action.target.clone(),
        parameters: precedent.action.parameters.clone(),
        seen: precedent.seen.clone(),
    };
    StandingRule::new(&at_gate, &reach, call.now).map_err(|error| refused(&error.to_string()))
}

/// Refuses a draft that would change nothing for the call at the gate: because policy lets it pass as it is, has no place for standing rules, or
/// because the workflow's floors want a human whatever policy says.
async fn lets_pass(
    app: &App,
    precedent: &Precedent,
    bundles: [&Bundle; 2],
    rule: &StandingRule,
    call: &Call,
) -> Answer<()> {
    if precedent.workflow.floors.least_verdict > Verdict::Allow {
        return Err(refused("the floors of the workflow want a human whatever policy says"));
    }
    let _permit = app.0.limits.check()?;
    let comparison = Comparison::start(&app.0.worker, NonZeroUsize::MIN, bundles).map_err(not_started)?;
    for (name, ready) in ["the policy in force", "the draft"].into_iter().zip(comparison.ready().await) {
        ready.map_err(|failure| not_ready(name, failure))?;
    }
    let [base, draft] = comparison
        .versions()
        .map(|version| precedent.input_under(version, call.now).map_err(EngineError::from));
    let [base, draft] = comparison.ask([&base?, &draft?]).await;
    let allows = |said: &Evaluation| said.verdict == Verdict::Allow;
    if base.as_ref().is_ok_and(allows) {
        return Err(refused("the policy in force lets such a call pass already"));
    }
    match draft {
        Ok(said) if allows(&said) && said.standing_rules.contains(&rule.name) => Ok(()),
        Ok(_) => Err(refused(
            "the policy in force gives standing rules no place, or does not let them pass such a call: its author adds \
             `data.gantral.standing.applies` where they may count, and names them as `standing_rules`",
        )),
        Err(failure) => Err(refused(&format!("with the rule, the policy cannot answer: {failure}"))),
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(Code::RuleRefused, why)
}

/// Returns the files in which a proposed policy differs from the one that is in force; `None` where no policy is proposed.
pub(crate) async fn changed_files(
    app: &App,
    tenant: &TenantId,
    detail: &Detail,
) -> Answer<Option<Vec<ChangedFile>>> {
    let Detail::PolicyActivated { version, previous, .. } = detail else { return Ok(None) };
    let new = bundle(app, tenant, *version).await?;
    let old = match previous {
        Some(version) => Some(bundle(app, tenant, PolicyVersionId::clone(version)).await?),
        None => None,
    };
    let before = |path: &str| old.as_ref().and_then(|old| old.file(path));
    let changed =
        new.files().filter(|(path, content)| !path.starts_with('.') && before(path) != Some(*content));
    let changed = changed.map(|(path, content)| ChangedFile {
        path: path.to_owned(),
        change: if before(path).is_some() { FileChange::Changed } else { FileChange::Added },
        text: shown(content),
    });
    let removed = old.iter().flat_map(Bundle::files).filter(|(path, _)| new.file(path).is_none());
    let removed = removed.map(|(path, _)| ChangedFile {
        path: path.to_owned(),
        change: FileChange::Removed,
        text: None,
    });
    Ok(Some(changed.chain(removed).take(FILES_SHOWN_MAX).collect()))
}

fn shown(content: &[u8]) -> Option<String> {
    let short = content.len() <= FILE_SHOWN_BYTES_MAX;
    std::str::from_utf8(content).ok().filter(|_| short).map(str::to_owned)
}
