//! The tutorials, followed literally: every command of their consoles is typed into one shell, in order, and must answer as the page
//! shows. `…` stands for what is not shown.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use crate::consoles::{Step, is_shown, steps};
use crate::support::{PATIENCE, gantral, part, repository};

/// What the shell says after each command, with its status. No page shows it.
const END: &str = "@end-of-command";

/// A shell in a clone of the repository, as far as a tutorial sees of it.
struct Shell {
    folder: tempfile::TempDir,
    child: Child,
    input: ChildStdin,
    said: mpsc::Receiver<String>,
}

impl Shell {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["policies", "examples", "verifiers", "deploy"] {
            std::os::unix::fs::symlink(repository().join(name), folder.path().join(name)).unwrap();
        }
        let ours = gantral(folder.path());
        let path = ours.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        let python = part("python/bin");
        let talk = std::fs::File::create(folder.path().join("talk")).unwrap();
        let mut command = Command::new("sh");
        command.env_clear().env("PATH", format!("{}:{}", python.display(), path.display()));
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(talk);
        // Whatever it starts in the background ends with it.
        let mut child = command.process_group(0).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if tell.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { folder, child, input, said }
    }

    /// Types a command, and returns what it says until it has ended, with its status.
    fn run(&mut self, command: &str) -> (Vec<String>, i32) {
        writeln!(self.input, "{command}\necho \"{END} $?\"").unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.said.recv_timeout(PATIENCE);
            let line =
                line.unwrap_or_else(|_| panic!("`{command}` does not end: {lines:?}\n{}", self.talk()));
            match line.strip_prefix(END) {
                Some(status) => return (lines, status.trim().parse().unwrap()),
                None => lines.push(line.trim_end().to_owned()),
            }
        }
    }

    fn talk(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["talk", "dev.log", "serve.log", "runner.log"].map(read).join("\n")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Also what runs in the background, by the group that it is in.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// Exchanges the ports that a page names for free ones.
fn with_free_ports(text: &str) -> String {
    ["127.0.0.1:7420", "127.0.0.1:7421"].iter().fold(text.to_owned(), |text, address| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        text.replace(address, &free.to_string())
    })
}

fn follow(page: &str) {
    let path = repository().join("docs/tutorials").join(page);
    let text = with_free_ports(&std::fs::read_to_string(path).unwrap());
    let steps = steps(&text);
    assert!(steps.len() > 4, "{page} has no commands");
    let mut shell = Shell::start();
    for Step { command, shown } in &steps {
        let (said, status) = shell.run(command);
        let lines: Vec<&str> = said.iter().map(String::as_str).collect();
        let talk = || shell.talk();
        assert!(is_shown(&lines, shown), "{page}: `{command}` says:\n{}\n{}", said.join("\n"), talk());
        assert_eq!(status, 0, "{page}: the status of `{command}`\n{}", talk());
    }
}

#[test]
fn tutorial_of_agent_developers_leads_to_what_it_shows() {
    follow("agent-developer.md");
}

#[test]
fn tutorial_of_platform_engineers_leads_to_what_it_shows() {
    follow("platform-engineer.md");
}

#[test]
fn tutorial_of_approvers_leads_to_what_it_shows() {
    follow("approver.md");
}

#[test]
fn tutorial_of_auditors_leads_to_what_it_shows() {
    follow("auditor.md");
}

#[test]
fn every_tutorial_is_followed() {
    let own = include_str!("tutorials.rs");
    for entry in std::fs::read_dir(repository().join("docs/tutorials")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(Path::new(&name).extension().is_some_and(|ending| ending == "md"));
        assert!(own.contains(&format!("follow(\"{name}\")")), "nothing follows {name}");
    }
}
