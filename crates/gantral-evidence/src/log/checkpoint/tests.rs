use super::*;

const TEXT: &str = "acme/log.example\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

#[test]
fn a_checkpoint_is_read_as_it_was_written() {
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.tree.size), ("acme/log.example", 20_852_163));
    assert_eq!(checkpoint.text(), TEXT);
}

#[test]
fn extensions_are_without_meaning() {
    let extended = format!("{TEXT}anything\n");
    assert_eq!(Checkpoint::parse(&extended), Checkpoint::parse(TEXT));
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let cases = [
        ("", CheckpointError::Shape),
        ("acme/log.example\n7\n", CheckpointError::Shape),
        (TEXT.trim_end(), CheckpointError::Shape),
        (&format!("{TEXT}\n"), CheckpointError::Shape),
        (&TEXT.replace("acme/", "acme +"), CheckpointError::Origin),
        (&format!("\n{TEXT}"), CheckpointError::Origin),
        (&TEXT.replace("20852163", "020852163"), CheckpointError::Size),
        (&TEXT.replace("20852163", "+20852163"), CheckpointError::Size),
        (&TEXT.replace("20852163", "9007199254740992"), CheckpointError::Size),
        (&TEXT.replace("q2I=", "q2I"), CheckpointError::Root),
        (&TEXT.replace("q2I=", "q2J="), CheckpointError::Root),
        (&TEXT.replace("q2I=", ""), CheckpointError::Root),
    ];
    for (text, error) in cases {
        assert_eq!(Checkpoint::parse(text), Err(error), "{text}");
    }
}
