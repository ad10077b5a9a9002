use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;

#[test]
fn no_line_is_lost_when_the_file_is_moved_away_while_others_append() {
    const WRITERS: usize = 4;
    const LINES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let (path, done) = (folder.path().join("lines"), AtomicBool::new(false));
    let moved = |number: usize| folder.path().join(format!("moved-{number}"));
    let mut read = Vec::new();
    std::thread::scope(|scope| {
        let writer = |writer: usize| {
            let path = &path;
            move || {
                (0..LINES).for_each(|line| append(path, format!("{writer} {line}\n").into_bytes()).unwrap())
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|number| scope.spawn(writer(number))).collect();
        let reader = scope.spawn(|| {
            let (mut all, mut number) = (Vec::new(), 0);
            while !done.load(Ordering::Acquire) || path.exists() {
                rename(&path, &moved(number)).unwrap();
                if let Ok(file) = File::open(moved(number)) {
                    file.lock().unwrap();
                    all.extend(std::fs::read_to_string(moved(number)).unwrap().lines().map(str::to_owned));
                }
                number += 1;
                // Nobody moves it as fast as others can append.
                std::thread::sleep(Duration::from_millis(5));
            }
            all
        });
        let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Release);
        ended.into_iter().for_each(|writer| writer.unwrap());
        read = reader.join().unwrap();
    });
    assert_eq!(read.len(), WRITERS * LINES);
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len(), WRITERS * LINES);
}

#[test]
fn files_are_for_their_owner_alone_and_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    replace(&path, b"a longer content").unwrap();
    replace(&path, b"short").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"short");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
    remove(&path).unwrap();
    remove(&path).unwrap();
}

#[test]
fn name_is_made_once_and_anew_only_if_it_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    let name = name_once(&path, "mcp-", 16).unwrap();
    assert_eq!((name.get(..4), name.len()), (Some("mcp-"), 36));
    assert_eq!(name_once(&path, "mcp-", 16).unwrap(), name);
    std::fs::write(&path, &name[..10]).unwrap();
    let other = name_once(&path, "mcp-", 16).unwrap();
    assert_ne!(other, name);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
}
