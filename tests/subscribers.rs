//! Who gets mail: a policy that unsubscribes the subscribers of spam rows, the history of it, and the two
//! buttons that undo it.

#[path = "subscribers/ended.rs"]
mod ended;
#[path = "subscribers/late.rs"]
mod late;
#[path = "subscribers/obstacles.rs"]
mod obstacles;
#[path = "subscribers/restored.rs"]
mod restored;
#[path = "subscribers/rights.rs"]
mod rights;
#[path = "statements/site.rs"]
mod site;
#[allow(dead_code, reason = "these tests ask little of it")]
#[path = "akismet/site.rs"]
mod world;

use site::Site;

/// Where subscribers are, for protect().
const SUBSCRIBER: &str = r#"{"table": "users", "key": "email", "from": "email", "column": "subscription_status",
    "subscribed": "subscribed", "unsubscribed": "unsubscribed"}"#;

/// Who gets mail in these tests.
const USERS: &str = "CREATE TABLE users (email text PRIMARY KEY, subscription_status text DEFAULT 'subscribed', changes integer DEFAULT 0);
    INSERT INTO users VALUES ('ann@mail.example', 'subscribed'), ('bob@mail.example', 'subscribed'), ('cleo@mail.example', 'bounced'), ('dan@mail.example', 'unsubscribed');
    CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END';
    CREATE TRIGGER counted BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION counted()";

/// A site whose policy unsubscribes.
fn site() -> Site {
    let mut site = Site::new();
    site.run(USERS);
    site.run(&format!("SELECT spamcheck.protect('comments', subscriber => '{SUBSCRIBER}')"));
    site.policy("unsubscribe = true");
    site
}

/// Those who are not subscribed, and how.
fn users(site: &mut Site) -> String {
    site.ask(
        "SELECT string_agg(split_part(email, '@', 1) || ' ' || subscription_status || ' ' || changes, ', ' ORDER BY email) \
            FROM users WHERE changes > 0",
    )
}

/// The history as `who change by log entry`, oldest first.
fn history(site: &mut Site) -> String {
    site.ask(
        "SELECT string_agg(concat_ws(' ', split_part(subscriber, '@', 1), change, changed_by, log_id), ', ' ORDER BY id) \
            FROM spamcheck.subscription_history",
    )
}
