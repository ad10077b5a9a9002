use alloc::string::ToString;
use alloc::vec;

use gantral_core::digest::Digest;
use proptest::prelude::*;

use super::*;

fn instance() -> InstanceId {
    InstanceId::from_random([7; 16])
}

fn owned(list: &[(&str, &[u8])]) -> OwnedFiles {
    let mut files = OwnedFiles::new();
    for (path, content) in list {
        files.insert(path, content.to_vec()).unwrap();
    }
    files
}

fn sealed() -> OwnedFiles {
    let mut files = owned(&[
        ("artifacts/000000.dsse.json", b"zero"),
        ("artifacts/000001.dsse.json", &[b'x'; 512]),
        ("disclosures/a.json", &[b'y'; 513]),
        ("keys/issuer", b""),
    ]);
    files.seal(instance(), Scope::Complete).unwrap();
    files
}

fn tar_of(files: &OwnedFiles) -> Vec<u8> {
    write_tar(&files.as_files().unwrap())
}

fn faults(files: &OwnedFiles) -> Vec<String> {
    let files = files.as_files().unwrap();
    Manifest::read(&files).unwrap().faults(&files).iter().map(ToString::to_string).collect()
}

#[test]
fn a_sealed_bundle_reads_back_from_its_tar_and_from_a_directory() {
    let files = sealed();
    let tar = tar_of(&files);
    assert_eq!(tar.len() % 512, 0);
    let read = read_tar(&tar).unwrap();
    assert_eq!(read, files.as_files().unwrap());
    assert_eq!(write_tar(&read), tar);

    let reversed: Vec<_> = read.iter().collect::<Vec<_>>().into_iter().rev().collect();
    assert_eq!(Files::from_list(reversed), Ok(read.clone()));

    let manifest = Manifest::read(&read).unwrap();
    assert_eq!((manifest.instance, manifest.scope, manifest.files.len()), (instance(), Scope::Complete, 4));
    assert_eq!(manifest.faults(&read), []);
    assert_eq!(read.get("artifacts/000000.dsse.json"), Some(&b"zero"[..]));
    assert_eq!(read.within("artifacts/").count(), 2);
    assert_eq!((read.len(), read.is_empty(), read.get("none")), (5, false, None));
}

#[test]
fn sealing_again_replaces_the_list() {
    let mut files = sealed();
    files.insert("human/a", b"more".to_vec()).unwrap();
    assert_eq!(faults(&files), ["`human/a` is not listed"]);
    files.seal(instance(), Scope::Prefix).unwrap();
    assert_eq!(faults(&files), [""; 0]);
}

#[test]
fn every_file_that_disagrees_with_the_list_is_named() {
    let mut files = sealed();
    files.remove("artifacts/000000.dsse.json");
    files.insert("artifacts/000000.dsse.json", b"null".to_vec()).unwrap();
    files.remove("artifacts/000001.dsse.json");
    files.remove("disclosures/a.json");
    files.insert("disclosures/a.json", b"y".to_vec()).unwrap();
    files.insert("artifacts/000002.dsse.json", vec![]).unwrap();
    assert_eq!(
        faults(&files),
        [
            "`artifacts/000000.dsse.json` has another digest than listed",
            "`artifacts/000001.dsse.json` is listed and missing",
            "`artifacts/000002.dsse.json` is not listed",
            "`disclosures/a.json` has another length than listed",
        ]
    );
}

#[test]
fn paths_that_climb_or_mean_another_file_elsewhere_are_refused() {
    let long = "a".repeat(PATH_BYTES_MAX + 1);
    for path in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".hidden",
        "a.",
        "a\\b",
        "A",
        "c:a",
        "ä",
        "a b",
        "a\0b",
        "a\u{1b}[2J",
        &long,
    ] {
        let refused = Files::from_list([(path, &b""[..])]).unwrap_err();
        assert!(matches!(refused, ContainerError::Path { .. }), "{path:?}");
        assert!(refused.to_string().chars().all(|c| !c.is_control()), "{path:?}");
        assert!(OwnedFiles::new().insert(path, vec![]).is_err(), "{path:?}");
    }
    for path in ["a", "a/b.c/d-e_f.json", &long[1..]] {
        assert!(Files::from_list([(path, &b""[..])]).is_ok(), "{path}");
    }
}

