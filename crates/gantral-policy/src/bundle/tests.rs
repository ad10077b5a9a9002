use std::fs;

use proptest::prelude::*;

use super::*;

const MODULE: &[u8] = b"package gantral.policy\ndefault decision := \"DENY\"\n";

fn bundle(files: &[(&str, &[u8])]) -> Result<Bundle, BundleError> {
    Bundle::from_files(files.iter().map(|(path, content)| (*path, content.to_vec())))
}

/// Packs entries as some other program would: any order, any times, any owners.
fn foreign_archive(entries: &[(&str, &[u8])], mtime: u64, level: u32) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    let mut builder = tar::Builder::new(encoder);
    for (path, content) in entries {
        let mut header = tar::Header::new_gnu();
        // `Builder` refuses the leading slash that `opa build` writes.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mtime(mtime);
        header.set_uid(mtime % 1_000);
        header.set_mode(0o600);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn the_version_is_the_digest_of_sorted_lines() {
    let made = bundle(&[("b.rego", MODULE), ("a/data.json", b"{}")]).unwrap();
    let mut lines = [
        format!("{} {} a/data.json\n", Digest::of(b"{}"), 2),
        format!("{} {} b.rego\n", Digest::of(MODULE), MODULE.len()),
    ];
    lines.sort();
    assert_eq!(made.version().0, Digest::of(lines.concat().as_bytes()));
}

#[test]
fn an_archive_of_opa_build_has_the_version_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("team")).unwrap();
    fs::write(folder.path().join("policy.rego"), MODULE).unwrap();
    fs::write(folder.path().join("team/data.json"), b"{\"a\":1}").unwrap();
    fs::write(folder.path().join("README.md"), b"not part of the bundle").unwrap();
    let from_folder = Bundle::from_path(folder.path()).unwrap();
    let archive = foreign_archive(&[("/team/data.json", b"{\"a\":1}"), ("/policy.rego", MODULE)], 1_700, 9);
    assert_eq!(Bundle::from_archive(&archive).unwrap(), from_folder);
    let file = folder.path().join("bundle.tar.gz");
    fs::write(&file, from_folder.to_archive().unwrap()).unwrap();
    assert_eq!(Bundle::from_path(&file).unwrap().version(), from_folder.version());
}

#[test]
fn revision_and_signatures_do_not_change_the_version() {
    let plain = bundle(&[("p.rego", MODULE)]).unwrap();
    let published = plain.with_revision().unwrap();
    assert_eq!(published.version(), plain.version());
    let manifest = published.files().find(|(path, _)| *path == ".manifest").unwrap().1;
    assert_eq!(manifest, format!("{{\"revision\":\"{}\"}}", plain.version().0).as_bytes());
    let signed = bundle(&[("p.rego", MODULE), (".signatures.json", b"{}"), (".manifest", b"{}")]).unwrap();
    assert_eq!(signed.version(), plain.version());
    let spelt =
        bundle(&[("p.rego", MODULE), (".manifest", b"{ \"revision\" : \"x\", \"rego_version\": 0 }")]);
    let other = bundle(&[("p.rego", MODULE), (".manifest", b"{\"rego_version\":0}")]).unwrap();
    assert_eq!(spelt.unwrap().version(), other.version());
    assert_ne!(other.version(), plain.version());
}

