//! Every link within the site leads to a page, and to a place on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tidy::links::resolve;

/// Pages of mdBook itself, which repeat what stands elsewhere.
const REPEATED: &[&str] = &["404.html", "toc.html"];

/// Checks the site in a folder, and returns how many pages it has.
///
/// # Errors
/// With every link that leads nowhere.
pub fn check(site: &Path) -> Result<usize> {
    let mut pages = BTreeMap::new();
    let mut files = BTreeSet::new();
    let mut folders = vec![site.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).context("cannot read the site")? {
            let path = entry.context("cannot read the site")?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = within(site, &path)?;
            if name.ends_with(".html") && !REPEATED.contains(&name.as_str()) {
                pages.insert(name.clone(), fs::read_to_string(&path).context("a page is not UTF-8")?);
            }
            files.insert(name);
        }
    }
    let places: BTreeMap<&str, BTreeSet<&str>> =
        pages.iter().map(|(name, text)| (name.as_str(), values(text, " id=\"").collect())).collect();
    let mut lost = Vec::new();
    for (name, text) in &pages {
        for target in values(text, " href=\"").chain(values(text, " src=\"")) {
            if !leads_somewhere(name, target, &files, &places) {
                lost.push(format!("`{name}` has a link to `{target}`, which leads nowhere on the site"));
            }
        }
    }
    match lost.is_empty() {
        true => Ok(pages.len()),
        false => bail!("{}", lost.join("\n")),
    }
}

fn within(site: &Path, path: &Path) -> Result<String> {
    let path: PathBuf = path.strip_prefix(site).context("a page is not in the site")?.to_owned();
    Ok(path.to_str().context("the name of a page is not UTF-8")?.to_owned())
}

/// Returns the values of an attribute.
fn values<'a>(text: &'a str, attribute: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(attribute).skip(1).filter_map(|rest| rest.split('"').next())
}

fn leads_somewhere(
    from: &str,
    target: &str,
    files: &BTreeSet<String>,
    places: &BTreeMap<&str, BTreeSet<&str>>,
) -> bool {
    if target.contains(':') {
        return true;
    }
    let (file, place) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let Some(path) = path.filter(|path| files.contains(path)) else { return false };
    place.is_empty() || places.get(path.as_str()).is_none_or(|places| places.contains(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(pages: &[(&str, &str)]) -> Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in pages {
            fs::write(folder.path().join(name), text).unwrap();
        }
        check(folder.path())
    }

    #[test]
    fn link_to_a_page_or_a_place_that_is_not_there_is_found() {
        let other = ("b.html", "<h1 id=\"here\">");
        assert_eq!(
            site(&[("a.html", "<a href=\"b.html#here\"> <a href=\"https://x.org/\">"), other]).unwrap(),
            2
        );
        for lost in ["c.html", "b.html#gone", "#gone", "../b.html"] {
            let error = site(&[("a.html", &format!("<a href=\"{lost}\">")), other]).unwrap_err();
            assert!(error.to_string().contains(&format!("`a.html` has a link to `{lost}`")), "{error}");
        }
        site(&[("a.html", "<img src=\"gone.png\">")]).unwrap_err();
    }
}
