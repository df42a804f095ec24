//! Akismet changes its mind: its own word is replaced, a human's stays.

use postgres::error::SqlState;
use serde_json::{Value as Json, json};
use support::akismet::{KEY, SPAM};
use support::http::Reply;

use crate::site::{SOON, Site, World};

/// What the function answers to this payload.
fn hear(site: &mut Site<'_>, payload: &Json) -> Json {
    let call = "SELECT spamcheck.akismet_webhook($1)";
    site.client.query_one(call, &[payload]).expect("it is heard").get(0)
}

fn payload(guid: &str, spam: bool) -> Json {
    let result = if spam { "true" } else { "false" };
    json!({"key": KEY, "endpoint": "comment-check", "comments": [{"guid": guid, "result": result, "comment_author": "Zoë"}]})
}

/// The status and message for one guid.
fn tell(site: &mut Site<'_>, guid: &str, spam: bool) -> (String, String) {
    let mut answer = hear(site, &payload(guid, spam));
    let answer = answer["comments"][guid].take();
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"))
}

/// Akismet's name for the check of a comment, once it has been made.
fn guid(site: &mut Site<'_>, id: i64) -> String {
    site.until(
        &format!("SELECT count(*) FROM spamcheck._checked WHERE row_key = '{{\"id\": {id}}}'"),
        "1",
    );
    site.until_all_answered();
    site.get(&format!("SELECT guid FROM spamcheck._checked WHERE row_key = '{{\"id\": {id}}}'"))
}

#[test]
fn a_verdict_flips_both_ways_and_once() {
    let mut site = World::shared().site("{}");
    let (ham, spam) = (site.comment("a fine day"), site.comment(SPAM));
    let (of_ham, of_spam) = (guid(&mut site, ham), guid(&mut site, spam));
    assert_eq!((site.status(ham), site.status(spam)), ("approved".into(), "spam".into()));
    assert_eq!(tell(&mut site, &of_ham, true).0, "success");
    assert_eq!(site.status(ham), "spam");
    assert_eq!(tell(&mut site, &of_spam, false).0, "success");
    assert_eq!(site.status(spam), "approved");
    let log = site.log();
    assert_eq!(log, ["akismet spam not_spam", "akismet spam suppressed"]);
    let reversed =
        "SELECT reversed || ' ' || reversed_by FROM spamcheck.spam_checklog ORDER BY id LIMIT 1";
    assert_eq!(site.get(reversed), "true akismet");
    let detail = site
        .get("SELECT detail ->> 'webhook' FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 1");
    assert_eq!(detail, "true");
    // Delivered once more, it changes nothing and logs nothing.
    let before = site.get("SELECT string_agg(xmin::text, ' ' ORDER BY id) FROM comments");
    assert!(tell(&mut site, &of_ham, true).1.contains("already"));
    assert!(tell(&mut site, &of_spam, false).1.contains("already"));
    assert_eq!(site.get("SELECT string_agg(xmin::text, ' ' ORDER BY id) FROM comments"), before);
    assert_eq!(site.log(), log);
    // And back again.
    tell(&mut site, &of_ham, false);
    tell(&mut site, &of_spam, true);
    assert_eq!((site.status(ham), site.status(spam)), ("approved".into(), "spam".into()));
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(site.requests().len(), 2, "Akismet is not asked about what it told");
}

