//! One window of the vectors: its files, what a relying party pins, and the answer that every verifier gives.

use ed25519_dalek::SigningKey;
use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::json::Value;
use gantral_core::time::UnixMillis;
use gantral_evidence::container::{OwnedFiles, write_tar};
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::Trust;
use gantral_evidence::window::{
    InstanceHead, InstanceList, LIST_PATH, STATEMENT_PATH, WindowFilter, WindowStatement,
};

use crate::case::{FileMap, lean};
use crate::cast::{START, envelope, issuer, trust};
use crate::story::Story;

/// A day, in milliseconds.
pub const DAY_MS: u64 = 86_400_000;

/// A window while it is told: what its issuer says, and what lies beside it.
pub struct Window {
    /// What the issuer says. Count and digest follow from the list when it is signed.
    pub said: WindowStatement,
    /// The executions of the list, each as far as the list says.
    pub stories: Vec<Story>,
    /// Who signs.
    pub key: SigningKey,
    /// Files that are not the statement and not the list.
    pub files: FileMap,
}

impl Window {
    /// A window of the first day of the stories, said eight days later, with these executions and the bundle of each.
    pub fn of(stories: Vec<Story>) -> Self {
        let Some(identity) = Story::begin().statements.pop().map(|first| first.identity) else {
            unreachable!("a story begins with an artifact")
        };
        let said = WindowStatement {
            tenant: identity.tenant,
            origin: identity.origin,
            from: instant(0),
            to: instant(DAY_MS),
            filter: WindowFilter::default(),
            count: 0,
            instances_digest: Digest::of(b""),
            at: instant(8 * DAY_MS),
            anchor: None,
            blind: [7; 32],
        };
        let mut window = Self { said, stories: Vec::new(), key: issuer(), files: FileMap::new() };
        stories.iter().for_each(|story| window.put(instance(story), &listed(story)));
        window.stories = stories;
        window
    }

    /// Puts a bundle where that of an instance belongs, as a directory.
    pub fn put(&mut self, at: InstanceId, bundle: &OwnedFiles) {
        self.take(at);
        let read = bundle.as_files().unwrap();
        let files = read.iter().map(|(path, content)| (format!("{at}/{path}"), content.to_vec()));
        self.files.extend(files);
    }

    /// Puts a bundle where that of an instance belongs, as a file.
    pub fn put_tar(&mut self, at: InstanceId, bundle: &OwnedFiles) {
        self.take(at);
        self.files.insert(format!("{at}.gantral"), write_tar(&bundle.as_files().unwrap()));
    }

    /// Takes the bundle of an instance away.
    pub fn take(&mut self, at: InstanceId) {
        self.files.retain(|path, _| !path.starts_with(&at.to_string()));
    }

    /// Returns the newest artifact of each execution, by rising id.
    pub fn heads(&self) -> Vec<InstanceHead> {
        let mut heads: Vec<_> = self.stories.iter().map(head).collect();
        heads.sort_unstable();
        heads
    }

    /// Returns the list.
    pub fn list(&self) -> Vec<u8> {
        InstanceList { instances: self.heads() }.encode()
    }

    /// Returns what the issuer says of this list.
    pub fn saying(&self, list: &[u8]) -> WindowStatement {
        let count = self.stories.len() as u64;
        WindowStatement { count, instances_digest: Digest::of(list), ..self.said.clone() }
    }

    /// Returns every file of the window.
    pub fn whole(&self) -> FileMap {
        let list = self.list();
        self.with(self.saying(&list).encode(), list)
    }

    /// Returns every file, with a list that its issuer signed as it is.
    pub fn listing(&self, list: Vec<u8>) -> FileMap {
        self.with(self.saying(&list).encode(), list)
    }

    /// Returns every file, with a payload that was changed as text before it was signed.
    pub fn retold(&self, from: &str, to: &str) -> FileMap {
        let list = self.list();
        let payload = String::from_utf8(self.saying(&list).encode()).unwrap();
        assert!(payload.contains(from), "`{from}` is not in the payload");
        self.with(payload.replacen(from, to, 1).into_bytes(), list)
    }

    /// Returns every file, with this payload and this list.
    fn with(&self, payload: Vec<u8>, list: Vec<u8>) -> FileMap {
        let mut files = self.files.clone();
        files.insert(STATEMENT_PATH.to_owned(), envelope(payload, &self.key));
        files.insert(LIST_PATH.to_owned(), list);
        files
    }
}

/// Returns the instant so many milliseconds after the beginning of the stories.
pub fn instant(after_ms: u64) -> UnixMillis {
    UnixMillis::new(START + after_ms).unwrap()
}

/// Returns the instance of a story.
pub fn instance(story: &Story) -> InstanceId {
    story.instance.identity.instance
}

/// Returns how far a story has come.
pub fn head(story: &Story) -> InstanceHead {
    let Some(last) = story.statements.last() else { unreachable!("a story begins with an artifact") };
    InstanceHead { instance: instance(story), sequence: last.sequence, hash: artifact_hash(&last.encode()) }
}

/// Returns the bundle of a story, without what opens its commitments.
pub fn listed(story: &Story) -> OwnedFiles {
    story.bundle(story.scope(), lean(story))
}

