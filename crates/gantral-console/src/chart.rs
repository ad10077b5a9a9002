//! Charts that the server draws: SVG within the page, of numbers alone. Beside each stands a table that says the same.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;

/// How many series a chart stacks: allowed, waited, denied.
const SERIES: [&str; 3] = ["allowed", "waited", "denied"];

/// A bar of a table's row: how the parts share its length, and how long it is beside the longest one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    /// The parts, in the order of the series.
    pub parts: [u64; 3],
    /// The sum of the longest bar of the table.
    pub most: u64,
}

/// The length of the longest bar.
const BAR: u64 = 1_000;

/// Leaves of a text what no markup is made of: names of roles, hours and dates pass whole.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || " _-./:,".contains(*c)).collect()
}

/// Returns a part of `length`; nothing of nothing.
fn scaled(count: u64, most: u64, length: u64) -> u64 {
    let part = u128::from(count) * u128::from(length) / u128::from(most.max(1));
    u64::try_from(part).unwrap_or(length)
}

impl Display for Bar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(
            "<svg class=\"share\" viewBox=\"0 0 1000 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        )?;
        let mut x = 0;
        for (name, count) in SERIES.iter().zip(self.parts) {
            let width = scaled(count, self.most, BAR);
            write!(f, "<rect class=\"{name}\" x=\"{x}\" y=\"0\" width=\"{width}\" height=\"40\"/>")?;
            x += width;
        }
        f.write_str("</svg>")
    }
}

/// Made of our own words and of numbers.
impl HtmlSafe for Bar {}

/// One column: its label, and its parts from the bottom.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub label: String,
    pub parts: [u64; 3],
}

impl Column {
    fn sum(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// Columns side by side.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// What the chart shows, for whoever does not see it. Untrusted: it may name a role.
    pub title: String,
    /// How wide one column is with the room around it: as wide as its label.
    pub width: u64,
    pub columns: Vec<Column>,
}

/// The height of the highest column, the room above for its number and below for the labels.
const HEIGHT: u64 = 120;
const ABOVE: u64 = 18;
const BELOW: u64 = 20;
/// The most columns of one chart.
const COLUMNS_MAX: u64 = 400;

impl Columns {
    fn column(&self, f: &mut Formatter<'_>, place: u64, column: &Column, most: u64) -> fmt::Result {
        let left = place.saturating_mul(self.width);
        let mut y = ABOVE + HEIGHT;
        for (name, count) in SERIES.iter().zip(column.parts) {
            let height = scaled(count, most, HEIGHT);
            y = y.saturating_sub(height);
            write!(
                f,
                "<rect class=\"{name}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{height}\"/>",
                left + 4,
                self.width.saturating_sub(8)
            )?;
        }
        let middle = left + self.width / 2;
        if column.sum() > 0 {
            write!(f, "<text x=\"{middle}\" y=\"{}\">{}</text>", y.saturating_sub(4), column.sum())?;
        }
        let bottom = ABOVE + HEIGHT + BELOW - 5;
        write!(f, "<text x=\"{middle}\" y=\"{bottom}\">{}</text>", plain(&column.label))
    }
}

impl Display for Columns {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = u64::try_from(self.columns.len()).unwrap_or(u64::MAX).clamp(1, COLUMNS_MAX);
        let (width, height) = (count.saturating_mul(self.width), ABOVE + HEIGHT + BELOW);
        let most = self.columns.iter().map(Column::sum).max().unwrap_or(0);
        write!(
            f,
            "<svg class=\"columns\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
            plain(&self.title)
        )?;
        for (place, column) in (0..count).zip(&self.columns) {
            self.column(f, place, column, most)?;
        }
        let ground = ABOVE + HEIGHT;
        write!(f, "<line x1=\"0\" y1=\"{ground}\" x2=\"{width}\" y2=\"{ground}\"/></svg>")
    }
}

/// Made of our own words, of numbers, and of what `plain` leaves.
impl HtmlSafe for Columns {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shares_its_length_and_none_is_longer_than_the_longest() {
        let svg = Bar { parts: [1, 2, 1], most: 8 }.to_string();
        let widths: Vec<u64> = svg
            .split("width=\"")
            .skip(1)
            .map(|part| part.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths, [125, 250, 125]);
        let most = u64::MAX;
        assert!(Bar { parts: [most, 0, 0], most }.to_string().contains("width=\"1000\""));
        assert!(Bar { parts: [0, 0, 0], most: 0 }.to_string().contains("width=\"0\""));
    }

    #[test]
    fn nothing_of_a_name_becomes_markup() {
        let hostile = "\"><script>alert(1)</script>\u{202e}";
        let column = Column { label: hostile.to_owned(), parts: [3, 0, 1] };
        let svg = Columns { title: hostile.to_owned(), width: 34, columns: vec![column] }.to_string();
        assert!(!svg.contains("<script") && !svg.contains('\u{202e}'), "{svg}");
        assert_eq!(svg.matches('"').count() % 2, 0);
        assert!(svg.contains(">4</text>"), "{svg}");
    }
}
