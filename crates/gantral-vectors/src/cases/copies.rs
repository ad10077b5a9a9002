//! The bundle as files, and what it discloses.

use gantral_core::digest::CommitmentLabel;
use gantral_core::json::{Object, Value};
use gantral_evidence::container::Scope;
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::trust::{Require, Trust, TrustedKey};

use crate::case::{Case, FileMap, lean};
use crate::cast::*;
use crate::story::Story;
use crate::tales;

const WHOLE: &str = "030-whole-bundle";
const INPUT: &str = "050-input-of-the-artifact";

pub(super) fn all() -> Vec<Case> {
    let mut cases = listed();
    cases.extend(disclosed());
    cases.extend(inputs());
    cases
}

/// A bundle with everything in it, changed before it is listed.
fn whole(number: u16, slug: &'static str, about: &'static str, change: impl FnOnce(&mut FileMap)) -> Case {
    let story = Story::allowed();
    let mut files = story.files();
    change(&mut files);
    Case::from_files(number, slug, about, &story, Scope::Complete, files)
}

/// A lean bundle, changed after it was listed.
fn relisted(number: u16, slug: &'static str, about: &'static str, change: impl FnOnce(&mut FileMap)) -> Case {
    let mut case = Case::of(number, slug, about, &tales::ungated());
    change(&mut case.bundle);
    case
}

fn list(case: &mut FileMap, from: &str, to: &str) {
    let text = String::from_utf8(case["bundle.json"].clone()).unwrap();
    assert!(text.contains(from), "the list holds what is changed in it");
    case.insert("bundle.json".to_owned(), text.replacen(from, to, 1).into_bytes());
}

fn listed() -> Vec<Case> {
    let twin = "025-never-asked";
    let kept = &["N_UNGATED", "N_WITHHELD"];
    let broken = ["E_CONTAINER", "N_UNGATED", "N_WITHHELD"];
    let unlisted = |case: Case| Case { scope: None, ..case };
    let first = "artifacts/000000.dsse.json".to_owned();
    vec![
        whole(30, "whole-bundle", "Everything that belongs to an execution is there", |_| {}).valid(&[]),
        relisted(31, "file-that-is-not-listed", "A file is not listed", |files| {
            files.insert("human/stranger".to_owned(), b"hello".to_vec());
        })
        .invalid(&broken, twin),
        relisted(32, "file-that-is-missing", "A listed file is missing", |files| {
            list(files, "\"files\":[", "\"files\":[{\"length\":1,\"path\":\"a\",\"sha256\":\"");
            list(files, "\"sha256\":\"", &format!("\"sha256\":\"{}\"}},", "0".repeat(64)));
        })
        .invalid(&broken, twin),
        relisted(33, "file-that-differs", "A file is not what the list says", |files| {
            list(files, "\"length\":", "\"length\":1");
        })
        .invalid(&broken, twin),
        unlisted(relisted(34, "no-list", "There is no `bundle.json`", |files| {
            _ = files.remove("bundle.json")
        }))
        .invalid(&["E_CONTAINER"], twin),
        unlisted(relisted(35, "list-in-another-spelling", "The list is not canonical", |files| {
            list(files, "{", "{ ");
        }))
        .invalid(&["E_CONTAINER"], twin),
        unlisted(relisted(36, "list-with-another-member", "The list has a member too many", |files| {
            list(files, "\"scope\"", "\"scape\":1,\"scope\"");
        }))
        .invalid(&["E_CONTAINER"], twin),
        unlisted(relisted(37, "later-format", "The bundle has a format that is not known", |files| {
            list(files, "bundle/v1", "bundle/v2");
        }))
        .inconclusive(&["E_UNSUPPORTED"]),
        unlisted(relisted(38, "path-that-climbs", "The list names a path outside of the bundle", |files| {
            list(files, "artifacts/000000.dsse.json", "../facts/000000.dsse.json");
        }))
        .invalid(&["E_CONTAINER"], twin),
        relisted(39, "claims-a-prefix", "The list claims less than there is", |files| {
            list(files, "\"complete\"", "\"prefix\"");
        })
        .valid(kept),
        whole(
            40,
            "rules-of-another-name",
            "A file under `semantics/` is not what it is named after",
            |files| {
                files.insert(format!("semantics/{}.txt", tales::elsewhere()), b"other rules".to_vec());
            },
        )
        .invalid(&["E_CONTAINER"], WHOLE),
        whole(41, "artifact-that-is-no-envelope", "A file under `artifacts/` is no envelope", |files| {
            files.insert(first, b"{}".to_vec());
        })
        .invalid(&["E_CONTAINER"], WHOLE),
    ]
    .into_iter()
    .map(|case| match case.scope {
        Some(_) if case.number == 39 => Case { scope: Some(Scope::Prefix), ..case },
        _ => case,
    })
    .collect()
}

