//! What import_list() and the tables of lists refuse, and how they say it.

use postgres::error::SqlState;

use crate::site::{Site, refused};

#[test]
fn a_bad_entry_is_named_with_its_place_and_nothing_is_imported() {
    let mut site = Site::new();
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('hosts', 'domain')");
    for (call, message) in [
        (
            "'hosts', E'good.example\\n\\nhttp://bad.example/\\n'",
            "list \"hosts\": line 3: \"http://bad.example/\" is not a host name",
        ),
        (
            "'ip_block', E'192.0.2.1 192.0.2.2\\n192.0.2.300', 'words'",
            "list \"ip_block\": entry 3 (line 2): \"192.0.2.300\" is neither an address nor a network",
        ),
        (
            "'email_block', 'casino;po(ker;x', 'serendipity'",
            "list \"email_block\": entry 2 (line 1): \"po(ker\" is not a regular expression",
        ),
        (
            "'email_block', E'a\\nx++y'",
            "list \"email_block\": line 2: pattern \"x++y\" uses a possessive quantifier",
        ),
        (
            "'banned_words', E'good\\n\\u200b'",
            "list \"banned_words\": line 2: \"\u{200b}\" is not a word",
        ),
        (
            "'email_block', E'a;b\\nc', 'serendipity'",
            "list \"email_block\": entry 2 (line 1): \"b\nc\" holds a line break",
        ),
    ] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.import_list({call})"));
        assert_eq!(error.message(), message);
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE);
        assert!(error.detail().unwrap().ends_with("Nothing was imported."), "{call}");
        assert!(error.hint().is_some(), "{call}");
    }
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.list_entry"), "2");
}

#[test]
fn unknown_lists_and_formats_are_refused_with_what_there_is() {
    let mut site = Site::new();
    let error = refused(&mut site.client, "SELECT spamcheck.import_list('none', 'x')");
    assert_eq!(error.message(), "list \"none\" does not exist");
    assert_eq!(error.code(), &SqlState::UNDEFINED_OBJECT);
    let hint = error.hint().unwrap().to_owned();
    // The hint is a statement that can be run.
    let statement = &hint[hint.find("INSERT").unwrap()..];
    site.run(statement);
    assert_eq!(site.ask("SELECT spamcheck.import_list('none', 'x')"), "1");
    let error = refused(&mut site.client, "SELECT spamcheck.import_list('none', 'x', 'csv')");
    assert_eq!(error.message(), "format \"csv\" does not exist");
    assert_eq!(error.hint(), Some("Formats are lines, words, serendipity."));
    for call in ["NULL, 'x'", "'none', NULL", "'none', 'x', NULL"] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.import_list({call})"));
        assert_eq!(error.code(), &SqlState::NULL_VALUE_NOT_ALLOWED, "{call}");
    }
}

#[test]
fn only_admins_and_moderators_import() {
    let mut site = Site::new();
    for (level, may) in [("admin", true), ("moderator", true), ("analyst", false), ("app", false)] {
        let role = site.role(level);
        site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        let mut client = site.db.client_as(&role);
        let done = client
            .batch_execute(&format!("SELECT spamcheck.import_list('banned_words', '{level}')"));
        match done {
            Ok(()) => assert!(may, "{level}"),
            Err(error) => {
                assert!(!may, "{level}: {error:?}");
                assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{level}");
            }
        }
    }
}

#[test]
fn a_row_of_any_statement_is_checked_and_named() {
    let mut site = Site::new();
    for (list, value) in [
        ("banned_words", " "),
        ("email_block", "a(?=b)"),
        ("email_block", "a*+"),
        ("ip_block", "10.0.0"),
        ("ip_block", "10.0.0.0/33"),
    ] {
        let insert = format!(
            "INSERT INTO spamcheck.list_entry (value, note, list) VALUES ('{value}', 'x', '{list}')"
        );
        let error = refused(&mut site.client, &insert);
        assert!(error.message().starts_with(&format!("list \"{list}\": ")), "{error:?}");
        assert!(error.message().contains(value), "{error:?}");
    }
    let update = "UPDATE spamcheck.list_entry SET value = '10.0.0.256' WHERE list = 'ip_block'";
    assert!(refused(&mut site.client, update).message().contains("10.0.0.256"));
}

#[test]
fn the_kind_of_a_list_that_checks_name_stays() {
    let mut site = Site::new();
    site.run("DELETE FROM spamcheck.list_entry WHERE list = 'banned_words'");
    let change = "UPDATE spamcheck.list SET kind = 'regex' WHERE name = 'banned_words'";
    let error = refused(&mut site.client, change);
    assert!(error.message().contains("its kind cannot be regex"), "{error:?}");
    let detail = error.detail().unwrap();
    assert!(detail.contains("content of policy \"default\""), "{detail}");
    assert!(detail.ends_with("where lists are of kind word."), "{detail}");
    assert!(error.hint().is_some());
    // Nor is it made anew with another kind, or another one given its name.
    site.run("DELETE FROM spamcheck.list WHERE name = 'banned_words'");
    for another in [
        "INSERT INTO spamcheck.list (name, kind) VALUES ('banned_words', 'regex')",
        "UPDATE spamcheck.list SET name = 'banned_words' WHERE name = 'email_block'",
    ] {
        let error = refused(&mut site.client, another);
        assert!(error.message().contains("its kind cannot be regex"), "{error:?}");
    }
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('banned_words', 'word')");
    // One that nobody names may change.
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('free', 'word')");
    site.run("UPDATE spamcheck.list SET kind = 'regex' WHERE name = 'free'");
    // Whoever was told that it is of the wrong kind is believed when it is put right.
    let name_it = "UPDATE spamcheck.check_setting SET options = '{\"lists\": [\"free\"]}' WHERE check_name = 'content'";
    assert!(refused(&mut site.client, name_it).message().contains("is of kind regex"));
    site.run("UPDATE spamcheck.list SET kind = 'word' WHERE name = 'free'");
    site.run(name_it);
}
