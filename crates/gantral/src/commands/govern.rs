//! `gantral govern`: puts the interceptor before the servers that a client's configuration starts, and takes it out again.
//!
//! Nothing else in the file changes. It is replaced as a whole, so that whoever reads it meanwhile sees the one or the other.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gantral_api::wire::text;
use gantral_core::json::text::inert;
use gantral_identity::DEV_TENANT;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::connection::{DEV_FOLDER, DevFolder};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, styled};

/// The largest configuration, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What clients call their list of servers.
const LISTS: [&str; 2] = ["mcpServers", "servers"];
/// Before the command of a server.
const REST: &str = "--";
/// Whose calls they are in development.
const USUAL: &str = "dev-gate";

/// Arguments of `govern`.
#[derive(Debug, Args)]
pub struct GovernArgs {
    /// The configuration of the client: JSON with `mcpServers`, or `servers`
    file: PathBuf,
    /// Only this server; may be repeated
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// Takes the interceptor out again
    #[arg(long)]
    undo: bool,
    /// Prints what the file would say, and leaves it as it is
    #[arg(long)]
    dry_run: bool,
    /// Options for `gantral mcp`; in the folder of a running `gantral dev` none are needed
    #[arg(last = true, value_name = "OPTION", conflicts_with = "undo")]
    options: Vec<String>,
}

/// What became of one server.
#[derive(Debug, Clone, Serialize)]
struct Treated {
    server: String,
    #[serde(flatten)]
    became: Became,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "became")]
enum Became {
    Governed,
    Ungoverned,
    /// It was so already.
    Same,
    /// It cannot be governed from here.
    Left {
        why: String,
    },
}

/// Changes a configuration.
pub fn run(args: &GovernArgs, out: Out) -> Result<Exit, Failure> {
    let path =
        std::fs::canonicalize(&args.file).map_err(|error| Failure::file("read", &args.file, &error))?;
    let mut document = read(&path)?;
    let options = if args.undo { Vec::new() } else { options(args)? };
    let program = std::env::current_exe().map_err(|error| Failure::new(format!("where am I: {error}")))?;
    let program = program.display().to_string();
    let servers = list(&mut document, &path)?;
    if let Some(missing) = args.servers.iter().find(|name| !servers.contains_key(name.as_str())) {
        return Err(Failure::new(format!("`{}` names no server `{missing}`", path.display())));
    }
    let chosen = |name: &str| args.servers.is_empty() || args.servers.iter().any(|one| one == name);
    let mut treated = Vec::new();
    for (name, entry) in servers.iter_mut().filter(|(name, _)| chosen(name)) {
        let became = if args.undo { ungovern(entry) } else { govern(name, entry, &program, &options) };
        treated.push(Treated { server: name.clone(), became });
    }
    let mut text =
        serde_json::to_string_pretty(&document).map_err(|error| Failure::new(error.to_string()))?;
    text.push('\n');
    if args.dry_run {
        out.show(&document, |_| text)?;
        return Ok(Exit::DONE);
    }
    if treated.iter().any(|one| matches!(one.became, Became::Governed | Became::Ungoverned)) {
        replace(&path, text.as_bytes()).map_err(|error| Failure::file("write", &path, &error))?;
    }
    out.show(&treated, |treated| said(treated))?;
    out.hint("start the client again: it reads its configuration when it starts");
    if !args.undo {
        out.hint(format_args!("gantral govern {} --undo", args.file.display()));
    }
    Ok(Exit::DONE)
}

/// Returns what each `gantral mcp` is told about its server: what was given, or where `gantral dev` is.
fn options(args: &GovernArgs) -> Result<Vec<String>, Failure> {
    if !args.options.is_empty() {
        return Ok(args.options.clone());
    }
    let folder = std::path::absolute(DEV_FOLDER).map_err(|error| Failure::new(error.to_string()))?;
    let folder = DevFolder::new(folder);
    let Ok(url) = std::fs::read_to_string(folder.url()) else {
        let hint = "start `gantral dev` here, or say where the server is: gantral govern FILE -- --url URL --token-file FILE --trust FILE --tenant TENANT";
        return Err(Failure::new("there is no `gantral dev` in this folder").hint(hint));
    };
    let (token, trust) = (folder.token(USUAL), folder.trust());
    let options =
        ["--url", url.trim(), "--token-file", &token.display().to_string(), "--trust"].map(str::to_owned);
    let more = [trust.display().to_string(), "--tenant".to_owned(), DEV_TENANT.to_owned()];
    Ok(options.into_iter().chain(more).collect())
}

fn read(path: &Path) -> Result<Value, Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Failure::new(format!("`{}` is larger than a configuration", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| {
        let why = format!("`{}` is no JSON: {error}", path.display());
        Failure::new(why).hint("a file with comments is changed by hand: docs/mcp.md shows the lines")
    })
}

