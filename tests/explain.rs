//! explain(): what each enabled check says about a submission that is nowhere, and that asking leaves no
//! trace.

#[path = "explain/answers.rs"]
mod answers;
#[path = "explain/refusals.rs"]
mod refusals;
#[path = "statements/site.rs"]
mod site;
#[path = "explain/traces.rs"]
mod traces;

use site::Site;

/// What explain() says about a submission to `comments`: name, action, score and why, a line each.
#[track_caller]
fn explained(site: &mut Site, submission: &serde_json::Value) -> String {
    explained_of(site, "comments", submission)
}

#[track_caller]
fn explained_of(site: &mut Site, table: &str, submission: &serde_json::Value) -> String {
    site.ask(&format!(
        "SELECT check_name, action, score, why FROM spamcheck.explain('{table}', $x${submission}$x$)"
    ))
}

/// Leaves only these checks on.
fn only(site: &mut Site, checks: &str) {
    site.run(&format!(
        "UPDATE spamcheck.check_setting SET enabled = check_name = ANY ('{{{checks}}}')"
    ));
}
