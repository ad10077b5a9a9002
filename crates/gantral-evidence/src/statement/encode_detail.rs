//! Writing the detail of each event. The members are those of the matrix.

use gantral_core::event::{
    Allowed, Asked, AttemptEnded, Ballot, Consumed, Created, Ended, Event, Executor, GateMoved, GrantTerms,
    GuardRecord, HumanRequired, Launch, Outcome, Parent, PolicyRecord, Reconciled, Rejected, Requester,
};
use gantral_core::ids::{PersonId, Role};
use gantral_core::json::ObjectWriter;
use gantral_core::rule::{EscalationStep, Rule};
use gantral_core::state::Cause;

use super::encode::{opt_digest, uuid};

type Out<'a, 'b> = &'a mut ObjectWriter<'b>;

pub(super) fn detail(out: Out<'_, '_>, event: &Event) {
    match event {
        Event::Created(detail) => created(out, detail),
        Event::Started(launched)
        | Event::Resumed(launched)
        | Event::Running(launched)
        | Event::AttemptAssigned(launched) => launch(out, launched),
        Event::AttemptEnded(detail) => attempt_ended(out, detail),
        Event::HumanRequired(detail) => human_required(out, detail),
        Event::Allowed(detail) | Event::Observed(detail) => allowed(out, detail),
        Event::EvaluatorFailed(record) => _ = out.object("policy", |out| policy(out, record)),
        Event::Vote(cast) => {
            out.null("cause").object("decision", |out| ballot(out, cast)).null("grant");
        }
        Event::Approved(granted) | Event::Overridden(granted) => {
            out.null("cause");
            out.object("decision", |out| ballot(out, &granted.ballot));
            out.object("grant", |out| grant(out, &granted.grant));
        }
        Event::Rejected(detail) => rejected(out, detail),
        Event::Escalated(moved) | Event::Extended(moved) => gate_moved(out, moved),
        Event::Consumed(detail) => consumed(out, detail),
        Event::Outcome(detail) => outcome(out, detail),
        Event::Reconciled(detail) => reconciled(out, detail),
        Event::Completed(detail) | Event::Terminated(detail) => ended(out, detail),
    }
}

fn opt_cause(out: Out<'_, '_>, cause: Option<Cause>) {
    out.opt_str("cause", cause.map(Cause::as_str));
}

fn person(out: Out<'_, '_>, name: &'static str, person: Option<&PersonId>) {
    opt_digest(out, name, person.map(|person| &person.0));
}

fn roles(out: Out<'_, '_>, name: &'static str, roles: &[Role]) {
    out.array(name, |out| {
        for role in roles {
            out.str(role.as_str());
        }
    });
}

fn created(out: Out<'_, '_>, detail: &Created) {
    opt_digest(out, "context_commitment", detail.context.as_ref());
    out.str("expires_at", &detail.expires_at.to_text());
    out.opt_object("parent", detail.parent.as_ref(), |out, Parent { instance, artifact_hash }| {
        out.hex("artifact_hash", artifact_hash.as_bytes()).str("instance_id", &uuid(instance.as_bytes()));
    });
    out.array("requester", |out| {
        for link in &detail.requester {
            out.object(|out| requester(out, link));
        }
    });
    out.opt_str("session_id", detail.session.as_ref().map(|session| session.as_str()));
    out.opt_str("trigger", detail.trigger.as_ref().map(|trigger| trigger.as_str()));
}

fn requester(out: Out<'_, '_>, link: &Requester) {
    out.str("id", link.id.as_str()).str("issuer", &link.issuer).str("kind", link.kind.as_str());
    person(out, "owner", link.owner.as_ref());
}

fn launch(out: Out<'_, '_>, launch: &Launch) {
    opt_cause(out, launch.cause);
    opt_digest(out, "context_commitment", launch.context.as_ref());
    out.opt_object("executor", launch.executor.as_ref(), executor);
    match launch.lease {
        Some(lease) => out.u64("lease_ms", lease.get()),
        None => out.null("lease_ms"),
    };
}

fn executor(out: Out<'_, '_>, executor: &Executor) {
    out.str("id", executor.id.as_str()).str("kind", executor.kind.as_str());
}

fn attempt_ended(out: Out<'_, '_>, detail: &AttemptEnded) {
    opt_cause(out, Some(detail.cause));
    out.object("executor", |out| executor(out, &detail.executor));
    match detail.exit_status {
        Some(status) => out.i64("exit_status", i64::from(status)),
        None => out.null("exit_status"),
    };
}

fn human_required(out: Out<'_, '_>, detail: &HumanRequired) {
    out.str("deadline", &detail.deadline.to_text());
    out.array("escalation", |out| {
        for EscalationStep { roles: next, duration } in &detail.escalation {
            out.object(|out| {
                out.u64("duration_ms", duration.get());
                roles(out, "roles", next);
            });
        }
    });
    out.object("gate", |out| asked(out, &detail.gate));
    out.str("latest_deadline", &detail.latest_deadline.to_text());
    out.object("policy", |out| policy(out, &detail.policy));
    out.object("rule", |out| rule(out, &detail.rule));
}

fn asked(out: Out<'_, '_>, gate: &Asked) {
    out.hex("action_commitment", gate.action.as_bytes())
        .hex("context_commitment", gate.context.as_bytes())
        .str("id", &uuid(gate.id.as_bytes()))
        .opt_str("step", gate.step.as_ref().map(|step| step.as_str()))
        .u64("version", u64::from(gate.version));
}

