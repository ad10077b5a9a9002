//! What the bundles of a window show, and what is missing.

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_evidence::container::{OwnedFiles, Scope};
use gantral_evidence::trust::Require;

use super::{WHOLE, id, story, whole};
use crate::case::{FileMap, lean};
use crate::cast::{artifact, sign, stranger, trust_with};
use crate::story::Story;
use crate::window::{DAY_MS, Window, WindowCase, instant, listed};

const LONGER: &str = "120-goes-on";

pub(super) fn all() -> Vec<WindowCase> {
    let mut cases = missing();
    cases.extend(others());
    cases.extend(heads());
    cases.extend(together());
    cases
}

/// The whole window, with something else for a bundle of execution 8.
fn put(bundle: &OwnedFiles) -> FileMap {
    let mut window = whole();
    window.put(id(8), bundle);
    window.whole()
}

fn case(number: u16, slug: &'static str, about: &'static str, files: FileMap) -> WindowCase {
    WindowCase::of(number, slug, &["X6"], about, files)
}

/// Execution 8 up to its first artifact.
fn begun() -> Story {
    let mut story = story(8);
    story.statements.truncate(1);
    story
}

/// A bundle without the first artifact of its chain.
fn headless() -> OwnedFiles {
    let story = story(8);
    let mut files = lean(&story);
    files.remove(&artifact(0));
    story.bundle(Scope::Complete, files)
}

/// A bundle that no longer is what its list says.
fn damaged() -> OwnedFiles {
    let mut bundle = listed(&story(8));
    bundle.remove(&artifact(0)).unwrap();
    bundle.insert(&artifact(0), b"damaged".to_vec()).unwrap();
    bundle
}

fn missing() -> Vec<WindowCase> {
    let mut window = whole();
    window.take(id(8));
    let complete = trust_with(Require { complete: true, ..Require::signed() });
    vec![
        case(100, "bundle-missing", "A bundle is not there", window.whole())
            .says_at(id(8), "E_COMPLETENESS_UNPROVED")
            .inconclusive(WHOLE),
        case(101, "bundle-damaged", "A file of a bundle is not what its list says", put(&damaged()))
            .says_at(id(8), "E_CONTAINER")
            .invalid(WHOLE),
        case(
            102,
            "beginning-missing",
            "A chain has no beginning, so that nothing is said of its end",
            put(&headless()),
        )
        .says_at(id(8), "E_NO_GENESIS")
        .inconclusive(WHOLE),
        case(
            103,
            "complete-required",
            "The trust file requires what only a mirror proves, and there is none beside a window",
            whole().whole(),
        )
        .under(&complete)
        .says_at(id(7), "E_COMPLETENESS_UNPROVED")
        .says_at(id(8), "E_COMPLETENESS_UNPROVED")
        .inconclusive(WHOLE),
        case(
            104,
            "codes-of-a-bundle",
            "What is said of a bundle is said of the window, at its instance",
            Window::of(vec![story(7), begun()]).whole(),
        )
        .says_at(id(8), "N_PREFIX"),
    ]
}

/// Execution 8 after its identity was changed, listed as it is.
fn foreign(change: impl Fn(&mut gantral_core::event::Identity)) -> FileMap {
    let mut story = story(8);
    for statement in &mut story.statements {
        change(&mut statement.identity);
    }
    story.relink();
    let mut window = whole();
    window.put(id(8), &listed(&story));
    window.stories[1] = story;
    window.whole()
}

