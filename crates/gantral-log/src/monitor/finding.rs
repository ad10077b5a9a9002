//! What a monitor finds: a code, where, a sentence, and the signed checkpoints that prove it.

use gantral_core::json::{Object, Value};

/// The most findings that are kept of one kind of check; of more, only their number.
pub(super) const FINDINGS_MAX: usize = 1_000;

macro_rules! codes {
    ($($variant:ident = $code:literal, $meaning:literal;)+) => {
        /// What was found. Where a code is one of the verdicts of a bundle, it means the same. Codes are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MonitorCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl MonitorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Returns what it means, in one sentence without a full stop.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

codes! {
    Checkpoint = "E_CHECKPOINT", "The checkpoint is not one that the log signed";
    Container = "E_CONTAINER", "A bundle is damaged and cannot be compared with the log";
    Fork = "E_FORK", "Two artifacts claim one place in a chain";
    Hidden = "E_HIDDEN", "The log holds an execution that nobody handed over";
    Inclusion = "E_INCLUSION", "The log holds the artifact under a key that did not sign it";
    Leaf = "E_LEAF", "The log holds a leaf that no sequencer may write";
    LogOrder = "E_LOG_ORDER", "The log does not hold a chain in its order";
    LogUnknown = "E_LOG_UNKNOWN", "It is of a log that the policy does not know, or of another than this one";
    Quorum = "E_QUORUM", "Fewer witnesses have cosigned the checkpoint than the log policy needs";
    Receipt = "E_RECEIPT", "The log does not hold what a receipt promises";
    Rollback = "E_ROLLBACK", "The log shows less than it has signed before";
    SplitView = "E_SPLIT_VIEW", "The log has signed two histories";
    Tile = "E_TILE", "What the log serves is not the tree that it signed";
    TimeWindow = "E_TIME_WINDOW", "An artifact claims an instant at which the log was seen without it, later than its promise allows";
    Truncated = "E_TRUNCATED", "A bundle claims to be complete, and the log holds more of its chain";
    Unlogged = "E_UNLOGGED", "An artifact of a bundle is not in the log, and its time is over";
    MoreExists = "N_MORE_EXISTS", "There is more of the chain than the bundle holds, and it does not claim otherwise";
    Unauth = "N_UNAUTH", "Something that nobody trusted vouches for was ignored";
}

impl MonitorCode {
    /// Finds a code.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }

    /// Tells whether there is nothing to look into.
    pub const fn is_note(self) -> bool {
        matches!(self, Self::MoreExists | Self::Unauth)
    }
}

/// One thing that was found. Findings are ordered by code, then place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What.
    pub code: MonitorCode,
    /// Where: a leaf, a tile, a bundle, a receipt, a checkpoint.
    pub place: String,
    /// What, in a sentence.
    pub message: String,
    /// The signed checkpoints that prove it, where any do.
    pub checkpoints: Vec<String>,
}

impl Finding {
    pub(super) fn new(code: MonitorCode, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, place: place.into(), message: message.into(), checkpoints: Vec::new() }
    }

    pub(super) fn proved_by(mut self, checkpoints: [&str; 2]) -> Self {
        self.checkpoints = checkpoints.map(str::to_owned).to_vec();
        self
    }

    /// Returns the finding as a document.
    pub fn to_value(&self) -> Value {
        let checkpoints: Vec<Value> =
            self.checkpoints.iter().map(|note| Value::from(note.as_str())).collect();
        let object = Object::new()
            .with("checkpoints", checkpoints)
            .with("code", self.code.as_str())
            .with("message", self.message.as_str())
            .with("place", self.place.as_str());
        Value::Object(object)
    }

    pub(super) fn of_value(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_str);
        let checkpoints = value.get("checkpoints")?.as_array()?;
        Some(Self {
            code: MonitorCode::parse(text("code")?)?,
            place: text("place")?.to_owned(),
            message: text("message")?.to_owned(),
            checkpoints: checkpoints
                .iter()
                .map(|note| note.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        })
    }
}

/// Findings up to [`FINDINGS_MAX`], and how many there are beyond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub list: Vec<Finding>,
    pub more: u64,
}

impl Findings {
    /// Adds a finding, unless it is there.
    pub fn add(&mut self, finding: Finding) {
        if self.list.contains(&finding) {
            return;
        }
        if self.list.len() < FINDINGS_MAX {
            self.list.push(finding);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.more = self.more.saturating_add(other.more);
        for finding in other.list {
            self.add(finding);
        }
    }
}
