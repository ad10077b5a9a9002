use alloc::string::ToString as _;
use alloc::vec;

use super::*;

#[test]
fn a_consistency_file_reads_back_as_it_was_written() {
    for hashes in [vec![], vec![Digest::of(b"a")], vec![Digest::of(b"a"), Digest::of(b"b")]] {
        for checkpoint in [None, Some("origin\n3\nroot\n\n- signature\n".to_string())] {
            let file = LogConsistency { hashes: hashes.clone(), checkpoint };
            assert_eq!(LogConsistency::parse(file.encode().as_bytes()), Ok(file));
        }
    }
}

#[test]
fn what_is_no_consistency_file_is_refused() {
    let hash = encode_hashes(&[Digest::of(b"a")]);
    let many = format!("{}\n", hash.repeat(PROOF_HASHES_MAX + 1));
    let long = format!("\n{}", "x".repeat(CONSISTENCY_BYTES_MAX));
    let cases = [
        ("", ConsistencyFormatError::Shape),
        (hash.as_str(), ConsistencyFormatError::Shape),
        ("YQ==\n\n", ConsistencyFormatError::Hash),
        (many.as_str(), ConsistencyFormatError::Limit),
        (long.as_str(), ConsistencyFormatError::Limit),
    ];
    for (text, error) in cases {
        assert_eq!(LogConsistency::parse(text.as_bytes()), Err(error), "{text}");
    }
}

#[test]
fn a_file_is_named_by_the_size_of_its_tree() {
    assert_eq!(LogConsistency::size_of_path(&LogConsistency::path(1024)), Some(1024));
    for path in ["log/0.tlog-consistency", "log/01.tlog-consistency", "log/a.tlog-consistency", "log/7.tlog"]
    {
        assert_eq!(LogConsistency::size_of_path(path), None, "{path}");
    }
}
