//! The form of what is signed.

use gantral_core::state::EventKind;
use gantral_evidence::dsse::Envelope;

use crate::case::{Case, FileMap, lean};
use crate::cast::*;
use crate::story::Story;
use crate::tales;

const TWIN: &str = "025-never-asked";

/// Signs the payload of one artifact anew after its text was changed.
fn respelled(files: &mut FileMap, sequence: usize, change: impl FnOnce(String) -> Vec<u8>) {
    let path = artifact(sequence);
    let payload = String::from_utf8(Envelope::parse(&files[&path]).unwrap().payload).unwrap();
    files.insert(path, envelope(change(payload), &issuer()));
}

fn replaced(from: &'static str, to: &'static str) -> impl FnOnce(String) -> Vec<u8> {
    move |payload| {
        assert!(payload.contains(from), "the payload holds what is changed in it");
        payload.replacen(from, to, 1).into_bytes()
    }
}

/// The last artifact of an execution that never asks, said otherwise.
fn last(number: u16, slug: &'static str, about: &'static str, from: &'static str, to: &'static str) -> Case {
    let story = tales::ungated();
    let mut files = lean(&story);
    respelled(&mut files, story.statements.len() - 1, replaced(from, to));
    Case::from_files(number, slug, about, &story, story.scope(), files)
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = spellings();
    cases.extend(members());
    cases.extend(versions());
    cases.extend(identifiers());
    cases
}

