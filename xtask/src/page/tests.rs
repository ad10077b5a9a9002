//! What a page is made of, and that it is made the same everywhere.

use super::*;

const TEMPLATE: &str = "<{{script-hash}} {{style-hash}} {{wasm-digest}} {{version}}><style>{{style}}</style>{{wasm}}<script>{{script}}</script>";

fn material() -> Material {
    Material {
        template: TEMPLATE.to_owned(),
        style: "p{{}".to_owned(),
        script: "1".to_owned(),
        version: "2.0.1".to_owned(),
        module: b"\0asm".to_vec(),
    }
}

#[test]
fn policy_names_what_stands_in_the_page() {
    let page = assemble(&material()).unwrap();
    assert_eq!(
        page,
        "<sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s= sha256-4g4tiGYUYqswAWF5/ZCNH5yiqxfHqUWCQL6VpmOYll4= \
         cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f 2.0.1><style>p{{}</style>AGFzbQ==<script>1</script>"
    );
}

#[test]
fn part_that_would_end_its_element_is_refused() {
    let ends = Material { script: "'</SCRIPT>'".to_owned(), ..material() };
    assert_eq!(assemble(&ends).unwrap_err().to_string(), "a part of the page contains `</script`");
}

#[test]
fn template_has_every_place_and_no_other() {
    let other = Material { template: TEMPLATE.replace("version", "date"), ..material() };
    assert_eq!(assemble(&other).unwrap_err().to_string(), "the template has an unknown place `date`");
    let fewer = Material { template: TEMPLATE.replace(" {{version}}", ""), ..material() };
    assert_eq!(assemble(&fewer).unwrap_err().to_string(), "the template has 6 places, not 7");
}

#[test]
fn version_is_that_of_the_workspace() {
    let manifest =
        "[package]\nversion = \"9\"\n[workspace.package]\nedition = \"2024\"\nversion = \"0.1.0\"\n";
    assert_eq!(workspace_version(manifest).unwrap(), "0.1.0");
    assert!(workspace_version("[package]\nversion = \"9\"\n").is_err());
}

/// Copies what the page is built from, as git lists it.
fn copy_sources(from: &Path, to: &Path) {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(from).output().unwrap();
    assert!(output.status.success());
    let names = String::from_utf8(output.stdout).unwrap();
    let built_from = |name: &&str| !name.starts_with("spec/") && from.join(name).is_file();
    for name in names.split_terminator('\0').filter(built_from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(name), path).unwrap();
    }
}

#[test]
fn two_builds_in_two_folders_give_the_same_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    copy_sources(root, elsewhere.path());
    let (here, there) = (build(root).unwrap(), build(elsewhere.path()).unwrap());
    let (here, there) = (fs::read(here).unwrap(), fs::read(there).unwrap());
    assert!(here == there, "{} and {} bytes differ", here.len(), there.len());

    let module = fs::read(
        elsewhere.path().join("target/page-build").join(TARGET).join("page/gantral_verify_web.wasm"),
    );
    let module = String::from_utf8_lossy(&module.unwrap()).into_owned();
    let home = std::env::var("HOME").unwrap();
    for path in [root.to_str().unwrap(), elsewhere.path().to_str().unwrap(), &home, "registry/src"] {
        assert!(!module.contains(path), "`{path}` is in the module");
    }
}
