//! Server-sent events, as far as the protocol uses them. Source: WHATWG HTML, §9.2.

use std::collections::VecDeque;

use crate::message::MESSAGE_BYTES_MAX;

/// The largest event, in bytes: a message and its field names, line by line.
const EVENT_BYTES_MAX: usize = MESSAGE_BYTES_MAX + (64 << 10);

/// One event, as it was written and as it is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The bytes, with the empty line that ends it.
    pub raw: Vec<u8>,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its data; `None` for a comment, or for an event without data.
    pub data: Option<String>,
}

/// More than any good event, or no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is too large, or no text")]
pub struct BadEvent;

/// Takes a stream apart, however it is cut.
#[derive(Debug, Default)]
pub struct Events {
    buffer: Vec<u8>,
    /// How much of the buffer holds no end of an event.
    searched: usize,
    whole: VecDeque<Event>,
}

impl Events {
    /// Adds bytes of the stream.
    ///
    /// # Errors
    /// [`BadEvent`]; the stream is of no use any more.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), BadEvent> {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.end_of_event() {
            let rest = self.buffer.split_off(end);
            let raw = std::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            self.whole.push_back(event(raw)?);
        }
        if self.buffer.len() > EVENT_BYTES_MAX { Err(BadEvent) } else { Ok(()) }
    }

    /// Returns the next event that is whole.
    pub fn pop(&mut self) -> Option<Event> {
        self.whole.pop_front()
    }

    /// Returns where the first whole event ends: behind two line ends that follow each other.
    fn end_of_event(&mut self) -> Option<usize> {
        let mut at = self.searched.saturating_sub(4);
        while at < self.buffer.len() {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r", b"\n\r\n", b"\r\n\n"];
            if let Some(end) = ends.into_iter().find(|end| rest.starts_with(end)) {
                return Some(at.saturating_add(end.len()));
            }
            at = at.saturating_add(1);
        }
        self.searched = self.buffer.len();
        None
    }
}

fn event(raw: Vec<u8>) -> Result<Event, BadEvent> {
    let text = String::from_utf8(raw).map_err(|_| BadEvent)?;
    let mut found = Event::default();
    for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => found.id = Some(value.to_owned()),
            "data" => match &mut found.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                data @ None => *data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
    // An event without data primes a client that may come back: it has an id and nothing to say.
    found.data = found.data.filter(|data| !data.is_empty());
    found.raw = text.into_bytes();
    Ok(found)
}

/// Writes a message as an event. A line end in JSON is space between tokens.
pub fn write(message: &[u8]) -> Vec<u8> {
    let mut written = b"event: message\ndata: ".to_vec();
    written.extend(message.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    written.extend_from_slice(b"\n\n");
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(stream: &[u8], cut: usize) -> Vec<Event> {
        let mut events = Events::default();
        stream.chunks(cut).for_each(|chunk| events.add(chunk).unwrap());
        std::iter::from_fn(|| events.pop()).collect()
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let stream =
            b": ping\n\nevent: message\nid: 1\ndata: {\"a\":\ndata: 1}\n\nid: 2\r\ndata:\r\n\r\ndata: {}\r\r";
        let whole = all(stream, stream.len());
        let data: Vec<_> = whole.iter().map(|event| event.data.as_deref()).collect();
        assert_eq!(data, [None, Some("{\"a\":\n1}"), None, Some("{}")]);
        assert_eq!(whole[2].id.as_deref(), Some("2"));
        assert_eq!(whole.iter().flat_map(|event| event.raw.clone()).collect::<Vec<_>>(), stream);
        for cut in 1..stream.len() {
            assert_eq!(all(stream, cut), whole, "{cut}");
        }
    }

    #[test]
    fn event_that_never_ends_is_refused() {
        let mut events = Events::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2 + 1];
        assert_eq!(events.add(&piece), Ok(()));
        assert_eq!(events.add(&piece), Err(BadEvent));
    }

    #[test]
    fn message_of_ours_is_one_event() {
        let written = write(b"{\"a\":\n1}");
        let events = all(&written, 3);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].data.as_deref(), Some("{\"a\": 1}"));
    }
}
