//! Tables on a terminal: aligned columns of a bounded width, in any script. Lays text out; what is
//! shown, and why, is the caller's.

use std::fmt;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A column's heading and how its cells are set.
#[derive(Clone, Debug)]
pub struct Column {
    heading: &'static str,
    right: bool,
    limit: usize,
}

impl Column {
    /// Text, starting at the left.
    pub fn left(heading: &'static str) -> Column {
        Column { heading, right: false, limit: usize::MAX }
    }

    /// Figures, ending at the right.
    pub fn right(heading: &'static str) -> Column {
        Column { heading, right: true, limit: usize::MAX }
    }

    /// At most that many places of the terminal; longer cells end in an ellipsis.
    pub fn at_most(mut self, limit: usize) -> Column {
        self.limit = limit;
        self
    }
}

/// Rows under headings. Its `Display` is the whole table, a line each, indented by two.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows yet.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When it has not a cell for each column.
    pub fn row<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().zip(&self.columns);
        let row: Vec<String> =
            cells.map(|(cell, column)| cut(&cell.to_string(), column.limit)).collect();
        assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings: Vec<String> =
            self.columns.iter().map(|column| column.heading.to_string()).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|place| lines().map(|row| row[place].width()).max().unwrap_or(0))
            .collect();
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        for row in [&headings, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                let gap = " ".repeat(width - cell.width());
                line.push_str("  ");
                line.push_str(&if column.right { gap + cell } else { cell.clone() + &gap });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A text on one line, no wider than `limit` places.
pub fn cut(text: &str, limit: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control())
        .collect();
    if line.width() <= limit {
        return line;
    }
    let mut short = String::new();
    let mut width = 1;
    for c in line.chars() {
        width += c.width().unwrap_or(0);
        if width > limit {
            break;
        }
        short.push(c);
    }
    short.truncate(short.trim_end().len());
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_in_every_script() {
        let mut table = Table::new([Column::left("author"), Column::right("ms")]);
        table.row(["Zoë", "7"]);
        table.row(["山田太郎", "1200"]);
        let text = table.to_string();
        let ends: Vec<usize> = text.lines().map(UnicodeWidthStr::width).collect();
        assert_eq!(ends, [16, 16, 16, 16], "{text}");
        assert!(text.contains("  Zoë          7\n"), "{text}");
    }

    #[test]
    fn a_long_text_is_cut_to_its_limit_on_one_line() {
        assert_eq!(cut("two\nlines", 20), "two lines");
        assert_eq!(cut("four words and more", 11), "four words…");
        assert_eq!(cut("四つの言葉", 6), "四つ…");
    }
}