/// Gives a story another instance.
pub fn placed(mut story: Story, number: u8) -> Story {
    let instance = InstanceId::from_random([number; 16]);
    for statement in &mut story.statements {
        statement.identity.instance = instance;
    }
    story.instance.identity.instance = instance;
    story.relink();
    story
}

/// A window and the answer to it.
pub struct WindowCase {
    /// What orders the folders. It never moves to another case.
    pub number: u16,
    /// What the case is, in a few words.
    pub slug: &'static str,
    /// The rules of `spec/window.md` that it is about.
    pub rules: &'static [&'static str],
    /// What is wrong, or why nothing is.
    pub about: &'static str,
    /// Every file of the window.
    pub window: FileMap,
    /// What is pinned; `None` when nothing is.
    pub trust: Option<Vec<u8>>,
    /// The verdict.
    pub verdict: &'static str,
    /// Every code, and the instance at which it is said; `None` is the window itself.
    pub findings: Vec<(Option<InstanceId>, &'static str)>,
    /// The folder of the valid case that differs in one thing.
    pub twin: Option<&'static str>,
}

impl WindowCase {
    /// Returns a window under the trust file of the stories, about which nothing is said.
    pub fn of(
        number: u16,
        slug: &'static str,
        rules: &'static [&'static str],
        about: &'static str,
        window: FileMap,
    ) -> Self {
        let trust = Some(trust().encode());
        let (verdict, findings, twin) = ("VALID", Vec::new(), None);
        Self { number, slug, rules, about, window, trust, verdict, findings, twin }
    }

    /// Replaces what is pinned.
    pub fn under(self, trust: &Trust) -> Self {
        Self { trust: Some(trust.encode()), ..self }
    }

    /// Something is said of the window.
    pub fn says(mut self, code: &'static str) -> Self {
        self.findings.push((None, code));
        self
    }

    /// Something is said at an instance.
    pub fn says_at(mut self, instance: InstanceId, code: &'static str) -> Self {
        self.findings.push((Some(instance), code));
        self
    }

    /// The answer is `INVALID`; `twin` is the folder of the valid case.
    pub fn invalid(self, twin: &'static str) -> Self {
        Self { verdict: "INVALID", twin: Some(twin), ..self }
    }

    /// The answer is `INCONCLUSIVE`; `twin` is the folder of the valid case.
    pub fn inconclusive(self, twin: &'static str) -> Self {
        Self { verdict: "INCONCLUSIVE", twin: Some(twin), ..self }
    }

    /// Returns the name of the folder.
    pub fn name(&self) -> String {
        format!("{:03}-{}", self.number, self.slug)
    }

    /// Returns every file of the folder.
    pub fn files(&self) -> FileMap {
        let window = self.window.iter().map(|(path, content)| (format!("window/{path}"), content.clone()));
        let mut files: FileMap = window.collect();
        if let Some(trust) = &self.trust {
            files.insert("trust.json".to_owned(), trust.clone());
        }
        files.insert("expect.json".to_owned(), self.expected().into_bytes());
        files.insert("README.md".to_owned(), self.readme().into_bytes());
        files
    }

    /// Returns the findings, sorted: what is said of the window comes first.
    fn sorted(&self) -> Vec<(Option<String>, &'static str)> {
        let text = |(instance, code): &(Option<InstanceId>, _)| (instance.map(|id| id.to_string()), *code);
        let mut findings: Vec<_> = self.findings.iter().map(text).collect();
        findings.sort_unstable();
        findings
    }

    fn expected(&self) -> String {
        let or_null = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
        let finding = |(instance, code): &(Option<String>, &str)| {
            format!("\n    {{\"code\": {}, \"instance_id\": {}}}", quoted(code), or_null(instance.as_deref()))
        };
        let findings: Vec<String> = self.sorted().iter().map(finding).collect();
        let findings =
            if findings.is_empty() { "[]".to_owned() } else { format!("[{}\n  ]", findings.join(",")) };
        let rules: Vec<String> = self.rules.iter().map(|rule| quoted(rule)).collect();
        format!(
            "{{\n  \"findings\": {findings},\n  \"rules\": [{}],\n  \"twin\": {},\n  \"verdict\": {}\n}}\n",
            rules.join(", "),
            or_null(self.twin),
            quoted(self.verdict),
        )
    }

    fn readme(&self) -> String {
        let rules = self.rules.join(", ");
        let mut text =
            format!("# {}\n\n{} ({rules}).\n\nThe answer is `{}`", self.name(), self.about, self.verdict);
        for (at, (instance, code)) in self.sorted().into_iter().enumerate() {
            let place = instance.map_or_else(|| "of the window".to_owned(), |id| format!("at `{id}`"));
            text += &format!("{}`{code}` {place}", if at == 0 { " with " } else { ", " });
        }
        text += ".\n";
        if let Some(twin) = self.twin {
            text += &format!("\nThe valid twin is [{twin}](../{twin}/README.md).\n");
        }
        text
    }
}

fn quoted(text: &str) -> String {
    String::from_utf8(Value::from(text).to_canonical()).unwrap()
}
