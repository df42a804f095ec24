//! What protect() refuses about subscriber: a value that the subscribers' column does not take would unsubscribe
//! nobody, and only the server's log would say so.

use super::{refusal, run, start, text};

const TABLES: &str = "
    CREATE TYPE mailing AS ENUM ('subscribed', 'unsubscribed');
    CREATE TABLE states (id int PRIMARY KEY);
    INSERT INTO states VALUES (0), (1);
    CREATE TABLE users (
        id int PRIMARY KEY, label mailing DEFAULT 'subscribed', number int, wants boolean, short varchar(3), ref int CONSTRAINT known REFERENCES states,
        word text CHECK (word IN ('in', 'out')), odd text CONSTRAINT nice CHECK (odd <> 'bad'), since interval,
        made text GENERATED ALWAYS AS ('x') STORED);
    CREATE TABLE notes (id int PRIMARY KEY, user_id int, body text, status text CHECK (status IN ('approved', 'pending', 'spam')))";

fn call(column: &str, subscribed: &str, unsubscribed: &str) -> String {
    format!(
        r#"SELECT spamcheck.protect('notes', subscriber => '{{"table": "users", "key": "id", "from": "user_id", "column": "{column}",
               "subscribed": {subscribed}, "unsubscribed": {unsubscribed}}}')"#
    )
}

#[test]
fn values_that_the_subscribers_column_does_not_take_are_refused() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    for (column, subscribed, unsubscribed, message) in [
        (
            "label",
            r#""subscribed""#,
            r#""unsubscribd""#,
            "subscriber column \"label\" of type public.mailing takes one of its labels",
        ),
        (
            "number",
            r#""yes""#,
            r#""no""#,
            "subscriber column \"number\" of type integer takes an integer, not \"yes\"",
        ),
        ("wants", "true", r#""never""#, "takes true or false, not \"never\""),
        (
            "word",
            r#""in""#,
            r#""gone""#,
            "subscriber column \"word\" takes one of in, out, not \"gone\"",
        ),
        (
            "short",
            r#""in""#,
            r#""gone""#,
            "subscriber column \"short\" does not take the value \"gone\"",
        ),
        (
            "since",
            r#""1 day""#,
            r#""never""#,
            "subscriber column \"since\" does not take the value \"never\"",
        ),
        (
            "odd",
            r#""good""#,
            r#""bad""#,
            "subscriber column \"odd\" does not take the value \"bad\"",
        ),
        ("ref", "1", "2", "subscriber column \"ref\" does not take the value \"2\""),
        ("made", r#""x""#, r#""y""#, "it is a generated column"),
        ("odd", r#""a""#, r#""a""#, "are the same value, \"a\""),
        ("wants", r#""yes""#, "true", "are the same value"),
        ("number", "1", r#""01""#, "are the same value"),
    ] {
        let error = refusal(&mut client, &call(column, subscribed, unsubscribed));
        assert_eq!(error.code().code(), "22023", "{column}: {error:?}");
        assert!(error.message().contains(message), "{column}: {error:?}");
        assert!(error.hint().is_some(), "{column} is refused without a hint: {error:?}");
    }
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
}

#[test]
fn what_the_column_takes_unsubscribes() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    run(&mut client, "UPDATE spamcheck.policy SET unsubscribe = true");
    for (column, subscribed, unsubscribed, now) in [
        ("label", r#""subscribed""#, r#""unsubscribed""#, "unsubscribed"),
        ("number", "1", "-1", "-1"),
        ("wants", r#""yes""#, r#""no""#, "false"),
        ("word", r#""in""#, r#""out""#, "out"),
        ("ref", "1", "0", "0"),
        ("since", r#""1 day""#, r#""0""#, "00:00:00"),
    ] {
        let stored = subscribed.trim_matches('"');
        run(&mut client, "DELETE FROM notes; DELETE FROM users");
        run(&mut client, &format!("INSERT INTO users (id, {column}) VALUES (7, '{stored}')"));
        run(&mut client, &call(column, subscribed, unsubscribed));
        run(&mut client, "INSERT INTO notes VALUES (1, 7, 'casino', 'approved')");
        assert_eq!(text(&mut client, &format!("SELECT {column}::text FROM users")), now);
    }
}
