//! Relative links in our documents lead somewhere.
//!
//! Links to other hosts are not followed: whether they answer says nothing about this commit.

use super::Finding;
use super::tree::Tree;

/// Checks every `[text](target)` of every Markdown file, outside of code.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(&[".md"]) {
        for (number, target) in targets(text) {
            if !leads_somewhere(tree, path, &target) {
                findings.push(Finding::new(path, number, format!("link to `{target}` leads nowhere")));
            }
        }
    }
    findings
}

fn targets(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Every second piece between backticks is code.
            let prose: String = line.split('`').step_by(2).collect();
            let links = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            targets.extend(links.map(|target| (number, target.to_owned())));
        }
    }
    targets
}

fn leads_somewhere(tree: &Tree, from: &str, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let Some(path) = path.filter(|path| tree.has(path)) else { return false };
    let Some(text) = tree.text(&path).filter(|_| path.ends_with(".md") && !heading.is_empty()) else {
        return true;
    };
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading)
}

/// Returns the path in the repository, or `None` when it leads out of it.
pub fn resolve(from: &str, target: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns what a heading is called in links: lower case, dashes for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    };
    heading.trim_start_matches('#').trim().to_lowercase().chars().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, text), ("docs/b.md", "# B\n\n## The way, out\n"), ("LICENSE", "")]);
        check(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn link_to_nothing_is_found_with_its_line() {
        assert_eq!(dead("docs/a.md", "# A\nsee [b](c.md)"), ["docs/a.md:2: link to `c.md` leads nowhere"]);
        assert_eq!(dead("a.md", "[out](../LICENSE)"), ["a.md:1: link to `../LICENSE` leads nowhere"]);
        assert_eq!(
            dead("docs/a.md", "[b](b.md#nowhere)"),
            ["docs/a.md:1: link to `b.md#nowhere` leads nowhere"]
        );
        assert_eq!(dead("docs/a.md", "[here](#gone)").len(), 1);
    }

    #[test]
    fn link_to_file_folder_and_heading_is_lawful() {
        let text = "# A\n[b](b.md) [l](../LICENSE \"title\") [d](../docs/) [h](b.md#the-way-out) [a](#a)";
        assert!(dead("docs/a.md", text).is_empty());
    }

    #[test]
    fn other_hosts_and_code_are_left_alone() {
        assert!(dead("a.md", "[x](https://example.org/y) `[no](link)`\n```\n[no](link)\n```\n").is_empty());
    }
}