#[test]
fn the_manifest_names_the_language_version() {
    let with = |manifest: &str| bundle(&[("p.rego", MODULE), (".manifest", manifest.as_bytes())]);
    assert_eq!(bundle(&[("p.rego", MODULE)]).unwrap().rego_version(), RegoVersion::V1);
    assert_eq!(with(r#"{"rego_version":0}"#).unwrap().rego_version(), RegoVersion::V0);
    assert_eq!(with(r#"{"rego_version":1,"roots":[""]}"#).unwrap().rego_version(), RegoVersion::V1);
    for refused in [
        r#"{"rego_version":2}"#,
        r#"{"rego_version":"1"}"#,
        r#"{"file_rego_versions":{"/a.rego":0}}"#,
        r#"{"wasm":[{"entrypoint":"a"}]}"#,
        r#"{"revision":"a","revision":"b"}"#,
        "[]",
        "{",
    ] {
        assert!(matches!(with(refused), Err(BundleError::Manifest { .. })), "{refused}");
    }
}

#[test]
fn what_does_not_belong_in_a_bundle_is_refused() {
    let refusal = |path: &str| bundle(&[("p.rego", MODULE), (path, b"x")]).unwrap_err();
    for path in ["../a.rego", "a/../b.rego", "a//b.rego", "//a.rego", "a\nb.rego", "a\\b.rego", "./", ""] {
        assert!(matches!(refusal(path), BundleError::Path { .. }), "{path:?}");
    }
    for path in ["policy.wasm", "data.yaml", "README.md", "a/.manifest", "data.json.rego.txt"] {
        assert!(matches!(refusal(path), BundleError::Kind { .. }), "{path}");
    }
    assert!(matches!(refusal("/p.rego"), BundleError::Duplicate { .. }));
    assert!(matches!(bundle(&[("data.json", b"{}")]), Err(BundleError::NoModule)));
}

#[test]
fn limits_on_files_bytes_and_number_hold() {
    let large = vec![b' '; FILE_BYTES_MAX + 1];
    assert!(matches!(bundle(&[("p.rego", &large)]), Err(BundleError::FileTooLarge { .. })));
    let file = vec![b' '; FILE_BYTES_MAX];
    let many = (0..9).map(|n| (format!("{n}.rego"), file.clone()));
    assert!(matches!(Bundle::from_files(many), Err(BundleError::TooLarge)));
    let numerous = (0..=BUNDLE_FILES_MAX).map(|n| (format!("{n}.rego"), Vec::new()));
    assert!(matches!(Bundle::from_files(numerous), Err(BundleError::TooManyFiles)));
}

#[test]
fn links_and_broken_archives_are_refused() {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "p.rego", "/etc/passwd").unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    assert!(matches!(Bundle::from_archive(&archive), Err(BundleError::NotPlain { .. })));
    let whole = bundle(&[("p.rego", MODULE)]).unwrap().to_archive().unwrap();
    assert!(matches!(Bundle::from_archive(&whole[..whole.len() / 2]), Err(BundleError::Archive { .. })));
    assert!(matches!(Bundle::from_archive(b"not gzip"), Err(BundleError::Archive { .. })));
    let traversal = foreign_archive(&[("../../p.rego", MODULE)], 0, 1);
    assert!(matches!(Bundle::from_archive(&traversal), Err(BundleError::Path { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_module_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("p.rego")).unwrap();
    assert!(matches!(Bundle::from_directory(folder.path()), Err(BundleError::NotPlain { .. })));
}

fn files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let path = "[a-z]{1,6}(/[a-z]{1,6}){0,2}";
    proptest::collection::btree_map(path, proptest::collection::vec(any::<u8>(), 0..64), 1..8).prop_map(
        |files| files.into_iter().map(|(path, content)| (format!("{path}.rego"), content)).collect(),
    )
}

proptest! {
    #[test]
    fn the_version_depends_on_content_alone(
        files in files(), mtime in 0_u64..2_000_000_000, level in 0_u32..9, turn in 0_usize..8,
    ) {
        let made = Bundle::from_files(files.clone()).unwrap();
        let mut entries: Vec<(&str, &[u8])> =
            files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
        let turn = turn % entries.len();
        entries.rotate_left(turn);
        let read = Bundle::from_archive(&foreign_archive(&entries, mtime, level)).unwrap();
        prop_assert_eq!(read.version(), made.version());
        prop_assert_eq!(read.to_archive().unwrap(), made.to_archive().unwrap());
        let back = Bundle::from_archive(&made.to_archive().unwrap()).unwrap();
        prop_assert_eq!(back, made);
    }

    #[test]
    fn a_changed_byte_changes_the_version(files in files(), at in any::<prop::sample::Index>()) {
        let made = Bundle::from_files(files.clone()).unwrap();
        let mut changed = files;
        let path = changed.keys().nth(at.index(changed.len())).unwrap().clone();
        changed.get_mut(&path).unwrap().push(b'x');
        prop_assert_ne!(Bundle::from_files(changed).unwrap().version(), made.version());
    }

    #[test]
    fn any_bytes_at_all_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Bundle::from_archive(&bytes);
    }
}
