//! Checks that look at one submission by itself, each through the trigger to the log: what hits, what
//! just does not, every action, and what the log says.

use crate::site::{Site, refused};

/// A site with a column for every field that these checks read, and articles of three ages.
fn site() -> Site {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE articles (id int PRIMARY KEY, title text, published_at timestamptz);
         INSERT INTO articles VALUES (1, 'New things', now()), (2, 'Old things', now() - interval '31 days'),
             (3, NULL, NULL);
         CREATE TABLE comments (id serial PRIMARY KEY, article_id int, author text, email text, url text,
             body text, title text, type text, source text, phone text, form_seconds numeric,
             status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments',
             columns => '{\"honeypot\": \"phone\", \"form_seconds\": \"form_seconds\", \"source\": \"source\"}',
             article => '{\"table\": \"articles\", \"key\": \"id\", \"from\": \"article_id\", \"title\": \"title\",
                          \"created_at\": \"published_at\"}')",
    );
    site.run("UPDATE spamcheck.check_setting SET enabled = false");
    site
}

/// Has one check on and inserts rows, each as `column = value, …`; what became of each, and the log.
fn outcomes(site: &mut Site, check: &str, set: &str, rows: &[&str]) -> String {
    site.run("TRUNCATE comments RESTART IDENTITY; DELETE FROM spamcheck.spam_checklog");
    site.run("UPDATE spamcheck.check_setting SET enabled = false");
    let set = if set.is_empty() { String::new() } else { format!(", {set}") };
    site.check(check, &format!("enabled = true{set}"));
    let mut lines = Vec::new();
    for row in rows {
        let (columns, values): (Vec<&str>, Vec<&str>) =
            row.split("; ").filter_map(|part| part.split_once('=')).unzip();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let insert = format!("INSERT INTO comments ({columns}) VALUES ({values}) RETURNING status");
        let status = match site.client.query_one(&insert, &[]) {
            Ok(row) => row.get::<_, String>(0),
            Err(error) => {
                let error = error.as_db_error().unwrap_or_else(|| panic!("{insert}: {error:?}"));
                assert_eq!(error.constraint(), Some("spamcheck_reject"), "{insert}: {error:?}");
                "refused".to_owned()
            }
        };
        let why = site.ask(
            "WITH gone AS (DELETE FROM spamcheck.spam_checklog RETURNING check_name, why)
             SELECT check_name || ': ' || why FROM gone ORDER BY 1",
        );
        lines.push(if why.is_empty() { status } else { format!("{status} {why}") });
    }
    lines.join("\n")
}

#[test]
fn shutdown_closes_all_types_or_those_that_are_named() {
    let mut site = site();
    let rows = ["body='a'", "body='a'; type='Trackback'"];
    assert_eq!(
        outcomes(&mut site, "shutdown", "", &rows),
        "refused shutdown: submissions are closed\nrefused shutdown: submissions are closed"
    );
    assert_eq!(
        outcomes(
            &mut site,
            "shutdown",
            r#"action = 'moderate', options = '{"types": ["trackback"]}'"#,
            &rows
        ),
        "approved\npending shutdown: submissions of type trackback are closed"
    );
}

#[test]
fn required_tells_null_and_blank_from_nought() {
    let mut site = site();
    let rows = [
        "author='Ann'; body='hello'",
        "author='0'; body='0'",
        "author=NULL; body='hello'",
        r"author=''; body=E' \n'",
        "author=U&'\\200B'; body='hello'",
        "type='trackback'; body='no author'",
    ];
    assert_eq!(
        outcomes(&mut site, "required", "", &rows),
        "approved\napproved\nrefused required: author is missing\n\
         refused required: author and body are missing\nrefused required: author is missing\napproved"
    );
}

