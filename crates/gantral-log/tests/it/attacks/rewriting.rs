//! Attacks on what has happened: it is told otherwise afterwards, cut, dated back, or told to each as he likes it.

use gantral_core::state::{DecisionKind, EventKind};
use gantral_evidence::container::Scope;
use gantral_vectors::cast::human;
use gantral_vectors::log::Log;
use gantral_vectors::story::Story;

use super::Attack;
use super::attacker::{Attacker, OTHERS, Published, after, allowed, asked, overridden};
use super::auditor::{Scene, memory_of};

pub fn all() -> Vec<Attack> {
    vec![
        edited(),
        edited_in_the_log(),
        forked(),
        cut(),
        cut_in_the_log(),
        backdated(),
        backdated_and_no_older_mirror(),
        two_histories(),
        two_histories_unwitnessed(),
        stripped(),
    ]
}

/// An execution that was logged while it happened.
pub struct Honest {
    pub attacker: Attacker,
    pub story: Story,
    pub published: Published,
}

impl Honest {
    pub fn of(story: Story) -> Self {
        let mut attacker = Attacker::begin();
        let story = attacker.anchored(story);
        let published = attacker.runs(&story);
        Self { attacker, story, published }
    }

    pub fn scene(&self) -> Scene {
        Scene::of(self.attacker.bundle(&self.story, &self.published), &self.published)
    }

    /// What a monitor remembers that has seen it.
    fn memory(&self) -> Option<Vec<u8>> {
        memory_of(&self.attacker.bundle(&self.story, &self.published), &self.published)
    }
}

fn honest() -> Honest {
    Honest::of(overridden(7))
}

/// The story with another human as the one who decided, linked and signed anew.
fn another_approver(attacker: &Attacker) -> Story {
    let story = attacker.anchored(overridden(7));
    story.retell(EventKind::Overridden, |statement| statement.entry.actor = human(2, "finance"))
}

/// The same execution, refused.
fn refused(attacker: &Attacker) -> Story {
    let mut story = asked(7);
    story.decide(1, DecisionKind::Reject, None);
    attacker.anchored(story)
}

/// The log as it was before the execution.
fn before(published: &Published) -> Log {
    Log { leaves: published.log.leaves[..OTHERS as usize].to_vec() }
}

fn edited() -> Attack {
    let world = honest();
    let retold = another_approver(&world.attacker);
    let bundle = world.attacker.bundle(&retold, &world.published);
    Attack {
        number: 1,
        what: "edits an approver and signs the chain again",
        rules: "V46, L48",
        honest: world.scene(),
        attacked: Scene::of(bundle, &world.published),
    }
}

fn edited_in_the_log() -> Attack {
    let mut world = honest();
    let honest = world.scene();
    let retold = another_approver(&world.attacker);
    world.attacker.log = before(&world.published);
    world.attacker.logs(&retold.statements);
    let refusal = world.attacker.publish(after(&retold)).err();
    let served = world.attacker.unwitnessed();
    let bundle = world.attacker.bundle(&retold, &served);
    let memory = world.memory();
    Attack {
        number: 1,
        what: "the same, and makes the log again to match; the mirror is an older one",
        rules: "V46, L41, L46",
        honest,
        attacked: Scene { served, memory, refusal, ..Scene::of(bundle, &world.published) },
    }
}

fn forked() -> Attack {
    let mut world = honest();
    let honest = world.scene();
    let other = refused(&world.attacker);
    let branch = other.position(EventKind::Rejected);
    world.attacker.logs(&other.statements[branch..]);
    let published = world.attacker.publish(after(&world.story) + 1).unwrap();
    let bundle = world.attacker.bundle(&other, &published);
    Attack {
        number: 2,
        what: "forks an execution: approved in one copy, refused in the other, and both in the log",
        rules: "V45, L47",
        honest,
        attacked: Scene::of(bundle, &published),
    }
}

/// The bundle without the last artifact, which claims to be whole.
fn cut_story(world: &Honest) -> Story {
    let mut story = world.attacker.anchored(overridden(7));
    story.statements.pop();
    story
}

