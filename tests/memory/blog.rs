//! A blog whose comments are compared with those before: the table, the settings, and short questions.

use crate::site::Site;

/// Columns of the table of comments.
const COLUMNS: &str =
    "id serial PRIMARY KEY, author text, email text, ip inet, body text, page text,
    kind text, created_at timestamptz DEFAULT now(),
    status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam'))";

/// What tells the columns' meaning.
pub const MAPPING: &str = r#"'{"author":"author","email":"email","ip":"ip","body":"body","page":"page","type":"kind","created_at":"created_at"}'"#;

/// A site with an unprotected table of comments.
pub fn unprotected() -> Site {
    let mut site = Site::bare();
    site.run(&format!("CREATE TABLE comments ({COLUMNS})"));
    site
}

/// A site with a protected table of comments and these checks enabled, each moderating.
pub fn blog(checks: &[&str]) -> Site {
    let mut site = unprotected();
    site.run(&format!("SELECT spamcheck.protect('comments', columns => {MAPPING})"));
    enable(&mut site, checks);
    site
}

/// Enables checks, each moderating.
pub fn enable(site: &mut Site, checks: &[&str]) {
    for check in checks {
        site.check(check, "enabled = true, action = 'moderate'");
    }
}

/// Sets the options of a check.
pub fn options(site: &mut Site, check: &str, options: &str) {
    site.check(check, &format!("options = '{options}'"));
}

/// Ids of the moderated rows.
pub fn pending(site: &mut Site) -> String {
    site.ask("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM comments WHERE status = 'pending'")
}

/// Rows of the memory: kind and key, in their order.
pub fn memory(site: &mut Site) -> String {
    site.ask(
        "SELECT hash & 3, convert_from(key, 'UTF8') FROM spamcheck._seen
          ORDER BY 1, length(key), 2",
    )
}
