//! What verdicts write: status columns of every type, found and given, one and several; and what is
//! never written.

use super::{log, notices, protect, run, start, text};
use postgres::Client;

/// The status of a ham, a moderated and a spam row of `notes`, as the app's own insert sees it.
fn stored(client: &mut Client, shown: &str) -> [String; 3] {
    ["fine words", "see https://example.org/", "casino"].map(|body| {
        text(
            client,
            &format!(
                "INSERT INTO notes (body) VALUES ('{body}') RETURNING concat_ws(' ', {shown})"
            ),
        )
    })
}

fn table(client: &mut Client, columns: &str) {
    run(
        client,
        &format!(
            "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, {columns})"
        ),
    );
}

#[test]
fn a_text_status_is_found_by_its_check_constraint() {
    let (_database, mut client) = start();
    table(
        &mut client,
        "moderation_status varchar(20) NOT NULL DEFAULT 'live'
             CHECK (moderation_status IN ('live', 'awaiting_moderation', 'spam', 'deleted'))",
    );
    protect(&mut client, "'notes'");
    assert_eq!(stored(&mut client, "moderation_status"), ["live", "awaiting_moderation", "spam"]);
    assert_eq!(
        text(&mut client, "SELECT status::text FROM spamcheck.protected_table"),
        r#"{"ham": "live", "spam": "spam", "column": "moderation_status", "moderate": "awaiting_moderation"}"#
    );
}

/// Among the authors' own drafts, nobody looks for spam.
#[test]
fn a_column_with_a_word_for_spam_goes_before_one_of_drafts() {
    let (database, mut client) = start();
    table(
        &mut client,
        "status text DEFAULT 'published' CHECK (status IN ('draft', 'published')),
         spam_status text DEFAULT 'unknown' CHECK (spam_status IN ('unknown', 'ham', 'spam'))",
    );
    let heard = notices(&database, "SELECT spamcheck.protect('notes')");
    assert!(heard.iter().any(|text| text.contains("moderate")), "{heard:?}");
    assert_eq!(
        text(&mut client, "SELECT status::text FROM spamcheck.protected_table"),
        r#"{"ham": "ham", "spam": "spam", "column": "spam_status"}"#
    );
    assert_eq!(
        stored(&mut client, "status, spam_status"),
        ["published unknown", "published unknown", "published spam"]
    );
}

#[test]
fn an_enum_status_is_found_by_its_labels() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE SCHEMA app; CREATE TYPE app.\"State\" AS ENUM ('published', 'pending', 'junk')",
    );
    table(&mut client, "state app.\"State\" NOT NULL DEFAULT 'published'");
    protect(&mut client, "'notes'");
    assert_eq!(stored(&mut client, "state"), ["published", "pending", "junk"]);
}

#[test]
fn a_domain_tells_its_status_by_its_own_constraint() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE DOMAIN word AS text;
         CREATE DOMAIN state AS word CHECK (VALUE IN ('approved', 'pending', 'spam'));",
    );
    table(&mut client, "status state DEFAULT 'approved'");
    protect(&mut client, "'notes'");
    assert_eq!(stored(&mut client, "status"), ["approved", "pending", "spam"]);
}

#[test]
fn a_boolean_status_is_found_by_its_name() {
    let (_database, mut client) = start();
    table(&mut client, "approved boolean NOT NULL DEFAULT true, is_spam boolean DEFAULT false");
    protect(&mut client, "'notes'");
    assert_eq!(stored(&mut client, "approved, is_spam"), ["t f", "f f", "f t"]);
}

