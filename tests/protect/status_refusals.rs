//! What protect() refuses about status: columns that a verdict must not write, values that the column
//! cannot hold, and a status that nothing tells. Refused now, so that no insert fails later.

use super::{protect, refusal, run, start, text};

const TABLE: &str = "
    CREATE TYPE state AS ENUM ('visible', 'held', 'junk');
    CREATE DOMAIN mood AS text CHECK (VALUE IN ('good', 'bad'));
    CREATE TABLE notes (
        id int PRIMARY KEY, body text, label state NOT NULL DEFAULT 'visible', level smallint,
        word text CHECK (word IN ('a', 'b')), short varchar(3), shown boolean NOT NULL DEFAULT true,
        gone_at timestamptz, rank numeric(3,1), feeling mood, doc jsonb,
        made text GENERATED ALWAYS AS ('x') STORED)";

#[test]
fn a_status_that_makes_no_sense_is_refused_with_a_hint() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    let mut sentences = Vec::new();
    for (status, message) in [
        ("[]", "status takes a JSON object, not []"),
        ("\"x\"", "status takes a JSON object, not \"x\""),
        (r#"{"column":7}"#, "takes the name of a column, not 7"),
        (r#"{"column":"word"}"#, "no value for ham, moderate or spam"),
        (r#"{"column":"word","reject":"a"}"#, "not for \"reject\""),
        (r#"{"spam":"b"}"#, "no \"column\" says where to write it"),
        (r#"{"spam":{}}"#, "\"spam\" of status names no column"),
        (r#"{"column":"word","spam":{"word":"b"}}"#, "one value beside \"column\""),
        (r#"{"spam":{"word":["b"]}}"#, "a string, a number, a boolean or null"),
        (r#"{"spam":{"nowhere":"b"}}"#, "the column \"nowhere\""),
        (r#"{"spam":{"made":"b"}}"#, "it is a generated column"),
        (r#"{"spam":{"id":1}}"#, "primary key"),
        (r#"{"column":"label","spam":"jnk"}"#, "visible, held, junk, not \"jnk\""),
        (r#"{"column":"word","spam":"c"}"#, "one of a, b, not \"c\""),
        (r#"{"column":"level","spam":"x"}"#, "takes an integer, not \"x\""),
        (r#"{"column":"level","spam":40000}"#, "takes an integer, not \"40000\""),
        (r#"{"column":"level","spam":1.5}"#, "takes an integer, not \"1.5\""),
        (r#"{"column":"shown","spam":"maybe"}"#, "true or false, not \"maybe\""),
        (r#"{"spam":{"shown":null}}"#, "does not take null"),
        (r#"{"spam":{"gone_at":"yesterday"}}"#, "\"$now\" or null"),
        (r#"{"spam":{"word":"$now"}}"#, "\"$now\" takes a timestamp or date column"),
        (r#"{"column":"doc","spam":"x"}"#, "text, enum, integer or boolean column"),
        (r#"{"column":"short","spam":"toolong"}"#, "toolong"),
        (r#"{"column":"rank","spam":1234}"#, "1234"),
        (r#"{"column":"feeling","spam":"awful"}"#, "awful"),
    ] {
        let script = format!("SELECT spamcheck.protect('notes', status => '{status}')");
        let error = refusal(&mut client, &script);
        assert!(error.message().contains(message), "{status}: {error:?}");
        assert!(error.hint().is_some(), "{status} is refused without a hint: {error:?}");
        sentences.push(error.message().to_owned());
    }
    let given = sentences.len();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), given, "each has a sentence of its own: {sentences:#?}");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
}

#[test]
fn a_status_in_the_partition_key_is_refused() {
    let (_database, mut client) = start();
    // A name that is no regular expression, in another table's key, must not matter.
    run(
        &mut client,
        r#"CREATE TABLE odd ("st(atus" text, body text) PARTITION BY LIST (lower("st(atus"));"#,
    );
    for (name, key) in [
        ("by_column", "status"),
        ("by_two", "region, status"),
        ("by_expression", "(lower(status))"),
    ] {
        let how = if key.contains(',') { "RANGE" } else { "LIST" };
        run(
            &mut client,
            &format!(
                "CREATE TABLE {name} (id int, region text, body text,
                     status text CHECK (status IN ('approved', 'pending', 'spam')))
                 PARTITION BY {how} ({key})"
            ),
        );
        for status in ["NULL", r#"'{"column":"status","spam":"spam"}'"#] {
            let script = format!("SELECT spamcheck.protect('{name}', status => {status})");
            let error = refusal(&mut client, &script);
            assert!(error.message().contains("partition key"), "{name}: {error:?}");
            assert!(error.hint().is_some(), "{name}: {error:?}");
        }
        // Without a status it can be protected all the same.
        run(&mut client, &format!("SELECT spamcheck.protect('{name}', status => '{{}}')"));
    }
}

#[test]
fn the_key_of_a_sub_partition_counts_and_a_literal_in_an_expression_does_not() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE top (id int, region text, body text,
             status text CHECK (status IN ('approved', 'pending', 'spam'))) PARTITION BY LIST (region);
         CREATE TABLE below PARTITION OF top FOR VALUES IN ('eu') PARTITION BY LIST (status);
         CREATE TABLE free (id int, region text, body text,
             status text CHECK (status IN ('approved', 'pending', 'spam')))
         PARTITION BY LIST ((region || 'status'));
         CREATE TABLE free_rest PARTITION OF free DEFAULT;",
    );
    let error = refusal(&mut client, "SELECT spamcheck.protect('top')");
    assert!(error.message().contains("partition key"), "{error:?}");
    run(&mut client, "SELECT spamcheck.protect('free')");
    let stored = "INSERT INTO free VALUES (1, 'eu', 'casino', 'approved') RETURNING status";
    assert_eq!(text(&mut client, stored), "spam");
}

#[test]
fn a_status_column_whose_values_nothing_tells_is_asked_for() {
    let (_database, mut client) = start();
    run(&mut client, "CREATE TABLE posts (id int PRIMARY KEY, body text, status text)");
    let error = refusal(&mut client, "SELECT spamcheck.protect('posts')");
    assert_eq!(error.code().code(), "22023");
    assert!(error.message().contains("column \"status\" of table public.posts"), "{error:?}");
    let hint = error.hint().unwrap();
    // The hint's own example is a call that works.
    let example =
        hint.split("status => '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    run(&mut client, &format!("SELECT spamcheck.protect('posts', status => '{example}')"));
    assert_eq!(
        text(&mut client, "INSERT INTO posts VALUES (1, 'casino', 'new') RETURNING status"),
        "spam"
    );
}

/// Which of them is spam nobody has said: the example that has it confirmed would be copied by somebody.
#[test]
fn the_example_for_a_status_that_says_nothing_of_spam_does_nothing_as_it_stands() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TYPE user_status AS ENUM ('pending', 'active', 'confirmed', 'suspended', 'deleted')",
    );
    let unknown = r#""ham": "…", "moderate": "…", "spam": "…""#;
    for (name, column, detail, example, given) in [
        (
            "a",
            "status int DEFAULT 1 CHECK (status IN (0, 1, 2))",
            "takes 0, 1, 2",
            unknown,
            "1 0 2",
        ),
        (
            "b",
            "status smallint CHECK (status IN (10, 20, 30))",
            "takes 10, 20, 30",
            unknown,
            "10 20 30",
        ),
        ("c", "status int CHECK (status = ANY ('{5,9}'))", "takes 5, 9", unknown, "5 9 9"),
        ("d", "status bigint", "a number does not say", unknown, "1 0 2"),
        (
            "e",
            "status text CHECK (status IN ('x', 'y', 'z'))",
            "are: x, y, z",
            unknown,
            r#""x" "y" "z""#,
        ),
        (
            "f",
            "status user_status",
            "pending, active, confirmed",
            r#""ham": "active", "moderate": "pending", "spam": "…""#,
            r#""suspended""#,
        ),
        (
            "g",
            r#""Status'" varchar(9) CHECK ("Status'" IN ('Pending', 'Rejected'))"#,
            "Pending, Rejected",
            r#""ham": "…", "moderate": "Pending", "spam": "Rejected""#,
            "null",
        ),
    ] {
        run(&mut client, &format!("CREATE TABLE {name} (id int PRIMARY KEY, body text, {column})"));
        let error = refusal(&mut client, &format!("SELECT spamcheck.protect('{name}')"));
        let (said, hint) = (error.detail().unwrap(), error.hint().unwrap());
        assert!(said.contains(detail) && !said.contains("no CHECK"), "{name}: {said}");
        assert!(hint.contains(example), "{name}: {hint}");
        let argument = hint.strip_prefix("Give ").and_then(|rest| rest.split(" with a").next());
        let copied = format!("SELECT spamcheck.protect('{name}', {})", argument.unwrap());
        let error = refusal(&mut client, &copied);
        assert!(error.message().ends_with("not \"…\""), "{name}: {error:?}");
        let filled = given.split(' ').fold(copied, |call, value| call.replacen("\"…\"", value, 1));
        run(&mut client, &filled);
    }
}

#[test]
fn a_value_that_a_constraint_of_the_table_forbids_is_refused() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE states (id int PRIMARY KEY); INSERT INTO states VALUES (1), (2);
         CREATE TABLE by_key (id int PRIMARY KEY, body text, st int DEFAULT 1 CONSTRAINT known REFERENCES states);
         CREATE TABLE by_check (id int PRIMARY KEY, body text, st text CONSTRAINT nice CHECK (st <> 'bad'))",
    );
    for (table, status, constraint) in [
        ("by_key", r#"{"column": "st", "ham": 1, "moderate": 2, "spam": 3}"#, "known"),
        ("by_check", r#"{"column": "st", "ham": "good", "spam": "bad"}"#, "nice"),
    ] {
        let error = refusal(
            &mut client,
            &format!("SELECT spamcheck.protect('{table}', status => '{status}')"),
        );
        assert!(error.message().starts_with("status column \"st\" does not take"), "{error:?}");
        let detail = format!("Constraint {constraint} of table public.{table} forbids it.");
        assert_eq!(error.detail(), Some(&*detail));
    }
    run(
        &mut client,
        r#"INSERT INTO states VALUES (3);
           SELECT spamcheck.protect('by_key', status => '{"column": "st", "ham": 1, "moderate": 2, "spam": 3}')"#,
    );
}

#[test]
fn a_released_row_must_be_told_from_spam_and_from_what_waits() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    for (status, same) in [
        (r#"{"column":"short","ham":"ok","spam":"ok"}"#, "spam"),
        (r#"{"column":"short","ham":"ok","moderate":"ok","spam":"bad"}"#, "moderate"),
        (r#"{"column":"shown","ham":"yes","moderate":true}"#, "moderate"),
        (r#"{"column":"level","ham":"1","spam":"01"}"#, "spam"),
        (r#"{"ham":{"shown":true,"level":1},"spam":{"shown":true}}"#, "spam"),
    ] {
        let error = refusal(
            &mut client,
            &format!("SELECT spamcheck.protect('notes', status => '{status}')"),
        );
        let sentence = format!("\"ham\" of status writes all that \"{same}\" writes");
        assert!(error.message().starts_with(&sentence), "{status}: {error:?}");
        assert!(error.hint().is_some(), "{status}: {error:?}");
    }
    // What waits may be what is spam, as in Serendipity, and a time may tell the two apart.
    for status in [
        r#"{"column":"short","ham":"ok","moderate":"no","spam":"no"}"#,
        r#"{"ham":{"shown":true},"spam":{"shown":true,"gone_at":"$now"}}"#,
    ] {
        run(&mut client, &format!("SELECT spamcheck.protect('notes', status => '{status}')"));
    }
}

#[test]
fn a_verdict_does_not_write_over_what_was_submitted() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE posts (id int PRIMARY KEY, body text, author text, kind text, type text, city text, street text, zip text)",
    );
    for (arguments, field) in [
        (r#"status => '{"column":"body","spam":"SPAM"}'"#, "body"),
        (r#"status => '{"spam":{"kind":"x","author":"x"}}'"#, "author"),
        (r#"status => '{"column":"kind","spam":"x"}', columns => '{"type":"kind"}'"#, "type"),
        (
            r#"status => '{"column":"kind","spam":"x"}', columns => '{"fields":["zip","kind"]}'"#,
            "fields",
        ),
    ] {
        let error =
            refusal(&mut client, &format!("SELECT spamcheck.protect('posts', {arguments})"));
        assert!(error.message().contains(&format!("is mapped to field {field},")), "{error:?}");
        assert!(error.hint().unwrap().contains(&format!("{{\"{field}\": ")), "{error:?}");
    }
    // Who says that a column is the status knows better than a guess about it.
    assert_eq!(
        protect(&mut client, "'posts', status => '{}'"),
        "body=body author=author type=type fields=[\"city\",\"street\",\"zip\"]"
    );
    assert_eq!(
        protect(
            &mut client,
            r#"'posts', status => '{"moderate":{"zip":"?"},"spam":{"type":"junk"}}'"#
        ),
        "body=body author=author fields=[\"city\",\"street\"]"
    );
    run(&mut client, "INSERT INTO posts VALUES (1, 'casino', 'x', 'x', 'comment', 'x', 'x', 'x')");
    assert_eq!(text(&mut client, "SELECT body || type FROM posts"), "casinojunk");
}