#[test]
fn one_path_means_one_file() {
    let duplicate = |path: &str| Err(ContainerError::Duplicate { path: path.into() });
    assert_eq!(Files::from_list([("a", &b"1"[..]), ("b", b""), ("a", b"2")]).map(|_| ()), duplicate("a"));
    assert_eq!(Files::from_list([("a", &b""[..]), ("a-b", b""), ("a/b", b"")]).map(|_| ()), duplicate("a"));
    assert_eq!(owned(&[("a", b"")]).insert("a", vec![]), duplicate("a"));
    let mut both = owned(&[("bundle.json/x", b"")]);
    assert_eq!(both.seal(instance(), Scope::Prefix), duplicate("bundle.json"));
    assert!(both.as_files().is_ok());
}

#[test]
fn limits_are_told_apart_from_damage() {
    let name = |n: usize| alloc::format!("artifacts/{n:06}.dsse.json");
    let names: Vec<_> = (0..=ARTIFACTS_MAX).map(name).collect();
    let list =
        |count: usize| Files::from_list(names.iter().take(count).map(|name| (name.as_str(), &b""[..])));
    assert!(list(ARTIFACTS_MAX).is_ok());
    assert_eq!(list(ARTIFACTS_MAX + 1), Err(ContainerError::Limit("artifacts")));

    let names: Vec<_> = (0..=FILES_MAX).map(|n| alloc::format!("f{n}")).collect();
    let all = names.iter().map(|name| (name.as_str(), &b""[..]));
    assert_eq!(Files::from_list(all), Err(ContainerError::Limit("files")));

    let block = vec![0; CONTENT_BYTES_MAX / 4];
    let list =
        |count: usize| Files::from_list(names.iter().take(count).map(|name| (name.as_str(), &block[..])));
    assert!(list(4).is_ok());
    assert_eq!(list(5), Err(ContainerError::Limit("bytes")));
}

/// Changes a tar in the header of its first file, and repairs the checksum as another archiver would have set it.
fn with_header(change: impl FnOnce(&mut [u8])) -> ContainerError {
    let mut tar = tar_of(&owned(&[("a", b"content"), ("b", b"")]));
    change(&mut tar[..512]);
    tar[148..156].copy_from_slice(b"        ");
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(alloc::format!("{sum:06o}\0 ").as_bytes());
    read_tar(&tar).unwrap_err()
}

#[test]
fn entries_that_are_not_plain_files_are_refused() {
    for kind in *b"\x0012345678xgLK" {
        assert_eq!(
            with_header(|header| header[156] = kind),
            ContainerError::NotRegular { offset: 0 },
            "{kind}"
        );
    }
    let climbs = with_header(|header| header[..4].copy_from_slice(b"../x"));
    assert_eq!(climbs, ContainerError::Path { path: "../x".into() });
}

#[test]
fn what_another_archiver_could_say_differently_is_refused() {
    let bad = ContainerError::Tar { offset: 0 };
    for (at, bytes) in [
        (50, &b"x"[..]),
        (100, b"0000755"),
        (108, b"0001750"),
        (116, b"0001750"),
        (124, b"00000000008"),
        (124, b"       0007"),
        (124, b"+0000000007"),
        (135, b" "),
        (136, b"14000000000"),
        (157, b"link"),
        (257, b"ustar  \0"),
        (265, b"root"),
        (345, b"prefix"),
        (511, b"x"),
    ] {
        assert_eq!(with_header(|header| header[at..at + bytes.len()].copy_from_slice(bytes)), bad, "{at}");
    }
    let over = with_header(|header| header[124..135].copy_from_slice(b"77777777777"));
    assert_eq!(over, ContainerError::Limit("bytes"));
    assert_eq!(with_header(|header| header[0] = b'b'), ContainerError::Duplicate { path: "b".into() });
    assert_eq!(with_header(|header| header[0] = b'c'), ContainerError::Tar { offset: 1024 }, "order");
}

