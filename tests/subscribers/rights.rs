//! Whose rights a subscription is ended with: those of the protected table's owner, never more.

use crate::SUBSCRIBER;
use crate::site::{Site, refused, run};

#[test]
fn protect_asks_that_the_owner_may_update_the_subscribers() {
    let mut site = Site::new();
    site.run(crate::USERS);
    let owner = site.role("owner");
    site.run(&format!(
        "ALTER TABLE comments OWNER TO {owner}; SELECT spamcheck.grant_access('{owner}', 'admin')"
    ));
    let mut client = site.db.client_as(&owner);
    let protect = format!("SELECT spamcheck.protect('comments', subscriber => '{SUBSCRIBER}')");
    for grant in [
        format!("GRANT SELECT ON users TO {owner}"),
        format!("GRANT UPDATE (subscription_status) ON users TO {owner}"),
    ] {
        let error = refused(&mut client, &protect);
        assert!(
            error.hint().is_some_and(|hint| hint.contains("GRANT") && hint.contains("users")),
            "{error:?}"
        );
        site.run(&grant);
    }
    run(&mut client, &protect);
    site.policy("unsubscribe = true");
    // Whoever inserts needs no right on the subscribers.
    let app = site.role("app");
    site.run(&format!(
        "GRANT INSERT ON comments TO {app}; GRANT USAGE ON SEQUENCE comments_id_seq TO {app}"
    ));
    let mut app = site.db.client_as(&app);
    run(&mut app, "INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert_eq!(
        site.ask("SELECT subscription_status FROM users WHERE email LIKE 'ann%'"),
        "unsubscribed"
    );
    // Taken away later, it counts as well.
    site.run(&format!("REVOKE ALL ON users FROM {owner}; REVOKE UPDATE (subscription_status) ON users FROM {owner}"));
    run(&mut app, "INSERT INTO comments (email, body) VALUES ('bob@mail.example', 'casino')");
    assert_eq!(
        site.ask("SELECT subscription_status FROM users WHERE email LIKE 'bob%'"),
        "subscribed"
    );
}
