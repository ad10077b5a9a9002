//! A backup of a data folder, and what its restoring brings back: everything until then, verified, and a server that finds out what it has
//! forgotten, where anything remembers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::wire::{CreateInstance, text};
use gantral_evidence::verify::Verdict;
use gantral_verify::{BesidePaths, read_trust, verify_path};

use crate::serve::Site;
use crate::support::{Killed, Ran, block_on, gantral, repository, run, wait_until};

/// How many agents write while backups are made.
const WRITERS: usize = 4;
/// How many backups are made of a server that is written to.
const BACKUPS: usize = 3;
/// How often a backup is killed.
const KILLS: u32 = 10;

type Id = text::InstanceId;

/// A server with a workflow, and whoever writes to it.
struct Busy {
    site: Site,
    server: Killed,
    url: String,
    ends: AtomicBool,
    /// What was answered, in the order of the answers.
    answered: Mutex<Vec<Id>>,
}

impl Busy {
    fn start() -> Self {
        let site = Site::new();
        let (server, url) = site.serve();
        assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0), "{}", log(&site));
        let definition = repository().join("examples/split-agent/workflow.toml");
        site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(0);
        Self { site, server, url, ends: AtomicBool::new(false), answered: Mutex::default() }
    }

    fn client(&self, url: &str, who: &str) -> Client {
        let token = fs::read_to_string(self.site.path(who)).unwrap();
        let mut config = ClientConfig::new(url.to_owned(), TokenSource::Fixed(token));
        config.ca_file = Some(self.site.path("cert.pem"));
        Client::new(config).unwrap()
    }

    /// Runs something while agents write.
    fn while_written<T>(&self, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| block_on(self.write()));
            }
            assert!(wait_until(|| self.answered().len() > 40));
            let done = work();
            self.ends.store(true, Ordering::SeqCst);
            done
        })
    }

    async fn write(&self) {
        let client = self.client(&self.url, "refund-agent");
        let wanted: CreateInstance = serde_json::from_str(r#"{"workflow": "split-refund"}"#).unwrap();
        while !self.ends.load(Ordering::SeqCst) {
            let created = client.create_instance(&wanted).await.unwrap();
            self.answered.lock().unwrap().push(created.instance.instance_id);
        }
    }

    fn answered(&self) -> Vec<Id> {
        self.answered.lock().unwrap().clone()
    }

    fn back_up(&self, to: &str) -> Command {
        let mut command = gantral(&self.site.path(""));
        command.args(["store", "backup", "--data", "data", "--to", to, "--private-keys"]);
        command
    }

    fn check(&self, folder: &str) -> Ran {
        run(&self.site.path(""), &["store", "check", folder, "--json"])
    }

    /// Starts a server upon a backup, and has the bundle of each of these verified by keys that were pinned before.
    fn restored(&self, folder: &str, expected: &[Id]) {
        let (mut server, url) = self.site.serve_from(folder);
        assert!(
            wait_until(|| self.site.run(&url, "console", &["doctor"]).status == 0),
            "{}",
            log(&self.site)
        );
        let trust = read_trust(&self.site.path("trust.json")).unwrap();
        let auditor = self.client(&url, "console");
        let place = self.site.path("restored.gantral");
        for id in expected {
            let bundle = block_on(async { auditor.evidence(*id).await }).unwrap();
            fs::write(&place, bundle).unwrap();
            let report = verify_path(&place, Some(&trust), &BesidePaths::default(), None).unwrap();
            assert_eq!(report.verdict, Verdict::Valid, "{id}: {report:?}");
        }
        // It goes on, and its log grows from the tree that it had.
        let id =
            self.site.run(&url, "refund-agent", &["instances", "create", "split-refund"]).status(0).word();
        let more = format!("{folder}.gantral");
        let export = ["evidence", "export", &id, "--output", &more];
        assert!(wait_until(|| self.site.run(&url, "console", &export).status == 0), "{}", log(&self.site));
        let verified = run(&self.site.path(""), &["verify", &more, "--trust", "trust.json", "--json"]);
        assert_eq!(verified.status(0).json()["verdict"], "VALID");
        assert_eq!(server.stop(), Some(0));
    }

    fn pin(&self) {
        let first = self.answered()[0].to_string();
        let export = ["evidence", "export", &first, "--output", "first.gantral", "--trust-out", "trust.json"];
        self.site.run(&self.url, "console", &export).status(0);
    }
}

