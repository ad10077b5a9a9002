use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::text::{TextError, check_clean};
use super::*;

fn document(text: &str) -> Result<Value, ParseErrorKind> {
    parse(text.as_bytes(), &Profile::DOCUMENT).map_err(|error| error.kind)
}

fn artifact(text: &str) -> Result<Value, ParseErrorKind> {
    parse_canonical(text.as_bytes(), &Profile::ARTIFACT).map_err(|error| error.kind)
}

fn canonical(text: &str) -> String {
    String::from_utf8(document(text).unwrap().to_canonical()).unwrap()
}

#[test]
fn numbers_have_one_spelling() {
    for (spelling, normal) in [
        ("4800.00", "4800"),
        ("4.8e3", "4800"),
        ("48E+02", "4800"),
        ("-0", "0"),
        ("0e999999999999999999999", "0"),
        ("-0.000", "0"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("10e20", "1e+21"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("0.0000001", "1e-7"),
        ("-12.50e-9", "-1.25e-8"),
        ("123456789012345678901234567890", "1.2345678901234567890123456789e+29"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551616", "18446744073709551616"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0.1", "0.1"),
        ("100", "100"),
    ] {
        assert_eq!(canonical(spelling), normal, "{spelling}");
    }
}

/// RFC 8785 appendix B: the doubles whose shortest form is exact agree with us byte for byte.
#[test]
fn numbers_agree_with_the_samples_of_the_standard() {
    for sample in [
        "0",
        "5e-324",
        "-5e-324",
        "1.7976931348623157e+308",
        "-1.7976931348623157e+308",
        "9007199254740992",
        "-9007199254740992",
        "295147905179352830000",
        "9.999999999999997e+22",
        "1e+23",
        "1.0000000000000001e+23",
        "999999999999999700000",
        "999999999999999900000",
        "1e+21",
        "9.999999999999997e-7",
        "0.000001",
        "333333333.3333332",
        "333333333.33333325",
        "333333333.3333333",
        "333333333.3333334",
        "333333333.33333343",
        "-0.0000033333333333333333",
        "1424953923781206.2",
    ] {
        assert_eq!(canonical(sample), sample);
    }
}

/// RFC 8785 §3.2.2 and §3.2.3.
#[test]
fn the_samples_of_the_standard_are_written_as_it_says() {
    let input = "{\n  \"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n  \
                 \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n  \
                 \"literals\": [null, true, false]\n}";
    // The first number keeps all of its digits: we do not round to a double.
    assert_eq!(
        canonical(input),
        "{\"literals\":[null,true,false],\"numbers\":[333333333.33333329,1e+30,4.5,0.002,1e-27],\
         \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
    );
    let names = r#"{"€":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","😀":"Emoji","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis"}"#;
    let sorted = document(names).unwrap();
    let values: Vec<_> =
        sorted.as_object().unwrap().iter().map(|(_, value)| value.as_str().unwrap()).collect();
    assert_eq!(
        values,
        [
            "Carriage Return",
            "One",
            "Control",
            "Latin Small Letter O With Diaeresis",
            "Euro Sign",
            "Emoji",
            "Hebrew Letter Dalet With Dagesh"
        ]
    );
}

#[test]
fn what_no_profile_reads() {
    use ParseErrorKind::*;
    for (text, kind) in [
        ("", UnexpectedEnd),
        (" ", UnexpectedEnd),
        ("[1,", UnexpectedEnd),
        ("{\"a\"", UnexpectedEnd),
        ("\"abc", UnexpectedEnd),
        ("\"\\u12", UnexpectedEnd),
        ("tru", UnexpectedEnd),
        ("trux", Unexpected),
        ("[1,]", Unexpected),
        ("{\"a\":1,}", Unexpected),
        ("{a:1}", Unexpected),
        ("01", Unexpected),
        ("1.", Unexpected),
        (".5", Unexpected),
        ("+1", Unexpected),
        ("-", Unexpected),
        ("1e", Unexpected),
        ("NaN", Unexpected),
        ("\"\\x\"", Unexpected),
        ("\"a\nb\"", Unexpected),
        ("\u{feff}1", ByteOrderMark),
        ("1 2", Trailing),
        ("{}\0", Trailing),
        ("{\"a\":1,\"b\":2,\"a\":1}", DuplicateMember),
        ("[{\"x\":{\"a\":1,\"\\u0061\":1}}]", DuplicateMember),
        ("\"\\ud800\"", LoneSurrogate),
        ("\"\\udc00\"", LoneSurrogate),
        ("\"\\ud800\\u0041\"", LoneSurrogate),
        ("\"\\ud800x\"", LoneSurrogate),
    ] {
        assert_eq!(document(text), Err(kind), "{text}");
        assert_eq!(artifact(text), Err(kind), "{text}");
    }
    let broken = parse(b"[\"\xff\"]", &Profile::DOCUMENT).unwrap_err();
    assert_eq!(broken, ParseError { offset: 2, kind: InvalidUtf8 });
    assert_eq!(broken.to_string(), "not UTF-8 at byte 2");
    assert_eq!(parse(b"[1,x]", &Profile::DOCUMENT).unwrap_err().offset, 3);
}

#[test]
fn what_an_artifact_may_not_contain() {
    use ParseErrorKind::*;
    let long_integer = "9".repeat(300);
    for (text, kind) in [
        ("1.0", NotInteger),
        ("1e0", NotInteger),
        ("-0", MinusZero),
        ("9007199254740992", IntegerRange),
        ("-9007199254740992", IntegerRange),
        (long_integer.as_str(), IntegerRange),
        ("{\"ä\":1}", NonAsciiName),
        ("\"e\u{301}\"", Text(TextError::NotNfc)),
        ("\"\\n\"", Text(TextError::Control)),
        ("\"a\u{202e}b\"", Text(TextError::Bidi)),
        ("\"a\u{200b}b\"", Text(TextError::Invisible)),
        ("\"\u{ffff}\"", Text(TextError::Noncharacter)),
        ("{\"b\":1,\"a\":1}", NotCanonical),
        ("[1, 2]", NotCanonical),
        ("\"\\u0041\"", NotCanonical),
        ("\"\\/\"", NotCanonical),
        ("1\n", NotCanonical),
    ] {
        assert_eq!(artifact(text), Err(kind), "{text}");
    }
    for text in ["9007199254740991", "-9007199254740991", "{\"a\":[null,true,\"Zürich 東京\"]}", "0", "\"\""]
    {
        assert!(artifact(text).is_ok(), "{text}");
        assert!(is_canonical(text.as_bytes(), &Profile::ARTIFACT));
    }
}

#[test]
fn limits_are_refused_as_limits_and_the_last_lawful_value_passes() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(artifact(&nested(ARTIFACT_DEPTH_MAX)).is_ok());
    assert_eq!(artifact(&nested(ARTIFACT_DEPTH_MAX + 1)), Err(ParseErrorKind::TooDeep));
    assert!(document(&nested(DOCUMENT_DEPTH_MAX)).is_ok());
    assert_eq!(document(&nested(100_000)), Err(ParseErrorKind::TooDeep));

    let text = |bytes: usize| alloc::format!("\"{}\"", "x".repeat(bytes - 2));
    assert!(artifact(&text(ARTIFACT_BYTES_MAX)).is_ok());
    assert_eq!(artifact(&text(ARTIFACT_BYTES_MAX + 1)), Err(ParseErrorKind::TooLarge));
    let small = Profile::DOCUMENT.with_bytes_max(4);
    assert!(parse(b"1234", &small).is_ok());
    assert_eq!(parse(b"12345", &small).unwrap_err().kind, ParseErrorKind::TooLarge);

    assert!(document("1e512").is_ok());
    assert!(document("1e-512").is_ok());
    for number in ["1e513", "1e-513", "1e99999999999999999999999", "0.1e-512"] {
        assert_eq!(document(number), Err(ParseErrorKind::NumberLimit), "{number}");
    }
    // 250 digits become 250 digits, a point and `e+249`: exactly at the limit.
    assert!(document(&"7".repeat(250)).is_ok());
    assert_eq!(document(&"7".repeat(251)), Err(ParseErrorKind::NumberLimit));
    assert_eq!(document(&alloc::format!("0.{}", "0".repeat(255))), Err(ParseErrorKind::NumberLimit));
}

#[test]
fn every_refusal_has_one_class() {
    let class = |text: &str| artifact(text).unwrap_err().class();
    assert_eq!(class(&"[".repeat(99)), ParseClass::Limit);
    assert_eq!(class("1.5"), ParseClass::Noncanonical);
    assert_eq!(class("\"\u{200f}\""), ParseClass::Unicode);
    assert_eq!(class("{"), ParseClass::Malformed);
}

#[test]
fn many_duplicate_members_are_found_without_quadratic_work() {
    let mut text = String::from("{");
    for n in (0..40_000).rev() {
        text.push_str(&alloc::format!("\"{n}\":0,"));
    }
    assert!(document(&(text.clone() + "\"x\":0}")).is_ok());
    assert_eq!(document(&(text + "\"39999\":0}")), Err(ParseErrorKind::DuplicateMember));
}

#[test]
fn an_object_finds_replaces_and_removes_its_members() {
    let mut object = Object::new().with("b", 2_u64).with("a", "x").with("c", Value::Null);
    assert_eq!(object.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(object.insert("b", vec![Value::from(true)]), Some(Value::from(2_u64)));
    assert_eq!(object.get("b").and_then(Value::as_array).map(<[Value]>::len), Some(1));
    assert_eq!(object.remove("a").as_ref().and_then(Value::as_str), Some("x"));
    assert_eq!((object.len(), object.is_empty(), object.get("a")), (2, false, None));
    assert_eq!(Value::from(object).to_canonical(), br#"{"b":[true],"c":null}"#);
}

#[test]
fn integers_are_read_within_the_range_that_is_asked_for() {
    let value = document("18446744073709551615").unwrap();
    assert_eq!((value.as_u64(), value.as_i64()), (Some(u64::MAX), None));
    assert_eq!(Value::from(u64::MAX), value);
    let negative = document("-5").unwrap();
    assert_eq!((negative.as_u64(), negative.as_i64()), (None, Some(-5)));
    assert_eq!(document("4294967296").unwrap().as_u32(), None);
    assert_eq!(document("1.5").unwrap().as_i64(), None);
    assert_eq!(document("2.0").unwrap().as_u32(), Some(2));
}

#[test]
fn the_writer_gives_the_bytes_of_the_value() {
    let number = Number::parse("0.50").unwrap();
    let bytes = Writer::object(64, |out| {
        out.array("array", |out| {
            out.u64(10)
                .str("a\"\u{1}\u{7f}")
                .hex(&[0xab, 0x01])
                .object(|_| ())
                .array(|_| ())
                .value(&Value::Null);
        });
        out.bool("bool", false)
            .hex("hex", &[0, 255])
            .i64("int", i64::MIN)
            .null("null")
            .number("number", &number);
        out.object("object", |out| {
            out.u64("max", u64::MAX)
                .opt_hex("none", None)
                .opt_str("nothing", None)
                .opt_str("some", Some("x"));
        });
        out.opt_object("opt", Some(7), |out, n| {
            out.u64("n", n);
        });
        out.opt_object("opt_none", None::<u64>, |_, _| ()).str("str", "\t").value("value", &Value::from("v"));
    });
    let expected = "{\"array\":[10,\"a\\\"\\u0001\u{7f}\",\"ab01\",{},[],null],\"bool\":false,\"hex\":\"00ff\",\
                    \"int\":-9223372036854775808,\"null\":null,\"number\":0.5,\"object\":{\"max\":18446744073709551615,\
                    \"none\":null,\"nothing\":null,\"some\":\"x\"},\"opt\":{\"n\":7},\"opt_none\":null,\
                    \"str\":\"\\t\",\"value\":\"v\"}";
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert!(is_canonical(&bytes, &Profile::DOCUMENT));
}

#[test]
#[should_panic(expected = "member `a` written after `b`")]
fn the_writer_refuses_members_out_of_order() {
    Writer::object(0, |out| {
        out.null("b").null("a");
    });
}

#[test]
fn text_that_hides_something_is_not_clean() {
    for clean in ["", "plain", "Zürich", "日本語", "é", "a\u{fe0f}", "👍"] {
        assert_eq!(check_clean(clean), Ok(()), "{clean:?}");
    }
    use TextError::*;
    for (text, error) in [
        ("\0", Control),
        ("tab\t", Control),
        ("\u{7f}", Control),
        ("ä\u{85}", Control),
        ("\u{2028}", Control),
        ("\u{2029}", Control),
        ("\u{61c}", Bidi),
        ("\u{200e}", Bidi),
        ("\u{200f}", Bidi),
        ("\u{202a}", Bidi),
        ("\u{202e}", Bidi),
        ("\u{2066}", Bidi),
        ("\u{2069}", Bidi),
        ("\u{200b}", Invisible),
        ("\u{200d}", Invisible),
        ("\u{2060}", Invisible),
        ("\u{feff}", Invisible),
        ("\u{e0041}", Invisible),
        ("\u{fdd0}", Noncharacter),
        ("\u{10ffff}", Noncharacter),
        ("\u{1fffe}", Noncharacter),
        ("e\u{301}", NotNfc),
        ("\u{212b}", NotNfc),
    ] {
        assert_eq!(check_clean(text), Err(error), "{text:?}");
    }
}

fn any_number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?"
            .prop_map(|text| Number::parse(&text).unwrap()),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any_number().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let members = proptest::collection::vec((any::<String>(), inner.clone()), 0..8);
        prop_oneof![
            proptest::collection::vec(inner, 0..8).prop_map(Value::from),
            members.prop_map(|members| {
                let mut object = Object::new();
                for (name, value) in members {
                    object.insert(name, value);
                }
                Value::from(object)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn writing_and_reading_gives_the_same_value_and_the_same_bytes(value in any_value()) {
        let bytes = value.to_canonical();
        let read = parse_canonical(&bytes, &Profile::DOCUMENT).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(read.to_canonical(), bytes);
    }

    #[test]
    fn names_sort_as_utf_16(a in any::<String>(), b in any::<String>()) {
        let expected = a.encode_utf16().cmp(b.encode_utf16());
        prop_assert_eq!(object::compare_names(&a, &b), expected);
    }

    #[test]
    fn a_number_keeps_its_normal_form_under_every_shift(digits in "[1-9][0-9]{0,40}", shift in -40_i64..40, zeros in 0_usize..5) {
        let plain = Number::parse(&digits).unwrap();
        let padded = alloc::format!("{digits}.{}", "0".repeat(zeros + 1));
        prop_assert_eq!(&Number::parse(&padded).unwrap(), &plain);
        let scaled = Number::parse(&alloc::format!("{digits}e{shift}")).unwrap();
        prop_assert_eq!(&Number::parse(&scaled.to_string()).unwrap(), &scaled);
        let (first, rest) = digits.split_at(1);
        let moved = alloc::format!("{first}.{rest}0e{}", shift + rest.len() as i64);
        prop_assert_eq!(&Number::parse(&moved).unwrap(), &scaled);
        prop_assert_eq!(scaled == plain, shift == 0);
    }

    #[test]
    fn a_double_reads_back_as_itself(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite());
        let normal = Number::parse(&alloc::format!("{double:e}")).unwrap().to_string();
        prop_assert_eq!(normal.parse::<f64>().unwrap() , double);
    }

    #[test]
    fn a_duplicate_member_is_refused_at_any_depth(value in any_value(), name in any::<String>(), depth in 0_usize..10) {
        let name = String::from_utf8(Value::from(name).to_canonical()).unwrap();
        let value = String::from_utf8(value.to_canonical()).unwrap();
        let inner = alloc::format!("{{{name}:{value},\"other\\u0000name\":1,{name}:{value}}}");
        let text = alloc::format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        prop_assert_eq!(document(&text), Err(ParseErrorKind::DuplicateMember));
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused_and_what_an_artifact_accepts_is_a_document(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\",:0-9eE.+\\-\\\\untrfalsed8 \u{feff}ä😀]{0,60}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let strict = parse_canonical(bytes, &Profile::ARTIFACT);
            let loose = parse(bytes, &Profile::DOCUMENT);
            if let Ok(value) = strict {
                prop_assert_eq!(loose.unwrap(), value);
            }
        }
    }

    #[test]
    fn a_text_is_clean_or_an_artifact_refuses_it(text in any::<String>()) {
        let bytes = Value::from(text.as_str()).to_canonical();
        let refused = parse_canonical(&bytes, &Profile::ARTIFACT).err().map(|error| error.kind);
        prop_assert_eq!(refused, check_clean(&text).err().map(ParseErrorKind::Text));
    }
}