#[test]
fn email_syntax_is_content_with_none() {
    let mut site = site();
    let rows = [
        "email=NULL",
        "email=''",
        "email='ann@mail.example'",
        "email='почта@пример.рф'",
        "email='nothing'",
        "email='@'",
    ];
    assert_eq!(
        outcomes(&mut site, "email_syntax", "", &rows),
        "approved\napproved\napproved\napproved\n\
         pending email_syntax: \"nothing\" is not a mail address: it has no @\n\
         pending email_syntax: \"@\" is not a mail address: nothing is before the @"
    );
}

#[test]
fn wordfilter_has_lists_of_its_own_for_each_field() {
    let mut site = site();
    site.run(
        r"INSERT INTO spamcheck.list_entry (list, value) VALUES ('author_filter', '^cas+ino'),
            ('url_filter', '//gold\.'), ('body_filter', 'казино'), ('email_filter', '@mailinator\.')",
    );
    let rows = [
        "author='Cassino 7'; body='x'",
        "author='my casino'; body='casino //gold. @mailinator.'",
        "url='http://GOLD.example'",
        "body='Наше КАЗИНО'",
        "author='casino'; email='x@mailinator.com'",
    ];
    assert_eq!(
        outcomes(&mut site, "wordfilter", "", &rows),
        "pending wordfilter: author matches pattern \"^cas+ino\" on list author_filter\napproved\n\
         pending wordfilter: url matches pattern \"//gold\\.\" on list url_filter\n\
         pending wordfilter: body matches pattern \"казино\" on list body_filter\n\
         pending wordfilter: author matches pattern \"^cas+ino\" on list author_filter; \
         email matches pattern \"@mailinator\\.\" on list email_filter"
    );
    // A list of another kind is refused when it is named, whichever option names it.
    let wrong = r#"UPDATE spamcheck.check_setting SET options = '{"url": ["url_block"]}'
                    WHERE check_name = 'wordfilter'"#;
    let error = refused(&mut site.client, wrong);
    assert!(error.message().contains("option \"url\" of check wordfilter"), "{error:?}");
}

#[test]
fn url_blocklist_goes_by_the_host_that_is_meant() {
    let mut site = site();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'bad.example'), ('url_block', 'пример.рф')");
    let rows = [
        "url='http://good.example@www.BAD.example/'",
        "url='http://bad.example@good.example/'",
        "body='see http://b%61d.example'",
        "body='[url=//xn--e1afmkfd.xn--p1ai]x[/url]'",
        "body='http://bad。example，你好'",
        "body='(http://bad.example。Thanks)'",
        "body='bad.example without a link'",
        "url='http://notbad.example/?bad.example'",
    ];
    assert_eq!(
        outcomes(&mut site, "url_blocklist", "", &rows),
        "spam url_blocklist: url leads to www.bad.example, and bad.example is on list url_block\napproved\n\
         spam url_blocklist: body leads to bad.example, which is on list url_block\n\
         spam url_blocklist: body leads to пример.рф, which is on list url_block\n\
         spam url_blocklist: body leads to bad.example, which is on list url_block\n\
         spam url_blocklist: body leads to bad.example, which is on list url_block\napproved\napproved"
    );
}

