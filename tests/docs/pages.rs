//! The pages as files: where they are, their fenced blocks and links, and how an output is compared.
//! It runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// A page of the documentation.
pub struct Page {
    /// Its path from the root of the project.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A block of SQL on a page.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// The line it begins on, from 1.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// Whether it ends with an error.
    pub fails: bool,
    /// Whether it is not run.
    pub skipped: bool,
    /// What the page says that psql prints.
    pub output: Option<String>,
}

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README.md and every page of docs/.
pub fn all() -> Vec<Page> {
    let mut names: Vec<String> = fs::read_dir(root().join("docs"))
        .expect("the project has a folder docs")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    names.sort();
    names.insert(0, "README.md".to_owned());
    names.iter().map(|name| Page::read(name)).collect()
}

impl Page {
    /// The page of that path.
    pub fn read(name: &str) -> Page {
        let text = fs::read_to_string(root().join(name))
            .unwrap_or_else(|error| panic!("{name} cannot be read: {error}"));
        Page { name: name.to_owned(), text }
    }

    /// Its blocks of SQL, from top to bottom.
    pub fn blocks(&self) -> Vec<Block> {
        blocks(&self.text).unwrap_or_else(|fault| panic!("{}:{fault}", self.name))
    }

    /// The rows below the table head that begins with `head`: their cells, without back quotes.
    pub fn table(&self, head: &str) -> Vec<Vec<String>> {
        let mut lines = self.text.lines().skip_while(|line| !line.starts_with(head));
        assert!(lines.next().is_some(), "{} has no table \"{head}\"", self.name);
        let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
        let cells = |row: &str| {
            let row = row.trim_matches('|').replace("\\|", "\u{1}");
            row.split('|').map(|cell| cell.trim().replace('`', "").replace('\u{1}', "|")).collect()
        };
        rows.map(cells).collect()
    }

    /// Links to files of the project that are not there.
    pub fn dead_links(&self) -> Vec<String> {
        let page = root().join(&self.name);
        let folder = page.parent().expect("a file is in a folder");
        let targets = self.text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets
            .map(|(target, _)| target.split('#').next().unwrap_or_default())
            .filter(|target| !target.is_empty() && !target.contains("://"))
            .filter(|target| !folder.join(target).exists())
            .map(str::to_owned)
            .collect()
    }
}

fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().enumerate();
    // Whether nothing but blank lines came since the last block of SQL.
    let mut adjacent = false;
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            adjacent &= line.trim().is_empty();
            continue;
        };
        let line = number + 1;
        let mut inside = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, text)) => inside.extend([text, "\n"]),
                None => return Err(format!("{line}: the block has no end")),
            }
        }
        match info.trim() {
            "sql" | "sql error" | "sql skip" => {
                let (fails, skipped) = (info.contains("error"), info.contains("skip"));
                blocks.push(Block { line, sql: inside, fails, skipped, output: None });
                adjacent = true;
            }
            "output" => match blocks.last_mut() {
                Some(block) if adjacent && !block.skipped => {
                    block.output = Some(inside);
                    adjacent = false;
                }
                _ => return Err(format!("{line}: the output is not behind a block that runs")),
            },
            info if info.starts_with("sql") || info.starts_with("output") => {
                return Err(format!("{line}: \"{info}\" is no mark that tests/docs.rs knows"));
            }
            _ => adjacent = false,
        }
    }
    Ok(blocks)
}

/// Whether `printed` is what a page says: line by line, with `…` for any text.
pub fn matches(expected: &str, printed: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.trim().lines().map(|line| line.trim_end().to_owned()).collect()
    };
    let (expected, printed) = (lines(expected), lines(printed));
    expected.len() == printed.len()
        && expected.iter().zip(&printed).all(|(expected, printed)| line_matches(expected, printed))
}

fn line_matches(expected: &str, printed: &str) -> bool {
    let Some((head, rest)) = expected.split_once('…') else { return expected == printed };
    let Some(mut left) = printed.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(tail)
}

#[test]
fn marks_and_outputs_belong_to_the_block_before_them() {
    let page =
        "```sql\nSELECT 1;\n```\n\n```output\n1\n```\n```sql error\nx;\n```\n```sh\nls\n```\n";
    let found = blocks(page).unwrap();
    let seen: Vec<_> = found.iter().map(|b| (b.line, b.fails, b.output.as_deref())).collect();
    assert_eq!(seen, [(1, false, Some("1\n")), (8, true, None)]);
}

#[test]
fn a_page_that_cannot_be_read_as_meant_is_refused() {
    for page in [
        "```sql\nSELECT 1;\n",
        "```output\n1\n```\n",
        "```sql\n```\ntext\n```output\n```\n",
        "```sql skip\n```\n```output\n```\n",
        "```sql err\n```\n",
    ] {
        assert!(blocks(page).is_err(), "{page}");
    }
}

#[test]
fn an_ellipsis_stands_for_text_within_its_line_only() {
    assert!(matches("a …\n(1 row)\n", " a 12 \n(1 row)\n\n".trim_start()));
    assert!(matches("pid … of …!", "pid 7 of us!"));
    for (expected, printed) in
        [("a", "b"), ("a …", "b 1"), ("…", "1\n2"), ("a…z", "ab"), ("a\nb", "a")]
    {
        assert!(!matches(expected, printed), "{expected} {printed}");
    }
}
