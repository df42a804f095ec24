//! The check `custom`: a user's function as a check, what its answers do, and whose rights it has.

#[path = "custom/answers.rs"]
mod answers;
#[path = "custom/calls.rs"]
mod calls;
#[path = "custom/rights.rs"]
mod rights;
#[path = "statements/site.rs"]
mod site;

use site::Site;

/// A site whose policy asks `app.judge` and nothing else; `body` is the function's.
fn asking(body: &str) -> Site {
    let mut site = Site::new();
    site.run("UPDATE spamcheck.check_setting SET enabled = false; CREATE SCHEMA app");
    define(&mut site, body);
    site.check("custom", r#"enabled = true, options = '{"function": "app.judge"}'"#);
    site
}

/// Makes `app.judge` anew.
fn define(site: &mut Site, body: &str) {
    site.run(&format!(
        "CREATE OR REPLACE FUNCTION app.judge(submission jsonb) RETURNS jsonb LANGUAGE plpgsql AS \
            $f$ BEGIN {body} END $f$"
    ));
}

/// Inserts a comment; its status.
fn status(site: &mut Site, body: &str) -> String {
    site.ask(&format!("INSERT INTO comments (body) VALUES ('{body}') RETURNING status"))
}

/// The newest finding: action, outcome, score, why.
fn newest(site: &mut Site) -> String {
    site.ask(
        "SELECT action, outcome, score, why FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 1",
    )
}
