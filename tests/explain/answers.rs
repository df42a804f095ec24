//! The rows of explain(): one for each enabled check, hit or not.

use serde_json::json;

use crate::site::Site;
use crate::{explained, explained_of, only};

#[test]
fn every_enabled_check_has_a_row_whether_it_hits_or_not() {
    let mut site = Site::new();
    only(&mut site, "ip_allow,ip_block,content,links");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.0/24')");
    assert_eq!(explained(&mut site, &json!({})), "ip_allow|||\nip_block|||\ncontent|||\nlinks|||");
    let spam =
        json!({"body": format!("casino {}", "http://a.example ".repeat(8)), "ip": "10.1.2.3"});
    site.check("links", "action = 'score', score = 2.5");
    assert_eq!(
        explained(&mut site, &spam),
        "ip_allow|||\n\
         ip_block|spam|0|address 10.1.2.3 is in network 10.0.0.0/8 on list ip_block\n\
         content|spam|0|banned word \"casino\" in body\n\
         links|score|2.5|8 links in the body, more than 7"
    );
    // All checks speak, also after one that allows.
    let allowed = json!({"body": "casino", "ip": "192.0.2.9"});
    assert_eq!(
        site.ask(&format!(
            "SELECT check_name, action FROM spamcheck.explain('comments', '{allowed}') WHERE action IS NOT NULL"
        )),
        "ip_allow|allow\ncontent|spam"
    );
}

#[test]
fn the_rows_agree_with_what_an_insert_logs() {
    let mut site = Site::new();
    let links = "http://a.example ".repeat(20);
    for (ip, author, body) in [
        ("10.1.2.3", "ann", "casino".to_owned()),
        ("192.0.2.1", "casino", links),
        ("192.0.2.1", "bob", "nice".to_owned()),
    ] {
        let said = site.ask(&format!(
            "SELECT check_name, action, score, why, detail FROM spamcheck.explain('comments',
               jsonb_build_object('ip', '{ip}', 'author', '{author}', 'body', '{body}')) WHERE action IS NOT NULL"
        ));
        site.run("DELETE FROM spamcheck.spam_checklog");
        let inserted = site.client.batch_execute(&format!(
            "INSERT INTO comments (ip, author, body) VALUES ('{ip}', '{author}', '{body}')"
        ));
        let logged = site.ask(
            "SELECT check_name, action, score, why, detail FROM spamcheck.spam_checklog ORDER BY id",
        );
        assert_eq!(said, logged, "{inserted:?}");
    }
}

#[test]
fn what_could_not_be_read_or_was_cut_is_noted_where_it_matters() {
    let mut site = Site::new();
    only(&mut site, "ip_block,content,links,article_age");
    let long = "x".repeat(65_537);
    let said = |site: &mut Site, submission: serde_json::Value| {
        site.ask(&format!(
            "SELECT check_name, detail -> 'notes' FROM spamcheck.explain('comments', '{submission}') ORDER BY 1"
        ))
    };
    assert_eq!(
        said(
            &mut site,
            json!({"ip": "garbage", "article_created_at": "last year", "fields": {"city": long}})
        ),
        "article_age|[\"article_created_at: \\\"last year\\\" is not a time\"]\n\
         content|[\"fields.city: only the first 65536 characters were looked at\"]\n\
         ip_block|[\"ip: \\\"garbage\\\" is not an address\"]\nlinks|"
    );
    // A hit has them all, as in the log.
    assert_eq!(
        said(&mut site, json!({"ip": "garbage", "body": "casino"})),
        "article_age|\ncontent|[\"ip: \\\"garbage\\\" is not an address\"]\n\
         ip_block|[\"ip: \\\"garbage\\\" is not an address\"]\nlinks|"
    );
}