#[test]
fn backups_of_a_server_that_is_written_to_hold_all_that_was_answered_before_and_each_serves() {
    let busy = Busy::start();
    let before: Vec<Vec<Id>> = busy.while_written(|| {
        busy.pin();
        let made = (0..BACKUPS).map(|number| {
            let before = busy.answered();
            let ran = Ran::of(busy.back_up(&format!("backup-{number}")).arg("--json").output().unwrap());
            let artifacts = ran.status(0).json()["artifacts"].as_u64().unwrap();
            assert!(artifacts >= before.len() as u64, "{artifacts} artifacts, {} answered", before.len());
            before
        });
        made.collect()
    });
    for (number, before) in before.iter().enumerate() {
        let folder = format!("backup-{number}");
        let found = busy.check(&folder).status(0).json();
        assert!(found["chains"].as_u64().unwrap() >= before.len() as u64, "{found}");
        assert_eq!(found["logs"], 1);
        busy.restored(&folder, before);
        // A server has gone on upon it: it is a backup no more, and says so.
        let ran = busy.check(&folder).status(1);
        assert!(ran.data.contains("backup_damaged"), "{ran:?}");
    }
}

#[test]
fn backup_of_a_data_folder_brings_everything_until_then_back_and_its_log_tells_what_came_later() {
    let site = Site::new();
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let definition = repository().join("examples/split-agent/workflow.toml");
    site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(0);
    let create =
        |url: &str| site.run(url, "refund-agent", &["instances", "create", "split-refund"]).status(0).word();
    let shown = |url: &str, id: &str| {
        site.run(url, "console", &["instances", "show", id, "--json"]).status(0).json()["head"].clone()
    };
    let ids: Vec<String> = (0..5).map(|_| create(&url)).collect();
    let export = ["evidence", "export", &ids[0], "--output", "first.gantral", "--trust-out", "trust.json"];
    site.run(&url, "console", &export).status(0);
    let heads: Vec<_> = ids.iter().map(|id| shown(&url, id)).collect();
    // As the page of the data folder says it.
    assert_eq!(server.stop(), Some(0));
    let copied =
        Command::new("cp").arg("-a").args([site.path("data"), site.path("backup")]).status().unwrap();
    assert!(copied.success());
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let later: Vec<_> = (0..5).map(|_| create(&url)).collect();
    assert!(wait_until(|| site
        .run(&url, "console", &["evidence", "export", &later[4], "--output", "later.gantral"])
        .status
        == 0));
    assert_eq!(server.stop(), Some(0));

    // All of the machine is lost, and the backup is all that there is.
    fs::rename(site.path("data"), site.path("lost")).unwrap();
    fs::rename(site.path("backup"), site.path("data")).unwrap();
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0), "{}", log(&site));
    for (id, head) in ids.iter().zip(&heads) {
        assert_eq!(&shown(&url, id), head);
        let bundle = format!("{id}.again");
        site.run(&url, "console", &["evidence", "export", id, "--output", &bundle]).status(0);
        let verified = run(&site.path(""), &["verify", &bundle, "--trust", "trust.json", "--json"]).status(0);
        assert_eq!(verified.json()["verdict"], "VALID");
    }
    // What came later it does not know, and nothing that it has says so.
    assert_ne!(site.run(&url, "console", &["instances", "show", &later[4]]).status, 0);
    create(&url);
    assert_eq!(server.stop(), Some(0));

    // Where the logs were not lost with the ledger, the server sees that they are ahead of it, and takes no write.
    fs::remove_dir_all(site.path("data/log")).unwrap();
    fs::rename(site.path("lost/log"), site.path("data/log")).unwrap();
    let (_server, url) = site.serve();
    let refused = site.run(&url, "refund-agent", &["instances", "create", "split-refund"]);
    assert_ne!(refused.status, 0);
    assert!(refused.talk.contains("read_only"), "{refused:?}");
    shown(&url, &ids[0]);
}

