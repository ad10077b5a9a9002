use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::Actor;
use gantral_core::ids::{
    ActorId, ArtifactId, InstanceId, LogOrigin, Name, PersonId, Role, TeamId, TenantId, WorkflowId,
    governance_tag,
};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{ActorKind, Mode};
use gantral_core::time::UnixMillis;

use super::*;
use crate::fields::FieldError;
use crate::keys::PublicKey;
use crate::log::leaf::{Leaf, LeafKind};
use crate::seal::Unsigned;
use crate::trust::KeyRole;

fn digest(number: u8) -> Digest {
    Digest::of(&[number])
}

fn policy(number: u8) -> PolicyVersionId {
    PolicyVersionId(digest(number))
}

fn workflow() -> WorkflowId {
    WorkflowId::parse("refund").unwrap()
}

fn team() -> TeamId {
    TeamId::parse("payments").unwrap()
}

fn key() -> PublicKey {
    // The public key of RFC 8032 §7.1, test 1.
    PublicKey::parse("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap()
}

fn statement(detail: Detail) -> GovernanceStatement {
    GovernanceStatement {
        artifact_id: ArtifactId::at(1_772_355_600_000, [7; 16]),
        tenant: TenantId::parse("acme").unwrap(),
        origin: LogOrigin::parse("acme/log").unwrap(),
        sequence: 3,
        previous: Some(digest(9)),
        actor: Actor {
            id: PersonId(digest(1)).actor(),
            kind: ActorKind::Human,
            issuer: Some("https://issuer.example".to_string()),
            role: Some(Role::parse("PLATFORM_ADMIN").unwrap()),
        },
        detail,
        justification: Some(digest(2)),
        proposed_by: None,
        at: UnixMillis::new(1_772_355_600_000).unwrap(),
        anchor: Some(TreeHead { size: 12, root: digest(4) }),
        blind: [5; 32],
    }
}

/// One of each, in the order of the kinds.
fn details() -> Vec<Detail> {
    let instant = |hour: u64| UnixMillis::new(1_772_355_600_000 + hour * 3_600_000).unwrap();
    vec![
        Detail::KeyAdded { key: key(), role: KeyRole::Issuer },
        Detail::KeyRetired { key: key().id() },
        Detail::KeyCompromised { key: key().id(), from_index: 40 },
        Detail::PolicyActivated {
            scope: Scope::Workflow(workflow()),
            version: policy(1),
            previous: Some(policy(2)),
        },
        Detail::ModeChanged { scope: Scope::Team(team()), action: None, mode: Mode::Shadow },
        Detail::Frozen { scope: Scope::Tenant, epoch: 1 },
        Detail::Lifted { scope: Scope::Tenant, epoch: 2 },
        Detail::Delegated {
            from: PersonId(digest(1)),
            to: PersonId(digest(2)),
            roles: vec![Role::parse("RISK_OFFICER").unwrap()],
            not_before: instant(0),
            not_after: instant(8),
        },
        Detail::DelegationRevoked { delegation: digest(3) },
        Detail::Enrolled { person: PersonId(digest(1)), entry: digest(5) },
        Detail::EnrolmentRevoked { entry: digest(5) },
        Detail::Erased {
            instance: Some(InstanceId::from_random([3; 16])),
            commitment: digest(6),
            label: CommitmentLabel::Action,
        },
    ]
}

/// The mode of one action.
fn mode_of_action(scope: Scope) -> Detail {
    Detail::ModeChanged { scope, action: Some(Name::parse("refund").unwrap()), mode: Mode::Enforce }
}

#[test]
fn only_a_workflow_has_actions() {
    for scope in [Scope::Tenant, Scope::Team(team())] {
        let payload = statement(mode_of_action(scope)).encode();
        assert!(matches!(
            GovernanceStatement::decode(&payload),
            Err(StatementError::Field(FieldError::Invalid { member: "action", .. }))
        ));
    }
}

#[test]
fn every_event_reads_back_as_it_was_written() {
    let kinds: Vec<GovernanceKind> = details().iter().map(Detail::kind).collect();
    assert_eq!(kinds, GovernanceKind::ALL);
    for detail in details().into_iter().chain([mode_of_action(Scope::Workflow(workflow()))]) {
        let statement = statement(detail);
        let payload = statement.encode();
        assert_eq!(
            GovernanceStatement::decode(&payload),
            Ok(statement),
            "{}",
            String::from_utf8_lossy(&payload)
        );
    }
}

#[test]
fn the_page_lists_every_event_with_its_members() {
    let page = include_str!("../../../../spec/governance.md");
    for detail in details() {
        let payload = statement(detail.clone()).encode();
        let text = String::from_utf8(payload).unwrap();
        let row =
            page.lines().find(|line| line.starts_with(&alloc::format!("| `{}` |", detail.kind().as_str())));
        let row = row.unwrap_or_else(|| panic!("no row for {}", detail.kind().as_str()));
        let value =
            gantral_core::json::parse(text.as_bytes(), &gantral_core::json::Profile::ARTIFACT).unwrap();
        let members = value.get("predicate").and_then(|predicate| predicate.get("detail")).unwrap();
        for name in members.as_object().unwrap().names() {
            assert!(row.contains(&alloc::format!("`{name}`")), "{name} of {}", detail.kind().as_str());
        }
    }
}

#[test]
fn an_artifact_of_an_instance_is_no_governance_artifact() {
    let payload = statement(details().remove(0)).encode();
    let error = crate::statement::Statement::decode(&payload).unwrap_err();
    assert!(matches!(error, StatementError::Unsupported { member: "predicateType", .. }), "{error}");
}

#[test]
fn a_tag_of_another_tenant_is_refused() {
    let other = governance_tag(&TenantId::parse("other").unwrap()).to_hex();
    let own = governance_tag(&TenantId::parse("acme").unwrap()).to_hex();
    let text = String::from_utf8(statement(details().remove(0)).encode()).unwrap();
    let error = GovernanceStatement::decode(text.replace(&own, &other).as_bytes()).unwrap_err();
    assert_eq!(error, StatementError::Disagrees("governance_tag"));
}

#[test]
fn a_key_under_the_id_of_another_is_refused() {
    let text = String::from_utf8(statement(details().remove(0)).encode()).unwrap();
    let changed = text.replace(&key().id().to_string(), &digest(8).to_hex());
    assert!(GovernanceStatement::decode(text.as_bytes()).is_ok());
    assert!(matches!(GovernanceStatement::decode(changed.as_bytes()), Err(StatementError::Field(_))));
}

#[test]
fn a_runner_governs_nothing() {
    let mut governed = statement(details().remove(0));
    governed.actor =
        Actor { id: ActorId::parse("runner").unwrap(), kind: ActorKind::Runner, ..governed.actor };
    assert!(matches!(GovernanceStatement::decode(&governed.encode()), Err(StatementError::Field(_))));
}

#[test]
fn its_leaf_has_a_type_of_its_own_and_never_ends_the_chain() {
    let statement = statement(details().remove(0));
    let hash = Unsigned::of_governance(&statement).unwrap().hash();
    let leaf = Leaf::of_governance(&statement, hash, key().id());
    assert_eq!(Leaf::parse(&leaf.encode()), Ok(leaf));
    assert_eq!((leaf.kind, leaf.sequence, leaf.terminal), (LeafKind::Governance, 3, false));
    assert_eq!(leaf.tag, governance_tag(&statement.tenant));
}

#[test]
fn a_number_that_not_every_reader_keeps_is_not_sealed() {
    let detail = Detail::Frozen { scope: Scope::Tenant, epoch: 1 << 53 };
    assert!(Unsigned::of_governance(&statement(detail)).is_err());
}

fn folded(details: &[Detail]) -> Result<InForce, GovernanceFault> {
    let mut in_force = InForce::default();
    for (number, detail) in (100..).zip(details) {
        in_force.apply(detail, digest(number))?;
    }
    Ok(in_force)
}

fn activated(scope: Scope, version: u8, previous: Option<u8>) -> Detail {
    Detail::PolicyActivated { scope, version: policy(version), previous: previous.map(policy) }
}

#[test]
fn the_narrowest_scope_decides_which_policy_is_in_force() {
    let own = Scope::Workflow(workflow());
    let steps = [
        activated(Scope::Tenant, 1, None),
        activated(Scope::Team(team()), 2, None),
        activated(own.clone(), 3, None),
        activated(own, 4, Some(3)),
    ];
    let other = WorkflowId::parse("deploy").unwrap();
    let in_force = folded(&steps).unwrap();
    assert_eq!(in_force.policy(&workflow(), Some(&team())), Some(policy(4)));
    assert_eq!(in_force.policy(&other, Some(&team())), Some(policy(2)));
    assert_eq!(in_force.policy(&other, None), Some(policy(1)));
    assert!(in_force.depends_on_team());
}

#[test]
fn an_activation_names_what_was_in_force_before() {
    let steps = [activated(Scope::Tenant, 1, None), activated(Scope::Tenant, 2, Some(3))];
    assert_eq!(folded(&steps), Err(GovernanceFault::Previous));
}

#[test]
fn a_freeze_of_any_scope_above_freezes_a_workflow_until_it_is_lifted() {
    let frozen = |scope, epoch| Detail::Frozen { scope, epoch };
    let lifted = |scope, epoch| Detail::Lifted { scope, epoch };
    let in_force = folded(&[frozen(Scope::Team(team()), 1)]).unwrap();
    assert!(in_force.freezes(&workflow(), Some(&team())));
    assert!(!in_force.freezes(&workflow(), None));
    let in_force = folded(&[frozen(Scope::Tenant, 1), lifted(Scope::Tenant, 2)]).unwrap();
    assert!(!in_force.freezes(&workflow(), Some(&team())));
    assert_eq!(in_force.epoch(), 2);
    let twice = folded(&[frozen(Scope::Tenant, 1), frozen(Scope::Tenant, 2)]);
    assert_eq!(twice, Err(GovernanceFault::Freeze));
    assert_eq!(folded(&[lifted(Scope::Tenant, 1)]), Err(GovernanceFault::Freeze));
    assert_eq!(folded(&[frozen(Scope::Tenant, 2)]), Err(GovernanceFault::Epoch));
}

#[test]
fn only_what_is_in_force_is_revoked() {
    let delegated = details().remove(7);
    let revoked = Detail::DelegationRevoked { delegation: digest(100) };
    let in_force = folded(core::slice::from_ref(&delegated)).unwrap();
    assert_eq!(in_force.delegation(&digest(100)).map(|delegation| delegation.to), Some(PersonId(digest(2))));
    let in_force = folded(&[delegated.clone(), revoked.clone()]).unwrap();
    assert_eq!(in_force.delegation(&digest(100)), None);
    assert_eq!(folded(&[delegated, revoked.clone(), revoked]), Err(GovernanceFault::Revoked));
}

#[test]
fn a_key_is_added_once_and_retired_only_after_that() {
    let [added, retired, compromised] = [0, 1, 2].map(|at| details().remove(at));
    assert!(folded(&[added.clone(), retired.clone(), compromised.clone()]).is_ok());
    assert_eq!(folded(&[added.clone(), added]), Err(GovernanceFault::Key));
    assert_eq!(folded(&[retired]), Err(GovernanceFault::Key));
    assert_eq!(folded(&[compromised]), Err(GovernanceFault::Key));
}

#[test]
fn a_broken_rule_changes_nothing() {
    let mut in_force = folded(&[activated(Scope::Tenant, 1, None)]).unwrap();
    let before = in_force.clone();
    assert!(in_force.apply(&activated(Scope::Tenant, 2, None), digest(0)).is_err());
    assert!(in_force.apply(&Detail::Lifted { scope: Scope::Tenant, epoch: 1 }, digest(0)).is_err());
    assert_eq!(in_force, before);
}

fn proposer(person: u8) -> Proposer {
    let mut actor = statement(details().remove(0)).actor;
    actor.id = PersonId(digest(person)).actor();
    Proposer { actor, at: UnixMillis::new(1_772_355_600_000).unwrap(), justification: Some(digest(8)) }
}

#[test]
fn only_what_takes_two_persons_has_a_proposer() {
    for detail in details() {
        let kind = detail.kind();
        let plain = statement(detail);
        assert!(!String::from_utf8(plain.encode()).unwrap().contains("proposed_by"), "absent is not written");
        let proposed = GovernanceStatement { proposed_by: Some(proposer(2)), ..plain };
        let read = GovernanceStatement::decode(&proposed.encode());
        if kind.is_proposable() {
            assert_eq!(read, Ok(proposed));
        } else {
            assert!(matches!(
                read,
                Err(StatementError::Field(FieldError::Invalid { member: "proposed_by", .. }))
            ));
        }
    }
}

#[test]
fn a_proposer_is_a_human_and_there_or_not_and_never_null() {
    let proposed = GovernanceStatement { proposed_by: Some(proposer(2)), ..statement(details().remove(3)) };
    let text = String::from_utf8(proposed.encode()).unwrap();
    let start = text.find("\"proposed_by\":").unwrap();
    let end = text.find(",\"sequence\"").unwrap();
    let with = |member: &str| {
        GovernanceStatement::decode(format!("{}{member}{}", &text[..start], &text[end..]).as_bytes())
    };
    assert!(with(&text[start..end]).is_ok());
    for wrong in ["\"proposed_by\":null", "\"proposed_by\":{}"] {
        assert!(matches!(with(wrong), Err(StatementError::Field(_))), "{wrong}");
    }
    let machine = text[start..end].replace("\"human\"", "\"workload\"");
    assert!(matches!(with(&machine), Err(StatementError::Field(FieldError::Invalid { .. }))));
}

#[test]
fn another_human_puts_in_force_what_was_proposed_and_not_before() {
    let proposed = |change: fn(&mut GovernanceStatement)| {
        let mut statement = statement(details().remove(3));
        statement.proposed_by = Some(proposer(2));
        change(&mut statement);
        statement.check_proposer()
    };
    assert_eq!(proposed(|_| {}), Ok(()));
    assert_eq!(proposed(|statement| statement.proposed_by = None), Ok(()));
    let same = |statement: &mut GovernanceStatement| {
        let Some(by) = &mut statement.proposed_by else { return };
        by.actor.id = statement.actor.id.clone();
        by.actor.role = Role::parse("CFO").ok();
        by.actor.issuer = None;
    };
    assert_eq!(proposed(same), Err(ProposerFault::SamePerson));
    assert_eq!(proposed(|statement| statement.actor.kind = ActorKind::System), Err(ProposerFault::NoHuman));
    assert_eq!(proposed(|statement| statement.at = UnixMillis::EPOCH), Err(ProposerFault::Later));
}

fn proposal(detail: Detail) -> Proposal {
    Proposal {
        id: gantral_core::ids::ProposalId::from_random([7; 16]),
        tenant: TenantId::parse("acme").unwrap(),
        detail,
        follows: Some(4),
        proposer: proposer(2),
        expires_at: UnixMillis::new(1_772_355_700_000).unwrap(),
    }
}

#[test]
fn a_proposal_reads_back_as_it_was_written_and_every_part_of_it_is_in_its_digest() {
    let first = proposal(details().remove(3));
    let text = String::from_utf8(first.encode()).unwrap();
    assert_eq!(Proposal::decode(text.as_bytes()), Ok(first.clone()));
    let others = [
        Proposal { follows: None, ..first.clone() },
        Proposal { detail: details().remove(4), ..first.clone() },
        Proposal { proposer: proposer(3), ..first.clone() },
        Proposal { expires_at: UnixMillis::EPOCH, ..first.clone() },
        Proposal { tenant: TenantId::parse("other").unwrap(), ..first.clone() },
    ];
    for other in others {
        assert_eq!(Proposal::decode(&other.encode()), Ok(other.clone()));
        assert!(other.digest() != first.digest(), "{other:?}");
    }
    for detail in details().into_iter().filter(|detail| !detail.kind().is_proposable()) {
        let refused = Proposal::decode(&proposal(detail).encode());
        assert!(matches!(refused, Err(ProposalError::Event { .. })), "{refused:?}");
    }
}