#[test]
fn a_check_with_nothing_to_look_for_says_so() {
    let mut site = Site::new();
    only(&mut site, "ip_allow,links");
    site.check("links", r#"options = '{"over": null, "reject_over": null}'"#);
    assert_eq!(
        site.ask("SELECT check_name, action, detail FROM spamcheck.explain('comments', '{}')"),
        "ip_allow||{\"skipped\": \"as it is set there is nothing that it could hit\"}\n\
         links||{\"skipped\": \"as it is set there is nothing that it could hit\"}"
    );
}

#[test]
fn times_are_measured_for_each_check() {
    let mut site = Site::new();
    only(&mut site, "content,links,custom");
    site.run(
        "CREATE FUNCTION slow(j jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$",
    );
    site.check("custom", r#"options = '{"function": "public.slow"}'"#);
    assert_eq!(
        site.ask(
            "SELECT check_name, microseconds > 0, microseconds > 200000, microseconds < 5e6
               FROM spamcheck.explain('comments', '{\"body\": \"nice http://a.example\"}')"
        ),
        "content|t|f|t\nlinks|t|f|t\ncustom|t|t|t"
    );
}

#[test]
fn failures_are_rows_with_action_error() {
    let mut site = Site::new();
    only(&mut site, "content,custom");
    site.run(
        "CREATE FUNCTION f(j jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
    );
    site.check("custom", r#"options = '{"function": "public.f"}'"#);
    site.run("DELETE FROM spamcheck.list WHERE name = 'banned_words'");
    assert_eq!(
        explained(&mut site, &json!({"body": "x"})),
        "content|error|0|there is no list \"banned_words\"\ncustom|error|0|function public.f failed: no"
    );
}

#[test]
fn akismet_is_named_and_whether_it_would_be_asked() {
    let mut site = Site::new();
    only(&mut site, "ip_allow,content,akismet");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.0/24')");
    site.check("akismet", r#"options = '{"mode": "hold", "blog": "https://blog.example/"}'"#);
    let akismet = |site: &mut Site, body: &str, ip: &str| {
        site.ask(&format!(
            "SELECT action, why, detail ->> 'asked', detail ->> 'mode' FROM spamcheck.explain('comments',
               '{{\"body\": \"{body}\", \"ip\": \"{ip}\"}}') WHERE check_name = 'akismet'"
        ))
    };
    assert_eq!(akismet(&mut site, "nice", "::1"), "|Akismet would be asked (mode hold)|true|hold");
    assert_eq!(
        akismet(&mut site, "casino", "::1"),
        "|Akismet would not be asked: the verdict is spam without it|false|hold"
    );
    assert_eq!(
        akismet(&mut site, "casino", "192.0.2.1"),
        "|Akismet would not be asked: another check allows the submission|false|hold"
    );
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_pkey; SELECT spamcheck.protect('comments')",
    );
    assert!(
        akismet(&mut site, "nice", "::1")
            .starts_with("error|it cannot be looked up: the table has no primary key")
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.lookup"), "0");
}

#[test]
fn policies_that_are_off_or_on_trial_are_explained_as_if_they_were_on() {
    let mut site = Site::new();
    only(&mut site, "content,akismet");
    site.check("akismet", r#"options = '{"blog": "https://blog.example/"}'"#);
    let asked = r#"SELECT why FROM spamcheck.explain('comments', '{"body": "hi"}') WHERE check_name = 'akismet'"#;
    site.run("SET pg_spamcheck.enabled = off");
    assert_eq!(site.ask(asked), "Akismet would not be asked: pg_spamcheck.enabled is off");
    site.run("SET pg_spamcheck.enabled = on; UPDATE spamcheck.policy SET mode = 'off'");
    assert_eq!(site.ask(asked), "Akismet would not be asked: policy \"default\" has mode off");
    let (notices, heard) = std::sync::mpsc::channel();
    let mut config = site.db.cluster().config(site.db.name(), support::cluster::SUPERUSER);
    config.notice_callback(move |notice| notices.send(notice.message().to_owned()).unwrap());
    crate::site::ask(&mut config.connect(postgres::NoTls).unwrap(), asked);
    assert_eq!(heard.recv().unwrap(), "rows are not judged: policy \"default\" has mode off");
    only(&mut site, "content");
    for mode in ["trial", "off"] {
        site.policy(&format!("mode = '{mode}'"));
        assert_eq!(
            explained(&mut site, &json!({"body": "casino"})),
            "content|spam|0|banned word \"casino\" in body",
            "{mode}"
        );
    }
}

#[test]
fn types_that_the_policy_leaves_out_are_named() {
    let mut site = Site::new();
    only(&mut site, "content,akismet");
    site.check("akismet", r#"options = '{"blog": "https://blog.example/"}'"#);
    site.policy("types = '{comment}'");
    assert_eq!(
        site.ask(
            r#"SELECT check_name, action, coalesce(detail ->> 'skipped', why) FROM
                spamcheck.explain('comments', '{"body": "casino", "type": "Petition"}')"#
        ),
        "content||the policy does not check submissions of type \"petition\"\nakismet||Akismet would not be asked: the policy does not check submissions of type \"petition\""
    );
    assert!(explained(&mut site, &json!({"body": "casino"})).starts_with("content|spam"));
}

#[test]
fn fields_that_come_from_settings_or_values_are_filled_in_unless_given() {
    let mut site = Site::new();
    only(&mut site, "custom");
    site.run(
        r#"CREATE FUNCTION echo(j jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('hit', true, 'detail', j) $$;
           SELECT spamcheck.protect('comments', columns => '{"page": {"value": "Guestbook"}}');
           SET pg_spamcheck.user_agent = 'Browser/7'"#,
    );
    site.check("custom", r#"options = '{"function": "public.echo"}'"#);
    let echo = |site: &mut Site, submission: serde_json::Value| {
        let seen = site.ask(&format!(
            "SELECT detail -> 'detail' FROM spamcheck.explain('comments', '{submission}')"
        ));
        serde_json::from_str::<serde_json::Value>(&seen).unwrap()
    };
    assert_eq!(
        echo(&mut site, json!({"body": "x"})),
        json!({"body": "x", "type": "comment", "source": "form", "page": "Guestbook",
               "user_agent": "Browser/7"})
    );
    assert_eq!(
        echo(
            &mut site,
            json!({"article_title": "On spam", "page": "Blog", "user_agent": null,
                               "fields": {"city": "Bonn"}})
        ),
        json!({"type": "comment", "source": "form", "article_title": "On spam", "page": "Blog",
               "fields": {"city": "Bonn"}})
    );
}

#[test]
fn partitions_are_explained_like_the_table_that_is_protected() {
    let mut site = Site::new();
    only(&mut site, "content");
    site.run(
        "CREATE TABLE parts (id int, day date, body text, status text CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
         CREATE TABLE old PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY RANGE (id);
         CREATE TABLE oldest PARTITION OF old FOR VALUES FROM (1) TO (10);
         SELECT spamcheck.protect('parts')",
    );
    for table in ["parts", "old", "oldest"] {
        let said = explained_of(&mut site, table, &json!({"body": "casino"}));
        assert_eq!(said, "content|spam|0|banned word \"casino\" in body", "{table}");
    }
}

#[test]
fn databases_in_other_encodings_are_explained_in_theirs() {
    let mut site = Site::bare();
    let name = format!("latin_{}", site.db.name());
    site.run(&format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    let mut client = crate::site::cluster().connect(&name, "postgres");
    crate::site::run(
        &mut client,
        "CREATE EXTENSION pg_spamcheck; CREATE TABLE comments (id int PRIMARY KEY, body text, approved boolean);
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'größe');
         SELECT spamcheck.protect('comments')",
    );
    assert_eq!(
        crate::site::ask(
            &mut client,
            "SELECT why, detail ->> 'entry' FROM spamcheck.explain('comments', '{\"body\": \"die GRÖSSE\"}') WHERE action IS NOT NULL"
        ),
        "banned word \"größe\" in body|größe"
    );
    drop(client);
    site.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[test]
fn a_check_that_goes_by_what_the_table_does_not_have_says_so() {
    let mut site = Site::new();
    site.run("CREATE TABLE plain (id int PRIMARY KEY, body text); SELECT spamcheck.protect('plain', status => '{}')");
    only(
        &mut site,
        "bypass,rate_limit,email_syntax,article_age,title_only,trackback_link,honeypot,form_time,ip_interval,content",
    );
    site.check("bypass", r#"options = '{"user_roles": ["editor"], "approved_before": 3}'"#);
    site.check("rate_limit", r#"options = '{"key": "email"}'"#);
    let lacks = |field: &str| format!("the table has no source for {field}");
    let words = r#"{"body": "words"}"#;
    assert_eq!(
        said_of(&mut site, words),
        [
            &format!("bypass|{}", lacks("email or user_id or user_role")),
            &format!("rate_limit|{}", lacks("email")),
            &format!("email_syntax|{}", lacks("email")),
            "content|",
            &format!("title_only|{}", lacks("title or article_title")),
            // The setting of the session may have it.
            "ip_interval|",
            &format!("article_age|{}", lacks("article_created_at")),
            &format!("honeypot|{}", lacks("honeypot")),
            &format!("form_time|{}", lacks("form_seconds")),
            &format!("trackback_link|{}", lacks("type")),
        ]
        .join("\n")
    );
    // What is given all the same is looked at.
    let given = said_of(
        &mut site,
        r#"{"body": "words", "email": "nobody", "title": "Words", "user_role": "editor", "type": "trackback"}"#,
    );
    assert_eq!(
        given,
        [
            "bypass|users with role editor are exempt",
            "rate_limit|",
            "email_syntax|\"nobody\" is not a mail address: it has no @",
            "content|",
            "title_only|body is the title",
            "ip_interval|",
            &format!("article_age|{}", lacks("article_created_at")),
            &format!("honeypot|{}", lacks("honeypot")),
            &format!("form_time|{}", lacks("form_seconds")),
            "trackback_link|it has no homepage",
        ]
        .join("\n")
    );
    // Each limit of its own: without a limit for comments only a type makes it hit, and one of 0 days always does.
    site.check("article_age", r#"options = '{"comment_days": null}'"#);
    assert!(
        said_of(&mut site, words)
            .contains("article_age|the table has no source for article_created_at, type")
    );
    site.check("article_age", r#"options = '{"comment_days": 0}'"#);
    assert!(said_of(&mut site, words).contains("article_age|all comments are looked at"));
}

fn said_of(site: &mut Site, submission: &str) -> String {
    site.ask(&format!(
        "SELECT check_name, coalesce(detail ->> 'skipped', why) FROM spamcheck.explain('plain', '{submission}')"
    ))
}