#[test]
fn statuses_of_every_type_can_be_given() {
    for (columns, status, expected) in [
        (
            "status text DEFAULT 'complete'",
            r#"{"column":"status","ham":"complete","moderate":"moderated","spam":"it''s spam"}"#,
            ["complete", "moderated", "it's spam"],
        ),
        (
            "status integer DEFAULT 7",
            r#"{"column":"status","ham":1,"moderate":0,"spam":-1}"#,
            ["7", "0", "-1"],
        ),
        (
            "status bigint DEFAULT 7",
            r#"{"column":"status","ham":"1","moderate":"0","spam":"9000000000"}"#,
            ["7", "0", "9000000000"],
        ),
        (
            "status boolean DEFAULT true",
            r#"{"column":"status","ham":true,"moderate":false,"spam":"no"}"#,
            ["t", "f", "f"],
        ),
        (
            "status text DEFAULT 'new'",
            r#"{"column":"status","ham":true,"moderate":0,"spam":4.5}"#,
            ["new", "0", "4.5"],
        ),
        (
            "status char(3) DEFAULT 'o'",
            r#"{"column":"status","moderate":"p","spam":"s"}"#,
            ["o", "p", "s"],
        ),
    ] {
        let (_database, mut client) = start();
        table(&mut client, columns);
        protect(&mut client, &format!("'notes', status => '{status}'"));
        assert_eq!(stored(&mut client, "trim(status::text)").map(short), expected, "{status}");
    }
}

fn short(shown: String) -> String {
    match shown.as_str() {
        "true" => "t".into(),
        "false" => "f".into(),
        _ => shown,
    }
}

#[test]
fn a_verdict_writes_several_columns_and_the_time() {
    let (_database, mut client) = start();
    table(
        &mut client,
        "is_public boolean DEFAULT true, is_removed boolean DEFAULT false, removed_at timestamptz,
         removed_on date, removed_local timestamp, reason text DEFAULT 'none', level int DEFAULT 3",
    );
    protect(
        &mut client,
        r#"'notes', status => '{"ham":{"is_public":true,"is_removed":false},
            "moderate":{"is_public":false},
            "spam":{"is_removed":true,"removed_at":"$now","removed_on":"$now","removed_local":"$now",
                    "reason":null,"level":-1}}'"#,
    );
    let shown = "is_public, is_removed, coalesce(reason, '-'), level, removed_at IS NULL";
    assert_eq!(stored(&mut client, shown), ["t f none 3 t", "f f none 3 t", "t t - -1 f"]);
    // "$now" is the statement's own time in every zone and style.
    for (zone, style) in
        [("Asia/Kolkata", "German"), ("America/St_Johns", "SQL, DMY"), ("UTC", "ISO")]
    {
        let shown = text(
            &mut client,
            &format!(
                "BEGIN; SET LOCAL timezone = '{zone}'; SET LOCAL datestyle = '{style}';
                 INSERT INTO notes (body) VALUES ('casino') RETURNING
                     (removed_at = now() AND removed_on = now()::date AND removed_local = now()::timestamp);
                 COMMIT"
            ),
        );
        assert_eq!(shown, "t", "{zone} {style}");
    }
}

#[test]
fn ham_is_never_written() {
    let (_database, mut client) = start();
    table(
        &mut client,
        "status text DEFAULT 'draft' CHECK (status IN ('draft', 'approved', 'pending', 'spam')),
         touched int DEFAULT 0",
    );
    protect(
        &mut client,
        r#"'notes', status => '{"ham":{"status":"approved","touched":1},"spam":{"status":"spam"}}'"#,
    );
    for own in ["draft", "spam", "pending"] {
        let insert = format!(
            "INSERT INTO notes (body, status) VALUES ('fine', '{own}') RETURNING status || touched"
        );
        assert_eq!(text(&mut client, &insert), format!("{own}0"));
    }
    assert_eq!(text(&mut client, "UPDATE notes SET body = 'still fine' RETURNING touched"), "0");
    assert_eq!(log(&mut client), "");
}