#[test]
fn backup_that_is_killed_is_whole_or_says_that_it_is_none_and_no_server_starts_on_it() {
    let busy = Busy::start();
    let (mut whole, mut unfinished) = (0, 0);
    busy.while_written(|| {
        busy.pin();
        let began = Instant::now();
        Ran::of(busy.back_up("first").output().unwrap()).status(0);
        let lasts = began.elapsed();
        for number in 0..=KILLS {
            let folder = format!("killed-{number}");
            let mut quiet = busy.back_up(&folder);
            let mut child = quiet.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(lasts * number / KILLS);
            // One that has ended already is as good.
            let _ = child.kill();
            child.wait().unwrap();
            let left = busy.site.path(&folder);
            let is_empty = || fs::read_dir(&left).map_or(true, |mut files| files.next().is_none());
            if left.join("backup.json").exists() {
                whole += 1;
                busy.check(&folder).status(0);
            } else if is_empty() {
                assert!(busy.check(&folder).status(1).data.contains("backup_no_ledger"));
            } else {
                unfinished += 1;
                assert!(busy.check(&folder).status(1).data.contains("backup_unfinished"));
                let again = Ran::of(busy.back_up(&folder).output().unwrap()).status(1);
                assert!(again.talk.contains("[backup_not_empty]"), "{again:?}");
            }
        }
    });
    assert!(unfinished > 0 && whole + unfinished <= KILLS + 1, "{whole} whole, {unfinished} unfinished");
    // What is left of one is not taken for the folder of a new server, though it looks like one without a ledger.
    let cut = (0..=KILLS)
        .map(|number| busy.site.path(&format!("killed-{number}")))
        .find(|folder| folder.join("backup-unfinished").exists() && !folder.join("backup.json").exists());
    let configuration = busy.site.configuration("127.0.0.1:0");
    let data = format!("data = '{}'", busy.site.path("data").display());
    let other = configuration.replace(&data, &format!("data = '{}'", cut.unwrap().display()));
    fs::write(busy.site.path("cut.toml"), other).unwrap();
    let ran = run(&busy.site.path(""), &["serve", "--config", "cut.toml"]).status(1);
    assert!(ran.talk.contains("a backup that was not finished"), "{ran:?}");
    // And another one, into a new folder, is made as if nothing had been.
    let before = busy.answered();
    Ran::of(busy.back_up("again").output().unwrap()).status(0);
    busy.check("again").status(0);
    busy.restored("again", &before[..before.len().min(50)]);
}

#[test]
fn backup_without_private_keys_is_proved_and_cannot_sign_and_every_damage_to_it_is_named() {
    let mut busy = Busy::start();
    busy.while_written(|| busy.pin());
    let folder = busy.site.path("");
    let back_up = |to: &str| run(&folder, &["store", "backup", "--config", "gantral.toml", "--to", to]);
    let ran = back_up("backup").status(0);
    assert!(ran.data.contains("not in it:") && ran.talk.contains("gantral store check backup"), "{ran:?}");
    let backup = busy.site.path("backup");
    for file in private_files(&backup) {
        assert!(!file.ends_with(".pk8") && file != "attempts.pem", "{file}");
    }
    busy.check("backup").status(0);

    for (file, flip, code, told) in [
        ("ledger.db", 5_000, "backup_damaged", "`ledger.db` is not what was backed up"),
        (
            "log/acme+log/checkpoint",
            3,
            "backup_damaged",
            "`log/acme+log/checkpoint` is not what was backed up",
        ),
        ("backup.json", 0, "backup_damaged", "`backup.json` is not the list of a backup"),
    ] {
        let path = backup.join(file);
        let bytes = fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        damaged[flip] ^= 1;
        fs::write(&path, damaged).unwrap();
        let ran = busy.check("backup").status(1);
        assert!(ran.data.contains(code) && ran.data.contains(told), "{ran:?}");
        fs::write(&path, bytes).unwrap();
    }
    let gone = backup.join("log/acme+log/tile/entries");
    fs::rename(&gone, busy.site.path("gone")).unwrap();
    let ran = busy.check("backup").status(1);
    assert!(ran.data.contains("is not there any more"), "{ran:?}");
    fs::rename(busy.site.path("gone"), &gone).unwrap();
    busy.check("backup").status(0);

    // Without its list it is judged by its keys: the log of another moment is not the log of this ledger.
    fs::remove_file(backup.join("backup.json")).unwrap();
    busy.check("backup").status(0);
    busy.site.run(&busy.url, "refund-agent", &["instances", "create", "split-refund"]).status(0);
    assert!(wait_until(|| {
        let live = fs::read(busy.site.path("data/log/acme+log/checkpoint")).unwrap();
        live != fs::read(backup.join("log/acme+log/checkpoint")).unwrap()
    }));
    let newer = busy.site.path("data/log/acme+log/checkpoint");
    fs::copy(newer, backup.join("log/acme+log/checkpoint")).unwrap();
    let ran = busy.check("backup").status(1);
    assert!(ran.data.contains("ledger_damaged") && ran.data.contains("it has published"), "{ran:?}");

    // A folder that holds anything, a folder without a ledger and one that is in use are refused.
    assert!(back_up("backup").status(1).talk.contains("[backup_not_empty]"));
    let ran = run(&folder, &["store", "backup", "--data", "nowhere", "--to", "new"]).status(1);
    assert!(ran.talk.contains("[backup_no_ledger]"), "{ran:?}");
    assert!(!busy.site.path("new").exists());
    let ran = busy.check("data").status(1);
    assert!(ran.data.contains("in use"), "{ran:?}");
    assert_eq!(busy.server.stop(), Some(0));
    busy.check("data").status(0);
}

