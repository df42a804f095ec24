//! docs/migrating.md done literally: what its abbreviations stand for is run, line after line, on the
//! preset of each system. It must not know a check or an option by name.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use support::cluster::Cluster;

use super::pages::Page;

const PAGE: &str = "docs/migrating.md";

/// The sections, with the preset that each is about.
const SYSTEMS: [(&str, &str); 3] = [
    ("## Serendipity's Spam Protector", "serendipity"),
    ("## ActionKit", "actionkit"),
    ("## GitLab", "gitlab"),
];

#[test]
fn each_abbreviation_changes_its_options_and_no_other() {
    let page = Page::read(PAGE);
    let statement = statement(&page.text);
    let database = Cluster::shared().database();
    let mut client = database.client();
    let mut done = 0;
    for (head, preset) in SYSTEMS {
        let make = format!("SELECT spamcheck.create_policy('{preset}', '{preset}')");
        client.batch_execute(&make).unwrap();
        let settings = "SELECT jsonb_object_agg(check_name, options) FROM spamcheck.check_setting \
                        WHERE policy = $1";
        let mut expected: Json = client.query_one(settings, &[&preset]).unwrap().get(0);
        for (check, options) in abbreviations(section(&page.text, head)) {
            let parts = [
                ("{\"over\": 7}", options.to_string()),
                ("'…'", format!("'{preset}'")),
                ("'links'", format!("'{check}'")),
            ];
            let sql = parts.iter().fold(statement.clone(), |sql, (this, that)| {
                assert!(sql.contains(this), "{this} in {sql}");
                sql.replace(this, that)
            });
            assert_eq!(client.execute(&sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e:?}")), 1);
            for (name, value) in options.as_object().unwrap() {
                expected[&check][name] = value.clone();
            }
            done += 1;
        }
        let real: Json = client.query_one(settings, &[&preset]).unwrap().get(0);
        assert_eq!(real, expected, "{preset}");
    }
    assert!(done > 10, "only {done} abbreviations were found");
}

/// What the page says that the first abbreviation stands for.
fn statement(text: &str) -> String {
    let (_, rest) = text.split_once("` stands for `").expect("the page explains its abbreviations");
    rest.split('`').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn section<'a>(text: &'a str, head: &str) -> &'a str {
    let (_, rest) = text.split_once(head).unwrap_or_else(|| panic!("{PAGE} has no \"{head}\""));
    rest.split("\n## ").next().unwrap_or_default()
}

/// Check and options of each abbreviation in the rows of a table, as far as they are served and whole.
fn abbreviations(section: &str) -> Vec<(String, Json)> {
    let rows = section.lines().filter(|l| l.starts_with('|') && !l.contains("**next version**"));
    let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let read = |span: &str| {
        let (check, options) = span.split_once(' ')?;
        let options: BTreeMap<String, Json> = serde_json::from_str(options).ok()?;
        Some((check.to_owned(), serde_json::to_value(options).ok()?))
    };
    spans.filter_map(read).collect()
}
