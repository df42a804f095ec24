//! Asking leaves no trace: nothing is written, and it works where nothing may be.

use crate::only;
use crate::site::{Site, ask};

#[test]
fn nothing_is_logged_queued_or_inserted() {
    let mut site = Site::new();
    site.run("UPDATE spamcheck.check_setting SET enabled = check_name <> 'custom'");
    site.check("akismet", r#"options = '{"blog": "https://blog.example/"}'"#);
    site.check("content", "action = 'reject'");
    let ids = "SELECT last_value, is_called FROM spamcheck._submission_id_seq";
    let before = site.ask(ids);
    for _ in 0..30 {
        site.run(
            r#"SELECT spamcheck.explain('comments', '{"body": "casino", "ip": "10.1.2.3", "email": "x"}')"#,
        );
    }
    assert_eq!(site.ask(ids), before);
    assert_eq!(
        site.ask(
            "SELECT (SELECT count(*) FROM comments), (SELECT count(*) FROM spamcheck.lookup),
                    (SELECT count(*) FROM spamcheck.spam_checklog)"
        ),
        "0|0|0"
    );
    // Nor is a transaction number spent.
    assert_eq!(
        site.ask(
            r#"BEGIN; SELECT count(*) > 3 FROM spamcheck.explain('comments', '{"body": "casino"}');
               SELECT pg_current_xact_id_if_assigned(); COMMIT"#
        ),
        "t\n"
    );
}

#[test]
fn what_a_users_function_writes_is_rolled_back() {
    let mut site = Site::new();
    only(&mut site, "custom");
    site.run(
        "CREATE TABLE seen (body text);
         CREATE FUNCTION f(j jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.seen SELECT j ->> 'body';
             INSERT INTO public.comments (body) VALUES ('casino');
             RETURN jsonb_build_object('hit', true, 'why', (SELECT count(*) FROM public.seen)::text); END $$",
    );
    site.check("custom", r#"options = '{"function": "public.f"}'"#);
    site.run("BEGIN; INSERT INTO seen VALUES ('kept')");
    let call = r#"SELECT why FROM spamcheck.explain('comments', '{"body": "x"}')"#;
    // The function sees what it wrote, and nobody sees it afterwards.
    assert_eq!(site.ask(call), "2");
    assert_eq!(site.ask(call), "2");
    site.run("COMMIT");
    assert_eq!(
        site.ask("SELECT (SELECT string_agg(body, ',') FROM seen), (SELECT count(*) FROM comments), (SELECT count(*) FROM spamcheck.spam_checklog)"),
        "kept|0|0"
    );
}

#[test]
fn a_read_only_transaction_may_explain() {
    let mut site = Site::new();
    only(&mut site, "content,links");
    assert_eq!(
        ask(
            &mut site.client,
            r#"BEGIN READ ONLY; SELECT check_name FROM spamcheck.explain('comments', '{"body": "casino"}'); COMMIT"#
        ),
        "content\nlinks"
    );
}
