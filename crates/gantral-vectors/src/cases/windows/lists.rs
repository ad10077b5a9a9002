//! Which files a window consists of, and its list.

use gantral_evidence::window::{InstanceHead, InstanceList, LIST_PATH};

use super::{WHOLE, changed, empty, id, story, whole};
use crate::tales;
use crate::window::{Window, WindowCase, listed, placed};

pub(super) fn all() -> Vec<WindowCase> {
    let mut cases = files();
    cases.extend(lists());
    cases
}

fn files() -> Vec<WindowCase> {
    let with = |change: &dyn Fn(&mut Window)| {
        let mut window = whole();
        change(&mut window);
        window.whole()
    };
    let tar = with(&|window| window.put_tar(id(7), &listed(&story(7))));
    let both = with(&|window| {
        let directory = window.files.clone();
        window.put_tar(id(7), &listed(&story(7)));
        let damaged = directory.keys().map(|path| (path.clone(), b"damaged".to_vec()));
        window.files.extend(damaged.filter(|(path, _)| path.starts_with(&id(7).to_string())));
    });
    let others = with(&|window| {
        window.put(id(9), &listed(&story(9)));
        window.files.insert("readme.txt".to_owned(), b"anything".to_vec());
        window.files.insert(format!("{}.json", id(7)), b"anything".to_vec());
    });
    vec![
        WindowCase::of(
            1,
            "whole",
            &["X1", "X4", "X7", "X8"],
            "Two executions of a day, and a bundle of each",
            whole().whole(),
        ),
        WindowCase::of(2, "no-executions", &["X2", "X4"], "A day on which there were none", empty().whole()),
        WindowCase::of(3, "bundle-as-a-file", &["X1"], "One bundle is a file, the other a directory", tar),
        WindowCase::of(
            4,
            "bundle-as-both",
            &["X1"],
            "A bundle is a file, and a damaged directory stands beside it",
            both,
        ),
        WindowCase::of(
            5,
            "other-files",
            &["X1"],
            "Files that are none of a window, and the bundle of an execution that is not listed",
            others,
        ),
        WindowCase::of(
            6,
            "keys-that-are-none",
            &["X1", "X5"],
            "A name under `keys/` that no file of a bundle can have",
            changed(&whole(), |files| _ = files.insert("keys/NO NAME".to_owned(), b"anything".to_vec())),
        )
        .says("E_CONTAINER")
        .invalid(WHOLE),
    ]
}

fn lists() -> Vec<WindowCase> {
    let signed = |number, slug, rules, about, list: Vec<u8>| {
        WindowCase::of(number, slug, rules, about, whole().listing(list)).says("E_CONTAINER").invalid(WHOLE)
    };
    let respelt = |from: &str, to: &str| {
        let list = String::from_utf8(whole().list()).unwrap();
        assert!(list.contains(from), "`{from}` is not in the list");
        list.replacen(from, to, 1).into_bytes()
    };
    let entries = || whole().heads().iter().map(entry).collect::<Vec<_>>();
    let (first, second) = (entries().remove(0), entries().remove(1));
    let shorter = InstanceList { instances: whole().heads()[..1].to_vec() }.encode();
    let longer = Window::of(vec![story(7), story(8), placed(tales::expired(), 9)]).list();
    vec![
        WindowCase::of(
            10,
            "list-that-is-not-there",
            &["X1", "X5"],
            "There is no list",
            changed(&whole(), |files| _ = files.remove(LIST_PATH)),
        )
        .says("E_CONTAINER")
        .invalid(WHOLE),
        WindowCase::of(
            11,
            "list-with-one-less",
            &["X5"],
            "An execution was taken off the list after it was signed",
            changed(&whole(), |files| _ = files.insert(LIST_PATH.to_owned(), shorter.clone())),
        )
        .says("E_CONTAINER")
        .invalid(WHOLE),
        signed(12, "count-that-is-too-high", &["X5"], "Two are counted, and the list has one", shorter),
        signed(13, "count-that-is-too-low", &["X5"], "Two are counted, and the list has three", longer),
        signed(14, "list-out-of-order", &["X2"], "The ids descend", list(&[&second, &first])),
        signed(15, "list-with-one-twice", &["X2"], "One execution stands twice", list(&[&first, &first])),
        signed(16, "list-not-canonical", &["X2"], "The list is spelt with a space", respelt(",", ", ")),
        signed(
            17,
            "list-of-another-format",
            &["X2"],
            "The list has a format that nobody knows",
            respelt("instances/v1", "instances/v2"),
        ),
        signed(
            18,
            "list-with-another-member",
            &["X2"],
            "An entry has a member that it cannot have",
            respelt("\"sequence\":", "\"more\":1,\"sequence\":"),
        ),
        signed(
            19,
            "list-with-a-text-for-a-number",
            &["X2"],
            "A sequence is a text",
            respelt("\"sequence\":2", "\"sequence\":\"2\""),
        ),
    ]
}

fn entry(head: &InstanceHead) -> String {
    let (hash, instance, sequence) = (head.hash.to_hex(), head.instance, head.sequence);
    format!(r#"{{"head_hash":"{hash}","instance_id":"{instance}","sequence":{sequence}}}"#)
}

fn list(entries: &[&String]) -> Vec<u8> {
    let entries: Vec<&str> = entries.iter().map(|entry| entry.as_str()).collect();
    format!(r#"{{"format":"gantral/instances/v1","instances":[{}]}}"#, entries.join(",")).into_bytes()
}
