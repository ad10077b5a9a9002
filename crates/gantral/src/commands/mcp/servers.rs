//! The servers of tools behind the interceptor: one that the arguments name, or several that a file does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gantral_mcp::process::ServerCommand;
use gantral_mcp::remote::Remote;
use gantral_mcp::several::{Prefix, SERVERS_MAX};
use gantral_mcp::upstream::Upstream;
use serde::Deserialize;

use crate::failure::Failure;
use crate::interceptor;

/// The largest file of servers, in bytes: a command and an address for each.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A file of servers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Servers {
    servers: BTreeMap<String, Server>,
}

/// One of them: a command or an address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    command: Option<Vec<String>>,
    url: Option<String>,
    headers: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// Reads a file of servers. Files that it names lie beside it, unless their paths are absolute.
pub fn of_file(path: &Path) -> Result<Upstream, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::file("read", path, &error))?;
    let wrong = |why: String| {
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
        Failure::new(format!("`{}` does not describe servers: {why}", path.display()))
            .hint("each is a table `[servers.NAME]` with `command = [\"…\"]` or `url = \"https://…\"`")
    };
    let Servers { servers } = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    if servers.is_empty() || servers.len() > SERVERS_MAX {
        return Err(wrong(format!("it names {} servers, and 1 to {SERVERS_MAX} can be", servers.len())));
    }
    let beside = path.parent().unwrap_or_else(|| Path::new("."));
    let all = servers.into_iter().map(|(name, server)| {
        let prefix = Prefix::parse(&name).map_err(|error| wrong(format!("`{name}`: {error}")))?;
        let upstream = match (server.command, server.url) {
            (Some(command), None)
                if !command.is_empty() && server.headers.is_none() && server.ca.is_none() =>
            {
                of_command(command.into_iter().map(OsString::from).collect())?
            }
            (None, Some(url)) => {
                let place = |path: PathBuf| beside.join(path);
                of_address(&url, server.headers.map(place).as_deref(), server.ca.map(place).as_deref())?
            }
            _ => return Err(wrong(format!("`{name}` has not either a command or an address"))),
        };
        Ok((prefix, upstream))
    });
    all.collect::<Result<_, Failure>>().map(Upstream::Several)
}

/// Describes a server that is a process.
pub fn of_command(command: Vec<OsString>) -> Result<Upstream, Failure> {
    let program = std::env::current_exe();
    let program =
        program.map_err(|error| Failure::new(format!("this program cannot find itself: {error}")))?;
    let words = ["mcp-child", "--"].map(OsString::from).to_vec();
    Ok(Upstream::Process(ServerCommand { command, guardian: (program, words) }))
}

/// Describes a server that listens.
pub fn of_address(url: &str, given: Option<&Path>, ca: Option<&Path>) -> Result<Upstream, Failure> {
    let headers = given.map(interceptor::headers).transpose()?.unwrap_or_default();
    let remote = Remote::new(url, ca, &headers);
    remote.map(Upstream::Remote).map_err(|error| Failure::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("servers.toml");
        std::fs::write(&path, text).unwrap();
        match of_file(&path) {
            Ok(Upstream::Several(servers)) => Ok(servers.len()),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn file_names_servers_that_are_processes_or_listen() {
        let good = "[servers.files]\ncommand = [\"a\", \"b\"]\n[servers.web]\nurl = \"https://tools.example.org/mcp\"\n";
        assert_eq!(read(good), Ok(2));
    }

    #[test]
    fn file_that_describes_no_servers_is_refused_with_what_is_wrong() {
        for (text, why) in [
            ("", "missing field `servers`"),
            ("[servers]", "0 servers"),
            ("[servers.A]\ncommand = [\"a\"]", "`A`"),
            ("[servers.a]", "not either"),
            ("[servers.a]\ncommand = []", "not either"),
            ("[servers.a]\ncommand = [\"a\"]\nurl = \"https://a.example\"", "not either"),
            ("[servers.a]\ncommand = [\"a\"]\nheaders = \"h\"", "not either"),
            ("[servers.a]\nrun = 1", "unknown field `run`"),
            ("[servers.a]\nurl = \"ftp://a\"", "must be https"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
