//! The traps that the plugin fell into, each with what happens here instead. Of those that are not in
//! this file, links (end to end, https, BBCode) are in tests/checks/links.rs, normal forms in
//! tests/checks/words.rs, patterns in linear time in tests/checks/patterns.rs, Akismet's keys and
//! answers in tests/akismet, neutral messages and the log of the rejected in tests/rejection.

use std::time::{Duration, Instant};

use crate::blog::{Blog, Comment, Entry};

fn by(author: &str) -> Comment {
    Comment { author: author.into(), ..Comment::default() }
}

fn at(url: &str) -> Comment {
    Comment { url: url.into(), ..Comment::default() }
}

fn saying(body: &str) -> Comment {
    Comment { body: body.into(), ..Comment::default() }
}

/// T1: the limits were moved to where they were not defined, and 14 links passed.
#[test]
fn the_limits_of_links_work_from_the_preset_to_the_row() {
    let mut blog = Blog::under_preset();
    let verdicts = [8, 14].map(|n| blog.verdict(&saying(&"https://a.example/ ".repeat(n))));
    assert_eq!(verdicts, ["moderate", "reject"]);
    assert_eq!(blog.detail("links")["links"], 14);
}

/// T2: a word filter that was set to none rejected.
#[test]
fn a_check_that_is_off_is_off_and_an_unknown_action_is_refused() {
    let mut blog = Blog::under_preset();
    blog.run("UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'wordfilter'");
    assert_eq!(blog.verdict(&by("poker")), "accept");
    let none = "UPDATE spamcheck.check_setting SET action = 'none' WHERE check_name = 'wordfilter'";
    let error = blog.client.batch_execute(none).unwrap_err();
    let message = error.as_db_error().expect("a refusal").message().to_owned();
    assert!(message.contains("log, score, challenge, moderate, spam or reject"), "{message}");
}