fn cut() -> Attack {
    let world = honest();
    let mut bundle = world.attacker.bundle(&cut_story(&world), &world.published);
    bundle.scope = Scope::Complete;
    Attack {
        number: 3,
        what: "cuts the last artifact off a bundle that claims to be complete",
        rules: "V48, L48",
        honest: world.scene(),
        attacked: Scene::of(bundle, &world.published),
    }
}

fn cut_in_the_log() -> Attack {
    let mut world = honest();
    let honest = world.scene();
    world.attacker.log.leaves.pop();
    let refusal = world.attacker.publish(after(&world.story)).err();
    let served = world.attacker.unwitnessed();
    let mut bundle = world.attacker.bundle(&cut_story(&world), &served);
    bundle.scope = Scope::Complete;
    let memory = world.memory();
    Attack {
        number: 3,
        what: "the same, and cuts the log; the mirror is an older one",
        rules: "V48, L41, L46",
        honest,
        attacked: Scene { served, memory, refusal, ..Scene::of(bundle, &world.published) },
    }
}

/// An execution that claims to be as old as the first, and was made after the log had been seen without it.
fn backdated_scene(is_newest: bool) -> (Scene, Scene) {
    let mut world = honest();
    let honest = world.scene();
    let late = world.attacker.anchored(allowed(9));
    world.attacker.logs(&late.statements);
    let published = world.attacker.publish(after(&world.story) + 60).unwrap();
    let bundle = world.attacker.bundle(&late, &published);
    let mirror = if is_newest { published.clone() } else { world.published.clone() };
    let memory = world.memory();
    (honest, Scene { mirror, memory, ..Scene::of(bundle, &published) })
}

fn backdated() -> Attack {
    let (honest, attacked) = backdated_scene(false);
    Attack {
        number: 5,
        what: "dates an execution back; the mirror is from between the claim and the deed",
        rules: "V42, L51",
        honest,
        attacked,
    }
}

fn backdated_and_no_older_mirror() -> Attack {
    let (honest, attacked) = backdated_scene(true);
    Attack { number: 5, what: "the same, and the mirror is from afterwards", rules: "L51", honest, attacked }
}

/// Tells a second history, of the same length, to a second auditor.
fn second_history(world: &mut Honest) -> Story {
    let other = refused(&world.attacker);
    world.attacker.log = before(&world.published);
    world.attacker.logs(&other.statements);
    while world.attacker.log.size() < world.published.log.size() {
        world.attacker.log.add_stranger();
    }
    other
}

fn two_histories() -> Attack {
    let mut world = honest();
    let honest = world.scene();
    let other = second_history(&mut world);
    let refusal = world.attacker.publish(after(&world.story)).err();
    let served = world.attacker.unwitnessed();
    let bundle = world.attacker.bundle(&other, &served);
    let shown = Some(world.published.note.clone());
    Attack {
        number: 6,
        what: "shows two histories to two auditors; the mirror is the other auditor's",
        rules: "V31, V46, L41, L48",
        honest,
        attacked: Scene { served, shown, refusal, ..Scene::of(bundle, &world.published) },
    }
}

fn two_histories_unwitnessed() -> Attack {
    let mut world = honest();
    let honest = Scene { witnesses: 0, ..world.scene() };
    let other = second_history(&mut world);
    let refusal = world.attacker.publish(after(&world.story)).err();
    let served = world.attacker.unwitnessed();
    let bundle = world.attacker.bundle(&other, &served);
    let shown = Some(world.published.note.clone());
    Attack {
        number: 6,
        what: "the same to auditors who pin no witness, each with his own mirror",
        rules: "L48",
        honest,
        attacked: Scene { shown, refusal, witnesses: 0, ..Scene::of(bundle, &served) },
    }
}

fn stripped() -> Attack {
    let world = honest();
    let lines: Vec<&str> = world.published.note.lines().collect();
    let note = lines[..lines.len() - 1].join("\n") + "\n";
    let served = Published { note, ..world.published.clone() };
    let bundle = world.attacker.bundle(&world.story, &served);
    Attack {
        number: 7,
        what: "strips a witness from every checkpoint",
        rules: "V31, L45",
        honest: world.scene(),
        attacked: Scene { served, ..Scene::of(bundle, &world.published) },
    }
}

