//! The consoles of our pages: commands, and what a page shows below each.

/// What stands for what is not shown.
pub const LEFT_OUT: &str = "…";

/// One command, and what the page shows below it.
pub struct Step {
    pub command: String,
    pub shown: Vec<String>,
}

/// Returns the commands of all consoles of a page; a line that goes on begins with `> `.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => {
                if let Some(command) = line.strip_prefix("$ ") {
                    steps.push(Step { command: command.to_owned(), shown: Vec::new() });
                    continue;
                }
                let step = steps.last_mut().expect("a console begins with a command");
                match line.strip_prefix("> ") {
                    Some(more) => step.command.push_str(&format!("\n{more}")),
                    None => step.shown.push(line.to_owned()),
                }
            }
        }
    }
    steps
}

/// Tells whether lines are those that are shown; a line that is nothing but left out stands for any number of them.
pub fn is_shown(lines: &[&str], shown: &[String]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [first, rest @ ..] if first.trim() == LEFT_OUT => {
            (0..=lines.len()).any(|skipped| is_shown(&lines[skipped..], rest))
        }
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| is_same(line, first)) && is_shown(&lines[1..], rest)
        }
    }
}

/// Tells whether a line is the one that is shown, where parts of it may be left out.
fn is_same(line: &str, shown: &str) -> bool {
    let pieces: Vec<&str> = shown.split(LEFT_OUT).collect();
    let [first, between @ .., last] = pieces.as_slice() else { return line == shown };
    let Some(mut rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    between.iter().all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn what_a_page_does_not_show_may_be_anything_and_the_rest_is_compared() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (lines, page, expected) in [
        (&["a 1 b 2 c"][..], "a … b … c", true),
        (&["a 1 c 2 b"], "a … b … c", false),
        (&["x", "y", "z"], "x\n…\nz", true),
        (&["x", "y"], "x", false),
        (&["x"], "x\n…", true),
        (&["ab"], "abc", false),
        (&["aXa"], "a…a", true),
        (&["a"], "a…a", false),
    ] {
        assert_eq!(is_shown(lines, &shown(page)), expected, "{lines:?} {page}");
    }
}
