//! What auditors see of one scene: with the bundle alone, with a mirror beside it, with a monitor, and what the witnesses said.

use std::ops::Range;

use gantral_core::state::HumanEvidence;
use gantral_evidence::container::Scope;
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use gantral_evidence::verify::{Beside, Report, parse_receipts, verify_beside};
use gantral_log::folder::Folder;
use gantral_log::monitor::{self, Monitor, Occasion, Reception};
use gantral_log::objects::{Object, WriteObjects as _};
use gantral_log::tree::Edge;
use gantral_log::witness::Refusal;
use gantral_vectors::cast::{issuer, public};
use gantral_vectors::log::{DELAY_MS, SKEW_MS, trusted_log};

use super::attacker::{Bundle, Published};

/// Long after everything in the stories, in milliseconds since 1970.
const NOW_MS: u64 = 1_800_000_000_000;

/// What an attack, or its honest twin, leaves behind.
pub struct Scene {
    /// The bundle that is verified.
    pub bundle: Bundle,
    /// What else was handed over.
    pub others: Vec<Bundle>,
    /// What was kept of the answers of the server.
    pub receipts: String,
    /// The mirror that the auditor has.
    pub mirror: Published,
    /// What the log serves to a monitor.
    pub served: Published,
    /// What a monitor remembers.
    pub memory: Option<Vec<u8>>,
    /// A checkpoint that another auditor was shown.
    pub shown: Option<String>,
    /// Which executions must all have been handed over.
    pub window: Option<Range<u64>>,
    /// What the witnesses said to the log of the attack.
    pub refusal: Option<Refusal>,
    /// How many witnesses are pinned, all of whom must have cosigned.
    pub witnesses: u8,
    /// The entry of the issuer in the trust file.
    pub issuer: TrustedKey,
}

impl Scene {
    /// A bundle beside the newest mirror, and a log that serves the same.
    pub fn of(bundle: Bundle, published: &Published) -> Self {
        Self {
            bundle,
            others: Vec::new(),
            receipts: String::new(),
            mirror: published.clone(),
            served: published.clone(),
            memory: None,
            shown: None,
            window: None,
            refusal: None,
            witnesses: 2,
            issuer: TrustedKey::issuer(public(&issuer())),
        }
    }

    /// A trust file that pins the log, its witnesses and the issuer.
    pub fn trust(&self, require: Require) -> Trust {
        let log = trusted_log(self.witnesses, self.witnesses);
        Trust::new([self.issuer.clone()], Some(require)).unwrap().with_log(log).unwrap()
    }

    /// A trust file that asks for a signature, and pins the log.
    fn mild(&self) -> Trust {
        self.trust(Require::signed())
    }

    /// A trust file that asks for everything that this version can show.
    fn strict(&self) -> Trust {
        self.trust(Require {
            scope: Scope::Complete,
            enforced: true,
            logged: true,
            witnessed: u32::from(self.witnesses),
            human_evidence: Some(HumanEvidence::Operator),
            complete: true,
            snapshots: true,
            four_eyes: false,
            human_device_bound: false,
        })
    }

    /// The report on the bundle alone.
    pub fn alone(&self, trust: &Trust) -> Report {
        verify_beside(&self.bundle.listed().as_files().unwrap(), Some(trust), Beside::default())
    }

    /// The report on the bundle alone under the trust file that asks for a signature.
    pub fn believed(&self) -> Report {
        self.alone(&self.mild())
    }

    /// The report on the bundle with everything that the auditor has beside it; `None` if his mirror is none.
    pub fn mirrored(&self) -> Option<Report> {
        let (trust, listed) = (self.strict(), self.bundle.listed());
        let files = listed.as_files().unwrap();
        let mirror = self.mirror.log.mirror(&self.mirror.note, trust.log().unwrap(), &files).ok()?;
        let receipts = parse_receipts(self.receipts.as_bytes()).unwrap();
        Some(verify_beside(&files, Some(&trust), Beside { mirror: Some(&mirror), receipts: &receipts }))
    }

    /// Returns a monitor's report, and what it then remembers.
    pub fn monitored(&self) -> (monitor::Report, Option<Vec<u8>>) {
        let trust = self.mild();
        let mut reception = Reception::new(&trust);
        for (number, bundle) in [&self.bundle].into_iter().chain(&self.others).enumerate() {
            reception.bundle(&number.to_string(), bundle.listed().as_files());
        }
        reception.receipts("kept", parse_receipts(self.receipts.as_bytes()).unwrap());
        if let Some(note) = &self.shown {
            reception.checkpoint("of another auditor", note.clone().into_bytes());
        }
        let questions = monitor::Questions {
            handed_over: reception.finish(),
            window: self.window.clone(),
            again: false,
            patience_ms: DELAY_MS + SKEW_MS,
        };
        let policy = trust.log().unwrap().policy().clone();
        let mut monitor = match &self.memory {
            Some(memory) => Monitor::resume(policy, memory).unwrap(),
            None => Monitor::new(policy),
        };
        let folder = tempfile::tempdir().unwrap();
        let source = serve(folder.path(), &self.served);
        let report = monitor.pass(&source, &questions, Occasion { now_ms: NOW_MS, is_live: true }).unwrap();
        (report, monitor.state())
    }

    /// Returns what is seen, one after the other: with a trust file that asks for a signature, with one that asks for everything,
    /// with a mirror as well, by a monitor, and by the witnesses.
    pub fn seen(&self) -> [String; 5] {
        let said = |report: &Report| words(report.verdict.as_str(), report.codes());
        let mirrored = self.mirrored().as_ref().map_or_else(|| "no verdict".to_owned(), said);
        let (report, _) = self.monitored();
        let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
        let monitored = words(if report.is_clean() { "clean" } else { "found" }, codes);
        let witnessed = match &self.refusal {
            None => "cosign".to_owned(),
            Some(refusal) => format!("refuse: {refusal}"),
        };
        [said(&self.believed()), said(&self.alone(&self.strict())), mirrored, monitored, witnessed]
    }
}

/// Returns what is remembered of a log by a monitor that has seen it.
pub fn memory_of(bundle: &Bundle, published: &Published) -> Option<Vec<u8>> {
    Scene::of(bundle.clone(), published).monitored().1
}

/// Lays a log out as a plain file server has it.
fn serve(folder: &std::path::Path, published: &Published) -> Folder {
    let leaves: Vec<Leaf> = published.log.leaves.iter().map(|leaf| Leaf::parse(leaf).unwrap()).collect();
    let source = Folder::new(folder);
    let bytes = published.note.clone().into_bytes();
    source.write(&Edge::default().append(&leaves).unwrap()).unwrap();
    source.write(&[Object { name: "checkpoint".to_owned(), bytes }]).unwrap();
    source
}

fn words(first: &str, mut codes: Vec<&str>) -> String {
    codes.sort_unstable();
    codes.dedup();
    [vec![first], codes].concat().join(" ")
}
