use super::*;

/// Prints a text in pieces of every size, under secrets; demands what is written.
#[track_caller]
fn check(secrets: &[&str], printed: &str, expected: &str) {
    for size in 1..=printed.len().max(1) {
        let mut mask = Mask::of(secrets.iter().map(OsStr::new));
        let mut written = Vec::new();
        for piece in printed.as_bytes().chunks(size) {
            written.extend(mask.pass(piece));
        }
        written.extend(mask.finish());
        assert_eq!(String::from_utf8(written).unwrap(), expected, "in pieces of {size}");
    }
}

#[test]
fn a_value_is_masked_however_its_bytes_arrive() {
    check(&["s3cret"], "", "");
    check(&["s3cret"], "nothing to hide", "nothing to hide");
    check(&["s3cret"], "s3cret", "***");
    check(&["s3cret"], "key=s3cret, again s3crets3cret!\n", "key=***, again ******!\n");
    check(&["s3cret"], "s3cre is not it, s3s3cret is: s3cre", "s3cre is not it, s3*** is: s3cre");
    check(&["aaab"], "aaaaab", "aa***");
}

#[test]
fn the_longest_value_counts() {
    check(&["s3cret", "s3cret-and-more"], "s3cret-and-more s3cret-and", "*** ***-and");
}

#[test]
fn a_line_of_a_value_is_masked_and_what_is_too_short_to_be_secret_is_not() {
    let key = "-----BEGIN-----\nMIGHAgEAMBMG\r\nyz\n-----END-----\n";
    check(&[key], &format!("<{key}>"), "<***>");
    check(&[key], "it has MIGHAgEAMBMG and yz", "it has *** and yz");
    check(&["yes"], "yes, it is", "yes, it is");
}
