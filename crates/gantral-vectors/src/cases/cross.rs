//! Bundles that are valid one by one and conflict together.

use gantral_core::state::EventKind;
use gantral_evidence::container::Scope;

use crate::case::{Case, FileMap, lean};
use crate::cast::artifact;
use crate::story::Story;
use crate::tales;

/// Two bundles, and what is said of one that holds the artifacts of both.
pub struct Cross {
    /// What orders the folders.
    pub number: u16,
    /// What it is, in a few words.
    pub slug: &'static str,
    /// Why they conflict.
    pub about: &'static str,
    /// Each by itself, and both.
    pub cases: [(&'static str, Case); 3],
}

impl Cross {
    /// Returns every file of the folder, one folder inside of it for each bundle.
    pub fn files(&self) -> FileMap {
        let mut files = FileMap::new();
        for (name, case) in &self.cases {
            let kept = case.files().into_iter().filter(|(path, _)| path != "README.md");
            files.extend(kept.map(|(path, content)| (format!("{name}/{path}"), content)));
        }
        let readme = format!(
            "# {}\n\n{}. `a` and `b` are `VALID`, each by itself; `together` holds the artifacts of both.\n",
            self.name(),
            self.about
        );
        files.insert("README.md".to_owned(), readme.into_bytes());
        files
    }

    /// Returns the name of the folder.
    pub fn name(&self) -> String {
        format!("{:03}-{}", self.number, self.slug)
    }
}

/// Returns every pair.
pub fn all() -> Vec<Cross> {
    let refused = || {
        let mut story = tales::rejected();
        story.statements.truncate(story.position(EventKind::Rejected) + 2);
        story
    };
    vec![
        pair(
            1,
            "approved-and-refused",
            "One gate is approved in one copy and refused in the other",
            &tales::approved(),
            &refused(),
        ),
        pair(
            2,
            "done-and-cancelled",
            "An execution goes on in one copy and was cancelled in the other",
            &tales::approved(),
            &tales::cancelled_after_approval(),
        ),
        pair(3, "two-beginnings", "One execution begins twice", &tales::ungated(), &{
            tales::ungated().retell(EventKind::Created, |statement| statement.blind = [9; 32])
        }),
    ]
}

fn pair(number: u16, slug: &'static str, about: &'static str, a: &Story, b: &Story) -> Cross {
    let mut both = lean(a);
    for (sequence, statement) in b.statements.iter().enumerate() {
        if a.statements.get(sequence) != Some(statement) {
            let content = lean(b).remove(&artifact(sequence)).unwrap_or_default();
            both.insert(format!("artifacts/b{sequence:06}.dsse.json"), content);
        }
    }
    let ungated = a.position_of(EventKind::HumanRequired).is_none();
    let notes: &[&str] = if ungated { &["N_UNGATED", "N_WITHHELD"] } else { &["N_WITHHELD"] };
    let together = Case::from_files(0, "together", about, a, Scope::Complete, both);
    Cross {
        number,
        slug,
        about,
        cases: [
            ("a", Case::of(0, "a", about, a).valid(notes)),
            ("b", Case::of(0, "b", about, b).valid(notes)),
            ("together", Case { twin: None, ..together.invalid(&["E_CHAIN", "E_FORK", "N_WITHHELD"], "") }),
        ],
    }
}
