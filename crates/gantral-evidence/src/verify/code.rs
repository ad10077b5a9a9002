//! The codes of the verdict table: what each means, how much it weighs and who is at fault.

use alloc::string::String;
use core::fmt::Write as _;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The bundle is malformed, or something authenticated contradicts itself.
    Invalid,
    /// Something is missing or unknown.
    Inconclusive,
    /// Worth knowing; changes nothing.
    Note,
}

/// Who is at fault when something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// This copy of the evidence: another copy may be whole.
    Copy,
    /// Whoever signed: the server, or who holds its key.
    Issuer,
    /// Whoever keeps the log, or holds its key.
    Log,
    /// A human who decided, or whoever let them.
    Human,
    /// The relying party's own files.
    Relying,
}

impl Party {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Issuer => "issuer",
            Self::Log => "log",
            Self::Human => "human",
            Self::Relying => "relying party",
        }
    }
}

macro_rules! codes {
    ($($variant:ident = $code:literal, $weight:ident, $party:ident, $meaning:literal;)+) => {
        /// A row of the verdict table. Codes are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        impl Code {
            /// Every code that this verifier can give.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Returns how much it weighs, unless the place where it is found says otherwise.
            pub const fn weight(self) -> Weight {
                match self { $(Self::$variant => Weight::$weight,)+ }
            }

            /// Returns who is at fault.
            pub const fn party(self) -> Party {
                match self { $(Self::$variant => Party::$party,)+ }
            }

            /// Returns what it means, in one sentence without a full stop.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// Finds a code.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    Empty = "E_EMPTY", Inconclusive, Copy, "The bundle holds no artifacts";
    Container = "E_CONTAINER", Invalid, Copy, "The bundle is damaged: its files are not those of its own list, or cannot be read";
    Limit = "E_LIMIT", Inconclusive, Copy, "Something is larger than a verifier reads";
    Noncanonical = "E_NONCANONICAL", Invalid, Issuer, "Signed bytes are not in their one canonical form";
    Unicode = "E_UNICODE", Invalid, Issuer, "Signed text can look like something that it is not";
    Schema = "E_SCHEMA", Invalid, Issuer, "A signed member is missing, unknown or of the wrong type";
    Unsupported = "E_UNSUPPORTED", Inconclusive, Copy, "Made by rules or in a version that this verifier does not know";
    Crit = "E_CRIT", Inconclusive, Issuer, "An extension must be understood, and this verifier does not know it";
    Ext = "N_EXT", Note, Issuer, "An extension that may be ignored was ignored";
    Sig = "E_SIG", Invalid, Copy, "A signature does not verify: the bytes are not those that were signed";
    KeyUnknown = "E_KEY_UNKNOWN", Inconclusive, Relying, "Signed by a key that the trust file does not hold";
    NoTrust = "E_NO_TRUST", Inconclusive, Relying, "No trust file was given, so nobody's signature is believed";
    ExtraSig = "N_EXTRA_SIG", Note, Copy, "There is another signature beside a good one; it was ignored";
    KeyRole = "E_KEY_ROLE", Invalid, Issuer, "A trusted key signed what it is not for";
    KeyCompromised = "E_KEY_COMPROMISED", Inconclusive, Issuer, "Signed by a compromised key, without proof that this was before";
    KeyWindow = "E_KEY_WINDOW", Invalid, Issuer, "Signed by a key where or when it was not valid";
    KeyExpiredLater = "N_KEY_EXPIRED_LATER", Note, Issuer, "The key was valid at that place in the log, and no longer is";
    CompromisedLater = "N_KEY_COMPROMISED", Note, Issuer, "The key was compromised later than it signed this";
    Inclusion = "E_INCLUSION", Invalid, Copy, "The proof does not lead from the artifact to the log";
    LogUnknown = "E_LOG_UNKNOWN", Inconclusive, Relying, "No log that the trust file knows has signed the checkpoint";
    Checkpoint = "E_CHECKPOINT", Invalid, Copy, "The checkpoint is not one that the log signed";
    Quorum = "E_QUORUM", Inconclusive, Copy, "Fewer witnesses have cosigned the checkpoint than the log policy needs";
    SplitView = "E_SPLIT_VIEW", Invalid, Log, "The log has signed two histories";
    Anchor = "E_ANCHOR", Invalid, Issuer, "A tree that the chain rests on is not shown to be a beginning of the log, or does not hold what it must";
    LogOrder = "E_LOG_ORDER", Invalid, Log, "The log does not hold the chain in its order";
    TimeWindow = "E_TIME_WINDOW", Invalid, Issuer, "It claims an instant that the witnesses of the log contradict";
    Truncated = "E_TRUNCATED", Invalid, Copy, "The chain claims to be complete, and there is more of it";
    MoreExists = "N_MORE_EXISTS", Note, Copy, "There is more of the chain than the bundle holds";
    Receipt = "E_RECEIPT", Invalid, Log, "The log does not hold what a receipt promises";
    Unlogged = "E_UNLOGGED", Inconclusive, Copy, "There is no proof that the artifact is in the log";
    Chain = "E_CHAIN", Invalid, Issuer, "An artifact does not follow the one before it";
    Genesis = "E_GENESIS", Invalid, Issuer, "The first artifact names a predecessor, or a later one names none";
    NoGenesis = "E_NO_GENESIS", Inconclusive, Copy, "The beginning of the chain is missing";
    Gap = "E_GAP", Inconclusive, Copy, "Artifacts are missing in the middle of the chain";
    Fork = "E_FORK", Invalid, Issuer, "Two signed artifacts claim one place in the chain";
    Dup = "N_DUP", Note, Copy, "An artifact is there twice";
    Unauth = "N_UNAUTH", Note, Copy, "Something that nobody trusted vouches for was ignored";
    NoRequire = "E_NO_REQUIRE", Inconclusive, Relying, "The trust file does not say what is required";
    Require = "E_REQUIRE", Inconclusive, Copy, "Something that the trust file requires does not hold";
    Mixed = "E_MIXED", Invalid, Copy, "Artifacts of several executions, tenants, logs or workflow versions are mixed";
    Matrix = "E_MATRIX", Invalid, Issuer, "An event has a value that it must not have, or lacks one that it must have";
    Attempt = "E_ATTEMPT", Invalid, Issuer, "An attempt acted that was not the newest, or after its end";
    Open = "E_OPEN", Inconclusive, Copy, "The chain claims to be complete and has not ended";
    Prefix = "N_PREFIX", Note, Copy, "The chain had not ended when it was exported";
    CompletenessUnproved = "E_COMPLETENESS_UNPROVED", Inconclusive, Copy, "It is not proved that nothing was left out";
    AfterTerminal = "E_AFTER_TERMINAL", Invalid, Issuer, "Something follows a final state";
    State = "E_STATE", Invalid, Issuer, "A move that the rules do not have";
    Deadline = "E_DEADLINE", Invalid, Issuer, "Closed before, or decided after, the sealed deadline";
    Escalation = "E_ESCALATION", Invalid, Issuer, "Escalated early, or to roles that were not sealed";
    Extension = "E_EXTENSION", Invalid, Human, "Extended late, too far, or by somebody who may not";
    TimeBack = "E_TIME_BACK", Invalid, Issuer, "Time goes back along the chain";
    NoPolicy = "E_NO_POLICY", Invalid, Issuer, "A decision of the engine without a record of the policy behind it";
    PolicyContradiction = "E_POLICY_CONTRADICTION", Invalid, Issuer, "The recorded verdict of policy contradicts what was done";
    InputBinding = "E_INPUT_BINDING", Invalid, Issuer, "What policy evaluated is about something else than the artifact";
    PolicyVersion = "E_POLICY_VERSION", Invalid, Issuer, "An event names another policy version than the evaluation that led to it, or one that was never in force";
    ReplayMismatch = "E_REPLAY_MISMATCH", Invalid, Issuer, "The policy, evaluated again, does not give the recorded answer";
    ReplayUnavailable = "E_REPLAY_UNAVAILABLE", Inconclusive, Copy, "The policy cannot be evaluated again as it was";
    FailOpen = "E_FAIL_OPEN", Invalid, Issuer, "An evaluator failure was let pass where it must close";
    ActionBinding = "E_ACTION_BINDING", Invalid, Issuer, "What was asked, approved, granted and consumed is not one action";
    OverrideScope = "E_OVERRIDE_SCOPE", Invalid, Issuer, "A changed action ran beyond what its approvers may grant";
    Guard = "E_GUARD", Invalid, Issuer, "A guard contradicts what it guards";
    Mode = "E_MODE", Invalid, Issuer, "Authority came from an event that was only observed";
    SelfApproval = "E_SELF_APPROVAL", Invalid, Human, "Whoever asked, or owns what asked, decided; or no human did";
    Requester = "E_REQUESTER", Inconclusive, Copy, "The execution on whose behalf this one ran is not proved";
    Role = "E_ROLE", Invalid, Human, "A role decided that was not asked";
    QuorumHuman = "E_QUORUM_HUMAN", Invalid, Human, "Fewer distinct persons agreed than the sealed rule needs";
    HumanEvidence = "E_HUMAN_EVIDENCE", Invalid, Human, "A decision carries weaker evidence than its gate demanded";
    HumanAssurance = "E_HUMAN_ASSURANCE", Inconclusive, Human, "A decision carries weaker evidence than the trust file requires";
    EvidenceWithheld = "E_EVIDENCE_WITHHELD", Inconclusive, Copy, "Evidence of a human decision is referred to and not there";
    Directory = "E_DIRECTORY", Inconclusive, Copy, "The enrolment of an approver is not proved";
    Webauthn = "E_WEBAUTHN", Invalid, Issuer, "It is not shown that the approver's own authenticator agreed to this decision";
    Decision = "E_DECISION", Invalid, Human, "A decision disagrees with the gate that it is about";
    Grant = "E_GRANT", Invalid, Issuer, "A grant was used twice, late, by the wrong attempt, or never existed";
    UnauthorizedOutcome = "E_UNAUTHORIZED_OUTCOME", Invalid, Issuer, "Something was done that nothing had authorised";
    OutcomeOpen = "E_OUTCOME_OPEN", Invalid, Issuer, "Went on or ended while the outcome of an action was open";
    Ungated = "N_UNGATED", Note, Issuer, "The execution completed and never asked for anything";
    Withheld = "N_WITHHELD", Note, Copy, "Content behind commitments was not disclosed";
    Disclosure = "E_DISCLOSURE", Invalid, Copy, "A disclosure is not what was committed to";
    TrustHint = "N_TRUST_HINT", Note, Copy, "The bundle brings a trust file of its own, which differs; it was ignored";
}

/// Returns the table of codes as the specification prints it, sorted by code.
pub fn published() -> String {
    let mut codes = Code::ALL.to_vec();
    codes.sort_unstable_by_key(|code| code.as_str());
    let mut text = String::from("| code | verdict | at fault | meaning |\n|---|:-:|---|---|\n");
    for code in codes {
        let weight = match code.weight() {
            Weight::Invalid => "I",
            Weight::Inconclusive => "?",
            Weight::Note => "V",
        };
        let (name, party, meaning) = (code.as_str(), code.party().as_str(), code.meaning());
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| `{name}` | {weight} | {party} | {meaning} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use gantral_core::check::Fault;

    use super::{Code, published};

    #[test]
    fn the_specification_prints_the_codes() {
        let page = include_str!("../../../../spec/verification.md");
        assert!(page.contains(&published()), "spec/verification.md must contain:\n{}", published());
    }

    #[test]
    fn every_fault_of_the_rulebook_is_a_row_of_the_table() {
        for fault in Fault::ALL {
            assert!(Code::parse(fault.as_str()).is_some(), "{fault}");
        }
    }
}
