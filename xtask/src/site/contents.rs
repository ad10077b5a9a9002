//! The contents of the site: `docs/SUMMARY.md` in the form of mdBook, with paths as they are in the repository.

use anyhow::{Context, Result, bail};

use super::CONTENTS;
use crate::tidy::links::resolve;
use crate::tidy::tree::Tree;

/// A line of the contents.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// Anything that is no link: a heading, or nothing.
    Line(String),
    /// A page.
    Page {
        /// What stands before the link: its depth.
        before: String,
        title: String,
        /// In the repository.
        path: String,
    },
    /// A heading over pages that is none itself.
    Folder { before: String, title: String },
}

impl Entry {
    /// Returns the path of a page.
    pub fn page(&self) -> Option<&str> {
        match self {
            Self::Page { path, .. } => Some(path),
            Self::Line(_) | Self::Folder { .. } => None,
        }
    }
}

/// Returns the contents with every page: below a folder, and below the index of one that has a page for each of its things, come
/// the pages of the folder, in their order by name.
///
/// # Errors
/// When an entry is twice or leads nowhere.
pub fn expand(tree: &Tree, text: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let Some((before, title, target)) = link(line) else {
            entries.push(Entry::Line(line.to_owned()));
            continue;
        };
        let path = resolve(CONTENTS, target).filter(|path| tree.has(path));
        let path = path.with_context(|| format!("`{CONTENTS}` names `{target}`, which is not there"))?;
        let folder = if tree.file(&path).is_none() {
            entries.push(Entry::Folder { before: before.to_owned(), title: title.to_owned() });
            Some(path.clone())
        } else {
            let index = path.strip_suffix("/README.md").filter(|folder| *folder == "docs/errors");
            entries.push(Entry::Page {
                before: before.to_owned(),
                title: title.to_owned(),
                path: path.clone(),
            });
            index.map(str::to_owned)
        };
        if let Some(folder) = folder {
            entries.extend(pages_in(tree, &folder, &path, before));
        }
    }
    let mut paths: Vec<&str> = entries.iter().filter_map(Entry::page).collect();
    paths.sort_unstable();
    if let Some(twice) = paths.windows(2).find(|pair| pair.first() == pair.last()) {
        bail!("`{CONTENTS}` names `{}` twice", twice.concat());
    }
    Ok(entries)
}

fn pages_in(tree: &Tree, folder: &str, index: &str, before: &str) -> Vec<Entry> {
    let within = format!("{folder}/");
    let below = |path: &&str| path.strip_prefix(&within).is_some_and(|rest| !rest.contains('/'));
    let pages = tree.texts_ending(&[".md"]).filter(|(path, _)| below(path) && *path != index);
    pages
        .map(|(path, text)| Entry::Page {
            before: format!("  {before}"),
            title: text.lines().next().unwrap_or(path).trim_start_matches('#').trim().replace('`', ""),
            path: path.to_owned(),
        })
        .collect()
}

/// Writes the contents as mdBook reads them.
pub fn write(entries: &[Entry]) -> String {
    let line = |entry: &Entry| match entry {
        Entry::Line(line) => line.clone(),
        Entry::Page { before, title, path } => format!("{before}[{title}]({})", page_of(path)),
        Entry::Folder { before, title } => format!("{before}[{title}]()"),
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the page on which a file is shown.
pub fn page_of(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, ending)) if ending != "md" => format!("{stem}.{ending}.md"),
        _ => path.to_owned(),
    }
}

/// Splits a line that is a link.
fn link(line: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = line.split_once('[')?;
    let (title, rest) = rest.split_once("](")?;
    let is_entry = before.trim().is_empty() || before.trim() == "-";
    Some((before, title, rest.strip_suffix(')')?)).filter(|_| is_entry)
}
