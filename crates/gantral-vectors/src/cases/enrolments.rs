//! Enrolments of authenticators: by whom, of whom, and since when.

use ed25519_dalek::SigningKey;
use gantral_core::digest::Digest;
use gantral_core::event::Event;
use gantral_core::ids::TenantId;
use gantral_core::state::{EventKind, HumanEvidence};
use gantral_core::time::UnixMillis;
use gantral_evidence::container::Scope;
use gantral_evidence::governance::Detail;
use gantral_evidence::human::{Enrolment, RelyingPartyId};
use gantral_evidence::trust::{Require, Trust, TrustedKey};

use super::guards::and;
use super::passkeys::{Scene, TWIN, approved, bound, scene};
use crate::authenticator::*;
use crate::case::{Case, FileMap};
use crate::cast::*;
use crate::governance::{Governance, defined};
use crate::log::{Log, Logged, trusted_log};
use crate::story::{Story, ballot_mut};

const LOGGED: &str = "623-passkey-in-the-log";

pub(super) fn all() -> Vec<Case> {
    let mut cases = signers();
    cases.extend(others());
    cases.extend(records());
    cases.extend(logged());
    cases.extend(limits());
    cases.extend(floors());
    cases
}

/// The scene in which the enrolment is another one than the directory made, and another key signed it.
fn enrolled(change: impl Fn(&mut Enrolment), key: &SigningKey) -> Scene {
    let enrolment = || {
        let mut enrolment = Authenticator::device_bound(1).enrolment(person(1));
        change(&mut enrolment);
        enrolment
    };
    let mut story = approved();
    let mut files = answered(
        &mut story,
        |_| enrolment(),
        |enrolment, decision| Authenticator::device_bound(1).answer(enrolment.digest(), decision),
    );
    files.insert(Enrolment::path(&enrolment().digest()), enrolled_by(&enrolment(), key));
    let governance = Governance::begin().then(recorded(&enrolment()));
    Scene { story, files, governance, trust: believing(&trust()) }
}

/// The only enrolment of a scene of person 1.
fn entry() -> Enrolment {
    Authenticator::device_bound(1).enrolment(person(1))
}

/// Whose signature stands below the enrolment.
fn signers() -> Vec<Case> {
    let by = |key: &SigningKey| enrolled(|_| (), key);
    let mut forged = by(&stranger());
    let name = public(&directory()).id();
    let envelope = entry().signed(&name, &[7; 64]);
    forged.files.insert(Enrolment::path(&entry().digest()), envelope);
    let elsewhere =
        TrustedKey { tenants: Some(vec![TenantId::parse("other").unwrap()]), ..trusted_directory() };
    let pinned = |directory: TrustedKey| {
        let keys = [TrustedKey::issuer(public(&issuer())), directory];
        Trust::new(keys, Some(Require::signed())).unwrap().with_relying_party(relying_party())
    };
    let two = Trust::new(
        [
            TrustedKey::issuer(public(&issuer())),
            trusted_directory(),
            TrustedKey { key: public(&stranger()), ..elsewhere.clone() },
        ],
        Some(Require::signed()),
    );
    vec![
        by(&stranger())
            .case(
                680,
                "enrolled-by-a-stranger",
                "A thief of the issuer's key enrols an authenticator of their own",
            )
            .invalid(&and(["E_DIRECTORY"]), TWIN),
        by(&issuer())
            .case(681, "enrolled-by-the-issuer", "The key of the issuer signed the enrolment")
            .invalid(&and(["E_KEY_ROLE"]), TWIN),
        forged
            .case(682, "enrolment-forged", "The signature of the directory does not verify")
            .invalid(&and(["E_DIRECTORY"]), TWIN),
        by(&directory())
            .under(pinned(elsewhere))
            .case(683, "directory-of-another-tenant", "The directory that is pinned is another tenant's")
            .inconclusive(&and(["E_DIRECTORY"])),
        by(&stranger())
            .under(two.unwrap().with_relying_party(relying_party()))
            .case(684, "enrolled-by-another-directory", "The directory of another tenant signed")
            .invalid(&and(["E_KEY_ROLE"]), TWIN),
    ]
}

