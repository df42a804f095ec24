//! Owns docs/checks.md as text: what the catalogue says of every check, with an example that the tests
//! run. It must not know any particular check, nor where the page is kept.

use std::fmt::Write as _;

use crate::checks::{CHECKS, Check, Example};
use crate::options::OptionSpec;
use crate::presets::PRESETS;

const HEAD: &str = include_str!("page/head.md");

/// The page, as `make docs` writes it.
#[must_use]
pub fn checks_page() -> String {
    let mut page = HEAD.replace("<!-- checks -->\n", &contents());
    for check in CHECKS {
        section(&mut page, *check);
    }
    page
}

/// One line for each check.
fn contents() -> String {
    let mut table = "| check | from | default action | finds |\n|---|---|---|---|\n".to_owned();
    for check in CHECKS {
        let (name, action) = (check.name(), check.action().name());
        line(
            &mut table,
            &format!(
                "| [`{name}`](#{name}) | {} | {action} | {} |",
                seeds(*check),
                check.summary()
            ),
        );
    }
    table
}

fn section(page: &mut String, check: &dyn Check) {
    let (name, action) = (check.name(), check.action().name());
    let from = match seeds(check) {
        seeds if seeds.is_empty() => "It comes from none of the three systems.".to_owned(),
        seeds => format!("It comes from {seeds}."),
    };
    line(page, &format!("\n## `{name}`\n"));
    line(page, &format!("{}. {from} Its action in a new policy is `{action}`.\n", check.summary()));
    line(page, check.purpose().trim());
    if check.options().is_empty() {
        line(page, "\nIt has no options.");
    } else {
        line(page, "\n| option | takes | default | meaning |\n|---|---|---|---|");
        check.options().iter().for_each(|option| line(page, &row(option)));
    }
    line(page, &format!("\n{}\n", in_presets(check)));
    example(page, name, &check.example());
}

fn seeds(check: &dyn Check) -> String {
    check.seeds().iter().map(|seed| seed.name()).collect::<Vec<_>>().join(", ")
}

fn row(option: &OptionSpec) -> String {
    let null = if option.kind.may_be_null() { ", or null" } else { "" };
    let cells = [
        format!("`{}`", option.name),
        format!("{}{null}", option.kind.takes()),
        format!("`{}`", option.default_value()),
        option.meaning.to_owned(),
    ];
    format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// Which presets have the check on, and how they set it otherwise than the catalogue does.
fn in_presets(check: &dyn Check) -> String {
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for preset in PRESETS {
        let settings = preset.check_settings();
        let Some(set) = settings.iter().find(|set| set.check_name == check.name()) else {
            continue;
        };
        let mut differences = Vec::new();
        if set.action != check.action().name() {
            differences.push(format!("action `{}`", set.action));
        }
        if set.options.as_object().is_some_and(|options| !options.is_empty()) {
            differences.push(format!("options `{}`", set.options));
        }
        let how = match differences.is_empty() {
            true => String::new(),
            false => format!(" ({})", differences.join(", ")),
        };
        let said = format!("`{}`{how}", preset.name);
        match (set.enabled, how.is_empty()) {
            (true, _) => on.push(said),
            (false, false) => off.push(said),
            (false, true) => {}
        }
    }
    let mut said = match on.is_empty() {
        true => "No preset has it on.".to_owned(),
        false => format!("On in {}.", on.join(", ")),
    };
    if !off.is_empty() {
        let _ = write!(said, " Off, and ready to be switched on, in {}.", off.join(", "));
    }
    said
}

fn example(page: &mut String, name: &str, example: &Example) {
    line(page, if example.fails { "```sql error" } else { "```sql" });
    line(page, "UPDATE spamcheck.check_setting SET enabled = false WHERE policy = 'default';");
    let and = if example.set.is_empty() { "" } else { ", " };
    line(
        page,
        &format!(
            "UPDATE spamcheck.check_setting SET enabled = true{and}{}\n WHERE policy = 'default' AND check_name = '{name}';\n",
            example.set
        ),
    );
    line(page, example.sql.trim());
    line(page, "```\n\n```output");
    line(page, example.output.trim_matches('\n').trim_end());
    line(page, "```");
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What a check must say of itself beyond what the trait demands.
    #[test]
    fn every_check_says_what_it_is_for_and_shows_it() {
        let silent = |check: &&&dyn Check| {
            let example = check.example();
            check.purpose().trim().len() < 80 || example.sql.is_empty() || example.output.is_empty()
        };
        let silent: Vec<&str> = CHECKS.iter().filter(silent).map(|check| check.name()).collect();
        assert!(silent.is_empty(), "purpose() or example() is missing: {silent:?}");
    }

    #[test]
    fn the_page_in_docs_is_the_one_that_the_catalogue_gives() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks.md");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let differs = checks_page().lines().zip(kept.lines()).position(|(new, old)| new != old);
        assert!(
            kept == checks_page(),
            "docs/checks.md is not what the catalogue gives, from line {}: run `make docs`",
            differs.map_or(kept.lines().count(), |line| line) + 1
        );
    }

    #[test]
    fn a_bar_in_a_meaning_does_not_end_its_cell() {
        let option = OptionSpec {
            name: "o",
            kind: crate::options::OptionKind::Text,
            default: "\"a|b\"",
            meaning: "One | two",
        };
        assert_eq!(row(&option), "| `o` | text, or null | `\"a\\|b\"` | One \\| two |");
        assert_eq!(option.default_value(), "a|b");
    }
}