#[test]
fn inserts_that_waited_are_known_too() {
    let mut site = World::shared().site(r#"{"mode": "wait", "wait_ms": 20000}"#).with_worker();
    let (ham, spam) = (site.comment("a fine day"), site.comment(SPAM));
    let (of_ham, of_spam) = (guid(&mut site, ham), guid(&mut site, spam));
    tell(&mut site, &of_ham, true);
    tell(&mut site, &of_spam, false);
    assert_eq!((site.status(ham), site.status(spam)), ("spam".into(), "approved".into()));
}

#[test]
fn what_a_local_check_moderated_is_moderated_again_when_akismet_takes_its_word_back() {
    for mode in ["async", "wait"] {
        let options = format!(r#"{{"mode": "{mode}", "wait_ms": 20000}}"#);
        let mut site = World::shared().site(&options).with_worker();
        site.run(
            "UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content';
             INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
        );
        let id = site.comment(&format!("{SPAM} casino"));
        let of_it = guid(&mut site, id);
        assert_eq!(site.status(id), "spam", "{mode}");
        tell(&mut site, &of_it, false);
        assert_eq!(site.status(id), "pending", "{mode}");
    }
}

#[test]
fn a_human_who_has_decided_keeps_the_last_word() {
    let mut site = World::shared().site("{}");
    let (ham, spam) = (site.comment("a fine day"), site.comment(SPAM));
    let (of_ham, of_spam) = (guid(&mut site, ham), guid(&mut site, spam));
    site.run(&format!("UPDATE comments SET status = 'pending' WHERE id = {ham}"));
    // One who ends where the row was has decided all the same.
    site.run(&format!(
        "UPDATE comments SET status = 'approved' WHERE id = {ham};
         UPDATE comments SET status = 'pending' WHERE id = {spam}"
    ));
    for (guid, spam) in [(&of_ham, true), (&of_spam, false)] {
        let (status, message) = tell(&mut site, guid, spam);
        assert_eq!(status, "success");
        assert!(message.contains("somebody else"), "{message}");
    }
    assert_eq!((site.status(ham), site.status(spam)), ("approved".into(), "pending".into()));
    // Who has it looked at again has not reversed what was found about it.
    assert_eq!(site.log(), ["akismet spam suppressed", "akismet log flagged"]);
    tell(&mut site, &of_ham, true);
    assert_eq!(site.log().len(), 2, "told twice, noted once");
}

#[test]
fn an_edited_row_is_not_what_akismet_speaks_of() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    let of_it = guid(&mut site, id);
    site.run("SELECT spamcheck.protect('comments', on_update => false)");
    site.run("UPDATE comments SET body = 'another text'");
    let (status, message) = tell(&mut site, &of_it, true);
    assert!(
        status == "success" && message.contains("not what Akismet was asked about"),
        "{message}"
    );
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_row_that_follows_its_key_and_names_is_found() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    let of_it = guid(&mut site, id);
    site.run(
        "UPDATE comments SET id = 4711;
         ALTER TABLE comments RENAME COLUMN id TO nr;
         ALTER TABLE comments RENAME COLUMN status TO state;
         ALTER TABLE comments RENAME COLUMN body TO words;
         ALTER TABLE comments RENAME TO remarks",
    );
    tell(&mut site, &of_it, true);
    assert_eq!(site.get("SELECT state FROM remarks WHERE nr = 4711"), "spam");
}

#[test]
fn rows_whose_keys_one_statement_shifts_are_told_apart() {
    let mut site = World::shared().site("{}");
    for n in 1..=4 {
        site.comment(&format!("number {n}"));
    }
    site.until_all_answered();
    let third = "SELECT guid FROM spamcheck._checked WHERE submission ->> 'body' = 'number 3'";
    let third = site.get(third);
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_pkey;
         ALTER TABLE comments ADD PRIMARY KEY (id) DEFERRABLE;
         ALTER TABLE comments ADD UNIQUE (id, created_at)",
    );
    site.run("UPDATE comments SET id = id + 1");
    let kept = "SELECT bool_and((c.submission ->> 'body') = k.body) || ' ' || count(*)
                  FROM spamcheck._checked c JOIN comments k ON k.id = (c.row_key ->> 'id')::bigint";
    assert_eq!(site.get(kept), "true 4");
    // One that is decided about in the same statement is the only one.
    site.run("UPDATE comments SET id = id + 1, status = CASE body WHEN 'number 2' THEN 'pending' ELSE status END");
    assert_eq!(site.get(kept), "true 4");
    let decided =
        "SELECT string_agg(submission ->> 'body', ' ') FROM spamcheck._checked WHERE decided";
    assert_eq!(site.get(decided), "number 2");
    tell(&mut site, &third, true);
    assert_eq!(
        site.get("SELECT string_agg(body, ' ') FROM comments WHERE status = 'spam'"),
        "number 3"
    );
}

#[test]
fn a_row_that_is_locked_gets_its_new_verdict_from_the_worker() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    let of_it = guid(&mut site, id);
    let mut locker = site.database.client();
    let mut lock = locker.transaction().expect("it begins");
    lock.execute("SELECT FROM comments FOR UPDATE", &[]).expect("it locks");
    let (status, message) = tell(&mut site, &of_it, true);
    assert!(status == "success" && message.contains("worker"), "{message}");
    lock.rollback().expect("it ends");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    site.until_all_answered();
    assert_eq!(site.requests().len(), 1);
}

#[test]
fn a_provisional_ham_is_not_asked_about_again_when_the_webhook_comes_first() {
    let mut site = World::shared().site("{}");
    let later = Reply::text("false")
        .header("X-akismet-guid", "feedfacefeedfacefeedfacefeedface")
        .header("X-akismet-recheck-after", "7200");
    site.answer("provisional", later);
    let id = site.comment("provisional");
    site.until("SELECT reason FROM spamcheck.lookup", "recheck_queue");
    tell(&mut site, "feedfacefeedfacefeedfacefeedface", true);
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
}

#[test]
fn who_does_not_know_the_key_changes_nothing() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    let of_it = guid(&mut site, id);
    for key in [json!("000000000000"), json!(""), json!(null), json!({}), json!(&KEY[1..])] {
        let mut payload = payload(&of_it, true);
        payload["key"] = key.clone();
        let error = site.client.query("SELECT spamcheck.akismet_webhook($1)", &[&payload]);
        let error = error.expect_err("it is refused");
        assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{key}");
        assert!(!format!("{error:?}").contains(KEY), "{error:?}");
    }
    assert_eq!(site.status(id), "approved");
    // Akismet's own clients compare without case.
    let mut payload = payload(&of_it, true);
    payload["key"] = json!(KEY.to_uppercase());
    hear(&mut site, &payload);
    assert_eq!(site.status(id), "spam");
}