/// T3: until the form was saved, other defaults were in force than it showed.
#[test]
fn there_is_one_set_of_defaults_and_it_is_the_one_that_is_shown() {
    let mut blog = Blog::under_preset();
    let stored = blog.ask(
        "SELECT string_agg(check_name || options, ' ' ORDER BY check_name) FROM spamcheck.check_setting \
         WHERE policy = 'blog' AND check_name IN ('links', 'article_age')",
    );
    assert!(
        stored.contains(r#""over": 7"#) && stored.contains(r#""trackback_days": 30"#),
        "{stored}"
    );
    let trackback = |age_in_days| Comment {
        kind: "TRACKBACK".into(),
        url: "http://203.0.113.5/post".into(),
        entry: Entry { age_in_days, title: "Old".into() },
        ..Comment::default()
    };
    assert_eq!(blog.verdict(&trackback(45.0)), "moderate", "30 days, not the 60 behind the form");
    // Saving what is shown changes nothing.
    blog.run("UPDATE spamcheck.check_setting SET options = options WHERE policy = 'blog'");
    assert_eq!(blog.verdict(&trackback(45.0)), "moderate");
    assert_eq!(blog.verdict(&trackback(29.0)), "accept");
}

/// T4: an emptied list came back as the factory's.
#[test]
fn an_emptied_list_stays_empty() {
    let mut blog = Blog::under_preset();
    assert_eq!(blog.verdict(&by("poker")), "moderate");
    blog.run("DELETE FROM spamcheck.list_entry WHERE list = 'author_filter'");
    assert_eq!(blog.verdict(&by("poker")), "accept");
    let mut other = Some(blog.session());
    assert_eq!(blog.comment_in(&mut other, &by("poker")).unwrap(), "approved");
}

/// T5: a pattern that PCRE could not read was dead without a word, and so was one with an @.
#[test]
fn a_pattern_works_or_is_refused_by_name() {
    let mut blog = Blog::under_preset();
    let mut add = |entry: &str| {
        let add = "INSERT INTO spamcheck.list_entry (list, value) VALUES ('body_filter', $1)";
        blog.client
            .execute(add, &[&entry])
            .map_err(|error| Box::new(error.as_db_error().unwrap().clone()))
    };
    add("me@spam.example").unwrap();
    add(r"you\@spam.example").unwrap();
    for wrong in ["(", "[a", "a{2,1}", "*", "(?=x)", r"(a)\1"] {
        let error = add(wrong).unwrap_err();
        assert!(error.message().contains(wrong) && error.hint().is_some(), "{error:?}");
    }
    for body in ["write me@spam.example", "write you@spam.example"] {
        assert_eq!(blog.verdict(&saying(body)), "moderate", "{body}");
    }
}

/// T6: whoever typed a known name and address was let through everything, the shutdown included.
#[test]
fn a_name_opens_no_door() {
    let mut blog = Blog::under_preset();
    blog.check("bypass", r#"options = '{"approved_before": 1, "user_roles": ["author"]}'"#);
    let known = Comment { email: String::new(), ..by("Marie") };
    assert_eq!(blog.verdict(&known), "accept");
    let said = Comment { body: "Very good site!".into(), ..known };
    assert_eq!(blog.verdict(&said), "moderate");
    // Nor does typing the name of a role.
    assert_eq!(
        blog.verdict(&Comment { body: "Very good site!".into(), ..by("author") }),
        "moderate"
    );
}

/// T9: `credit` hit Accredited, `gb\.com` hit rgb.com and x.com/?q=gb.com.
#[test]
fn filters_look_at_hosts_and_at_the_beginning_of_words() {
    let mut blog = Blog::under_preset();
    for comment in [by("Accredited Agent"), at("http://rgb.com/"), at("http://x.example/?q=gb.com")]
    {
        assert_eq!(blog.verdict(&comment), "accept", "{} {}", comment.author, comment.url);
    }
    for comment in
        [by("Credit Agent"), by("Pokerface Annie"), at("http://gb.com"), at("https://www.gb.com/x")]
    {
        assert_eq!(blog.verdict(&comment), "moderate", "{} {}", comment.author, comment.url);
    }
}

/// T10: a pattern could not hold a semicolon; `a;b` blocked every name with an a in it.
#[test]
fn an_entry_is_a_row_whatever_is_in_it() {
    let mut blog = Blog::under_preset();
    blog.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('author_filter', 'a;b')");
    assert_eq!(blog.verdict(&by("Anna")), "accept");
    assert_eq!(blog.verdict(&by("x a;b y")), "moderate");
}

/// T13: 0 meant all, off or always, by option.
#[test]
fn nought_is_nought_and_null_is_off_everywhere() {
    let mut blog = Blog::under_preset();
    let age =
        |days: &str| format!(r#"options = '{{"comment_days": {days}, "trackback_days": {days}}}'"#);
    let fresh = |kind: &str| Comment {
        kind: kind.into(),
        url: "http://203.0.113.5/post".into(),
        entry: Entry { age_in_days: 0.0, title: "New".into() },
        ..Comment::default()
    };
    for (days, verdict) in [("0", "moderate"), ("null", "accept")] {
        blog.check("article_age", &age(days));
        for kind in ["NORMAL", "TRACKBACK", "PINGBACK"] {
            assert_eq!(blog.verdict(&fresh(kind)), verdict, "{kind} {days}");
        }
    }
    for (limit, verdict) in [("0", "moderate"), ("null", "accept")] {
        blog.check("links", &format!(r#"options = '{{"over": {limit}, "reject_over": null}}'"#));
        assert_eq!(blog.verdict(&saying("see http://a.example")), verdict);
    }
    blog.check("form_time", r#"options = '{"min_seconds": 0}'"#);
    assert_eq!(blog.verdict(&Comment { form_seconds: Some(0.0), ..Comment::default() }), "accept");
}

/// T14: "0" counted as missing, and a documented key refused every comment.
#[test]
fn nought_is_an_answer_and_an_unknown_field_is_refused_when_it_is_set() {
    let mut blog = Blog::under_preset();
    assert_eq!(blog.verdict(&by("0")), "accept");
    assert_eq!(blog.verdict(&saying("0")), "accept");
    let unknown = r#"UPDATE spamcheck.check_setting SET options = '{"fields": ["replyTo"]}'
                      WHERE check_name = 'required'"#;
    let error = blog.client.batch_execute(unknown).unwrap_err();
    let message = error.as_db_error().expect("a refusal").message().to_owned();
    assert!(message.contains("replyTo") && message.contains("parent_id"), "{message}");
    // What was meant: the comment that it answers, which is 0 for none.
    blog.check("required", r#"options = '{"fields": ["parent_id"]}'"#);
    assert_eq!(blog.verdict(&Comment::default()), "accept");
}

/// T17: whoever came from the server's own address, as all do behind a proxy, was let through.
#[test]
fn the_servers_own_address_is_nothing_special() {
    let mut blog = Blog::under_preset();
    blog.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_block', '127.0.0.0/8')");
    blog.check("ip_block", "action = 'reject'");
    assert_eq!(blog.verdict(&Comment { ip: "127.0.0.1".into(), ..Comment::default() }), "reject");
    assert_eq!(blog.verdict(&Comment { ip: "127.0.0.1".into(), ..by("x") }), "reject");
    assert_eq!(blog.verdict(&Comment::default()), "accept");
}

/// T22: without a session there was no starting time, and all passed; now it can be required.
#[test]
fn a_form_that_does_not_say_its_time_passes_unless_the_time_is_required() {
    let mut blog = Blog::under_preset();
    blog.check("form_time", r#"options = '{"min_seconds": 30}'"#);
    assert_eq!(blog.verdict(&Comment::default()), "accept");
    blog.check("required", r#"options = '{"fields": ["body", "form_seconds"]}'"#);
    assert_eq!(blog.verdict(&Comment::default()), "reject");
    assert_eq!(blog.verdict(&Comment { form_seconds: Some(31.0), ..Comment::default() }), "accept");
}

/// T23: API comments have no form, and were refused for its missing token.
#[test]
fn an_api_is_judged_as_an_api_and_not_as_a_form() {
    let mut blog = Blog::under_preset();
    blog.check("honeypot", "action = 'reject'");
    blog.check("form_time", "action = 'reject'");
    blog.check("api_source", "action = 'moderate'");
    assert_eq!(blog.verdict(&Comment { source: "API".into(), ..Comment::default() }), "moderate");
    assert_eq!(blog.findings(), ["api_source moderate"]);
}

/// T24: a page of HTML in the place of a list was a list of very short domains.
#[test]
fn a_line_that_is_no_host_name_is_no_entry() {
    let mut blog = Blog::under_preset();
    for line in ["<html>", "", "<p>Service is down</p>", "http://bad.example/", "a b"] {
        let add = "INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', $1)";
        let error = blog.client.execute(add, &[&line]).unwrap_err();
        let message = error.as_db_error().expect("a refusal").message().to_owned();
        assert!(message.contains("is not a host name"), "{message}");
    }
    // A short entry is a whole label, not a part of every address.
    blog.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'com')");
    blog.check("url_blocklist", "action = 'reject'");
    assert_eq!(blog.verdict(&at("http://combine.example/com")), "accept");
    assert_eq!(blog.verdict(&at("http://a.com/")), "reject");
}

/// T25: messages told the visitor which word had hit.
#[test]
fn the_reason_is_for_staff() {
    let mut blog = Blog::under_preset();
    blog.check("wordfilter", "action = 'reject'");
    let error = blog.comment(&by("Casino")).unwrap_err();
    let public = format!("{error:?}").to_lowercase();
    assert!(!public.contains("casino") && !public.contains("wordfilter"), "{public}");
    assert_eq!(blog.detail("wordfilter")["entry"], "casino");
}

/// T26: bodies were searched raw, letter by letter of the Latin alphabet.
#[test]
fn filters_see_through_disguises() {
    let mut blog = Blog::under_preset();
    blog.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('body_filter', 'казино')");
    for comment in [
        by("ＣＡＳＩＮＯ"),
        by("ca\u{200b}si\u{ad}no"),
        saying("КАЗИНО"),
        saying("𝓥𝓮𝓻𝔂 𝓰𝓸𝓸𝓭 𝓼𝓲𝓽𝓮!"),
    ] {
        assert_eq!(blog.verdict(&comment), "moderate", "{} {}", comment.author, comment.body);
    }
}

/// T27: a text that made PCRE give up matched nothing.
#[test]
fn no_text_makes_a_pattern_give_up() {
    let mut blog = Blog::under_preset();
    blog.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('body_filter', '(a+)+b$')");
    let begun = Instant::now();
    assert_eq!(blog.verdict(&saying(&"a".repeat(50_000))), "accept");
    assert_eq!(blog.verdict(&saying(&("a".repeat(50_000) + "b"))), "moderate");
    assert!(begun.elapsed() < Duration::from_secs(20), "linear time, {:?}", begun.elapsed());
}

/// T28: a value that was too long for the log's column left no trace of the worst spam.
#[test]
fn the_log_holds_values_of_any_length() {
    let mut blog = Blog::under_preset();
    blog.run("ALTER TABLE serendipity_comments ALTER author TYPE text, ALTER url TYPE text");
    blog.policy("again");
    let long = Comment {
        author: format!("poker {}", "x".repeat(5000)),
        ..at(&"http://8gold.com/y".repeat(500))
    };
    assert_eq!(blog.verdict(&long), "moderate");
    assert_eq!(blog.ask("SELECT length(author) FROM spamcheck.spam_checklog"), "5006");
    assert_eq!(blog.detail("wordfilter")["further"][0]["field"], "url");
}
