use super::*;

const PAGE: &str = "# A\n[b](b.md#x) [`c](d` e](../f.rs) [g](../g/) [h](../h) ![i](i.png) `[j](k.md)` [l](https://x.org/y)\n```\n[m](n.md)\n```\n";

fn tree(files: &[(&str, &str)]) -> Tree {
    let always = [("docs/a.md", PAGE), ("docs/b.md", "# B\n"), ("docs/i.png", "i"), ("f.rs", "f")];
    Tree::of(&[&always[..], files].concat())
}

#[test]
fn pages_keep_their_links_and_take_along_what_they_lead_to() {
    let contents = "# Contents\n\n[A](a.md)\n- [B](b.md)\n- [G](../g/README.md)\n";
    let tree = tree(&[(CONTENTS, contents), ("g/README.md", "# G\n"), ("h/x.rs", "x")]);
    let files = gather(&tree).unwrap();
    let text = |path: &str| str::from_utf8(&files[path]).unwrap();
    assert_eq!(text("SUMMARY.md"), "# Contents\n\n[A](docs/a.md)\n- [B](docs/b.md)\n- [G](g/README.md)");
    // A folder with a page leads to it, one without is only named, and code is left alone.
    let first =
        "[b](b.md#x) [`c](d` e](../f.rs) [g](../g/index.md) h ![i](i.png) `[j](k.md)` [l](https://x.org/y)";
    assert_eq!(text("docs/a.md").lines().nth(1).unwrap(), first);
    assert!(text("docs/a.md").contains("[m](n.md)"));
    assert_eq!((text("f.rs"), text("docs/i.png")), ("f", "i"));
}

#[test]
fn page_that_nobody_would_find_ends_the_build() {
    let listed = (CONTENTS, "[A](a.md)\n[B](b.md)\n");
    gather(&tree(&[listed])).unwrap();
    let error = gather(&tree(&[listed, ("docs/c.md", "")])).unwrap_err();
    assert_eq!(error.to_string(), "`docs/c.md` is not in `docs/SUMMARY.md`");
    let error = gather(&tree(&[listed, ("docs/c/d.md", ""), (CONTENTS, "[A](a.md)\n")])).unwrap_err();
    assert!(error.to_string().contains("`docs/a.md` links to `docs/b.md`"), "{error}");
    for contents in ["[A](gone.md)\n", "[A](a.md)\n- [B](b.md)\n- [Again](a.md)\n"] {
        gather(&tree(&[(CONTENTS, contents)])).unwrap_err();
    }
}

#[test]
fn folders_and_files_of_the_contents_become_pages() {
    let contents = "[A](a.md)\n[B](b.md)\n- [Errors](errors/README.md)\n- [Decisions](decisions)\n- [Settings](../s.toml)\n";
    let files = [
        (CONTENTS, contents),
        ("docs/errors/README.md", "# Errors\n"),
        ("docs/errors/one.md", "# `one`\n"),
        ("docs/decisions/0001-x.md", "# 0001: x\n"),
        ("s.toml", "a = 1\n"),
    ];
    let files = gather(&tree(&files)).unwrap();
    let text = |path: &str| str::from_utf8(&files[path]).unwrap();
    assert_eq!(
        text("SUMMARY.md"),
        "[A](docs/a.md)\n[B](docs/b.md)\n- [Errors](docs/errors/README.md)\n  - [one](docs/errors/one.md)\n- [Decisions]()\n  \
         - [0001: x](docs/decisions/0001-x.md)\n- [Settings](s.toml.md)"
    );
    assert_eq!(text("s.toml.md"), "# `s.toml`\n\n```toml\na = 1\n```\n");
}
