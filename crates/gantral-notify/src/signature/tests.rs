#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use super::*;

/// The example of the Standard Webhooks specification, with its shorter secret: identifier, timestamp, body, secret, signature.
const SHORT: (&str, u64, &str, &str, &str) = (
    "msg_loFOjxBNrRLzqYUf",
    1_731_705_121,
    "{\"event_type\":\"ping\",\"data\":{\"success\":true}}",
    "plJ3nmyCDGBKInavdOK15jsl",
    "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
);
/// The one that its libraries test themselves with.
const EXAMPLE: (&str, u64, &str, &str, &str) = (
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330,
    "{\"test\": 2432232314}",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
);

#[test]
fn a_message_is_signed_as_the_published_examples_are() {
    for (id, timestamp, body, secret, expected) in [SHORT, EXAMPLE] {
        let secret = Secret::from_bytes(&STANDARD.decode(secret).unwrap());
        assert_eq!(sign([&secret], id, timestamp, body.as_bytes()), expected);
    }
}

#[test]
fn every_secret_signs_while_they_are_changed() {
    let (id, timestamp, body, secret, expected) = EXAMPLE;
    let old = Secret::from_bytes(&STANDARD.decode(secret).unwrap());
    let new = Secret::from_bytes(&[7; 32]);
    let both = sign([&new, &old], id, timestamp, body.as_bytes());
    let (first, second) = both.split_once(' ').unwrap();
    assert_eq!((first, second), (sign([&new], id, timestamp, body.as_bytes()).as_str(), expected));
    assert_eq!(format!("{old:?}"), "Secret");
}