fn list<'a>(document: &'a mut Value, path: &Path) -> Result<&'a mut Map<String, Value>, Failure> {
    let name = LISTS.into_iter().find(|name| document.get(name).is_some_and(Value::is_object));
    let found = name.and_then(|name| document.get_mut(name)).and_then(Value::as_object_mut);
    found.ok_or_else(|| {
        Failure::new(format!("`{}` has no `mcpServers` and no `servers`", path.display()))
            .hint("give the file in which the client names its servers")
    })
}

fn govern(name: &str, entry: &mut Value, program: &str, options: &[String]) -> Became {
    if inner(entry).is_some() {
        return Became::Same;
    }
    if name.parse::<text::Name>().is_err() {
        return Became::Left {
            why: "its name has other characters than letters, digits and `._/:@-`".to_owned(),
        };
    }
    let Some((command, arguments)) = started(entry) else {
        let why = "it is not started by a command: `gantral mcp --upstream URL` stands before an address";
        return Became::Left { why: why.to_owned() };
    };
    let own = ["mcp", "--name", name].map(str::to_owned).into_iter().chain(options.iter().cloned());
    let words = own.chain([REST.to_owned(), command]).chain(arguments);
    entry["command"] = program.into();
    entry["args"] = words.collect();
    Became::Governed
}

fn ungovern(entry: &mut Value) -> Became {
    let Some((command, arguments)) = inner(entry) else { return Became::Same };
    entry["command"] = command.into();
    entry["args"] = arguments.into();
    Became::Ungoverned
}

/// Returns the command of an entry that a client starts, and its arguments.
fn started(entry: &Value) -> Option<(String, Vec<String>)> {
    let command = entry.get("command")?.as_str()?.to_owned();
    let arguments = match entry.get("args") {
        None => Vec::new(),
        Some(arguments) => {
            let words = arguments.as_array()?.iter().map(|word| word.as_str().map(str::to_owned));
            words.collect::<Option<_>>()?
        }
    };
    Some((command, arguments))
}

/// Returns the command behind the interceptor; `None` where there is no interceptor.
fn inner(entry: &Value) -> Option<(String, Vec<String>)> {
    let (command, arguments) = started(entry)?;
    let is_ours = Path::new(&command).file_stem().is_some_and(|name| name == "gantral");
    if !is_ours || arguments.first().is_none_or(|word| word != "mcp") {
        return None;
    }
    let at = arguments.iter().position(|word| word == REST)?;
    let (command, rest) = arguments.get(at + 1..)?.split_first()?;
    Some((command.clone(), rest.to_vec()))
}

/// Replaces a file at once, with the permissions that it has.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn said(treated: &[Treated]) -> String {
    let line = |one: &Treated| {
        let name = inert(&one.server);
        match &one.became {
            Became::Governed => {
                format!("{} {name}: each call of a tool is asked for", styled(GOOD, "governed"))
            }
            Became::Ungoverned => format!("{} {name}: as it was before", styled(GOOD, "ungoverned")),
            Became::Same => format!("unchanged {name}"),
            Became::Left { why } => format!("{} {name}: {why}", styled(LOOK, "left")),
        }
    };
    treated.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options() -> Vec<String> {
        ["--url", "http://127.0.0.1:1"].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_governed_and_ungoverned_is_what_it_was() {
        let before =
            json!({"command": "npx", "args": ["-y", "--", "server"], "env": {"A": "1"}, "disabled": false});
        let mut entry = before.clone();
        assert_eq!(govern("files", &mut entry, "/bin/gantral", &options()), Became::Governed);
        let words =
            ["mcp", "--name", "files", "--url", "http://127.0.0.1:1", "--", "npx", "-y", "--", "server"];
        assert_eq!((&entry["command"], &entry["args"]), (&json!("/bin/gantral"), &json!(words)));
        assert_eq!(entry["env"], before["env"]);
        let governed = entry.clone();
        assert_eq!(govern("files", &mut entry, "/bin/gantral", &options()), Became::Same);
        assert_eq!(entry, governed);
        assert_eq!(ungovern(&mut entry), Became::Ungoverned);
        assert_eq!(entry, before);
        assert_eq!(ungovern(&mut entry), Became::Same);
    }

    #[test]
    fn what_cannot_be_governed_from_here_is_left_as_it_is() {
        for entry in [
            json!({"url": "https://tools.example.org/mcp"}),
            json!({"command": 7}),
            json!({"command": "x", "args": [1]}),
            json!(7),
        ] {
            let mut left = entry.clone();
            assert!(
                matches!(govern("web", &mut left, "gantral", &options()), Became::Left { .. }),
                "{entry}"
            );
            assert_eq!(left, entry);
        }
        let mut entry = json!({"command": "x"});
        assert!(matches!(govern("my server", &mut entry, "gantral", &options()), Became::Left { .. }));
    }
}