/// Enrolments of somebody or something else.
fn others() -> Vec<Case> {
    let case = |number, slug, about, code, change: fn(&mut Enrolment)| {
        enrolled(change, &directory()).case(number, slug, about).invalid(&and([code]), TWIN)
    };
    let file = |number, slug, about, content: Vec<u8>| {
        let mut scene = scene(|_, _| ());
        scene.files.insert(Enrolment::path(&entry().digest()), content);
        scene.case(number, slug, about)
    };
    let mut away = scene(|_, _| ());
    away.files.remove(&Enrolment::path(&entry().digest()));
    let mut unnamed = scene(|_, _| ());
    unnamed.story = unnamed.story.retell(EventKind::Approved, |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().directory_entry = None;
    });
    vec![
        case(
            685,
            "enrolment-of-another-person",
            "The authenticator is another person's",
            "E_DIRECTORY",
            |enrolment| {
                enrolment.person = person(2);
            },
        ),
        case(
            686,
            "enrolment-of-another-tenant",
            "The enrolment is one of another tenant",
            "E_DIRECTORY",
            |enrolment| {
                enrolment.tenant = TenantId::parse("other").unwrap();
            },
        ),
        case(
            687,
            "enrolment-for-another-party",
            "The key signs for another relying party",
            "E_WEBAUTHN",
            |enrolment| {
                enrolment.relying_party = RelyingPartyId::parse("example").unwrap();
            },
        ),
        case(688, "enrolment-with-another-key", "The enrolment has another key", "E_WEBAUTHN", |enrolment| {
            enrolment.key = Authenticator::device_bound(2).key();
        }),
        file(689, "enrolment-of-something", "The enrolment is not the one that the decision names", {
            enrolled_by(&Authenticator::device_bound(2).enrolment(person(1)), &directory())
        })
        .invalid(&and(["E_CONTAINER"]), TWIN),
        file(690, "enrolment-that-is-none", "The file is no envelope", b"{}".to_vec())
            .invalid(&and(["E_CONTAINER"]), TWIN),
        away.case(691, "enrolment-away", "The enrolment is not there").inconclusive(&and(["E_DIRECTORY"])),
        unnamed
            .case(692, "enrolment-unnamed", "The decision names no enrolment")
            .inconclusive(&and(["E_DIRECTORY"])),
    ]
}

/// What the governance chain says, without a log.
fn records() -> Vec<Case> {
    let (enrolled, revoked) = (recorded(&entry()), Detail::EnrolmentRevoked { entry: entry().digest() });
    let told = |governance: Governance| Scene { governance, ..scene(|_, _| ()) };
    let at = |kind| {
        let story = approved();
        story.statements[story.position(kind)].entry.at.get()
    };
    let (opened, decided) = (at(EventKind::HumanRequired), at(EventKind::Approved));
    let later = |governance: Governance, from: usize, at: u64| {
        governance.retell(from, |statement| statement.at = UnixMillis::new(at).unwrap())
    };
    let whole = || Governance::begin().then(enrolled.clone());
    let ended = || whole().then(revoked.clone());
    let of_another = Detail::Enrolled { person: person(2), entry: entry().digest() };
    let case = |number, slug, about, governance| told(governance).case(number, slug, about);
    vec![
        case(693, "enrolment-unrecorded", "The governance chain does not record the enrolment", {
            Governance::begin()
        })
        .inconclusive(&and(["E_DIRECTORY"])),
        case(694, "enrolment-recorded-for-another", "It is recorded as another person's", {
            Governance::begin().then(of_another)
        })
        .inconclusive(&and(["E_DIRECTORY"])),
        case(695, "enrolled-when-the-gate-was-open", "It is recorded after the gate opened", {
            later(whole(), 1, opened + 1)
        })
        .invalid(&and(["E_DIRECTORY"]), "696-enrolled-when-the-gate-opened"),
        case(696, "enrolled-when-the-gate-opened", "It is recorded when the gate opened", {
            later(whole(), 1, opened)
        })
        .valid(&and([])),
        case(697, "enrolment-revoked-before", "It was revoked before the decision", ended())
            .invalid(&and(["E_DIRECTORY"]), "698-enrolment-revoked-later"),
        case(698, "enrolment-revoked-later", "It was revoked after the decision", later(ended(), 2, decided))
            .valid(&and([])),
        case(699, "enrolment-renewed", "It was revoked, and recorded again", ended().then(enrolled.clone()))
            .valid(&and([])),
    ]
}