fn rule(out: Out<'_, '_>, rule: &Rule) {
    roles(out, "break_glass_roles", &rule.break_glass_roles);
    out.bool("distinct", rule.distinct);
    // A15: absent, it is 1.
    if rule.rejections != 1 {
        out.u64("rejections", u64::from(rule.rejections));
    }
    out.str("required_evidence", rule.required_evidence.as_str());
    out.bool("separation", rule.separation);
    out.array("stages", |out| {
        for stage in &rule.stages {
            out.object(|out| {
                out.array("groups", |out| {
                    for group in &stage.groups {
                        out.object(|out| {
                            out.u64("required", u64::from(group.required));
                            roles(out, "roles", &group.roles);
                        });
                    }
                });
            });
        }
    });
}

fn policy(out: Out<'_, '_>, policy: &PolicyRecord) {
    opt_digest(out, "decision_commitment", policy.decision.as_ref());
    out.str("engine", policy.evaluator.engine.as_str())
        .str("engine_version", policy.evaluator.version.as_str())
        .opt_str("failure", policy.failure.map(|failure| failure.as_str()))
        .hex("input_commitment", policy.input.as_bytes())
        .hex("policy_version_id", policy.version.0.as_bytes())
        .str("verdict", policy.verdict.as_str());
}

fn grant(out: Out<'_, '_>, terms: &GrantTerms) {
    out.str("expires_at", &terms.expires_at.to_text()).str("id", &uuid(terms.id.as_bytes()));
}

fn allowed(out: Out<'_, '_>, detail: &Allowed) {
    out.hex("action_commitment", detail.action.as_bytes());
    out.hex("context_commitment", detail.context.as_bytes());
    out.opt_object("grant", detail.grant.as_ref(), grant);
    out.object("policy", |out| policy(out, &detail.policy));
}

fn ballot(out: Out<'_, '_>, ballot: &Ballot) {
    person(out, "acts_for", ballot.acts_for.as_ref());
    out.hex("approved_action_commitment", ballot.approved.as_bytes());
    out.hex("asked_action_commitment", ballot.asked.as_bytes());
    out.bool("break_glass", ballot.break_glass);
    out.str("decision", ballot.decision.as_str());
    opt_digest(out, "delegation_hash", ballot.delegation.as_ref());
    opt_digest(out, "directory_entry", ballot.directory_entry.as_ref());
    out.hex("display_digest", ballot.display.as_bytes());
    opt_digest(out, "evidence_digest", ballot.evidence_digest.as_ref());
    out.str("evidence_type", ballot.evidence.as_str());
    out.str("gate_id", &uuid(ballot.gate.as_bytes()));
    out.u64("gate_version", u64::from(ballot.gate_version));
    opt_digest(out, "justification_commitment", ballot.justification.as_ref());
    out.hex("request_artifact_hash", ballot.request_artifact_hash.as_bytes());
    out.str("role", ballot.role.as_str());
}

fn rejected(out: Out<'_, '_>, detail: &Rejected) {
    opt_cause(out, Some(detail.cause));
    out.opt_object("decision", detail.ballot.as_ref(), ballot);
    out.str("gate_id", &uuid(detail.gate.as_bytes()));
    out.null("grant");
}

fn gate_moved(out: Out<'_, '_>, moved: &GateMoved) {
    out.str("deadline", &moved.deadline.to_text());
    out.str("gate_id", &uuid(moved.gate.as_bytes()));
    out.u64("gate_version", u64::from(moved.version));
    roles(out, "roles", &moved.roles);
    match moved.step {
        Some(step) => out.u64("step", u64::from(step)),
        None => out.null("step"),
    };
}

fn consumed(out: Out<'_, '_>, detail: &Consumed) {
    out.str("act_by", &detail.act_by.to_text());
    out.hex("action_commitment", detail.action.as_bytes());
    out.object("executor", |out| executor(out, &detail.executor));
    out.str("grant_id", &uuid(detail.grant.as_bytes()));
    out.object("guard", |out| guard(out, &detail.guard));
    out.object("policy", |out| policy(out, &detail.policy));
}

fn guard(out: Out<'_, '_>, guard: &GuardRecord) {
    out.u64("freeze_epoch", guard.freeze_epoch);
    opt_digest(out, "governance_head", guard.governance_head.as_ref());
    out.hex("policy_version_id", guard.policy_version.0.as_bytes());
    out.str("verdict", guard.verdict.as_str());
}

fn outcome(out: Out<'_, '_>, detail: &Outcome) {
    match detail.cost {
        Some(cost) => out.u64("cost", cost),
        None => out.null("cost"),
    };
    out.array("evidence", |out| {
        for reference in &detail.evidence {
            out.object(|out| {
                out.hex("digest", reference.digest.as_bytes()).str("name", reference.name.as_str());
                // A16: its absence is the only way to say that no address is known.
                if let Some(url) = &reference.url {
                    out.str("url", url.as_str());
                }
            });
        }
    });
    out.opt_str("grant_id", detail.grant.map(|grant| uuid(grant.as_bytes())).as_deref());
    opt_digest(out, "outcome_commitment", detail.result.as_ref());
    out.str("status", detail.status.as_str());
}

fn reconciled(out: Out<'_, '_>, detail: &Reconciled) {
    out.str("grant_id", &uuid(detail.grant.as_bytes()));
    opt_digest(out, "justification_commitment", detail.justification.as_ref());
    out.str("next", detail.next.as_str());
    out.str("status", detail.status.as_str());
}

fn ended(out: Out<'_, '_>, detail: &Ended) {
    opt_cause(out, detail.cause);
    out.opt_object("policy", detail.policy.as_ref(), policy);
}
