//! Where in a trace a caller says that it is.

use gantral_trace::Context;

use crate::target::{Answer, Seen, Target, ensure, twice};

pub const TRACEPARENT: Target = Target {
    name: "traceparent",
    bytes_max: 300,
    tokens: &["00-", "01-", "ff-", "-01", "-00", "-", "+", "00000000", "4bf92f35", "A0"],
    seeds: |_| {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        vec![header.as_bytes().to_vec(), format!("cc-{}-more", &header[3..]).into_bytes()]
    },
    check: check_traceparent,
};

fn check_traceparent(bytes: &[u8]) -> Answer {
    let Ok(header) = std::str::from_utf8(bytes) else { return Ok(Seen::Refused(0)) };
    let Some(read) = twice(|| Context::parse(header))? else { return Ok(Seen::Refused(1)) };
    let written = read.to_string();
    ensure(written.len() == 55 && written.starts_with("00-"), "what is sent on has one form")?;
    ensure(Context::parse(&written) == Some(read), "what is sent on is read as what it was")?;
    Ok(Seen::Accepted)
}
