//! The log policy of a relying party: which logs it knows, which witnesses, and how many of them must have cosigned.
//!
//! Source: C2SP `tlog-policy`, `spec/log.md` §5.

use alloc::string::String;
use alloc::vec::Vec;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::{Note, NoteError, NoteKey, NoteKeyError, NoteKeyKind, Signed};

/// The largest policy, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 << 10;
/// The most logs, witnesses and groups of one policy, each.
pub const ENTRIES_MAX: usize = 64;

/// A log that the relying party knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; the name is the origin.
    pub key: NoteKey,
    /// Where it is, for whoever talks to it.
    pub url: Option<String>,
}

/// A witness that the relying party knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in the policy, without meaning elsewhere; any bytes but spaces.
    pub name: Vec<u8>,
    /// Its key.
    pub key: NoteKey,
    /// Where it is, for whoever talks to it.
    pub url: Option<String>,
}

/// What a name of the policy stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// A place among the witnesses.
    Witness(usize),
    /// A place among the groups.
    Group(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: Vec<u8>,
    threshold: usize,
    members: Vec<Member>,
}

/// A parsed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// `None`: no cosignature is asked for.
    quorum: Option<Member>,
}

/// Why bytes are not a policy: which line, counted from 1, and what is wrong with it. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the log policy: {fault}")]
pub struct PolicyError {
    /// The line.
    pub line: usize,
    /// What is wrong with it.
    pub fault: PolicyFault,
}

/// What is wrong with a line of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Over [`POLICY_BYTES_MAX`] or [`ENTRIES_MAX`].
    #[error("the policy is over its limit")]
    Limit,
    /// A control character beside tab and newline, or no newline at the end.
    #[error("the policy is not clean text of whole lines")]
    Text,
    /// An unknown first word, or another number of words.
    #[error("neither `log`, `witness`, `group` nor `quorum` as they are written")]
    Syntax,
    /// The key cannot be used.
    #[error("{0}")]
    Key(#[from] NoteKeyError),
    /// A log with the key of a witness, or the other way round.
    #[error("the kind of the key is not for this use")]
    KeyKind,
    /// The key or name stood in a line before.
    #[error("the same key or name twice")]
    Twice,
    /// A name that no line before has defined, or one that is a member already.
    #[error("a name that is not defined above, or is a member already")]
    Name,
    /// Not 1 to the number of members.
    #[error("the threshold is not 1 to the number of members")]
    Threshold,
    /// None, or more than one line `quorum`.
    #[error("the policy has exactly one quorum")]
    Quorum,
}

/// A checkpoint that a known log has signed, and who else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched<'a> {
    /// What the log says.
    pub checkpoint: Checkpoint,
    /// The log that signed.
    pub log: &'a PolicyLog,
    /// The witnesses that cosigned, in the order of the policy, with the time of each in seconds since 1970.
    pub witnesses: Vec<(&'a PolicyWitness, u64)>,
    /// Whether they are enough.
    pub quorum: bool,
}

/// Why a checkpoint counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VouchError {
    /// It is no signed note.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// The text of the note is no checkpoint.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// No log of the policy has this origin, or none of them claims to have signed.
    #[error("no known log has signed the checkpoint")]
    Unknown,
    /// A known log is said to have signed, and has not.
    #[error("the signature of the log does not verify")]
    Signature,
}

impl LogPolicy {
    /// Reads a policy.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let whole = |fault| PolicyError { line: 1, fault };
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(whole(PolicyFault::Limit));
        }
        let lines = bytes.strip_suffix(b"\n").ok_or(whole(PolicyFault::Text))?.split(|byte| *byte == b'\n');
        let mut last = 0;
        for (at, line) in lines.enumerate() {
            last = at + 1;
            reader.line(line).map_err(|fault| PolicyError { line: last, fault })?;
        }
        let quorum = reader.quorum.ok_or(PolicyError { line: last, fault: PolicyFault::Quorum })?;
        Ok(Self { logs: reader.logs, witnesses: reader.witnesses, groups: reader.groups, quorum })
    }

    /// Returns the logs, in the order of the policy.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// Returns the witnesses, in the order of the policy.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Reads a signed checkpoint, and says who vouches for it. A cosignature that does not verify counts as none.
    pub fn vouched(&self, bytes: &[u8]) -> Result<Vouched<'_>, VouchError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text)?;
        let mut answer = Err(VouchError::Unknown);
        for log in self.logs.iter().filter(|log| log.key.name() == checkpoint.origin.as_str()) {
            match log.key.check(&note) {
                Signed::Good { .. } => {
                    answer = Ok(log);
                    break;
                }
                Signed::Bad => answer = Err(VouchError::Signature),
                Signed::No => {}
            }
        }
        let log = answer?;
        let mut signed = Vec::with_capacity(self.witnesses.len());
        let mut witnesses = Vec::new();
        for witness in &self.witnesses {
            let time = match witness.key.check(&note) {
                Signed::Good { time } => time,
                Signed::Bad | Signed::No => None,
            };
            signed.push(time.is_some());
            witnesses.extend(time.map(|time| (witness, time)));
        }
        let quorum = self.quorum.is_none_or(|member| self.met(member, &signed));
        Ok(Vouched { checkpoint, log, witnesses, quorum })
    }

    /// Says whether a member counts as having witnessed. Groups name only what stands above them, so this ends.
    fn met(&self, member: Member, signed: &[bool]) -> bool {
        match member {
            Member::Witness(at) => signed.get(at).copied().unwrap_or_default(),
            Member::Group(at) => self.groups.get(at).is_some_and(|group| {
                group.members.iter().filter(|member| self.met(**member, signed)).count() >= group.threshold
            }),
        }
    }
}

