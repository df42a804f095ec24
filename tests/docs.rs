//! The documentation keeps its word: the SQL in README.md and docs/*.md runs and prints what the page
//! says, tables of checks, settings and dependencies list what there is, and what a table of settings
//! abbreviates can be done. Owns that comparison; what the statements should do is for the other tests to
//! prove.
//!
//! How a page is read. Each page has a fresh database on a server with pg_spamcheck preloaded, and its
//! blocks run there from top to bottom, each in a session of its own, as `psql -X -q` runs a script:
//!
//! * `` ```sql `` must run without an error.
//! * `` ```sql error `` must end with one.
//! * `` ```sql skip `` is not run: it needs what a test machine lacks.
//! * `` ```output `` right behind a block is all that psql printed, notices and errors included. `…`
//!   stands for any text within its line; blanks at the ends of lines do not count.

#[path = "docs/abbreviations.rs"]
mod abbreviations;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/tables.rs"]
mod tables;

use std::io::{Read, Write, pipe};
use std::time::Duration;

use pages::{Block, Page, matches};
use support::cluster::{Cluster, Database};
use support::wait;

const WORKER_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn the_sql_of_every_page_runs_and_prints_what_the_page_says() {
    let mut faults = Vec::new();
    let mut run = 0;
    for page in pages::all() {
        let database = Cluster::shared().empty_database();
        for block in page.blocks() {
            if block.skipped {
                continue;
            }
            run += 1;
            faults.extend(fault(&page, &block, &database));
            wait_for_worker(&database);
        }
    }
    assert!(run > 0, "no page has SQL in it");
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// What is wrong with a block, if anything is.
fn fault(page: &Page, block: &Block, database: &Database<'_>) -> Option<String> {
    let (printed, succeeded) = psql(database, &block.sql);
    let place = format!("{}:{}", page.name, block.line);
    if succeeded == block.fails {
        let should = if block.fails { "should end with an error" } else { "failed" };
        return Some(format!("{place}: the block {should}. It printed:\n{printed}"));
    }
    let expected = block.output.as_ref()?;
    if matches(expected, &printed) {
        return None;
    }
    Some(format!("{place}: the page says\n{expected}\nand psql printed\n{printed}"))
}

/// Runs a script; all that it printed, in order, and whether it went through.
fn psql(database: &Database<'_>, script: &str) -> (String, bool) {
    let (mut printed, to) = pipe().expect("a pipe can be made");
    let mut child = {
        let mut psql = database.cluster().program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.name()]);
        psql.stdin(std::process::Stdio::piped());
        psql.stdout(to.try_clone().expect("a pipe can be shared")).stderr(to);
        psql.spawn().expect("psql can be started")
        // The command goes here, and with it our writing end of the pipe.
    };
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(script.as_bytes()).expect("a short script fits into the pipe");
    drop(stdin);
    let mut all = String::new();
    printed.read_to_string(&mut all).expect("psql prints UTF-8");
    let succeeded = child.wait().expect("psql is our child").success();
    (all, succeeded)
}

/// A reader types slower than a worker starts; a test does not.
fn wait_for_worker(database: &Database<'_>) {
    let mut client = database.client();
    let mut holds = |question: &str| client.query_one(question, &[]).is_ok_and(|row| row.get(0));
    if holds("SELECT count(*) > 0 FROM pg_extension WHERE extname = 'pg_spamcheck'") {
        wait::until(WORKER_LIMIT, "the database's worker", || {
            holds("SELECT count(pid) > 0 FROM spamcheck.stat_worker")
        });
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let missing: Vec<String> = pages::all()
        .iter()
        .flat_map(|page| page.dead_links().into_iter().map(|link| format!("{}: {link}", page.name)))
        .collect();
    assert!(missing.is_empty(), "links to what is not there: {missing:?}");
}
