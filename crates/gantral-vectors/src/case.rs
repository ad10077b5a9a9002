//! One bundle of the vectors: its files, what a relying party pins, and the answer that every verifier gives.

use std::collections::BTreeMap;

use gantral_core::json::Value;
use gantral_evidence::container::Scope;
use gantral_evidence::trust::Trust;

use crate::cast::trust;
use crate::story::Story;

/// Files by their paths.
pub type FileMap = BTreeMap<String, Vec<u8>>;

/// A bundle and the answer to it.
pub struct Case {
    /// What orders the folders. It never moves to another case.
    pub number: u16,
    /// What the case is, in a few words.
    pub slug: &'static str,
    /// What is wrong, or why nothing is.
    pub about: &'static str,
    /// Every file of the bundle, the list included.
    pub bundle: FileMap,
    /// What is pinned; `None` when nothing is.
    pub trust: Option<Vec<u8>>,
    /// The files of a mirror of the log.
    pub mirror: FileMap,
    /// Receipts, one a line.
    pub receipts: Option<Vec<u8>>,
    /// The verdict.
    pub verdict: &'static str,
    /// What the list claims; `None` when there is no list to read.
    pub scope: Option<Scope>,
    /// Every code, sorted.
    pub codes: Vec<&'static str>,
    /// The folder of the valid case that differs in one thing.
    pub twin: Option<&'static str>,
}

impl Case {
    /// Returns a story as its bundle, without what opens its commitments, under the trust file of the stories.
    pub fn of(number: u16, slug: &'static str, about: &'static str, story: &Story) -> Self {
        Self::from_files(number, slug, about, story, story.scope(), lean(story))
    }

    /// Returns the same with the files that were given.
    pub fn from_files(
        number: u16,
        slug: &'static str,
        about: &'static str,
        story: &Story,
        scope: Scope,
        files: FileMap,
    ) -> Self {
        let listed = story.bundle(scope, files);
        let read = listed.as_files().unwrap();
        let bundle = read.iter().map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
        Self {
            number,
            slug,
            about,
            bundle,
            trust: Some(trust().encode()),
            mirror: FileMap::new(),
            receipts: None,
            verdict: "VALID",
            scope: Some(scope),
            codes: Vec::new(),
            twin: None,
        }
    }

    /// Replaces what is pinned.
    pub fn under(self, trust: &Trust) -> Self {
        Self { trust: Some(trust.encode()), ..self }
    }

    /// The answer is `VALID`, with these notes.
    pub fn valid(self, codes: &[&'static str]) -> Self {
        self.answered("VALID", codes)
    }

    /// The answer is `INVALID`, with these codes; `twin` is the folder of the valid case.
    pub fn invalid(self, codes: &[&'static str], twin: &'static str) -> Self {
        Self { twin: Some(twin), ..self.answered("INVALID", codes) }
    }

    /// The answer is `INCONCLUSIVE`, with these codes.
    pub fn inconclusive(self, codes: &[&'static str]) -> Self {
        self.answered("INCONCLUSIVE", codes)
    }

    fn answered(self, verdict: &'static str, codes: &[&'static str]) -> Self {
        let mut codes = codes.to_vec();
        codes.sort_unstable();
        Self { verdict, codes, ..self }
    }

    /// Returns the name of the folder.
    pub fn name(&self) -> String {
        format!("{:03}-{}", self.number, self.slug)
    }

    /// Returns every file of the folder.
    pub fn files(&self) -> FileMap {
        let mut files = FileMap::new();
        for (path, content) in &self.bundle {
            files.insert(format!("bundle/{path}"), content.clone());
        }
        for (path, content) in &self.mirror {
            files.insert(format!("mirror/{path}"), content.clone());
        }
        if let Some(trust) = &self.trust {
            files.insert("trust.json".to_owned(), trust.clone());
        }
        if let Some(receipts) = &self.receipts {
            files.insert("receipts.jsonl".to_owned(), receipts.clone());
        }
        files.insert("expect.json".to_owned(), self.expected().into_bytes());
        files.insert("README.md".to_owned(), self.readme().into_bytes());
        files
    }

    fn expected(&self) -> String {
        let codes: Vec<String> = self.codes.iter().copied().map(quoted).collect();
        let or_null = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
        format!(
            "{{\n  \"codes\": [{}],\n  \"scope\": {},\n  \"twin\": {},\n  \"verdict\": {}\n}}\n",
            codes.join(", "),
            or_null(self.scope.map(Scope::as_str)),
            or_null(self.twin),
            quoted(self.verdict),
        )
    }

    fn readme(&self) -> String {
        let mut text = format!("# {}\n\n{}.\n\nThe answer is `{}`", self.name(), self.about, self.verdict);
        for (at, code) in self.codes.iter().enumerate() {
            text += &format!("{}`{code}`", if at == 0 { " with " } else { ", " });
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

/// Returns the files of a story without disclosures, which most cases are not about.
pub fn lean(story: &Story) -> FileMap {
    let mut files = story.files();
    files.retain(|path, _| path.starts_with("artifacts/"));
    files
}