/// A scene in the log: the governance chain before the story, or behind it.
struct LoggedScene {
    scene: Scene,
    told: Logged,
    records: Vec<u64>,
}

impl LoggedScene {
    /// The governance chain of these scenes holds the enrolment and nothing else, so that everything in the bundle counts.
    fn of(mut scene: Scene, is_first: bool) -> Self {
        scene.governance = Governance::default().then(recorded(&entry()));
        let mut log = Log::default();
        _ = log.add_stranger();
        let story = std::mem::replace(&mut scene.story, crate::tales::ungated());
        let (told, records) = if is_first {
            let records = scene.governance.log(&mut log);
            (Logged::as_told(log, story), records)
        } else {
            let told = Logged::as_told(log, story);
            let (mut log, places) = (told.log, told.places);
            let records = scene.governance.log(&mut log);
            (Logged::sealed(log, told.story, places), records)
        };
        Self { scene, told, records }
    }

    /// Returns the bundle with every proof.
    fn files(&self) -> FileMap {
        let mut files = self.told.files();
        files.retain(|path, _| path.starts_with("artifacts/") || path.starts_with("proofs/"));
        files.extend(self.scene.files.clone());
        files.extend(self.scene.governance.files());
        files.extend(self.scene.governance.proofs(&self.told, &self.records));
        files
    }

    fn case(&self, number: u16, slug: &'static str, about: &'static str, files: FileMap) -> Case {
        Case::from_files(number, slug, about, &self.told.story, Scope::Prefix, files)
            .under(&self.scene.trust.clone().with_log(trusted_log(2, 2)).unwrap())
    }
}

fn logged() -> Vec<Case> {
    let asks = believing(&trust_with(Require { logged: true, ..bound() }));
    let first = LoggedScene::of(scene(|_, _| ()).under(asks), true);
    let behind = LoggedScene::of(scene(|_, _| ()), false);
    let quiet = LoggedScene::of(scene(|_, _| ()), true);
    let without = |prefix: &str| {
        let mut files = quiet.files();
        files.retain(|path, _| !path.starts_with(prefix));
        files
    };
    vec![
        first
            .case(
                623,
                "passkey-in-the-log",
                "The enrolment was in the log before the gate opened",
                first.files(),
            )
            .valid(&and([])),
        behind
            .case(
                660,
                "enrolled-behind-the-gate",
                "The enrolment is in the log behind the gate",
                behind.files(),
            )
            .invalid(&and(["E_DIRECTORY"]), LOGGED),
        quiet
            .case(661, "enrolment-without-a-place", "Nothing shows where in the log the enrolment is", {
                without("governance/proofs/")
            })
            .inconclusive(&and(["E_DIRECTORY"])),
        quiet
            .case(662, "gate-without-a-place", "Nothing shows where in the log the gate opened", {
                without("proofs/")
            })
            .inconclusive(&and(["E_DIRECTORY"])),
    ]
}