/// What the lines so far have defined.
#[derive(Default)]
struct Reader {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// Which names are members of a group already: each may be one once.
    taken: Vec<Member>,
    /// The inner `None` is the quorum `none`.
    quorum: Option<Option<Member>>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(PolicyFault::Text);
        }
        let words: Vec<&[u8]> =
            line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] => self.log(key, None),
            [b"log", key, url] => self.log(key, Some(url)),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            _ => Err(PolicyFault::Syntax),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyFault> {
        let log = PolicyLog { key: parse_key(key, NoteKeyKind::Text)?, url: url.map(parse_url).transpose()? };
        if self.knows(&log.key) {
            return Err(PolicyFault::Twice);
        }
        push(&mut self.logs, log)
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyFault> {
        let key = parse_key(key, NoteKeyKind::Cosignature)?;
        let url = url.map(parse_url).transpose()?;
        if self.knows(&key) || self.find(name).is_some() || name == b"none" {
            return Err(PolicyFault::Twice);
        }
        push(&mut self.witnesses, PolicyWitness { name: name.to_vec(), key, url })
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), PolicyFault> {
        if self.find(name).is_some() || name == b"none" {
            return Err(PolicyFault::Twice);
        }
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.find(name).filter(|member| !self.taken.contains(member));
            let member = member.ok_or(PolicyFault::Name)?;
            self.taken.push(member);
            members.push(member);
        }
        let threshold = match threshold {
            b"any" => Some(1),
            b"all" => Some(members.len()),
            number => core::str::from_utf8(number)
                .ok()
                .and_then(super::checkpoint::parse_size)
                .and_then(|k| usize::try_from(k).ok()),
        };
        let threshold =
            threshold.filter(|k| (1..=members.len()).contains(k)).ok_or(PolicyFault::Threshold)?;
        push(&mut self.groups, Group { name: name.to_vec(), threshold, members })
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyFault> {
        if self.quorum.is_some() {
            return Err(PolicyFault::Quorum);
        }
        let member = if name == b"none" { None } else { Some(self.find(name).ok_or(PolicyFault::Name)?) };
        self.quorum = Some(member);
        Ok(())
    }

    /// Says whether a log or a witness has this key already: one key has one role.
    fn knows(&self, key: &NoteKey) -> bool {
        let logs = self.logs.iter().map(|log| &log.key);
        let witnesses = self.witnesses.iter().map(|witness| &witness.key);
        logs.chain(witnesses).any(|known| known.key() == key.key())
    }

    fn find(&self, name: &[u8]) -> Option<Member> {
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        witness.or_else(|| self.groups.iter().position(|group| group.name == name).map(Member::Group))
    }
}

fn push<T>(list: &mut Vec<T>, entry: T) -> Result<(), PolicyFault> {
    if list.len() == ENTRIES_MAX {
        return Err(PolicyFault::Limit);
    }
    list.push(entry);
    Ok(())
}

fn parse_key(word: &[u8], kind: NoteKeyKind) -> Result<NoteKey, PolicyFault> {
    let key = NoteKey::parse(core::str::from_utf8(word).map_err(|_| NoteKeyError::Syntax)?)?;
    if key.kind() == kind { Ok(key) } else { Err(PolicyFault::KeyKind) }
}

fn parse_url(word: &[u8]) -> Result<String, PolicyFault> {
    core::str::from_utf8(word).map(String::from).map_err(|_| PolicyFault::Text)
}

#[cfg(test)]
mod tests;