fn others() -> Vec<WindowCase> {
    let mixed = |number, slug, about, files| {
        case(number, slug, about, files).says_at(id(8), "E_MIXED").invalid(WHOLE)
    };
    let span = |from, to| {
        let mut window = whole();
        (window.said.from, window.said.to) = (instant(from), instant(to));
        window.whole()
    };
    let both = |number, slug, about, files| {
        let mixed = case(number, slug, about, files).says_at(id(7), "E_MIXED");
        mixed.says_at(id(8), "E_MIXED").invalid("113-begins-with-the-window")
    };
    vec![
        mixed(
            110,
            "bundle-of-another-execution",
            "The bundle of one execution lies where that of another belongs",
            put(&listed(&story(7))),
        ),
        mixed(111, "execution-of-another-tenant", "An execution is one of another tenant", {
            foreign(|identity| identity.tenant = TenantId::parse("other").unwrap())
        }),
        mixed(112, "execution-of-another-log", "An execution belongs to another log", {
            foreign(|identity| identity.origin = LogOrigin::parse("log.example/other").unwrap())
        }),
        case(
            113,
            "begins-with-the-window",
            "The executions begin at the first and last instant of a window of a millisecond",
            span(0, 1),
        ),
        both(
            114,
            "begins-before-the-window",
            "The executions begin a millisecond before the window",
            span(1, DAY_MS),
        ),
        {
            let mut window = whole();
            window.said.from = gantral_core::time::UnixMillis::new(instant(0).get() - DAY_MS).unwrap();
            window.said.to = instant(0);
            both(
                115,
                "begins-where-the-window-ends",
                "The executions begin at the instant at which the window ends",
                window.whole(),
            )
        },
    ]
}

fn heads() -> Vec<WindowCase> {
    let retold = || {
        let mut story = story(8);
        if let Some(last) = story.statements.last_mut() {
            last.blind = [9; 32];
        }
        story
    };
    let claimed = begun().bundle(Scope::Complete, lean(&begun()));
    let set_aside = || {
        let story = story(8);
        let mut files = lean(&story);
        let last = story.statements.len() - 1;
        files.insert(artifact(last), sign(&story.statements[last], &stranger()).envelope);
        story.bundle(Scope::Prefix, files)
    };
    let mut listed_early = Window::of(vec![story(7), begun()]);
    listed_early.put(id(8), &listed(&story(8)));
    vec![
        case(
            120,
            "goes-on",
            "An execution went on after the statement was made, and its bundle with it",
            listed_early.whole(),
        ),
        case(
            121,
            "another-artifact",
            "The chain holds another artifact than the one that is listed",
            put(&listed(&retold())),
        )
        .says_at(id(8), "E_FORK")
        .invalid(WHOLE),
        {
            let mut window = Window::of(vec![story(7), begun()]);
            window.stories[1].statements[0].blind = [9; 32];
            window.put(id(8), &listed(&story(8)));
            case(
                122,
                "another-artifact-below-the-end",
                "The chain goes on, and holds another artifact where one is listed",
                window.whole(),
            )
            .says_at(id(8), "E_FORK")
            .invalid(LONGER)
        },
        case(
            123,
            "cut-off",
            "A bundle that is valid by itself ends before the artifact that is listed",
            put(&listed(&begun())),
        )
        .says_at(id(8), "E_TRUNCATED")
        .says_at(id(8), "N_PREFIX")
        .invalid(WHOLE),
        case(
            124,
            "cut-off-and-not-whole",
            "A bundle ends before the artifact that is listed, and says that it is complete",
            put(&claimed),
        )
        .says_at(id(8), "E_OPEN")
        .says_at(id(8), "E_TRUNCATED")
        .inconclusive(WHOLE),
        case(
            125,
            "listed-artifact-set-aside",
            "The artifact that is listed is there, and nobody who is trusted signed it",
            put(&set_aside()),
        )
        .says_at(id(8), "E_KEY_UNKNOWN")
        .says_at(id(8), "E_TRUNCATED")
        .inconclusive(WHOLE),
    ]
}

fn together() -> Vec<WindowCase> {
    let mut window = whole();
    window.put(id(8), &damaged());
    window.take(id(7));
    vec![
        WindowCase::of(
            130,
            "missing-and-damaged",
            &["X6", "X7"],
            "One bundle is missing and another damaged: the worse is the verdict",
            window.whole(),
        )
        .says_at(id(7), "E_COMPLETENESS_UNPROVED")
        .says_at(id(8), "E_CONTAINER")
        .invalid(WHOLE),
    ]
}
