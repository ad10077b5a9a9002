//! The form of a message as mail: plain text, and headers that machines go by (RFC 5322, RFC 3834).

use std::time::{Duration, SystemTime};

use gantral_core::json::text::inert;
use gantral_core::time::UnixMillis;
use gantral_store::About;
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox as Named, Message};

use crate::told::Told;
use crate::words::{OPEN, Words};

/// The longest subject, in characters.
const SUBJECT_MAX: usize = 200;
/// What stands below every message.
const FOOTER: &str =
    "Nothing is decided by this mail or by an answer to it: decide in the console, or on the command line.";

/// Returns a mail as it goes over the line: ASCII, with CRLF.
///
/// # Errors
/// Never for addresses that were read.
pub(super) fn letter(
    told: &Told,
    words: &Words,
    from: &Named,
    to: &Address,
    now: UnixMillis,
) -> Result<Vec<u8>, lettre::error::Error> {
    let domain = from.email.domain();
    let subject: String = inert(&words.title).chars().take(SUBJECT_MAX).collect();
    let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Named::new(None, to.clone()))
        .subject(format!("[gantral] {subject}"))
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(now.get()))
        // The same in every try.
        .message_id(Some(format!("<{}@{domain}>", told.id())))
        // Nobody's absence is answered to a program (RFC 3834 §5).
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .header(ContentType::TEXT_PLAIN);
    if let Some(thread) = thread(told) {
        builder = builder.references(format!("<{thread}@{domain}>"));
    }
    Ok(builder.body(text(words))?.formatted())
}

/// Mails about one gate are one thread.
fn thread(told: &Told) -> Option<String> {
    let Told::One(row, _) = told else { return None };
    Some(match &row.about {
        About::Gate(gate) => format!("gate-{}", gate.id),
        About::Proposal(proposal) => format!("proposal-{}", proposal.id),
    })
}

fn text(words: &Words) -> String {
    let mut text = format!("{}\n\n", inert(&words.title));
    for (label, said) in &words.facts {
        text.push_str(&format!("{}: {}\n", inert(label), inert(said)));
    }
    for (said, url) in &words.items {
        text.push_str(&format!("- {}\n  {url}\n", inert(said)));
    }
    text.push_str(&format!("\n{OPEN}:\n{}\n\n{FOOTER}\n", words.url));
    text
}

#[cfg(test)]
mod tests;