#[test]
fn what_makes_no_sense_is_said_entry_by_entry() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    let of_it = guid(&mut site, id);
    for comments in [json!(null), json!({}), json!("x")] {
        let payload = json!({"key": KEY, "endpoint": "comment-check", "comments": comments});
        let error = site.client.query("SELECT spamcheck.akismet_webhook($1)", &[&payload]);
        let error = error.expect_err("it is refused");
        let error = error.as_db_error().expect("by the server");
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains("malformed_request"), "{error:?}");
    }
    let payload = json!({"key": KEY, "endpoint": "comment-check", "comments": [
        {"guid": "nobody knows it", "result": "true"}, {"result": "true"}, {"guid": &of_it, "result": "maybe"}]});
    let answer = hear(&mut site, &payload);
    let comments = answer["comments"].as_object().expect("an object");
    assert_eq!(comments.len(), 2, "{answer}");
    assert!(comments.values().all(|entry| entry["status"] == "error"), "{answer}");
    assert_eq!(site.status(id), "approved");
    // Two rows with one guid: nobody can say which is meant.
    site.run("UPDATE spamcheck._checked SET guid = 'one'; INSERT INTO spamcheck._checked (protection, row_key, result, guid, submission, fingerprint) SELECT protection, '{\"id\": -1}', result, guid, submission, fingerprint FROM spamcheck._checked");
    let (status, message) = tell(&mut site, "one", true);
    assert!(status == "error" && message.contains("2 submissions"), "{message}");
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_payload_that_is_refused_does_not_bring_the_key_into_the_servers_log() {
    let mut site = World::shared().site("{}");
    let role = site.database.name().to_owned() + "_hook";
    site.run(&format!("CREATE ROLE {role} LOGIN; SELECT spamcheck.grant_access('{role}', 'app')"));
    let mut app = site.database.client_as(&role);
    let mark = format!("mark of {role}");
    let call = format!(
        r#"SELECT spamcheck.akismet_webhook('{{"key": "{KEY}", "comments": "{mark}"}}'::jsonb)"#
    );
    assert!(app.batch_execute(&call).is_err());
    // What comes after it is logged as ever.
    let after = format!("SELECT 1 / 0 AS \"after the {mark}\"");
    assert!(app.batch_execute(&after).is_err());
    let log = || World::shared().cluster.log();
    support::wait::until(SOON, "the later statement in the log", || {
        log().contains(&format!("after the {mark}"))
    });
    assert!(!log().contains(&format!(r#""comments": "{mark}""#)));
    drop(app);
    site.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn the_app_that_hands_it_over_needs_no_right_on_the_table() {
    let mut site = World::shared().site("{}");
    let role = site.database.name().to_owned() + "_app";
    site.run(&format!("CREATE ROLE {role} LOGIN; SELECT spamcheck.grant_access('{role}', 'app')"));
    let id = site.comment("a fine day");
    let of_it = guid(&mut site, id);
    let mut app = site.database.client_as(&role);
    let answer: Json = app
        .query_one("SELECT spamcheck.akismet_webhook($1)", &[&payload(&of_it, true)])
        .expect("it may")
        .get(0);
    assert_eq!(answer["comments"][&of_it]["status"], "success", "{answer}");
    assert_eq!(site.status(id), "spam");
    assert!(app.query("SELECT FROM comments", &[]).is_err());
}

#[test]
fn what_the_app_has_put_off_is_done_with_its_own_rights_and_can_be_put_off_again() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    let guid = guid(&mut site, id);
    let role = format!("{}_late", site.database.name());
    site.run(&format!(
        "CREATE ROLE {role} LOGIN; SELECT spamcheck.grant_access('{role}', 'app'); CREATE SCHEMA late AUTHORIZATION {role}"
    ));
    let mut app = site.database.client_as(&role);
    let run = |app: &mut postgres::Client, sql: &str| app.batch_execute(sql).expect(sql);
    run(&mut app,
        "CREATE TABLE late.seen (who name); CREATE TABLE late.mine (id int);
         CREATE FUNCTION late.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO late.seen VALUES (current_user); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER note AFTER INSERT ON late.mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late.note();
         BEGIN; INSERT INTO late.mine VALUES (1)",
    );
    let call = "SELECT spamcheck.akismet_webhook($1)";
    app.query_one(call, &[&payload(&guid, true)]).expect("it is heard");
    let seen = "SELECT coalesce(string_agg(who, ','), '') FROM late.seen";
    let of =
        |app: &mut postgres::Client| app.query_one(seen, &[]).expect("rows").get::<_, String>(0);
    assert_eq!(of(&mut app), role);
    run(&mut app, "INSERT INTO late.mine VALUES (2)");
    assert_eq!(of(&mut app), role, "put off again");
    run(&mut app, "COMMIT");
    assert_eq!(of(&mut app), format!("{role},{role}"));
    assert_eq!(site.status(id), "spam");
}
