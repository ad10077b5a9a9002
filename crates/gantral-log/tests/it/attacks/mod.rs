//! An operator who holds every key but those of the witnesses, and what becomes of what he does.
//!
//! Each attack has an honest twin that differs in nothing else. `docs/attacks.md` shows the table; it is made here.

mod attacker;
mod auditor;
mod breaking;
mod rewriting;
mod withholding;

use std::path::Path;

use auditor::Scene;

/// What everybody sees of an execution that nobody touched: only a mirror shows that nothing was left out.
const HONEST: [&str; 5] = ["VALID", "INCONCLUSIVE E_COMPLETENESS_UNPROVED", "VALID", "clean", "cosign"];

/// What the table begins with.
const HEAD: &str = "\
| | the operator | the bundle, signature required | the bundle, everything required | with a mirror as well | a monitor | witnesses | rules |
|---|---|---|---|---|---|---|---|
";

/// One attack and its twin.
struct Attack {
    number: u8,
    what: &'static str,
    /// The rules by which it is found.
    rules: &'static str,
    honest: Scene,
    attacked: Scene,
}

impl Attack {
    /// Demands what is seen of the attack, in the order of [`Scene::seen`], and of its twin.
    #[track_caller]
    fn shows(&self, expected: [&str; 5]) {
        assert_eq!(self.honest.seen(), HONEST, "the honest twin of {}: {}", self.number, self.what);
        assert_eq!(self.attacked.seen(), expected, "{}: {}", self.number, self.what);
        for scene in [&self.honest, &self.attacked] {
            let report = scene.believed();
            // Whoever asks for a signature only is told what he did not ask for.
            let says = |line: &String| line.contains("no hidden execution and no cut end: no mirror");
            assert!(report.execution.is_none() || report.not_proved.iter().any(says), "{report:#?}");
        }
    }

    fn row(&self) -> String {
        let cells = self.attacked.seen().map(|text| {
            let words = text.split(' ').filter(|word| !is_consequence(word, &text));
            words.map(marked).collect::<Vec<_>>().join(" ")
        });
        format!("| {} | {} | {} | {} |\n", self.number, self.what, cells.join(" | "), self.rules)
    }
}

/// Tells whether a code says no more than that something was required, where another says what is wrong.
fn is_consequence(word: &str, text: &str) -> bool {
    text.starts_with("INVALID")
        && ["E_COMPLETENESS_UNPROVED", "E_REQUIRE", "E_UNLOGGED", "N_UNAUTH", "N_WITHHELD"].contains(&word)
}

/// Marks a code or a verdict as such.
fn marked(word: &str) -> String {
    let is_code = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if is_code { format!("`{word}`") } else { word.to_owned() }
}

/// Returns every attack, in the order of the page.
fn all() -> Vec<Attack> {
    let mut all: Vec<Attack> =
        [rewriting::all(), breaking::all(), withholding::all()].into_iter().flatten().collect();
    all.sort_by_key(|attack| attack.number);
    all
}

#[test]
fn each_attack_is_found_and_none_is_valid_without_a_mirror_where_everything_is_required() {
    for Attack { number, what, attacked, .. } in all() {
        let [_, alone, mirrored, monitored, witnessed] = attacked.seen();
        assert!(!alone.starts_with("VALID"), "{number}: {what}");
        let found = !mirrored.starts_with("VALID") || monitored.starts_with("found") || witnessed != "cosign";
        // Who approved is the word of the operator.
        assert_eq!(found, number != 15, "{number}: {what}");
    }
}

#[test]
fn the_page_shows_what_becomes_of_each_attack() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/attacks.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- attacks -->\n", "<!-- end of attacks -->\n");
    let (before, rest) = page.split_once(begin).unwrap();
    let (shown, after) = rest.split_once(end).unwrap();
    let table = HEAD.to_owned() + &all().iter().map(Attack::row).collect::<String>();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(shown, table, "look, then run with UPDATE_GOLDEN=1");
}
