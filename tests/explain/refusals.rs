//! What explain() refuses, and who may call it.

use crate::only;
use crate::site::{Site, ask, refused};

#[test]
fn mistakes_are_refused_with_a_sentence_and_a_hint() {
    let mut site = Site::new();
    site.run("CREATE TABLE other (id int, body text); CREATE VIEW v AS SELECT 1");
    for (call, part) in [
        ("'comments', '{\"boddy\": \"x\"}'", "a submission has no field \"boddy\""),
        ("'comments', '[]'", "a submission takes a JSON object of field to value, not []"),
        ("'comments', '\"x\"'", "a submission takes a JSON object"),
        ("'comments', NULL", "argument \"submission\" must not be NULL"),
        ("NULL, '{}'", "argument \"relation\" must not be NULL"),
        ("'other', '{}'", "public.other is not a protected table"),
        ("'v', '{}'", "public.v is not a protected table"),
        ("'spamcheck.policy', '{}'", "spamcheck.policy is not a protected table"),
    ] {
        let error = refused(&mut site.client, &format!("SELECT * FROM spamcheck.explain({call})"));
        assert!(error.message().contains(part), "{call}: {}", error.message());
        assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{call}");
    }
    let deep = "SELECT * FROM spamcheck.explain('comments', jsonb_build_object('fields', (repeat('[', 200) || repeat(']', 200))::jsonb))";
    let error = refused(&mut site.client, deep);
    assert_eq!(error.message(), "the JSON is nested deeper than 127 levels");
    let set = "UPDATE spamcheck.check_setting SET options = ('{\"lists\":' || repeat('[', 200) || repeat(']', 200) || '}')::jsonb WHERE check_name = 'content'";
    assert_eq!(refused(&mut site.client, set).message(), error.message());
    let error =
        refused(&mut site.client, "SELECT * FROM spamcheck.explain(1::oid::regclass, '{}')");
    assert!(error.message().contains("could not open relation"), "{}", error.message());
    // A table that is no longer protected.
    site.run("SELECT spamcheck.unprotect('comments')");
    refused(&mut site.client, "SELECT * FROM spamcheck.explain('comments', '{}')");
}

#[test]
fn admins_and_moderators_may_explain_and_nobody_else() {
    let mut site = Site::new();
    only(&mut site, "content");
    let call = "SELECT action FROM spamcheck.explain('public.comments', '{\"body\": \"casino\"}')";
    for (level, may) in [("admin", true), ("moderator", true), ("analyst", false), ("app", false)] {
        let role = site.role(level);
        site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        let mut client = site.db.client_as(&role);
        if may {
            assert_eq!(ask(&mut client, call), "spam", "{level}");
        } else {
            assert_eq!(refused(&mut client, call).code().code(), "42501", "{level}");
        }
    }
    let nobody = site.role("nobody");
    let mut client = site.db.client_as(&nobody);
    assert_eq!(refused(&mut client, call).code().code(), "42501");
}