#[test]
fn title_only_compares_with_the_articles_title_and_the_submissions_own() {
    let mut site = site();
    let rows = [
        "article_id=1; body=' new  things '",
        "article_id=1; body=' NEW things '",
        "article_id=1; title='Re: it'; body='Re: it'",
        "article_id=3; title=''; body=''",
        "body='New things'",
    ];
    assert_eq!(
        outcomes(&mut site, "title_only", "", &rows),
        "pending title_only: body is the article_title\npending title_only: body is the article_title\n\
         pending title_only: body is the title\napproved\napproved"
    );
    assert_eq!(
        outcomes(&mut site, "title_only", r#"options = '{"ignore_case": false}'"#, &rows[1..2]),
        "approved"
    );
    // However it is broken, only its letters count.
    assert_eq!(
        outcomes(
            &mut site,
            "title_only",
            r#"options = '{"ignore_case": false}'"#,
            &["article_id=1; body=E'New\\n\\tthings'", "article_id=1; body='Newthings'"]
        ),
        "pending title_only: body is the article_title\napproved"
    );
}

#[test]
fn article_age_has_a_limit_and_an_action_for_comments_and_for_trackbacks() {
    let mut site = site();
    let rows = [
        "article_id=1; body='a'",
        "article_id=2; body='a'",
        "article_id=2; body='a'; type='pingback'",
        "article_id=3; body='a'",
        "body='a'",
    ];
    assert_eq!(
        outcomes(&mut site, "article_age", "", &rows),
        "approved\npending article_age: the article is 31 days old, the limit for comments is 30\n\
         pending article_age: the article is 31 days old, the limit for trackbacks is 30\napproved\napproved"
    );
    let set = r#"action = 'spam', options = '{"comment_days": 0, "comment_action": null,
                 "trackback_days": 7, "trackback_action": "reject"}'"#;
    assert_eq!(
        outcomes(&mut site, "article_age", set, &rows[..3]),
        "spam article_age: all comments are looked at\nspam article_age: all comments are looked at\n\
         refused article_age: the article is 31 days old, the limit for trackbacks is 7"
    );
}

#[test]
fn an_article_of_always_is_older_than_any_limit_and_one_of_never_is_not() {
    let mut site = site();
    site.run("INSERT INTO articles VALUES (4, 'Always', '-infinity'), (5, 'Never', 'infinity')");
    let rows = ["article_id=4; body='a'", "article_id=5; body='a'"];
    let expected = "pending article_age: the article is older than any limit, that for comments is 30\n\
                    approved";
    assert_eq!(outcomes(&mut site, "article_age", "", &rows), expected);
    for kind in ["timestamptz", "timestamp", "date"] {
        site.run(&format!(
            r#"ALTER TABLE comments DROP COLUMN IF EXISTS published, ADD published {kind};
               SELECT spamcheck.protect('comments', columns => '{{"article_created_at": "published"}}')"#
        ));
        let rows = ["published='-infinity'; body='a'", "published='infinity'; body='a'"];
        assert_eq!(outcomes(&mut site, "article_age", "", &rows), expected, "{kind}");
    }
}

