//! The site: the pages that `docs/SUMMARY.md` names, as mdBook makes HTML of them, into `target/docs`.
//!
//! Pages keep their paths, so that a link means the same on the site as in the repository. What the contents name and is no page
//! becomes one: a folder is its pages, the API document is read out, a file of settings is shown. A link to something that is no
//! page takes that file along, and a link that would lead nowhere on the site ends the build.

mod api;
mod contents;
mod html;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::contents::Entry;
use crate::parts::Parts;
use crate::steps::succeed;
use crate::tidy::links::resolve;
use crate::tidy::tree::Tree;

/// The contents of the site.
pub const CONTENTS: &str = "docs/SUMMARY.md";
const SETTINGS: &str = "docs/book.toml";
const SOURCE: &str = "target/docs-source";
const SITE: &str = "target/docs";

/// Builds the site of the repository at `root`, and returns where it begins.
///
/// # Errors
/// When a page is not there, is not in the contents, or a link leads nowhere.
pub fn build(root: &Path, parts: &Parts) -> Result<PathBuf> {
    let tree = Tree::read(root)?;
    let source = root.join(SOURCE);
    if source.exists() {
        fs::remove_dir_all(&source).context("cannot remove the sources of the last site")?;
    }
    for (path, bytes) in gather(&tree)? {
        let path = source.join("src").join(path);
        fs::create_dir_all(path.parent().unwrap_or(&source)).context("cannot make a folder of the site")?;
        fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    fs::write(source.join("book.toml"), tree.text(SETTINGS).context("there are no settings of the site")?)
        .context("cannot write the settings of the site")?;
    let site = root.join(SITE);
    let mut mdbook = Command::new(parts.dir().join("docs/bin/mdbook"));
    mdbook.env("RUST_LOG", "warn").arg("build").arg(&source).arg("--dest-dir").arg(&site);
    succeed(&mut mdbook)?;
    let pages = html::check(&site)?;
    let first = site.join("index.html");
    println!("{pages} pages, from {}", first.display());
    Ok(first)
}

/// Returns every file of the book by its path below `src`.
fn gather(tree: &Tree) -> Result<BTreeMap<String, Vec<u8>>> {
    let contents = tree.text(CONTENTS).context("there are no contents")?;
    let entries = contents::expand(tree, contents)?;
    let pages: BTreeSet<&str> =
        entries.iter().filter_map(Entry::page).filter(|path| path.ends_with(".md")).collect();
    let mut files = BTreeMap::from([("SUMMARY.md".to_owned(), contents::write(&entries).into_bytes())]);
    let mut lost = Vec::new();
    for path in entries.iter().filter_map(Entry::page) {
        let text =
            tree.text(path).with_context(|| format!("`{CONTENTS}` names `{path}`, which is no text"))?;
        if !path.ends_with(".md") {
            files.insert(contents::page_of(path), show(path, text)?.into_bytes());
            continue;
        }
        let page = relink(path, text, |target| match target {
            _ if pages.contains(target) => Link::Stays,
            CONTENTS => Link::Goes,
            _ if target.ends_with(".md") => {
                lost.push(format!("`{path}` links to `{target}`, which is not in `{CONTENTS}`"));
                Link::Goes
            }
            _ if pages.contains(format!("{target}/README.md").as_str()) => Link::Index,
            _ => match tree.file(target) {
                Some(bytes) => {
                    files.insert(target.to_owned(), bytes.to_vec());
                    Link::Stays
                }
                None => Link::Goes,
            },
        });
        files.insert(path.to_owned(), page.into_bytes());
    }
    lost.extend(unlisted(tree, &pages));
    if !lost.is_empty() {
        bail!("{}", lost.join("\n"));
    }
    Ok(files)
}

/// Finds pages below `docs` that nobody who reads the contents would find.
fn unlisted(tree: &Tree, pages: &BTreeSet<&str>) -> Vec<String> {
    let ours = |path: &&str| path.starts_with("docs/") && *path != CONTENTS && !pages.contains(path);
    let paths = tree.texts_ending(&[".md"]).map(|(path, _)| path).filter(ours);
    paths.map(|path| format!("`{path}` is not in `{CONTENTS}`")).collect()
}

/// Makes a page of what is none.
fn show(path: &str, text: &str) -> Result<String> {
    match path.rsplit_once('.') {
        Some((_, "json")) => api::page(text).with_context(|| format!("cannot read `{path}` out")),
        Some((_, kind)) => Ok(format!("# `{path}`\n\n```{kind}\n{text}```\n")),
        None => bail!("`{CONTENTS}` names `{path}`, of which no page is made"),
    }
}

/// Where a link begins its target, told from the same characters within code.
const MARKED: &str = "]\u{1}(";

/// What becomes of a link.
enum Link {
    Stays,
    /// Its folder has a page.
    Index,
    /// Its text is left.
    Goes,
}

/// Rewrites the links of a page, outside of code. `decide` gets the path in the repository that a link leads to.
fn relink(path: &str, text: &str, mut decide: impl FnMut(&str) -> Link) -> String {
    let mut fenced = false;
    let mut page = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            page.push_str(line);
            continue;
        }
        // Every second piece between backticks is code. A link may have code in its text, so links are marked first and read then.
        let pieces: Vec<String> = (0_usize..)
            .zip(line.split('`'))
            .map(
                |(number, piece)| {
                    if number % 2 == 0 { piece.replace("](", MARKED) } else { piece.to_owned() }
                },
            )
            .collect();
        page.push_str(&relink_line(path, &pieces.join("`"), &mut decide));
    }
    page
}

fn relink_line(path: &str, line: &str, decide: &mut impl FnMut(&str) -> Link) -> String {
    let mut done = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(MARKED) {
        let Some((target, after)) = after.split_once(')') else { break };
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let is_ours = !target.contains("://") && !target.starts_with("mailto:") && !file.is_empty();
        let decided = match is_ours.then(|| resolve(path, file)).flatten() {
            Some(found) => decide(&found),
            None => Link::Stays,
        };
        done.push_str(before);
        match decided {
            Link::Stays => done.push_str(&format!("]({})", index_of(target))),
            Link::Index => {
                let place = if heading.is_empty() { String::new() } else { format!("#{heading}") };
                done.push_str(&format!("]({}/index.md{place})", file.trim_end_matches('/')));
            }
            Link::Goes => {
                if let Some(at) = done.rfind('[') {
                    done.remove(at);
                }
            }
        }
        rest = after;
    }
    done.push_str(&rest.replace(MARKED, "]("));
    done
}

/// Names the index of a folder as the site does.
fn index_of(target: &str) -> String {
    let (file, place) = target.split_at(target.find('#').unwrap_or(target.len()));
    match file.strip_suffix("README.md") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => format!("{folder}index.md{place}"),
        _ => target.to_owned(),
    }
}

#[cfg(test)]
mod tests;