#[test]
fn a_tar_ends_where_it_ends() {
    let tar = tar_of(&owned(&[("a", b"content")]));
    for length in 0..tar.len() {
        assert!(read_tar(&tar[..length]).is_err(), "{length}");
    }
    let mut longer = tar.clone();
    longer.extend([0; 512]);
    assert_eq!(read_tar(&longer), Err(ContainerError::Tar { offset: 1024 }));
    let mut padded = tar;
    padded[512 + 7] = 1;
    assert_eq!(read_tar(&padded), Err(ContainerError::Tar { offset: 0 }));
    assert_eq!(read_tar(&[0; 1024]).map(|files| files.len()), Ok(0));
}

#[test]
fn a_list_that_is_not_exactly_one_is_refused() {
    use ContainerError::*;
    let files = sealed();
    let text = String::from_utf8(files.as_files().unwrap().get(MANIFEST_PATH).unwrap().to_vec()).unwrap();
    let digest = Digest::of(b"zero").to_hex();
    for (from, to, error) in [
        ("gantral/bundle/v1", "gantral/bundle/v2", UnknownFormat),
        ("\"format\":\"gantral/bundle/v1\",", "", ManifestMember("format")),
        ("{\"files\"", "{\"a\":1,\"files\"", ManifestMember("members")),
        ("\"complete\"", "\"whole\"", ManifestMember("scope")),
        (&instance().to_string(), "none", ManifestMember("instance_id")),
        ("\"length\":4,", "", ManifestMember("files")),
        ("\"length\":4,", "\"a\":0,\"length\":4,", ManifestMember("files")),
        ("\"length\":4,", "\"length\":268435457,", Limit("bytes")),
        (&digest, "00", ManifestMember("files")),
        ("keys/issuer", "bundle.json", ManifestMember("files")),
        ("keys/issuer", "a", ManifestMember("files")),
        ("keys/issuer", "../issuer", Path { path: "../issuer".into() }),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(Manifest::parse(text.replacen(from, to, 1).as_bytes()), Err(error), "{from} -> {to}");
    }
    assert!(matches!(Manifest::parse((text + " ").as_bytes()), Err(ManifestJson(_))));
    assert_eq!(Manifest::read(&owned(&[]).as_files().unwrap()), Err(NoManifest));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_flipped_bit_outside_the_list_is_refused_or_named(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let files = sealed();
        let mut tar = tar_of(&files);
        let at = at.index(tar.len());
        tar[at] ^= 1 << bit;
        if let Ok(read) = read_tar(&tar) {
            let list = read.get(MANIFEST_PATH).and_then(|bytes| Manifest::parse(bytes).ok());
            let unchanged = read.get(MANIFEST_PATH) == files.as_files().unwrap().get(MANIFEST_PATH);
            prop_assert!(list.is_none_or(|list| !unchanged || !list.faults(&read).is_empty()));
        }
    }

    #[test]
    fn any_files_survive(list in proptest::collection::btree_map("[a-z]{1,3}(/[a-z0-9]{1,3})?", proptest::collection::vec(any::<u8>(), 0..1500), 0..8)) {
        let mut files = OwnedFiles::new();
        for (path, content) in &list {
            files.insert(path, content.clone()).unwrap();
        }
        prop_assume!(files.as_files().is_ok());
        let tar = tar_of(&files);
        prop_assert_eq!(read_tar(&tar), files.as_files());
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read_tar(&bytes);
        let _ = Manifest::parse(&bytes);
    }
}
