//! Tables in the documentation against what they list: the catalogue of checks, the server's settings,
//! and the manifests of the crates. It must not know a check, a setting or a crate by name.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value as Json;
use support::cluster::{Cluster, ClusterOptions};

use super::pages::{Page, root};

/// A row's cells, as text.
type Rows = BTreeSet<Vec<String>>;

/// Rows of a page are true, and what has no row is at least named.
#[track_caller]
fn assert_true_and_named(page: &Page, rows: &Rows, real: &Rows) {
    let wrong: Vec<_> = rows.difference(real).collect();
    assert!(wrong.is_empty(), "not so: {wrong:#?}\nof {real:#?}");
    let missing: Vec<_> =
        real.iter().filter(|row| !page.text.contains(&format!("`{}`", row[0]))).collect();
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
}

fn first_cells(page: &Page, head: &str, count: usize) -> Rows {
    page.table(head).into_iter().map(|mut row| row.drain(..count).collect()).collect()
}

#[track_caller]
fn assert_same(page: &Rows, real: &Rows) {
    let only = |a: &Rows, b: &Rows| a.difference(b).map(|row| row.join(" | ")).collect::<Vec<_>>();
    let (wrong, missing) = (only(page, real), only(real, page));
    assert!(wrong.is_empty() && missing.is_empty(), "not so: {wrong:#?}\nmissing: {missing:#?}");
}

#[test]
fn the_readme_lists_every_check_as_the_catalogue_has_it() {
    let database = Cluster::shared().database();
    let rows = database.client().query("SELECT to_jsonb(c) FROM spamcheck.checks c", &[]).unwrap();
    let real = rows.iter().map(|row| check(&row.get(0))).collect();
    assert_same(&first_cells(&Page::read("README.md"), "| check |", 5), &real);
}

/// Name, systems, action, question, options with their defaults; akismet's have a table of their own.
fn check(check: &Json) -> Vec<String> {
    let text = |name: &str| check[name].as_str().unwrap().to_owned();
    let seeds: Vec<&str> =
        check["seeds"].as_array().unwrap().iter().map(|seed| seed.as_str().unwrap()).collect();
    let options = match check["name"].as_str() {
        Some("akismet") => "below".to_owned(),
        _ => serde_json::to_string(&options(check)).unwrap(),
    };
    vec![text("name"), seeds.join(", "), text("action"), text("summary"), options]
}

fn options(check: &Json) -> Json {
    let options = check["options"].as_array().unwrap();
    let pair = |o: &Json| (o["name"].as_str().unwrap().to_owned(), o["default"].clone());
    Json::Object(options.iter().map(pair).collect())
}

#[test]
fn the_readme_names_every_option_of_akismet() {
    let database = Cluster::shared().database();
    let query = "SELECT to_jsonb(c) FROM spamcheck.checks c WHERE name = 'akismet'";
    let akismet: Json = database.client().query_one(query, &[]).unwrap().get(0);
    let Json::Object(options) = options(&akismet) else {
        unreachable!("options() gives an object")
    };
    let real = options.into_iter().map(|(name, default)| vec![name, default.to_string()]).collect();
    let page = Page::read("README.md");
    assert_true_and_named(&page, &first_cells(&page, "| option |", 2), &real);
}

#[test]
fn the_readme_names_every_setting_and_its_defaults_are_true() {
    // One whose settings nobody has touched.
    let cluster = Cluster::start(ClusterOptions::default());
    let database = cluster.database();
    let query = "SELECT name, current_setting(name),
                        CASE context WHEN 'user' THEN 'any session' WHEN 'superuser' THEN 'superuser'
                                     WHEN 'sighup' THEN 'reload' ELSE 'restart' END
                   FROM pg_settings WHERE name LIKE 'pg\\_spamcheck.%' AND source = 'default'";
    let rows = database.client().query(query, &[]).unwrap();
    let name = |name: String| name.trim_start_matches("pg_spamcheck.").to_owned();
    let real = rows.iter().map(|row| vec![name(row.get(0)), row.get(1), row.get(2)]).collect();
    let page = Page::read("README.md");
    assert_true_and_named(&page, &first_cells(&page, "| setting |", 3), &real);
}

#[test]
fn every_dependency_has_its_reason_and_every_reason_its_dependency() {
    let page = Page::read("docs/dependencies.md");
    for manifest in ["Cargo.toml", "src/engine/Cargo.toml", "tests/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let real = dependencies(&text).into_iter().map(|name| vec![name]).collect();
        assert_same(&first_cells(&page, &format!("| {manifest} |"), 1), &real);
    }
}

/// The crates that a manifest names, those for its tests and benchmarks included.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if matches!(section, "[dependencies]" | "[dev-dependencies]") {
            let name = line.split(['=', '.']).next().unwrap_or_default().trim();
            if !name.is_empty() && !name.starts_with('#') {
                names.push(name.to_owned());
            }
        }
    }
    names
}