fn disclosure(label: CommitmentLabel) -> Disclosure {
    Story::allowed().disclosures.into_iter().find(|disclosure| disclosure.label == label).unwrap()
}

fn disclosed() -> Vec<Case> {
    let action = disclosure(CommitmentLabel::Action);
    let path = Disclosure::path(&action.commitment());
    let changed = Disclosure { plaintext: b"another action".to_vec(), ..action.clone() };
    let other_label = Disclosure { label: CommitmentLabel::Outcome, ..action };
    let put = |disclosure: &Disclosure| {
        let (path, content) = (path.clone(), disclosure.encode());
        move |files: &mut FileMap| _ = files.insert(path, content)
    };
    let snapshots = trust_with(Require { snapshots: true, ..Require::signed() });
    let strangers = Trust::new([TrustedKey::issuer(public(&stranger()))], None).unwrap();
    let without = |files: &mut FileMap| _ = files.remove(&path);
    vec![
        whole(42, "disclosure-of-something-else", "A disclosure is not what was committed to", put(&changed))
            .invalid(&["E_DISCLOSURE", "N_WITHHELD"], WHOLE),
        whole(43, "disclosure-under-another-label", "A disclosure has another label", put(&other_label))
            .invalid(&["E_DISCLOSURE", "N_WITHHELD"], WHOLE),
        whole(44, "disclosure-that-is-no-json", "A disclosure cannot be read", |files| {
            files.insert(path.clone(), b"nothing".to_vec());
        })
        .invalid(&["E_DISCLOSURE", "N_WITHHELD"], WHOLE),
        whole(45, "disclosure-of-nothing", "A disclosure opens no commitment of the chain", |files| {
            files.insert(Disclosure::path(&changed.commitment()), changed.encode());
        })
        .valid(&["N_UNAUTH"]),
        whole(46, "action-withheld", "One commitment is not opened", without).valid(&["N_WITHHELD"]),
        whole(47, "snapshots-withheld", "The trust file asks for what is withheld", without)
            .under(&snapshots)
            .inconclusive(&["E_REQUIRE", "N_WITHHELD"]),
        whole(48, "snapshots-there", "The trust file asks for snapshots, and they are there", |_| {})
            .under(&snapshots)
            .valid(&[]),
        whole(49, "bundle-with-its-own-trust", "The bundle brings a trust file that differs", |files| {
            files.insert("keys/trust.json".to_owned(), strangers.encode());
        })
        .valid(&["N_TRUST_HINT"]),
    ]
}

fn set(input: &mut Object, group: &str, member: &str, value: impl Into<Value>) {
    if let Some(Value::Object(mut object)) = input.remove(group) {
        object.insert(member, value);
        input.insert(group, object);
    }
}

fn inputs() -> Vec<Case> {
    let evaluated = |number, slug, about, change: fn(&mut Object)| {
        let story = tales::evaluated(change);
        let mut files = lean(&story);
        files.extend(story.files().into_iter().filter(|(path, _)| path.starts_with("disclosures/")));
        Case::from_files(number, slug, about, &story, Scope::Prefix, files)
    };
    let other = |number, slug, about, change| {
        evaluated(number, slug, about, change).invalid(&["E_INPUT_BINDING", "N_PREFIX"], INPUT)
    };
    vec![
        evaluated(50, "input-of-the-artifact", "What policy evaluated is what the artifact is about", |_| {})
            .valid(&["N_PREFIX"]),
        other(51, "input-of-another-instance", "Policy evaluated another instance", |input| {
            set(input, "instance", "instance_id", "00000000-0000-4000-8000-000000000000");
        }),
        other(52, "input-of-another-workflow", "Policy evaluated another workflow", |input| {
            set(input, "instance", "workflow_id", "payouts");
        }),
        other(53, "input-of-another-version", "Policy evaluated another version of the workflow", |input| {
            set(input, "instance", "workflow_version", "4");
        }),
        other(54, "input-of-another-materiality", "Policy evaluated another materiality", |input| {
            set(input, "instance", "materiality", "LOW");
        }),
        other(55, "input-for-another-policy", "The input names another policy version", |input| {
            set(input, "policy", "policy_version_id", "00");
        }),
        other(56, "input-of-another-actor", "Policy evaluated another actor", |input| {
            set(input, "identity", "actor_id", "somebody");
        }),
        other(57, "input-of-another-target", "Policy evaluated another target", |input| {
            set(input, "action", "target", "payments/customer-8");
        }),
        other(58, "input-with-another-parameter", "Policy evaluated another amount", |input| {
            set(input, "action", "parameters", Object::new().with("amount", 2_u32));
        }),
    ]
}