/// Number, folder, what is wrong, the text, what it becomes, and the code.
type Respelling = (u16, &'static str, &'static str, &'static str, &'static str, &'static str);

const SPELLINGS: &[Respelling] = &[
    (100, "space-between", "White space between members", "\"crit\":[]", "\"crit\": []", "E_NONCANONICAL"),
    (
        101,
        "member-twice",
        "A member stands twice",
        "\"crit\":[]",
        "\"crit\":[],\"crit\":[]",
        "E_NONCANONICAL",
    ),
    (102, "fraction", "A number with a fraction", "\"attempt\":1", "\"attempt\":1.0", "E_NONCANONICAL"),
    (103, "exponent", "A number with an exponent", "\"attempt\":1", "\"attempt\":1e0", "E_NONCANONICAL"),
    (104, "minus-zero", "The number -0", "\"attempt\":1", "\"attempt\":-0", "E_NONCANONICAL"),
    (
        105,
        "beyond-2-53",
        "An integer past 2^53 - 1",
        "\"attempt\":1",
        "\"attempt\":9007199254740992",
        "E_NONCANONICAL",
    ),
    (106, "needless-escape", "A letter that is escaped", "\"event\"", "\"\\u0065vent\"", "E_NONCANONICAL"),
    (107, "half-a-pair", "Half of a surrogate pair", "\"runner-1\"", "\"\\ud800\"", "E_NONCANONICAL"),
    (
        108,
        "out-of-order",
        "Members out of order",
        "\"crit\":[],\"detail\"",
        "\"detail\":1,\"crit\"",
        "E_NONCANONICAL",
    ),
    (
        109,
        "another-script",
        "A Cyrillic letter in an identifier",
        "\"runner-1\"",
        "\"runnеr-1\"",
        "E_UNICODE",
    ),
    (
        110,
        "direction",
        "A mark that reverses the direction",
        "\"runner-1\"",
        "\"runner\u{202e}-1\"",
        "E_UNICODE",
    ),
    (111, "invisible", "A letter that cannot be seen", "\"runner-1\"", "\"runner\u{200b}-1\"", "E_UNICODE"),
    (112, "decomposed", "A text that is not in NFC", "\"runner-1\"", "\"runne\u{301}r-1\"", "E_UNICODE"),
    (
        118,
        "text-outside-ascii-for-a-number",
        "A text outside ASCII where a number must be",
        "\"attempt\":1",
        "\"attempt\":\"\u{e9}\"",
        "E_UNICODE",
    ),
    (
        119,
        "text-outside-ascii-for-an-object",
        "A text outside ASCII where an object must be",
        "\"anchor\":null",
        "\"anchor\":\"\u{e9}\"",
        "E_SCHEMA",
    ),
];

fn rows(rows: &[Respelling]) -> Vec<Case> {
    let said =
        |row: &Respelling| last(row.0, row.1, row.2, row.3, row.4).invalid(&[row.5, "N_WITHHELD"], TWIN);
    rows.iter().map(said).collect()
}

fn spellings() -> Vec<Case> {
    let mut cases = rows(SPELLINGS);
    let whole = |number, slug, about, change: fn(String) -> Vec<u8>| {
        let story = tales::ungated();
        let mut files = lean(&story);
        respelled(&mut files, story.statements.len() - 1, change);
        Case::from_files(number, slug, about, &story, story.scope(), files)
    };
    let marked = |payload: String| format!("\u{feff}{payload}").into_bytes();
    cases.push(
        whole(113, "byte-order-mark", "A byte order mark", marked)
            .invalid(&["E_NONCANONICAL", "N_WITHHELD"], TWIN),
    );
    let trailing = |payload: String| format!("{payload}\n").into_bytes();
    cases.push(
        whole(114, "trailing-byte", "A newline follows", trailing)
            .invalid(&["E_NONCANONICAL", "N_WITHHELD"], TWIN),
    );
    let not_utf8 = |payload: String| [payload.as_bytes(), &[0xff]].concat();
    cases.push(
        whole(115, "not-utf-8", "The payload is not UTF-8", not_utf8)
            .invalid(&["E_NONCANONICAL", "N_WITHHELD"], TWIN),
    );
    let deep = |payload: String| {
        payload.replace("\"ext\":{}", &format!("\"ext\":{}{}", "[".repeat(20), "]".repeat(20))).into_bytes()
    };
    cases.push(
        whole(116, "nested-too-deep", "Nested deeper than a verifier reads", deep)
            .inconclusive(&["E_LIMIT", "N_WITHHELD"]),
    );
    let large = |_: String| vec![b' '; (64 << 10) + 1];
    cases.push(
        whole(117, "payload-over-its-limit", "A payload larger than a verifier reads", large)
            .inconclusive(&["E_LIMIT", "N_WITHHELD"]),
    );
    cases
}

const MEMBERS: &[Respelling] = &[
    (120, "member-missing", "A member is missing", "\"anchor\":null,", "", "E_SCHEMA"),
    (121, "member-of-another-type", "A member of another type", "\"crit\":[]", "\"crit\":{}", "E_SCHEMA"),
    (
        122,
        "member-unknown",
        "A member that does not exist",
        "\"ext\":{}",
        "\"ext\":{},\"extra\":1",
        "E_SCHEMA",
    ),
    (
        123,
        "word-unknown",
        "A word that does not exist",
        "\"mode\":\"ENFORCE\"",
        "\"mode\":\"enforce\"",
        "E_SCHEMA",
    ),
    (
        124,
        "tag-of-another-tenant",
        "The tag is that of another tenant",
        "\"tenant_id\":\"acme\"",
        "\"tenant_id\":\"acne\"",
        "E_SCHEMA",
    ),
    (
        125,
        "day-that-does-not-exist",
        "A day that no calendar has",
        "\"issued_at\":\"2026-03-01",
        "\"issued_at\":\"2026-02-30",
        "E_SCHEMA",
    ),
    (
        126,
        "value-that-must-not-be",
        "A value that the matrix does not have",
        "\"cause\":null",
        "\"cause\":\"failed\"",
        "E_MATRIX",
    ),
];

fn members() -> Vec<Case> {
    let mut cases = rows(MEMBERS);
    let story = Story::allowed();
    let mut files = lean(&story);
    respelled(&mut files, story.position(EventKind::Allowed), |payload| {
        let (head, rest) = payload.split_once("\"policy\":{").unwrap();
        let (_, tail) = rest.split_once('}').unwrap();
        format!("{head}\"policy\":null{tail}").into_bytes()
    });
    cases.push(
        Case::from_files(
            127,
            "no-policy",
            "A decision of the engine without a record of the policy",
            &story,
            story.scope(),
            files,
        )
        .invalid(&["E_NO_POLICY", "N_WITHHELD"], "001-allowed"),
    );
    cases.extend(rejections());
    cases.extend(addresses());
    cases
}

/// The number of rejections is written where it is more than one, and up to its limit.
fn rejections() -> Vec<Case> {
    let said = |number, slug, about, member: &'static str| {
        let story = tales::rejected_by_two();
        let mut files = lean(&story);
        respelled(&mut files, story.position(EventKind::HumanRequired), |payload| {
            payload.replace("\"rejections\":2", member).into_bytes()
        });
        Case::from_files(number, slug, about, &story, story.scope(), files)
            .invalid(&["E_SCHEMA", "N_WITHHELD"], "550-rejected-by-two")
    };
    vec![
        said(
            128,
            "one-rejection-written",
            "One rejection is written, where its absence says so",
            "\"rejections\":1",
        ),
        said(129, "too-many-rejections", "More rejections than a rule may need", "\"rejections\":17"),
    ]
}

