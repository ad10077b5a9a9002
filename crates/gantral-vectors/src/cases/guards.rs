//! What a consumption rests on: epoch, freeze and policy of the governance chain.

use gantral_core::event::{Event, GuardRecord};
use gantral_core::ids::{Name, TeamId};
use gantral_core::policy::{PolicyVersionId, Verdict};
use gantral_core::state::{EventKind, Mode};
use gantral_evidence::governance::{Detail, Scope};
use gantral_evidence::trust::{Require, Trust};

use crate::case::{Case, FileMap, lean};
use crate::cast::*;
use crate::governance::*;
use crate::story::{Story, policy_version};

/// The notes of a story that ends with its consumption and discloses nothing.
pub(super) const KEPT: [&str; 2] = ["N_PREFIX", "N_WITHHELD"];
/// The valid case with one artifact in its governance chain.
pub(super) const GOVERNED: &str = "900-governed";

/// Returns the notes of [`KEPT`] and more codes.
pub(super) fn and<const N: usize>(codes: [&'static str; N]) -> Vec<&'static str> {
    codes.into_iter().chain(KEPT).collect()
}

/// A story that ends with its first consumption, which policy allowed at once.
pub(super) fn used() -> Story {
    let mut story = Story::allowed();
    story.statements.truncate(story.position(EventKind::Consumed) + 1);
    story
}

/// Returns a story beside files of a governance chain.
pub(super) fn beside(
    number: u16,
    slug: &'static str,
    about: &'static str,
    story: &Story,
    added: FileMap,
) -> Case {
    let mut files = lean(story);
    files.extend(added);
    Case::from_files(number, slug, about, story, story.scope(), files)
}

/// Returns the story of [`used`], which rests on the newest artifact of a chain.
pub(super) fn under(number: u16, slug: &'static str, about: &'static str, governance: &Governance) -> Case {
    beside(number, slug, about, &governance.under(used()), governance.files())
}

/// Returns a change of the mode, which contradicts nothing.
pub(super) fn moded() -> Detail {
    Detail::ModeChanged { scope: own(), action: None, mode: Mode::Enforce }
}

/// Returns a change of the mode of one action.
pub(super) fn moded_action(scope: Scope) -> Detail {
    Detail::ModeChanged { scope, action: Some(Name::parse("refund").unwrap()), mode: Mode::Enforce }
}

pub(super) fn frozen(scope: Scope, epoch: u64) -> Detail {
    Detail::Frozen { scope, epoch }
}

pub(super) fn lifted(scope: Scope, epoch: u64) -> Detail {
    Detail::Lifted { scope, epoch }
}

pub(super) fn team() -> Scope {
    Scope::Team(TeamId::parse("payments").unwrap())
}

/// Returns a trust file that asks for a proof that nothing was left out.
pub(super) fn complete() -> Trust {
    trust_with(Require { complete: true, ..Require::signed() })
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = heads();
    cases.extend(freezes());
    cases.extend(policies());
    cases.extend(teams());
    cases.extend(asks());
    cases
}

/// Tells the guard of the story of [`used`] otherwise.
fn guarded(story: Story, change: impl FnOnce(&mut GuardRecord)) -> Story {
    story.retell(EventKind::Consumed, |statement| {
        if let Event::Consumed(detail) = &mut statement.entry.event {
            change(&mut detail.guard);
        }
    })
}

fn heads() -> Vec<Case> {
    let governance = Governance::begin();
    let two = governance.clone().then(moded());
    let named = |first: usize, second: usize| {
        let mut story = Story::begin();
        story.launch().ask(&refund(20), Verdict::Allow, None).act(&refund(20));
        story.ask(&refund(30), Verdict::Allow, None).consume(&refund(30));
        let mut heads = [first, second].into_iter();
        for statement in &mut story.statements {
            if let Event::Consumed(detail) = &mut statement.entry.event {
                detail.guard.governance_head = heads.next().map(|head| two.hash(head));
            }
        }
        story.relink();
        story
    };
    let unknown = governance.under(used());
    let later = guarded(unknown, |_| {});
    vec![
        under(900, "governed", "A consumption under what was in force", &governance).valid(&KEPT),
        Case::of(902, "chain-not-there", "The governance chain that is named is not there", &later)
            .valid(&KEPT),
        Case::of(
            903,
            "chain-not-there-and-asked",
            "The chain is not there, and everything is required",
            &later,
        )
        .under(&complete())
        .inconclusive(&and(["E_COMPLETENESS_UNPROVED", "E_GUARD"])),
        Case::of(904, "no-head", "A consumption that names no governance chain, and no epoch", &used())
            .valid(&KEPT),
        Case::of(
            905,
            "epoch-without-a-head",
            "An epoch without a governance chain",
            &guarded(used(), |guard| guard.freeze_epoch = 1),
        )
        .invalid(&and(["E_GUARD"]), "904-no-head"),
        beside(906, "heads-go-on", "Each consumption names a newer head", &named(0, 1), two.files())
            .valid(&KEPT),
        beside(907, "heads-go-back", "A consumption names an older head", &named(1, 0), two.files())
            .invalid(&and(["E_GUARD"]), "906-heads-go-on"),
    ]
}

fn freezes() -> Vec<Case> {
    let governance = Governance::begin();
    let tenant = governance.clone().then(frozen(Scope::Tenant, 1));
    let workflow = governance.clone().then(frozen(own(), 1));
    let epoch = guarded(governance.under(used()), |guard| guard.freeze_epoch = 1);
    vec![
        beside(910, "wrong-epoch", "Another epoch than the one in force", &epoch, governance.files())
            .invalid(&and(["E_GUARD"]), GOVERNED),
        under(911, "tenant-frozen", "Consumed while the tenant is frozen", &tenant)
            .invalid(&and(["E_GUARD"]), "912-tenant-lifted"),
        under(
            912,
            "tenant-lifted",
            "Consumed after the freeze",
            &tenant.clone().then(lifted(Scope::Tenant, 2)),
        )
        .valid(&KEPT),
        under(913, "workflow-frozen", "Consumed while the workflow is frozen", &workflow)
            .invalid(&and(["E_GUARD"]), "914-workflow-lifted"),
        under(914, "workflow-lifted", "Consumed after the freeze", &workflow.clone().then(lifted(own(), 2)))
            .valid(&KEPT),
    ]
}

fn policies() -> Vec<Case> {
    let tenant = Governance::default().then(activated(Scope::Tenant, policy_version(), None));
    let narrower = tenant.clone().then(activated(own(), other_policy(), None));
    let replaced = Governance::begin().then(activated(own(), other_policy(), Some(policy_version())));
    vec![
        // What was asked was in force when it was asked; only the consumption is late.
        under(920, "policy-replaced", "Consumed under a policy that had been replaced", &replaced)
            .invalid(&and(["E_GUARD"]), GOVERNED),
        under(921, "policy-of-the-tenant", "The policy of the tenant is in force for its workflows", &tenant)
            .valid(&KEPT),
        under(922, "narrower-policy", "The policy of the workflow counts before the tenant's", &narrower)
            .invalid(&and(["E_GUARD"]), "921-policy-of-the-tenant"),
    ]
}

fn teams() -> Vec<Case> {
    let governance = Governance::begin().then(frozen(team(), 1));
    let thawed = governance.clone().then(lifted(team(), 2));
    let of = |governance: &Governance, definition: &str| {
        let (story, path) = defined(governance.under(used()), definition);
        let mut files = governance.files();
        files.insert(path, definition.as_bytes().to_vec());
        (story, files)
    };
    let (ours, files) = of(&governance, r#"{"team":"payments"}"#);
    let mut without = files.clone();
    without.retain(|path, _| !path.starts_with("workflow/"));
    let (theirs, others) = of(&governance, r#"{"team":"treasury"}"#);
    let (nobody, nobodys) = of(&governance, r#"{"team":"no name"}"#);
    vec![
        beside(923, "team-frozen", "Consumed while the workflow's team is frozen", &ours, files)
            .invalid(&and(["E_GUARD"]), "924-other-team-frozen"),
        beside(924, "other-team-frozen", "Consumed while another team is frozen", &theirs, others)
            .valid(&KEPT),
        beside(
            925,
            "team-not-known",
            "A team is frozen, and nothing says whose it is",
            &ours,
            without.clone(),
        )
        .valid(&KEPT),
        beside(926, "team-not-known-and-asked", "The same, and everything is required", &ours, without)
            .under(&complete())
            .inconclusive(&and(["E_COMPLETENESS_UNPROVED", "E_GUARD"])),
        beside(
            928,
            "team-that-is-no-name",
            "A team is frozen, and what stands for the workflow's is no name",
            &nobody,
            nobodys,
        )
        .under(&complete())
        .inconclusive(&and(["E_COMPLETENESS_UNPROVED", "E_GUARD"])),
        under(927, "team-lifted", "The freeze of a team was lifted, whose it is does not matter", &thawed)
            .under(&complete())
            .inconclusive(&and(["E_COMPLETENESS_UNPROVED"])),
    ]
}

fn asks() -> Vec<Case> {
    let governance = Governance::begin();
    let replaced = Governance::default().then(activated(own(), other_policy(), None));
    let replaced = replaced.then(activated(own(), policy_version(), Some(other_policy())));
    let thawed = governance.clone().then(frozen(team(), 1)).then(lifted(team(), 2));
    let asked = |governance: &Governance, version: PolicyVersionId| {
        governance.under(used()).retell(EventKind::Allowed, |statement| {
            if let Event::Allowed(detail) = &mut statement.entry.event {
                detail.policy.version = version;
            }
        })
    };
    vec![
        beside(
            930,
            "asked-under-no-policy-in-force",
            "An ask under a policy that was never in force",
            &asked(&governance, other_policy()),
            governance.files(),
        )
        .invalid(&and(["E_POLICY_VERSION"]), "931-asked-under-the-policy-before"),
        beside(
            931,
            "asked-under-the-policy-before",
            "An ask under a policy that was replaced later",
            &asked(&replaced, other_policy()),
            replaced.files(),
        )
        .valid(&KEPT),
        beside(
            932,
            "asked-under-none-after-a-team-was-frozen",
            "The same as 930, after a team of nobody knows whom was frozen and lifted",
            &asked(&thawed, other_policy()),
            thawed.files(),
        )
        .invalid(&and(["E_POLICY_VERSION"]), "931-asked-under-the-policy-before"),
    ]
}