#[test]
fn api_source_knows_an_api_by_its_source_or_by_what_it_sends() {
    let mut site = site();
    let rows = [
        "body='a'",
        "source='API'; body='a'",
        "type='trackback'; body='a'",
        "source='form'; body='a'",
    ];
    assert_eq!(
        outcomes(&mut site, "api_source", "", &rows),
        "approved\npending api_source: it came by api\npending api_source: it is of type trackback\napproved"
    );
    // What no column holds, the app can say.
    site.run(r#"SELECT spamcheck.protect('comments', columns => '{"source": null}')"#);
    site.run("SET pg_spamcheck.source = 'api'");
    assert_eq!(
        outcomes(&mut site, "api_source", "action = 'spam'", &["body='a'"]),
        "spam api_source: it came by api"
    );
}

#[test]
fn honeypot_takes_whatever_was_typed() {
    let mut site = site();
    let rows = ["phone=NULL", "phone=''", "phone='0'", "phone=' '", "phone='555'"];
    assert_eq!(
        outcomes(&mut site, "honeypot", "", &rows),
        "approved\napproved\nspam honeypot: the hidden field says \"0\"\n\
         spam honeypot: the hidden field says \" \"\nspam honeypot: the hidden field says \"555\""
    );
}

#[test]
fn a_hidden_list_is_empty_as_long_as_nothing_is_in_it() {
    let mut site = site();
    let spam = |text: &str| format!("spam honeypot: the hidden field says \"{text}\"");
    for (kind, rows, said) in [
        (
            "text[]",
            ["trap='{}'", "trap='{NULL,\"\"}'", "trap='{bait,\"and, more\"}'"],
            "bait\nand, more",
        ),
        ("int[]", ["trap='{}'", "trap=NULL", "trap='{{0},{7}}'"], "0\n7"),
        ("jsonb", ["trap='[]'", "trap='{}'", "trap='[\"bait\"]'"], "bait"),
    ] {
        site.run(&format!(
            "ALTER TABLE comments DROP IF EXISTS trap; ALTER TABLE comments ADD trap {kind};
             SELECT spamcheck.protect('comments', columns => '{{\"honeypot\": \"trap\"}}')"
        ));
        assert_eq!(
            outcomes(&mut site, "honeypot", "", &rows),
            format!("approved\napproved\n{}", spam(said)),
            "{kind}"
        );
    }
    site.check("content", "enabled = true");
    // An address in an array is one; the text of a row is read as it is written.
    site.run(
        r#"INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
           ALTER TABLE comments ADD senders inet[], ADD words text[];
           SELECT spamcheck.protect('comments', columns => '{"ip": "senders", "body": "words"}');
           INSERT INTO comments (senders, words) VALUES ('{192.0.2.1}', '{casino,"x y"}')"#,
    );
    assert_eq!(
        site.ask("SELECT ip, comment FROM spamcheck.recent LIMIT 1"),
        r#"192.0.2.1|{casino,"x y"}"#
    );
}

#[test]
fn a_hidden_check_box_is_empty_as_long_as_nobody_ticks_it() {
    let mut site = site();
    site.run(
        r#"ALTER TABLE comments ADD robot boolean NOT NULL DEFAULT false, ADD gift int DEFAULT 0;
           SELECT spamcheck.protect('comments', columns => '{"honeypot": "robot"}')"#,
    );
    let spam = "spam honeypot: the hidden field says \"true\"";
    assert_eq!(
        outcomes(&mut site, "honeypot", "", &["body='a'", "robot=true", "robot=false"]),
        format!("approved\n{spam}\napproved")
    );
    let explained = "SELECT s, count(why) FROM unnest(ARRAY['{\"honeypot\": false}', '{\"honeypot\": true}', \
                     '{\"honeypot\": \"false\"}']) s, spamcheck.explain('comments', s::jsonb) \
                     GROUP BY s ORDER BY s";
    assert_eq!(
        site.ask(explained),
        "{\"honeypot\": \"false\"}|1\n{\"honeypot\": false}|0\n{\"honeypot\": true}|1"
    );
    // One in another table.
    site.run(
        r#"ALTER TABLE articles ADD robot boolean; UPDATE articles SET robot = id = 1 WHERE id < 3;
           SELECT spamcheck.protect('comments', columns => '{"honeypot":
               {"table": "articles", "key": "id", "from": "article_id", "column": "robot"}}')"#,
    );
    assert_eq!(
        outcomes(&mut site, "honeypot", "", &["article_id=1", "article_id=2", "article_id=3"]),
        format!("{spam}\napproved\napproved")
    );
    // A number was typed, whichever it is.
    site.run(r#"SELECT spamcheck.protect('comments', columns => '{"honeypot": "gift"}')"#);
    assert_eq!(
        outcomes(&mut site, "honeypot", "", &["gift=NULL", "gift=0"]),
        "approved\nspam honeypot: the hidden field says \"0\""
    );
}

#[test]
fn form_time_reads_an_interval_as_its_seconds() {
    let mut site = site();
    site.run(
        r#"ALTER TABLE comments ADD took interval; ALTER TABLE articles ADD took interval;
           UPDATE articles SET took = '00:00:01' WHERE id = 1;
           UPDATE articles SET took = '00:01' WHERE id = 2;
           SELECT spamcheck.protect('comments', columns => '{"form_seconds": "took"}')"#,
    );
    let rows = ["took='1.5 seconds'", "took='3 seconds'", "took='1 month -30 days 1 second'"];
    assert_eq!(
        outcomes(&mut site, "form_time", "", &rows),
        "pending form_time: sent after 1.5 seconds, and 3 is the least\napproved\n\
         pending form_time: sent after 1 seconds, and 3 is the least"
    );
    site.run(
        r#"SELECT spamcheck.protect('comments', columns => '{"form_seconds":
               {"table": "articles", "key": "id", "from": "article_id", "column": "took"}}')"#,
    );
    assert_eq!(
        outcomes(&mut site, "form_time", "", &["article_id=1", "article_id=2", "article_id=3"]),
        "pending form_time: sent after 1 seconds, and 3 is the least\napproved\napproved"
    );
}

#[test]
fn what_is_never_a_number_of_seconds_is_refused_by_protect() {
    let mut site = site();
    site.run(
        "CREATE DOMAIN shown_at AS timestamptz; ALTER TABLE articles ADD shown shown_at;
         ALTER TABLE comments ADD shown timestamptz, ADD at time, ADD robot boolean, ADD data jsonb",
    );
    for (source, kind) in [
        (r#""shown""#, "\"shown\" of type timestamp with time zone"),
        (r#""at""#, "\"at\" of type time without time zone"),
        (r#""robot""#, "\"robot\" of type boolean"),
        (r#""data""#, "\"data\" of type jsonb"),
        (
            r#"{"table": "articles", "key": "id", "from": "article_id", "column": "shown"}"#,
            "\"shown\" of type timestamp with time zone",
        ),
    ] {
        let error = refused(
            &mut site.client,
            &format!(
                r#"SELECT spamcheck.protect('comments', columns => '{{"form_seconds": {source}}}')"#
            ),
        );
        assert_eq!(
            error.message(),
            format!("field \"form_seconds\" cannot be read from column {kind}")
        );
        assert!(error.detail().is_some() && error.hint().is_some());
    }
}

#[test]
fn form_time_says_nothing_where_no_time_is_given() {
    let mut site = site();
    let rows = ["form_seconds=2.5", "form_seconds=3", "form_seconds=NULL"];
    assert_eq!(
        outcomes(&mut site, "form_time", "", &rows),
        "pending form_time: sent after 2.5 seconds, and 3 is the least\napproved\napproved"
    );
}

/// The checks of this file, each with a row that it finds.
const HITS: [(&str, &str, &str); 10] = [
    ("shutdown", "{}", "body='a'"),
    ("required", "{}", "body='a'"),
    ("email_syntax", "{}", "email='a'"),
    ("wordfilter", "{}", "author='a'"),
    ("url_blocklist", "{}", "url='http://bad.example'"),
    ("title_only", "{}", "title='a'; body='a'"),
    ("article_age", r#"{"comment_action": null}"#, "article_id=2; body='a'"),
    ("api_source", "{}", "source='api'"),
    ("honeypot", "{}", "phone='a'"),
    ("form_time", "{}", "form_seconds=0"),
];

#[test]
fn every_check_takes_every_action_but_allow() {
    let mut site = site();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('author_filter', 'a'), ('url_block', 'bad.example')");
    for (check, options, row) in HITS {
        for (action, status) in [
            ("log", "approved"),
            ("score", "pending"),
            ("challenge", "pending"),
            ("moderate", "pending"),
            ("spam", "spam"),
            ("reject", "refused"),
        ] {
            let set = format!("action = '{action}', score = 6, options = '{options}'");
            let outcome = outcomes(&mut site, check, &set, &[row]);
            assert!(
                outcome.starts_with(&format!("{status} {check}: ")),
                "{check} {action}: {outcome}"
            );
        }
        let allow = format!(
            "UPDATE spamcheck.check_setting SET action = 'allow' WHERE check_name = '{check}'"
        );
        assert!(refused(&mut site.client, &allow).message().contains("not \"allow\""), "{check}");
    }
}