#[test]
fn a_verdict_without_a_value_is_only_logged_and_said_so() {
    let (database, mut client) = start();
    table(&mut client, "status text DEFAULT 'new'");
    let script =
        r#"SELECT spamcheck.protect('notes', status => '{"column":"status","spam":"spam"}')"#;
    let heard = notices(&database, script);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("NOTICE: ") && heard[0].contains("moderate"), "{heard:?}");
    assert_eq!(stored(&mut client, "status"), ["new", "new", "spam"]);
    assert_eq!(
        log(&mut client),
        "public.notes {\"id\": 2} links moderated\npublic.notes {\"id\": 3} content suppressed"
    );
}

#[test]
fn without_a_status_every_verdict_is_only_logged() {
    for (columns, arguments) in
        [("written text", "'notes'"), ("status text DEFAULT 'new'", "'notes', status => '{}'")]
    {
        let (database, mut client) = start();
        table(&mut client, columns);
        let heard = notices(&database, &format!("SELECT spamcheck.protect({arguments})"));
        assert!(heard.iter().any(|text| text.contains("no status column")), "{heard:?}");
        let before = stored(&mut client, "to_jsonb(notes) - 'body' - 'id'");
        assert_eq!(before[0], before[2]);
        assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "2");
        assert_eq!(
            text(
                &mut client,
                "SELECT string_agg(outcome, ' ' ORDER BY id) FROM spamcheck.spam_checklog"
            ),
            "moderated suppressed"
        );
    }
}

#[test]
fn a_moderators_own_change_of_the_status_is_not_judged() {
    let (_database, mut client) = start();
    table(
        &mut client,
        "status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam'))",
    );
    protect(&mut client, "'notes'");
    stored(&mut client, "status");
    run(&mut client, "UPDATE notes SET status = 'approved'");
    assert_eq!(text(&mut client, "SELECT string_agg(DISTINCT status, ' ') FROM notes"), "approved");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "2");
}

#[test]
fn a_value_that_the_column_no_longer_takes_is_only_logged() {
    let (_database, mut client) = start();
    run(&mut client, "CREATE TYPE state AS ENUM ('visible', 'held', 'junk')");
    table(&mut client, "status state DEFAULT 'visible'");
    protect(
        &mut client,
        r#"'notes', status => '{"column":"status","moderate":"held","spam":"junk"}'"#,
    );
    run(&mut client, "ALTER TYPE state RENAME VALUE 'junk' TO 'spam'");
    assert_eq!(stored(&mut client, "status"), ["visible", "held", "visible"]);
    run(&mut client, "ALTER TABLE notes ALTER status DROP DEFAULT, ALTER status TYPE int USING 7");
    assert_eq!(stored(&mut client, "coalesce(status, 0)"), ["0", "0", "0"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "4");
    // Protecting it again says what the values are now.
    protect(&mut client, r#"'notes', status => '{"column":"status","moderate":1,"spam":2}'"#);
    assert_eq!(stored(&mut client, "coalesce(status, 0)"), ["0", "1", "2"]);
}

#[test]
fn a_generated_column_is_no_status() {
    let (_database, mut client) = start();
    table(
        &mut client,
        "published_at timestamptz DEFAULT now(), published boolean GENERATED ALWAYS AS (published_at IS NOT NULL) STORED",
    );
    protect(&mut client, "'notes'");
    assert_eq!(stored(&mut client, "published"), ["t", "t", "t"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "2");
}

#[test]
fn a_label_that_is_renamed_fails_no_insert_of_a_session_that_knew_it() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TYPE judged AS ENUM ('ok', 'wait', 'junk');
         CREATE TABLE labelled (id int PRIMARY KEY, body text, st judged NOT NULL DEFAULT 'ok');
         SELECT spamcheck.protect('labelled', status => '{\"column\":\"st\",\"ham\":\"ok\",\"moderate\":\"wait\",\"spam\":\"junk\"}');
         INSERT INTO labelled VALUES (1, 'a casino');
         ALTER TYPE judged RENAME VALUE 'junk' TO 'trash';
         INSERT INTO labelled VALUES (2, 'a casino')",
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(st::text, ' ' ORDER BY id) FROM labelled"),
        "trash ok"
    );
}
