use std::ffi::OsString;

use super::*;

fn file(values: &[(&str, &[u8])]) -> Result<Vec<u8>, String> {
    use std::os::unix::ffi::OsStringExt as _;
    let variables =
        values.iter().map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())));
    environment_file(&variables.collect())
}

#[test]
fn a_value_stays_one_line_or_is_not_passed_on() {
    assert_eq!(
        file(&[("A", b"1 # 2"), ("B", b"\"x\"=' y "), ("C", b"")]).unwrap(),
        b"A=1 # 2\nB=\"x\"=' y \nC=\n"
    );
    // A second line would be another variable.
    for odd in [&b"1\nLD_PRELOAD=/tmp/x"[..], b"1\r", b"\0", b"\xff"] {
        assert_eq!(file(&[("A", b"1"), ("KEY", odd)]).unwrap_err(), "KEY");
    }
}

#[test]
fn a_container_sees_its_files_and_no_path_of_the_runner() {
    let of = |path: &str| PathBuf::from("/var/lib/runner").join(path);
    let paths = Paths {
        private: of("attempts/a"),
        told: of("attempts/a/told"),
        token: of("attempts/a/told/token"),
        context: of("attempts/a/told/context.json"),
        journal: of("kept.jsonl"),
        trust: of("trust.json"),
        mode_lease: of("mode-leases/d.json"),
        socket: Some(of("sockets/s")),
    };
    let inside = inside(&paths);
    assert_eq!(inside.token, Path::new("/run/gantral/attempt/token"));
    assert_eq!(inside.context, Path::new("/run/gantral/attempt/context.json"));
    assert_eq!(inside.mode_lease, Path::new("/run/gantral/mode-leases/d.json"));
    assert_eq!(inside.socket.as_deref(), Some(Path::new("/run/gantral/secrets")));
    let mounted = mounts(&paths);
    assert_eq!(
        mounted,
        [
            "--volume=/var/lib/runner/attempts/a/told:/run/gantral/attempt:ro",
            "--volume=/var/lib/runner/trust.json:/run/gantral/trust.json:ro",
            "--volume=/var/lib/runner/kept.jsonl:/run/gantral/journal.jsonl:rw",
            "--volume=/var/lib/runner/mode-leases:/run/gantral/mode-leases:rw",
            "--volume=/var/lib/runner/sockets/s:/run/gantral/secrets:rw",
        ]
    );
}