#[test]
fn an_approver_who_was_edited_is_not_the_one_of_the_log() {
    edited().shows([
        "VALID",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_REQUIRE E_UNLOGGED",
        "INVALID E_COMPLETENESS_UNPROVED E_FORK E_REQUIRE E_UNLOGGED",
        "found E_FORK",
        "cosign",
    ]);
}

#[test]
fn a_log_that_was_made_again_is_not_cosigned_and_not_forgotten() {
    edited_in_the_log().shows([
        "VALID N_UNAUTH",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_QUORUM E_REQUIRE N_UNAUTH",
        "INVALID E_COMPLETENESS_UNPROVED E_FORK E_QUORUM E_REQUIRE E_UNLOGGED N_UNAUTH",
        "found E_QUORUM E_SPLIT_VIEW",
        "refuse: the log was seen with another tree of this size",
    ]);
}

#[test]
fn both_ends_of_a_fork_are_in_the_log() {
    forked().shows([
        "VALID",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED",
        "INVALID E_COMPLETENESS_UNPROVED E_FORK E_LOG_ORDER E_TRUNCATED",
        "found E_FORK E_TRUNCATED",
        "cosign",
    ]);
}

#[test]
fn a_cut_end_is_still_in_the_log() {
    cut().shows([
        "INCONCLUSIVE E_OPEN",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_OPEN E_REQUIRE",
        "INVALID E_COMPLETENESS_UNPROVED E_OPEN E_REQUIRE E_TRUNCATED",
        "found E_TRUNCATED",
        "cosign",
    ]);
}

#[test]
fn a_log_that_was_cut_is_not_cosigned_and_not_forgotten() {
    cut_in_the_log().shows([
        "INCONCLUSIVE E_OPEN N_UNAUTH",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_OPEN E_QUORUM E_REQUIRE N_UNAUTH",
        "INVALID E_COMPLETENESS_UNPROVED E_OPEN E_REQUIRE E_TRUNCATED N_UNAUTH",
        "found E_QUORUM E_ROLLBACK",
        "refuse: the log was last seen with 17 leaves",
    ]);
}

#[test]
fn what_was_dated_back_was_not_there_when_the_log_was_seen() {
    let unproved = "INCONCLUSIVE E_COMPLETENESS_UNPROVED";
    let older = "INVALID E_COMPLETENESS_UNPROVED E_TIME_WINDOW";
    backdated().shows(["VALID", unproved, older, "found E_TIME_WINDOW", "cosign"]);
    // A mirror holds one tree: only an older one says when something was not there.
    backdated_and_no_older_mirror().shows(["VALID", unproved, "VALID", "found E_TIME_WINDOW", "cosign"]);
}

#[test]
fn a_second_history_is_not_cosigned_and_contradicts_the_mirror_of_the_first() {
    two_histories().shows([
        "VALID N_UNAUTH",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_QUORUM E_REQUIRE N_UNAUTH",
        "INVALID E_COMPLETENESS_UNPROVED E_FORK E_QUORUM E_REQUIRE E_TRUNCATED E_UNLOGGED N_UNAUTH",
        "found E_QUORUM E_SPLIT_VIEW",
        "refuse: the log was seen with another tree of this size",
    ]);
}

#[test]
fn auditors_without_witnesses_find_two_histories_by_comparing_checkpoints() {
    two_histories_unwitnessed().shows([
        "VALID",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED",
        "VALID",
        "found E_SPLIT_VIEW",
        "refuse: the log was seen with another tree of this size",
    ]);
}

#[test]
fn a_witness_that_was_stripped_is_missed_and_its_line_in_the_mirror_is_enough() {
    stripped().shows([
        "VALID N_UNAUTH",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_QUORUM E_REQUIRE N_UNAUTH",
        "VALID N_UNAUTH",
        "found E_QUORUM",
        "cosign",
    ]);
}