/// Keys of the directory that are good in a part of the log.
fn limits() -> Vec<Case> {
    let limited = |change: fn(&mut TrustedKey)| {
        let mut directory = trusted_directory();
        change(&mut directory);
        let keys = [TrustedKey::issuer(public(&issuer())), directory];
        let trust = Trust::new(keys, Some(Require::signed())).unwrap();
        LoggedScene::of(scene(|_, _| ()).under(trust.with_relying_party(relying_party())), true)
    };
    let case = |number, slug, about, change| {
        let scene = limited(change);
        let files = scene.files();
        scene.case(number, slug, about, files)
    };
    // The chain begins behind one stranger, so the enrolment stands at 1.
    vec![
        case(663, "directory-key-of-the-time", "The key of the directory was good there", |key| {
            (key.valid_from, key.valid_until) = (Some(1), Some(2));
        })
        .valid(&and(["N_KEY_EXPIRED_LATER"])),
        case(664, "directory-key-of-later", "The key of the directory was not good yet", |key| {
            key.valid_from = Some(2);
        })
        .invalid(&and(["E_KEY_WINDOW"]), "663-directory-key-of-the-time"),
        case(665, "directory-key-compromised", "The key of the directory was compromised before", |key| {
            key.compromised_from = Some(1);
        })
        .inconclusive(&and(["E_KEY_COMPROMISED"])),
        case(
            666,
            "directory-key-compromised-later",
            "The key of the directory was compromised later",
            |key| {
                key.compromised_from = Some(2);
            },
        )
        .valid(&and(["N_KEY_COMPROMISED"])),
        limited(|key| key.valid_until = Some(2)).scene_without_log(),
    ]
}

impl LoggedScene {
    /// Returns the bundle without proofs, under a trust file without a log.
    fn scene_without_log(self) -> Case {
        Scene { story: self.told.story, ..self.scene }
            .case(
                667,
                "directory-key-without-a-log",
                "The key of the directory has a window, and there is no log",
            )
            .inconclusive(&and(["E_UNLOGGED"]))
    }
}

/// Makes every gate of a story take the server's word, and every decision rest on it.
pub(super) fn weaken(story: &mut Story) {
    for statement in &mut story.statements {
        match &mut statement.entry.event {
            Event::HumanRequired(detail) => detail.rule.required_evidence = HumanEvidence::Operator,
            event => {
                if let Some(ballot) = ballot_mut(event) {
                    ballot.evidence = HumanEvidence::Operator;
                    (ballot.evidence_digest, ballot.directory_entry) = (None, None);
                    ballot.display = Digest::of(b"display");
                }
            }
        }
    }
    story.relink();
}

/// Workflows whose definition asks for passkeys.
fn floors() -> Vec<Case> {
    let definition = r#"{"floors":{"required_evidence":"webauthn"}}"#;
    let beside = |scene: Scene| {
        let (mut story, path) = defined(scene.story, definition);
        let mut files = answered(&mut story, |person| Authenticator::device_bound(1).enrolment(person), {
            |enrolment, decision| Authenticator::device_bound(1).answer(enrolment.digest(), decision)
        });
        files.extend(scene.files.into_iter().filter(|(path, _)| path.starts_with("directory/")));
        files.insert(path, definition.as_bytes().to_vec());
        Scene { story, files, ..scene }
    };
    let mut weak = beside(scene(|_, _| ()));
    weaken(&mut weak.story);
    weak.files.retain(|path, _| path.starts_with("workflow/"));
    vec![
        beside(scene(|_, _| ()))
            .case(
                668,
                "passkey-by-definition",
                "The definition of the workflow asks for passkeys, and so does the gate",
            )
            .valid(&and([])),
        weak.case(
            669,
            "passkey-dropped-at-the-gate",
            "A thief of the issuer's key opens a gate that asks for less than the definition",
        )
        .invalid(&and(["E_HUMAN_EVIDENCE"]), "668-passkey-by-definition"),
    ]
}
