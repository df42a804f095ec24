//! Bad values are refused when they are written: a sentence that says what is wrong, and a hint that says what to do.

use postgres::error::SqlState;

use crate::site::{Site, refused, run};

/// Statements that must be refused, each with words that its message has to have.
#[track_caller]
fn all_refused(site: &mut Site, cases: &[(&str, &[&str])]) {
    for (statement, words) in cases {
        let error = refused(&mut site.client, statement);
        let message = error.message();
        for word in *words {
            assert!(message.contains(word), "{statement}\n{message}\nlacks {word}");
        }
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE, "{statement}: {error:?}");
        let hint = error.hint().unwrap_or_else(|| panic!("no hint: {statement}\n{message}"));
        assert!(
            hint.ends_with('.')
                && hint
                    .starts_with(|c: char| c.is_ascii_uppercase() || c.is_lowercase() || c == '"'),
            "{statement}\n{hint}"
        );
        assert!(!message.ends_with('.') && message.len() < 500, "{statement}\n{message}");
        assert!(hint.len() < 500, "{statement}\n{hint}");
    }
}

#[test]
fn a_policy_refuses_every_bad_value() {
    let mut site = Site::bare();
    let update = |set: &str| format!("UPDATE spamcheck.policy SET {set}");
    let cases: Vec<(String, Vec<&str>)> = [
        ("name = ''", vec!["name"]),
        ("name = '  '", vec!["name"]),
        ("mode = 'on'", vec!["mode", "enforce, trial or off", "\"on\""]),
        ("mode = 'Enforce'", vec!["mode", "\"Enforce\""]),
        ("mode = NULL", vec!["mode"]),
        ("types = '{a,NULL}'", vec!["types"]),
        ("types = '{}'", vec!["types", "NULL for all", "[]"]),
        ("types = '{\"\"}'", vec!["types"]),
        ("moderate_at = 0", vec!["moderate_at", "0"]),
        ("spam_at = -1", vec!["spam_at", "-1"]),
        ("reject_at = 'NaN'", vec!["reject_at", "NaN"]),
        ("reject_at = 'Infinity'", vec!["reject_at"]),
        ("on_error = 'spam'", vec!["on_error", "accept, moderate or reject", "\"spam\""]),
        ("on_reject = 'silent'", vec!["on_reject", "error or drop"]),
        ("reject_sqlstate = '00000'", vec!["reject_sqlstate"]),
        ("reject_sqlstate = '01000'", vec!["reject_sqlstate"]),
        ("reject_sqlstate = '02000'", vec!["reject_sqlstate"]),
        ("reject_sqlstate = '2351'", vec!["reject_sqlstate", "\"2351\""]),
        ("reject_sqlstate = '235144'", vec!["reject_sqlstate"]),
        ("reject_sqlstate = 'sc001'", vec!["reject_sqlstate"]),
        ("reject_sqlstate = 'SC 01'", vec!["reject_sqlstate"]),
        ("reject_sqlstate = 'ÄÖÜSS'", vec!["reject_sqlstate"]),
        ("log_to = 'syslog'", vec!["log_to", "table, file or both"]),
        ("keep = 'nothing'", vec!["keep", "full, excerpt or hash"]),
        ("retention = '-1 day'", vec!["retention"]),
        ("retention = '0'", vec!["retention"]),
        ("retention = '10000 years'", vec!["retention", "1000 years at most"]),
        ("retention = '10000 years -3599900 days'", vec!["retention", "1000 years at most"]),
        ("notify_channel = ''", vec!["notify_channel"]),
        ("notify_channel = repeat('x', 64)", vec!["notify_channel"]),
        ("mail_to = '{nobody}'", vec!["mail_to"]),
        ("mail_to = '{a@b.example,NULL}'", vec!["mail_to"]),
        ("mail_to = ARRAY[E'a@b.example\\nBcc: c@d.example']", vec!["mail_to"]),
    ]
    .into_iter()
    .map(|(set, words)| (update(set), words))
    .collect();
    let cases: Vec<(&str, &[&str])> =
        cases.iter().map(|(sql, words)| (sql.as_str(), words.as_slice())).collect();
    all_refused(&mut site, &cases);
    assert_eq!(
        site.ask(
            "SELECT name, mode, on_error, on_reject, reject_sqlstate, keep, \
        moderate_at, spam_at, reject_at FROM spamcheck.policy"
        ),
        "default|enforce|accept|error|23514|full|5|10|"
    );
}

