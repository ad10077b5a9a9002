//! Where a request stands in the trace of whoever sent it: the header `traceparent`.

use std::fmt;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The name of the header. The library asks for no other that we give it: what else a caller sends stays with it.
const TRACEPARENT: &str = "traceparent";
/// The longest header that is read, in bytes: a later version may add members behind the four of this one.
const HEADER_BYTES_MAX: usize = 256;

/// A place in a trace (W3C Trace Context §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context(pub(crate) SpanContext);

impl Context {
    /// Reads the header. One that cannot be read is as good as none: the trace begins here then.
    pub fn parse(header: &str) -> Option<Self> {
        if header.len() > HEADER_BYTES_MAX {
            return None;
        }
        let nothing = opentelemetry::Context::new();
        let found = TraceContextPropagator::new().extract_with_context(&nothing, &Header(header));
        let place = found.span().span_context().clone();
        place.is_valid().then_some(Self(place))
    }

    /// Tells whether both are in one trace.
    pub fn is_same_trace(&self, other: &Self) -> bool {
        self.0.trace_id() == other.0.trace_id()
    }

    /// Returns where the trace of a thing begins that has this number, a UUID of version 4: its digits are those of the trace, so that whoever
    /// knows the number finds the trace, on every server and without anything that is kept. Of a hundred such traces so many are recorded.
    pub(crate) fn of_number(number: &[u8; 16], sample_percent: u8) -> Self {
        let [first, second, ..] = *number;
        let drawn = u32::from(u16::from_be_bytes([first, second]));
        let flags = if drawn * 100 < u32::from(sample_percent) << 16 {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::NOT_SAMPLED
        };
        // The latter half begins with the bits of the variant, so that it is never all zero.
        let [_, _, _, _, _, _, _, _, span @ ..] = *number;
        let place = (TraceId::from_bytes(*number), SpanId::from_bytes(span));
        Self(SpanContext::new(place.0, place.1, flags, true, TraceState::default()))
    }
}

/// The header.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place) = self;
        let flags = u8::from(place.is_sampled());
        write!(f, "00-{}-{}-{flags:02x}", place.trace_id(), place.span_id())
    }
}

/// The headers of a request, of which one is read.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_alike() {
        let context = Context::parse(GOOD).unwrap();
        assert!(context.0.is_sampled());
        assert_eq!(context.to_string(), GOOD);
        let silent = GOOD.replace("-01", "-00");
        assert_eq!(Context::parse(&silent).unwrap().to_string(), silent);
    }

    #[test]
    fn trace_of_a_number_has_its_digits_and_as_many_are_recorded_as_were_asked_for() {
        let number =
            [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
        let header = |percent| Context::of_number(&number, percent).to_string();
        let place = "00-4bf92f3577b34da6a3ce929d0e0e4736-a3ce929d0e0e4736";
        // 0x4bf9 of 0x10000 is 29.7 of a hundred.
        for (percent, flags) in [(0, "00"), (29, "00"), (30, "01"), (100, "01")] {
            assert_eq!(header(percent), format!("{place}-{flags}"), "{percent}");
        }
        let last = [0xff; 16];
        assert!(Context::of_number(&last, 100).0.is_sampled());
        assert!(!Context::of_number(&[0; 16], 0).0.is_sampled());
    }

    #[test]
    fn what_later_versions_add_is_left_aside_and_what_is_no_header_is_none() {
        let later = GOOD.replacen("00-", "01-", 1) + "-more";
        assert_eq!(Context::parse(&later), Context::parse(GOOD));
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(Context::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Context::parse(&format!("{GOOD}{}", "-x".repeat(200))), None);
    }
}
