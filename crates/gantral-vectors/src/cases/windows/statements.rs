//! What a statement says, and what none says.

use gantral_core::digest::Digest;
use gantral_core::ids::{TeamId, WorkflowId};
use gantral_core::state::State;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::window::{STATEMENT_PATH, WindowFilter};

use super::{EMPTY, WHOLE, changed, empty, story, whole};
use crate::case::FileMap;
use crate::cast::{envelope, issuer, sign};
use crate::window::{DAY_MS, Window, WindowCase, instant};

pub(super) fn all() -> Vec<WindowCase> {
    let mut cases = lawful();
    cases.extend(envelopes());
    cases.extend(payloads());
    cases.extend(members());
    cases
}

fn saying(change: impl FnOnce(&mut Window)) -> FileMap {
    let mut window = whole();
    change(&mut window);
    window.whole()
}

fn lawful() -> Vec<WindowCase> {
    vec![
        WindowCase::of(
            20,
            "said-at-once",
            &["X4"],
            "The statement was made at the first instant after the window",
            saying(|window| {
                window.said.to = window.said.at;
            }),
        ),
        WindowCase::of(
            21,
            "filtered",
            &["X3", "X8"],
            "A filter that the executions do not show to fit, which is the issuer's word",
            saying(|window| {
                window.said.filter = WindowFilter {
                    state: Some(State::Running),
                    team: Some(TeamId::parse("payments").unwrap()),
                    workflow: Some(WorkflowId::parse("payouts").unwrap()),
                };
            }),
        ),
        WindowCase::of(
            22,
            "anchored",
            &["X3"],
            "The statement names a checkpoint",
            saying(|window| {
                window.said.anchor = Some(TreeHead { size: 10, root: Digest::of(b"root") });
            }),
        ),
        WindowCase::of(
            23,
            "extension-that-may-be-ignored",
            &["X3", "X9"],
            "The statement has an extension that may be ignored",
            whole().retold(r#""ext":{}"#, r#""ext":{"more":1}"#),
        )
        .says("N_EXT"),
    ]
}

fn envelopes() -> Vec<WindowCase> {
    let put = |number, slug, about, statement: Vec<u8>| {
        let files = changed(&empty(), |files| _ = files.insert(STATEMENT_PATH.to_owned(), statement));
        WindowCase::of(number, slug, &["X3", "X5"], about, files)
    };
    let sealed = || Envelope::parse(&empty().whole()[STATEMENT_PATH]).unwrap();
    let many = || {
        let mut envelope = sealed();
        let signature = envelope.signatures[0].clone();
        envelope.signatures.extend(std::iter::repeat_n(signature, 8));
        envelope.encode()
    };
    let text = String::from_utf8(sealed().encode()).unwrap();
    vec![
        put(30, "no-envelope", "The statement is no envelope", b"{}".to_vec())
            .says("E_CONTAINER")
            .invalid(EMPTY),
        put(
            31,
            "another-payload-type",
            "The envelope is one of something else",
            text.replacen("vnd.in-toto+json", "vnd.gantral.delegation+json", 1).into_bytes(),
        )
        .says("E_UNSUPPORTED")
        .inconclusive(EMPTY),
        put(32, "nine-signatures", "The envelope has more signatures than one may have", many())
            .says("E_LIMIT")
            .inconclusive(EMPTY),
        put(
            33,
            "artifact-for-a-statement",
            "An artifact of the issuer stands where the statement should",
            sign(&story(7).statements[0], &issuer()).envelope,
        )
        .says("E_UNSUPPORTED")
        .inconclusive(EMPTY),
        put(
            34,
            "nested-too-deep",
            "The envelope is JSON with arrays inside one another beyond every limit",
            text.replacen(
                r#""payload":"#,
                &format!(r#""more":{}{},"payload":"#, "[".repeat(100), "]".repeat(100)),
                1,
            )
            .into_bytes(),
        )
        .says("E_LIMIT")
        .inconclusive(EMPTY),
    ]
}

fn payloads() -> Vec<WindowCase> {
    let retold = |number, slug, about, from, to| {
        WindowCase::of(number, slug, &["X3", "X5"], about, empty().retold(from, to))
    };
    let unreadable = changed(&empty(), |files| {
        _ = files.insert(STATEMENT_PATH.to_owned(), envelope(b"no JSON".to_vec(), &issuer()));
    });
    vec![
        retold(40, "later-version", "The statement has a later version", r#""1.0""#, r#""1.1""#)
            .says("E_UNSUPPORTED")
            .inconclusive(EMPTY),
        retold(
            41,
            "another-predicate",
            "The statement is one of something else",
            "dev/window/v1",
            "dev/window/v2",
        )
        .says("E_UNSUPPORTED")
        .inconclusive(EMPTY),
        retold(
            42,
            "extension-that-must-be-understood",
            "An extension must be understood that nobody knows",
            r#""crit":[]"#,
            r#""crit":["more"]"#,
        )
        .says("E_CRIT")
        .inconclusive(EMPTY),
        retold(43, "not-canonical", "The statement is spelt with a space", ",", ", ")
            .says("E_NONCANONICAL")
            .invalid(EMPTY),
        WindowCase::of(44, "no-json", &["X3", "X5"], "The payload is no JSON", unreadable)
            .says("E_NONCANONICAL")
            .invalid(EMPTY),
        retold(
            45,
            "team-outside-ascii",
            "The name of a team is not ASCII",
            r#""team":null"#,
            r#""team":"équipe""#,
        )
        .says("E_UNICODE")
        .invalid(EMPTY),
    ]
}

fn members() -> Vec<WindowCase> {
    let retold = |number, slug, rules, about, from: &str, to: &str| {
        WindowCase::of(number, slug, rules, about, empty().retold(from, to)).says("E_SCHEMA").invalid(EMPTY)
    };
    let said = |number, slug, about, change: &dyn Fn(&mut Window)| {
        WindowCase::of(number, slug, &["X4"], about, saying(change)).says("E_SCHEMA").invalid(WHOLE)
    };
    let list = Digest::of(&empty().list()).to_hex();
    let (in_subject, other) = (format!(r#"{{"sha256":"{list}"}}"#), Digest::of(b"another").to_hex());
    vec![
        retold(
            50,
            "another-member",
            &["X3"],
            "A member that a statement cannot have",
            r#""crit""#,
            r#""counted":1,"crit""#,
        ),
        retold(
            51,
            "count-below-nothing",
            &["X3"],
            "Fewer than none are counted",
            r#""count":0"#,
            r#""count":-1"#,
        ),
        retold(
            52,
            "state-that-is-none",
            &["X3"],
            "The filter names a state that is none",
            r#""state":null"#,
            r#""state":"DONE""#,
        ),
        retold(
            53,
            "subject-of-another-tenant",
            &["X3"],
            "The subject is another tenant",
            "urn:gantral:tenant:acme",
            "urn:gantral:tenant:other",
        ),
        retold(
            54,
            "subject-of-another-list",
            &["X3"],
            "The subject names another list",
            &in_subject,
            &in_subject.replace(&list, &other),
        ),
        said(55, "no-time", "The window ends where it begins", &|window| window.said.to = window.said.from),
        said(56, "ends-before-it-begins", "The window ends before it begins", &|window| {
            window.said.from = instant(2 * DAY_MS);
        }),
        said(
            57,
            "window-that-was-not-over",
            "The window was not over when the statement was made",
            &|window| {
                window.said.at = instant(DAY_MS - 1);
            },
        ),
    ]
}