#[test]
fn a_check_setting_refuses_unknown_checks_actions_and_options() {
    let mut site = Site::bare();
    let cases: Vec<(String, Vec<&str>)> = [
        ("links", "check_name = 'linkz'", vec!["linkz"]),
        ("links", "action = 'block'", vec!["action", "links", "\"block\""]),
        ("links", "action = 'error'", vec!["action", "\"error\""]),
        ("links", "action = 'allow'", vec!["action", "\"allow\""]),
        ("links", "action = ''", vec!["action"]),
        ("links", "score = 'NaN'", vec!["score", "links"]),
        ("links", "score = 'Infinity'", vec!["score"]),
        ("links", "score = '-Infinity'", vec!["score"]),
        ("links", "options = '[]'", vec!["links", "object"]),
        ("links", "options = '7'", vec!["links", "object"]),
        ("links", r#"options = '{"ovr": 7}'"#, vec!["links", "\"ovr\""]),
        ("links", r#"options = '{"Over": 7}'"#, vec!["\"Over\""]),
        (
            "links",
            r#"options = '{"over": "abc"}'"#,
            vec!["\"over\"", "links", "an integer from 0", "\"abc\""],
        ),
        ("links", r#"options = '{"over": "7"}'"#, vec!["\"over\"", "\"7\""]),
        ("links", r#"options = '{"over": 1.5}'"#, vec!["\"over\"", "1.5"]),
        ("links", r#"options = '{"over": -1}'"#, vec!["\"over\"", "-1"]),
        ("links", r#"options = '{"over": true}'"#, vec!["\"over\"", "true"]),
        ("links", r#"options = '{"reject_over": [1]}'"#, vec!["\"reject_over\"", "[1]"]),
        (
            "links",
            r#"options = '{"over": 7, "reject_over": 99999999999999999999}'"#,
            vec!["\"reject_over\""],
        ),
        (
            "content",
            r#"options = '{"lists": "banned_words"}'"#,
            vec!["\"lists\"", "content", "\"banned_words\""],
        ),
        ("content", r#"options = '{"lists": [1]}'"#, vec!["\"lists\""]),
        (
            "content",
            r#"options = '{"fields": ["bodi"]}'"#,
            vec!["\"fields\"", "\"bodi\"", "\"body\""],
        ),
        ("content", r#"options = '{"fields": {}}'"#, vec!["\"fields\""]),
        // What nobody gave is not shown as a text.
        ("links", "action = NULL", vec!["\"action\"", "is NULL"]),
        ("links", "score = NULL", vec!["\"score\"", "is NULL"]),
        ("ip_block", r#"options = '{"list": ["ip_block"]}'"#, vec!["ip_block", "\"list\""]),
        ("ip_allow", "action = 'ban'", vec!["ip_allow", "\"ban\"", "allow"]),
        ("email_pattern", r#"options = '{"lists": {}}'"#, vec!["\"lists\"", "email_pattern"]),
        (
            "content",
            r#"options = '{"lists": ["banned_words", "ip_block"]}'"#,
            vec!["\"lists\"", "content", "\"ip_block\"", "kind word"],
        ),
        ("akismet", r#"options = '{"mode": "sync"}'"#, vec!["\"mode\"", "\"sync\""]),
        ("akismet", r#"options = '{"wait_ms": -5}'"#, vec!["\"wait_ms\""]),
        ("akismet", r#"options = '{"on_failure": "reject"}'"#, vec!["\"on_failure\""]),
        ("akismet", r#"options = '{"blog": 7}'"#, vec!["\"blog\""]),
        ("akismet", r#"options = '{"send": {"autor": true}}'"#, vec!["\"send\"", "autor"]),
        ("akismet", r#"options = '{"send": {"author": 1}}'"#, vec!["\"send\""]),
        ("akismet", r#"options = '{"comment_type": {"petition": 1}}'"#, vec!["\"comment_type\""]),
        ("akismet", r#"options = '{"anonymize": "yes"}'"#, vec!["\"anonymize\""]),
        (
            "akismet",
            r#"options = '{"give_up_after": "soon"}'"#,
            vec!["\"give_up_after\"", "\"soon\""],
        ),
        ("akismet", r#"options = '{"give_up_after": "-1 day"}'"#, vec!["\"give_up_after\""]),
        ("akismet", r#"options = '{"key": "0123456789ab"}'"#, vec!["\"key\""]),
    ]
    .into_iter()
    .map(|(check, set, words)| {
        (format!("UPDATE spamcheck.check_setting SET {set} WHERE check_name = '{check}'"), words)
    })
    .collect();
    let cases: Vec<(&str, &[&str])> =
        cases.iter().map(|(sql, words)| (sql.as_str(), words.as_slice())).collect();
    all_refused(&mut site, &cases);
    // An INSERT is checked like an UPDATE.
    site.run("DELETE FROM spamcheck.check_setting WHERE check_name = 'links'");
    all_refused(
        &mut site,
        &[(
            "INSERT INTO spamcheck.check_setting VALUES ('default', 'links', true, 'moderate', 1, \
                '{\"over\": -1}')",
            &["\"over\""],
        )],
    );
    site.run(
        "INSERT INTO spamcheck.check_setting VALUES ('default', 'links', true, 'moderate', \
        1, '{\"over\": 1.0}')",
    );
    // NULL switches off what takes fields, too.
    site.run(
        "UPDATE spamcheck.check_setting SET options = '{\"fields\": null}' WHERE check_name IN ('content', 'required')",
    );
}

#[test]
fn hints_say_what_null_is_for_which_is_not_always_off() {
    let mut site = Site::bare();
    for (check, hint) in [
        ("shutdown", "Give null, or leave the option out, for: all."),
        ("required", "Give null for: all; or leave it out for [\"comment\"]."),
        (
            "api_source",
            "Give null to switch it off, or leave it out for [\"trackback\",\"pingback\"].",
        ),
    ] {
        let set = format!(
            "UPDATE spamcheck.check_setting SET options = '{{\"types\": [\"trackback\", {{}}]}}' WHERE check_name = '{check}'"
        );
        assert_eq!(refused(&mut site.client, &set).hint(), Some(hint), "{check}");
    }
}

#[test]
fn lists_and_entries_refuse_what_they_cannot_hold() {
    let mut site = Site::bare();
    all_refused(
        &mut site,
        &[
            (
                "INSERT INTO spamcheck.list (name, kind) VALUES ('x', 'words')",
                &["kind", "\"x\"", "\"words\""],
            ),
            ("INSERT INTO spamcheck.list (name) VALUES ('x')", &["kind", "\"x\"", "is NULL"]),
            ("INSERT INTO spamcheck.list (name, kind) VALUES (' ', 'word')", &["name"]),
            (
                "INSERT INTO spamcheck.list (name, kind, refresh) VALUES ('x', 'word', '-1 day')",
                &["refresh"],
            ),
            (
                "INSERT INTO spamcheck.list (name, kind, refresh) VALUES ('x', 'word', '59 seconds')",
                &["refresh", "a minute or more", "\"00:00:59\""],
            ),
            (
                "INSERT INTO spamcheck.list (name, kind, refresh) VALUES ('x', 'word', '300000 years')",
                &["refresh", "1000 years at most"],
            ),
            (
                "INSERT INTO spamcheck.list (name, kind, source_url) VALUES ('x', 'word', \
                    'file:///etc/passwd')",
                &["source_url"],
            ),
            (
                "INSERT INTO spamcheck.list (name, kind, source_url) VALUES ('x', 'word', \
                    'http://lists.example/x')",
                &["source_url"],
            ),
            (
                "INSERT INTO spamcheck.list (name, kind, source_url) VALUES ('x', 'word', 'not a \
                    url')",
                &["source_url"],
            ),
        ],
    );
    let entry = |list: &str, value: &str| {
        format!("INSERT INTO spamcheck.list_entry (list, value) VALUES ('{list}', {value})")
    };
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('domains', 'domain')");
    let cases: Vec<(String, Vec<&str>)> = [
        (entry("banned_words", "''"), vec!["banned_words"]),
        (entry("banned_words", "E' \\u200b\\t'"), vec!["banned_words"]),
        (entry("banned_words", "E'two\\nlines'"), vec!["banned_words", "line break"]),
        (entry("banned_words", "repeat('very ', 65) || 'long'"), vec!["banned_words"]),
        (
            entry(
                "banned_words",
                "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n)",
            ),
            vec!["banned_words"],
        ),
        (entry("email_block", "''"), vec!["email_block"]),
        (entry("email_block", "'('"), vec!["email_block", "\"(\""]),
        (entry("email_block", "'[a'"), vec!["\"[a\""]),
        (entry("email_block", "'*a'"), vec!["\"*a\""]),
        (entry("email_block", r"'(a)\1'"), vec!["back-reference"]),
        (entry("email_block", "'(?P<x>a)(?P=x)'"), vec!["back-reference"]),
        (entry("email_block", "'a(?=b)'"), vec!["look-ahead"]),
        (entry("email_block", "'a(?!b)'"), vec!["look-ahead"]),
        (entry("email_block", "'(?<=a)b'"), vec!["look-behind"]),
        (entry("email_block", "'(?<!a)b'"), vec!["look-behind"]),
        (entry("email_block", r"'\xff\xZZ'"), vec!["email_block"]),
        (entry("email_block", "'(a{1000}){1000}'"), vec!["too big"]),
        (entry("email_block", "repeat('a', 1000000)"), vec!["email_block"]),
        (entry("ip_block", "'10.0.0'"), vec!["ip_block", "\"10.0.0\""]),
        (entry("ip_block", "'10.0.0.0/33'"), vec!["\"10.0.0.0/33\""]),
        (entry("ip_block", "'::/129'"), vec!["\"::/129\""]),
        (entry("ip_block", "'1.2.3.4-1.2.3.9'"), vec!["1.2.3.4-1.2.3.9"]),
        (entry("ip_block", "'example.com'"), vec!["example.com"]),
        (entry("ip_block", "''"), vec!["ip_block"]),
        (entry("domains", "'http://spam.example/x y'"), vec!["domains"]),
        (entry("domains", "''"), vec!["domains"]),
    ]
    .into_iter()
    .collect();
    let cases: Vec<(&str, &[&str])> =
        cases.iter().map(|(sql, words)| (sql.as_str(), words.as_slice())).collect();
    all_refused(&mut site, &cases);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.list_entry"), "0");
    // An UPDATE is checked like an INSERT, and so is COPY.
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_block', '10.0.0.0/8')");
    all_refused(
        &mut site,
        &[
            ("UPDATE spamcheck.list_entry SET value = 'no address'", &["ip_block", "no address"]),
            ("UPDATE spamcheck.list_entry SET list = 'email_block', value = '('", &["email_block"]),
            (
                "UPDATE spamcheck.list SET kind = 'regex' WHERE name = 'ip_block'",
                &["ip_block", "kind"],
            ),
        ],
    );
    let mut copy =
        site.client.copy_in("COPY spamcheck.list_entry (list, value) FROM stdin").unwrap();
    std::io::Write::write_all(&mut copy, b"ip_block\t192.0.2.1\nip_block\t192.0.2.256\n").unwrap();
    let error = copy.finish().unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("192.0.2.256"), "{error:?}");
    assert_eq!(site.ask("SELECT value FROM spamcheck.list_entry"), "10.0.0.0/8");
}

#[test]
fn references_hold_lists_and_policies_together() {
    let mut site = Site::new();
    // A row that came with the extension gives way to that of a dump; one that somebody changed does not.
    site.check("links", "score = 2");
    for (statement, code) in [
        (
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('nowhere', 'x')",
            SqlState::INVALID_PARAMETER_VALUE,
        ),
        (
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
            SqlState::UNIQUE_VIOLATION,
        ),
        (
            "INSERT INTO spamcheck.check_setting VALUES ('nowhere', 'links', true, 'moderate', 1, \
                '{}')",
            SqlState::INVALID_PARAMETER_VALUE,
        ),
        (
            "INSERT INTO spamcheck.check_setting VALUES ('default', 'links', true, 'moderate', 1, \
                '{}')",
            SqlState::UNIQUE_VIOLATION,
        ),
        ("DELETE FROM spamcheck.policy", SqlState::DEPENDENT_OBJECTS_STILL_EXIST),
    ] {
        assert_eq!(refused(&mut site.client, statement).code(), &code, "{statement}");
    }
    // Names can change; what refers to them follows.
    site.run(
        "UPDATE spamcheck.policy SET name = 'house rules'; UPDATE spamcheck.list SET name = \
        'bad words' WHERE name = 'banned_words'",
    );
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('casino') RETURNING status"), "spam");
    assert_eq!(site.ask("SELECT policy FROM spamcheck.spam_checklog"), "house rules");
    assert_eq!(
        site.ask("SELECT relation, policy FROM spamcheck.protected_table"),
        "comments|house rules"
    );
}

#[test]
fn settings_follow_a_renamed_list_wherever_they_name_it() {
    let mut site = Site::new();
    site.run(
        r#"INSERT INTO spamcheck.list (name, kind) VALUES ('more', 'word'), ('authors', 'regex');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('more', 'pills');
           SELECT spamcheck.create_policy('other', 'default');
           UPDATE spamcheck.check_setting SET options = options || '{"lists": ["more", "banned_words"]}'
            WHERE policy = 'default' AND check_name = 'content';
           UPDATE spamcheck.check_setting SET enabled = true, options = '{"author": ["authors", "author_filter"]}'
            WHERE policy = 'default' AND check_name = 'wordfilter';
           UPDATE spamcheck.list SET name = 'words2' WHERE name = 'banned_words';
           UPDATE spamcheck.list SET name = 'names' WHERE name = 'authors';
           UPDATE spamcheck.list SET kind = kind WHERE name = 'names'"#,
    );
    let options = |site: &mut Site, policy: &str, check: &str| {
        site.ask(&format!(
            "SELECT options FROM spamcheck.check_setting WHERE policy = '{policy}' AND check_name = '{check}'"
        ))
    };
    assert_eq!(options(&mut site, "default", "content"), r#"{"lists": ["more", "words2"]}"#);
    // It was left to the default, which would name a list that is gone.
    assert_eq!(options(&mut site, "other", "content"), r#"{"lists": ["words2"]}"#);
    assert_eq!(
        options(&mut site, "default", "wordfilter"),
        r#"{"author": ["names", "author_filter"]}"#
    );
    assert_eq!(options(&mut site, "other", "wordfilter"), "{}");
    for body in ["casino", "pills"] {
        let insert = format!("INSERT INTO comments (body) VALUES ('{body}') RETURNING status");
        assert_eq!(site.ask(&insert), "spam");
    }
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE outcome = 'error'"),
        "0"
    );
}

#[test]
fn a_list_that_does_not_exist_yet_is_warned_about_and_not_refused() {
    let mut site = Site::bare();
    let warnings = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = warnings.clone();
    let mut config = site.db.cluster().config(site.db.name(), "postgres");
    let mut client = config
        .notice_callback(move |notice| {
            seen.lock()
                .unwrap()
                .push((notice.message().to_owned(), notice.hint().map(str::to_owned)))
        })
        .connect(postgres::NoTls)
        .unwrap();
    run(
        &mut client,
        r#"UPDATE spamcheck.check_setting SET options = '{"lists": ["later"]}' WHERE check_name =
            'content'"#,
    );
    let (message, hint) = warnings.lock().unwrap().pop().expect("a warning");
    assert!(
        message.contains("content") && message.contains("\"later\"") && hint.is_some(),
        "{message}"
    );
    run(&mut client, "INSERT INTO spamcheck.list (name, kind) VALUES ('later', 'word')");
    run(
        &mut client,
        r#"UPDATE spamcheck.check_setting SET options = '{"lists": ["later"]}' WHERE check_name =
            'content'"#,
    );
    assert!(warnings.lock().unwrap().is_empty());
    // The settings follow when it is renamed, so there is nothing to warn about.
    run(&mut client, "UPDATE spamcheck.list SET name = 'latest' WHERE name = 'later'");
    assert!(warnings.lock().unwrap().is_empty());
    let named =
        "SELECT options #>> '{lists,0}' FROM spamcheck.check_setting WHERE check_name = 'content'";
    assert_eq!(site.ask(named), "latest");
    site.run("SELECT 1");
}

#[test]
fn a_database_role_that_does_not_exist_is_warned_about_and_not_refused() {
    let mut site = Site::bare();
    let role = site.role("Staff");
    let (warnings, heard) = std::sync::mpsc::channel();
    let mut config = site.db.cluster().config(site.db.name(), "postgres");
    config.notice_callback(move |notice| {
        let _ = warnings.send(notice.message().to_owned());
    });
    let mut client = config.connect(postgres::NoTls).unwrap();
    let role = role.to_lowercase();
    let set = |roles: &str| {
        format!(
            "UPDATE spamcheck.check_setting SET enabled = true, options = '{{\"db_roles\": [{roles}]}}'
              WHERE policy = 'default' AND check_name = 'bypass'"
        )
    };
    run(&mut client, &set(&format!("\"{role}\"")));
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [""; 0]);
    run(&mut client, &set(&format!("\"{role}\", \"no such role\", \"{}\"", role.to_uppercase())));
    let heard: Vec<String> = heard.try_iter().collect();
    assert_eq!(
        heard,
        [
            "check bypass names the database role \"no such role\", which does not exist"
                .to_owned(),
            format!(
                "check bypass names the database role \"{}\", which does not exist",
                role.to_uppercase()
            )
        ]
    );
}

/// No later UPDATE finds such a row, and a check without one is not made.
#[test]
fn settings_that_are_deleted_are_warned_about_and_health_names_them() {
    let mut site = Site::bare();
    let (warnings, heard) = std::sync::mpsc::channel();
    let mut config = site.db.cluster().config(site.db.name(), "postgres");
    config.notice_callback(move |notice| {
        let _ = warnings.send(notice.message().to_owned());
    });
    let mut client = config.connect(postgres::NoTls).unwrap();
    let checks = "SELECT state, message FROM spamcheck.health() WHERE item = 'checks'";
    run(&mut client, "SELECT spamcheck.create_policy('brief'), spamcheck.create_policy('other')");
    run(
        &mut client,
        "SELECT spamcheck.drop_policy('brief'); DELETE FROM spamcheck.policy WHERE name = 'other'",
    );
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [""; 0], "they go with their policy");
    run(
        &mut client,
        "DELETE FROM spamcheck.check_setting WHERE check_name IN ('links', 'content')",
    );
    let missing = "policy \"default\" has no setting for content, links";
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [missing]);
    assert_eq!(site.ask(checks), format!("warning|{missing}"));
    run(
        &mut client,
        "INSERT INTO spamcheck.check_setting VALUES ('default', 'links', true, 'moderate', 5, '{}'), ('default', 'content', true, 'spam', 5, '{}')",
    );
    assert_eq!(site.ask(checks), "ok|every enabled check can be made");
    run(&mut client, "TRUNCATE spamcheck.check_setting");
    let heard: Vec<String> = heard.try_iter().collect();
    assert!(
        heard[0].starts_with("policy \"default\" has no setting for bypass, ip_allow,"),
        "{heard:?}"
    );
}

#[test]
fn health_names_every_check_that_fails() {
    let mut site = Site::new();
    site.run("TRUNCATE spamcheck.list");
    let message = site.ask("SELECT message FROM spamcheck.health() WHERE item = 'checks'");
    for check in ["ip_allow", "ip_block", "email_pattern", "content"] {
        assert!(message.contains(&format!("{check} of policy \"default\"")), "{message}");
    }
}
