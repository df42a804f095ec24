//! content: banned words and phrases, in every script.

use crate::site::Site;

/// Literals of SQL for any text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn with_words(words: &[&str]) -> Site {
    let mut site = Site::new();
    site.run("DELETE FROM spamcheck.list_entry");
    for word in words {
        site.run(&format!(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', {})",
            quoted(word)
        ));
    }
    site
}

/// The entry that a body hits; empty: none.
fn hit(site: &mut Site, body: &str) -> String {
    site.run(&format!("INSERT INTO comments (body) VALUES ({})", quoted(body)));
    site.ask(
        "SELECT detail ->> 'entry' FROM spamcheck.spam_checklog
          WHERE row_key = (SELECT jsonb_build_object('id', max(id)) FROM comments)",
    )
}

#[test]
fn whole_words_hit_and_parts_of_words_do_not() {
    let mut site = with_words(&["casino", "http", "c++", "50%"]);
    for body in [
        "casino",
        "the Casino!",
        "(CASINO)",
        "casino's",
        "a casino, b",
        "\ncasino\t",
        "my-casino-page",
        "\"casino\"",
    ] {
        assert_eq!(hit(&mut site, body), "casino", "{body}");
    }
    for body in ["casinos", "occasion", "supercasino", "casi no", "https is not http2", "casino1"] {
        assert_eq!(hit(&mut site, body), "", "{body}");
    }
    assert_eq!(hit(&mut site, "see http://example.com"), "http");
    assert_eq!(hit(&mut site, "I learn c++ now"), "c++");
    assert_eq!(hit(&mut site, "you save 50% today"), "50%");
}

#[test]
fn phrases_match_over_any_white_space() {
    let mut site = with_words(&["buy now", "act   fast today"]);
    assert_eq!(hit(&mut site, "you must BUY\n  now!"), "buy now");
    assert_eq!(hit(&mut site, "buy\u{a0}now"), "buy now");
    assert_eq!(hit(&mut site, "act fast today"), "act   fast today");
    for body in ["buy it now", "buynow", "now buy", "act fast, not today", "act fast"] {
        assert_eq!(hit(&mut site, body), "", "{body}");
    }
}

#[test]
fn disguises_of_unicode_do_not_hide_a_word() {
    let mut site = with_words(&["casino", "Straße", "ÉCOLE", "ｐｏｋｅｒ", "λόγος"]);
    for (body, entry) in [
        ("ｃａｓｉｎｏ", "casino"),
        ("CA\u{200b}SI\u{200d}NO", "casino"),
        ("ca\u{ad}sino", "casino"),
        ("\u{feff}casino", "casino"),
        ("𝒄𝒂𝒔𝒊𝒏𝒐", "casino"),
        ("STRASSE", "Straße"),
        ("e\u{301}cole", "ÉCOLE"),
        ("POKER", "ｐｏｋｅｒ"),
        ("ΛΌΓΟΣ", "λόγος"),
    ] {
        assert_eq!(hit(&mut site, body), entry, "{body}");
    }
}

#[test]
fn words_of_scripts_without_spaces_are_found_inside_a_text() {
    let mut site = with_words(&["カジノ", "赌场", "พนัน", "카지노"]);
    assert_eq!(hit(&mut site, "最高のカジノへようこそ"), "カジノ");
    assert_eq!(hit(&mut site, "欢迎来到赌场！"), "赌场");
    assert_eq!(hit(&mut site, "บาคาร่า พนัน ออนไลน์"), "พนัน");
    assert_eq!(hit(&mut site, "온라인 카지노 추천"), "카지노");
    assert_eq!(hit(&mut site, "こんにちは"), "");
}

#[test]
fn the_default_fields_are_title_author_body_and_fields() {
    let mut site = Site::bare();
    site.check("email_syntax", "enabled = false");
    site.run(
        "CREATE TABLE letters (id serial PRIMARY KEY, title text, author text, email text, url \
            text, body text, custom jsonb,
                               status text CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('letters', columns => '{\"fields\": \"custom\"}');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    let columns = [("title", "t"), ("author", "t"), ("body", "t"), ("email", "f"), ("url", "f")];
    for (column, expected) in columns {
        let stored = format!(
            "INSERT INTO letters ({column}) VALUES ('the casino') RETURNING status IS NOT \
                DISTINCT FROM 'spam'"
        );
        assert_eq!(site.ask(&stored), expected, "{column}");
    }
    let custom = r#"INSERT INTO letters (body, custom) VALUES
        ('x', '{"city": "Casino", "age": 7}'), ('x', '{"deep": [{"er": ["a", "casino royale"]}]}'), ('x', '{"casino": "a key is no text"}'),
        ('x', '"casino"'), ('x', 'null'), ('x', NULL) RETURNING status IS NOT DISTINCT FROM
        'spam'"#;
    assert_eq!(site.ask(custom), "t\nt\nf\nt\nf\nf");
    assert_eq!(
        site.ask(
            "SELECT detail ->> 'field', (detail ->> 'at') FROM spamcheck.spam_checklog ORDER \
            BY id LIMIT 4"
        ),
        "title|4\nauthor|4\nbody|4\nfields.city|0"
    );
    // Other fields on demand.
    site.check("content", r#"options = '{"fields": ["email", "url"]}'"#);
    assert_eq!(
        site.ask(
            "INSERT INTO letters (body, email, url) VALUES ('casino', '', ''), ('', \
            'casino@example.com', ''), ('', '', 'http://casino.example') RETURNING status IS NOT \
            DISTINCT FROM 'spam'"
        ),
        "f\nt\nt"
    );
}

#[test]
fn the_offset_counts_characters_of_the_text_as_it_was_written() {
    let mut site = with_words(&["casino"]);
    site.run(
        "INSERT INTO comments (body) VALUES ('日本 ﬁne e\u{301} casino'), ('ßß\u{ad}\u{200b} \
        casino')",
    );
    let at = "SELECT substr(c.body, (l.detail ->> 'at')::int + 1, 6) FROM comments c JOIN \
        spamcheck.spam_checklog l ON l.row_key = jsonb_build_object('id', c.id)";
    assert_eq!(site.ask(at), "casino\ncasino");
}

#[test]
fn lists_are_searched_in_the_order_of_the_option_and_each_row_has_one_finding() {
    let mut site = with_words(&["casino"]);
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('more', 'word')");
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('more', 'poker'), ('more', \
        'casino')",
    );
    site.check("content", r#"options = '{"lists": ["banned_words", "more"]}'"#);
    site.run(
        "INSERT INTO comments (body) VALUES ('casino casino'), ('poker'), ('poker and casino')",
    );
    assert_eq!(
        site.ask(
            "SELECT row_key ->> 'id', detail ->> 'list', detail ->> 'entry' FROM \
            spamcheck.spam_checklog ORDER BY id"
        ),
        "1|banned_words|casino\n2|more|poker\n3|banned_words|casino"
    );
    site.check("content", r#"options = '{"lists": null}'"#);
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "3");
}

#[test]
fn a_hundred_thousand_entries_are_normal() {
    let mut site = with_words(&[]);
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value)
         SELECT 'banned_words', 'word' || n || CASE WHEN n % 5 = 0 THEN ' number ' || n ELSE '' \
         END FROM generate_series(1, 100000) n",
    );
    assert_eq!(hit(&mut site, "a word77777 b"), "word77777");
    assert_eq!(hit(&mut site, "word100000 number 100000"), "word100000 number 100000");
    assert_eq!(hit(&mut site, "word100000 number 99995, word100001"), "");
}