/// Where captured evidence is kept says scheme, host and path, and nothing by which credentials travel.
fn addresses() -> Vec<Case> {
    let kept = |number, slug, about, from: &'static str, to: &'static str| {
        let story = tales::captured();
        let mut files = lean(&story);
        respelled(&mut files, story.position(EventKind::Outcome), replaced(from, to));
        Case::from_files(number, slug, about, &story, story.scope(), files)
            .invalid(&["E_SCHEMA", "N_WITHHELD"], "029-captured")
    };
    const URL: &str = "\"url\":\"https://evidence.example.com:8443/calls/17%20b/@answer,url=1\"";
    vec![
        kept(
            140,
            "address-with-a-user",
            "An address names a user and a password",
            "https://e",
            "https://me:pass@e",
        ),
        kept(141, "address-with-a-query", "An address has a query", "@answer,url=1", "@answer?url=1"),
        kept(142, "address-without-a-scheme", "An address has no scheme", "https://e", "e"),
        kept(143, "address-spelled-badly", "A percent sign that encodes nothing", "17%20b", "17%2gb"),
        kept(144, "address-of-a-bad-port", "A port that is no number", ":8443/", ":84x3/"),
        kept(
            145,
            "no-address-written",
            "No address is written, where its absence says so",
            URL,
            "\"url\":null",
        ),
        kept(
            146,
            "reference-with-more",
            "A reference to evidence has a member that does not exist",
            URL,
            "\"uri\":\"https://h/\"",
        ),
    ]
}

/// Instances and gates are named by an instant or at random, grants at random only.
fn identifiers() -> Vec<Case> {
    let story = tales::dated;
    let versioned =
        |number, slug, about, kind, object: &'static str, member: &'static str, version: &'static str| {
            let story = story();
            let mut files = lean(&story);
            respelled(&mut files, story.position(kind), |mut payload| {
                let object = payload.find(object).unwrap();
                let id = object + payload[object..].find(member).unwrap() + member.len();
                let at = id + "01234567-89ab-".len();
                payload.replace_range(at..=at, version);
                payload.into_bytes()
            });
            Case::from_files(number, slug, about, &story, story.scope(), files)
                .invalid(&["E_SCHEMA", "N_WITHHELD"], "147-named-by-instants")
        };
    let (asked, approved) = (EventKind::HumanRequired, EventKind::Approved);
    vec![
        Case::of(147, "named-by-instants", "The instance and its gate are named by instants", &story())
            .valid(&["N_WITHHELD"]),
        versioned(
            148,
            "instance-of-another-version",
            "The instance has a name of a version that is not used here",
            asked,
            "\"predicate\":{",
            "\"instance_id\":\"",
            "1",
        ),
        versioned(
            149,
            "gate-of-another-version",
            "The gate has a name of a version that is not used here",
            asked,
            "\"gate\":{",
            "\"id\":\"",
            "1",
        ),
        versioned(
            150,
            "grant-named-by-an-instant",
            "A grant is named by an instant",
            approved,
            "\"grant\":{",
            "\"id\":\"",
            "7",
        ),
    ]
}

fn versions() -> Vec<Case> {
    let later = |number, slug, from, to| {
        last(number, slug, "Made in a version that is not known", from, to)
            .inconclusive(&["E_UNSUPPORTED", "N_WITHHELD"])
    };
    let mut rules = tales::ungated();
    rules.statements.iter_mut().for_each(|statement| statement.semantics = tales::elsewhere());
    rules.relink();
    vec![
        later(130, "later-version", "\"artifact_version\":\"1.0\"", "\"artifact_version\":\"2.0\""),
        later(131, "later-statement", "Statement/v1", "Statement/v2"),
        later(132, "later-predicate", "commitment/v1", "commitment/v2"),
        last(
            133,
            "later-version-with-a-fraction",
            "A later version need not keep the profile of this one",
            "\"artifact_version\":\"1.0\",\"attempt\":1",
            "\"artifact_version\":\"2.0\",\"attempt\":1.5",
        )
        .inconclusive(&["E_UNSUPPORTED", "N_WITHHELD"]),
        Case::of(134, "later-rules", "Made by rules that are not known", &rules)
            .inconclusive(&["E_UNSUPPORTED", "N_WITHHELD"]),
        last(
            135,
            "critical-extension",
            "An extension that must be understood",
            "\"crit\":[]",
            "\"crit\":[\"x\"]",
        )
        .inconclusive(&["E_CRIT", "N_WITHHELD"]),
        last(136, "extension", "An extension that may be ignored", "\"ext\":{}", "\"ext\":{\"x\":1}")
            .valid(&["N_EXT", "N_UNGATED", "N_WITHHELD"]),
    ]
}