#[test]
fn backup_that_nobody_may_write_to_is_proved_and_left_as_it_was_unless_it_is_used() {
    let mut busy = Busy::start();
    busy.while_written(|| Ran::of(busy.back_up("backup").output().unwrap()).status(0));
    assert_eq!(busy.server.stop(), Some(0));
    let backup = busy.site.path("backup");
    let reader = Reader::of(&busy.site.path(""));
    let before = files(&backup);
    assert!(!before.contains(&backup.join("ledger.db.lock")));

    reader.close(&backup, 0o555);
    let ran = reader.check("backup").status(0);
    assert!(ran.json()["artifacts"].as_u64() > Some(40), "{ran:?}");
    assert_eq!(files(&backup), before);

    // A lock that is there already is still respected, and a log that only a folder that can be written to lets be read is not passed over.
    reader.close(&backup, 0o755);
    let lock = fs::File::create(backup.join("ledger.db.lock")).unwrap();
    lock.lock().unwrap();
    reader.close(&backup, 0o555);
    let ran = reader.check("backup").status(1);
    assert!(ran.data.contains("in use"), "{ran:?}");
    lock.unlock().unwrap();
    reader.check("backup").status(0);
    reader.close(&backup, 0o755);
    fs::write(backup.join("ledger.db-wal"), [1; 64]).unwrap();
    fs::remove_file(backup.join("backup.json")).unwrap();
    reader.close(&backup, 0o555);
    let ran = reader.check("backup").status(1);
    assert!(ran.data.contains("where nothing may be written"), "{ran:?}");
    reader.close(&backup, 0o755);
}

/// Somebody whom the modes of files bind, also where those who run the tests may do everything.
struct Reader {
    folder: PathBuf,
    /// Who it is, and their copy of the program, if it is somebody else.
    other: Option<(u32, PathBuf)>,
}

impl Reader {
    fn of(folder: &Path) -> Self {
        const NOBODY: u32 = 65_534;
        let other = (fs::metadata(folder).unwrap().uid() == 0).then(|| {
            let program = folder.join("program");
            fs::copy(env!("CARGO_BIN_EXE_gantral"), &program).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
            (NOBODY, program)
        });
        Self { folder: folder.to_owned(), other }
    }

    /// Lets the files below a folder belong to the reader, and gives each folder a mode.
    fn close(&self, folder: &Path, mode: u32) {
        for path in files(folder).into_iter().chain([folder.to_owned()]) {
            if let Some((user, _)) = self.other {
                chown(&path, Some(user), None).unwrap();
            }
            let mode = if path.is_dir() { mode } else { 0o400 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
    }

    fn check(&self, folder: &str) -> Ran {
        let mut command = gantral(&self.folder);
        if let Some((user, program)) = &self.other {
            command = Command::new(program);
            command.env_clear().current_dir(&self.folder).stdin(Stdio::null()).uid(*user).gid(*user);
        }
        Ran::of(command.args(["store", "check", folder, "--json"]).output().unwrap())
    }
}

/// Returns everything below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Returns the names of what lies in a backup, all of which only their owner may read.
fn private_files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect::<Vec<_>>();
    let is_log = |name: &str| name == "log";
    files
        .iter()
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert!(is_log(&name) || mode & 0o077 == 0, "{name} has mode {mode:o}");
            name
        })
        .collect()
}

fn log(site: &Site) -> String {
    fs::read_to_string(site.path("server.log")).unwrap_or_default()
}
