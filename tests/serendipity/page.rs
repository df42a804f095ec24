//! Serendipity's page on blocking spam, heading by heading: what a user was told there, done here, from
//! the preset's defaults to both ways of each option. Duplicates, the IP interval, captchas, trackback
//! URLs, Akismet, logging and the wrench are shown where those checks and functions are.

use crate::blog::{Blog, Comment, Entry};

fn trackback() -> Comment {
    Comment {
        kind: "TRACKBACK".into(),
        url: "http://203.0.113.5/post".into(),
        ..Comment::default()
    }
}

fn by(author: &str) -> Comment {
    Comment { author: author.into(), ..Comment::default() }
}

fn saying(body: &str) -> Comment {
    Comment { body: body.into(), ..Comment::default() }
}

fn under_an_entry_of(age_in_days: f64, comment: Comment) -> Comment {
    Comment { entry: Entry { age_in_days, title: "Old".into() }, ..comment }
}

#[test]
fn nothing_happens_to_an_ordinary_comment_or_trackback() {
    let mut blog = Blog::under_preset();
    assert_eq!(blog.verdict(&Comment::default()), "accept");
    assert_eq!(blog.verdict(&trackback()), "accept");
    assert_eq!(blog.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
}

#[test]
fn emergency_comment_shutdown() {
    let mut blog = Blog::under_preset();
    blog.check("shutdown", "options = '{}'");
    assert_eq!(blog.verdict(&Comment::default()), "reject");
    assert_eq!(blog.findings(), ["shutdown reject"]);
    assert_eq!(blog.verdict(&trackback()), "reject");
}

#[test]
fn disable_spamblock_for_authors() {
    let mut blog = Blog::under_preset();
    let author = |groups: &str| Comment { groups: Some(groups.into()), ..by("poker") };
    assert_eq!(blog.verdict(&author("author")), "accept", "all authors");
    assert_eq!(blog.findings(), ["bypass allow", "wordfilter moderate"]);
    assert_eq!(blog.verdict(&by("poker")), "moderate", "a visitor");
    // Only for administrators.
    blog.check("bypass", r#"options = '{"user_roles": ["administrator"]}'"#);
    assert_eq!(blog.verdict(&author("author,editor")), "moderate");
    assert_eq!(blog.verdict(&author("author,administrator")), "accept");
    // None.
    blog.check("bypass", "options = '{}'");
    assert_eq!(blog.verdict(&author("author,administrator")), "moderate");
    // The door that an author has while all others are shut.
    blog.check("bypass", r#"options = '{"user_roles": ["author"]}'"#);
    blog.check("shutdown", "options = '{}'");
    assert_eq!(blog.verdict(&author("author")), "accept");
    assert_eq!(blog.verdict(&by("Marie")), "reject");
}

#[test]
fn reject_comments_which_only_contain_the_entry_title() {
    let mut blog = Blog::under_preset();
    let title = saying(" A walk in the hills ");
    assert_eq!(blog.verdict(&title), "accept", "off by default");
    blog.check("title_only", "options = '{}'");
    assert_eq!(blog.verdict(&title), "reject");
    assert_eq!(blog.findings(), ["title_only reject"]);
    assert_eq!(blog.verdict(&saying("A walk in the hills!")), "accept");
}

#[test]
fn force_comment_moderation_after_how_many_days() {
    let mut blog = Blog::under_preset();
    let comment = |age| under_an_entry_of(age, Comment::default());
    assert_eq!(blog.verdict(&comment(4000.0)), "accept", "off by default");
    blog.check("article_age", r#"options = '{"comment_days": 30, "trackback_days": null}'"#);
    assert_eq!(blog.verdict(&comment(29.9)), "accept");
    assert_eq!(blog.verdict(&comment(30.1)), "moderate");
    assert_eq!(blog.detail("article_age")["days"], 30);
    // What to do with comments when being auto-moderated?
    blog.check("article_age", r#"options = '{"comment_days": 30, "comment_action": "reject"}'"#);
    assert_eq!(blog.verdict(&comment(30.1)), "reject");
    blog.check("article_age", r#"options = '{"comment_days": 0}'"#);
    assert_eq!(blog.verdict(&comment(0.0)), "moderate", "0 is every one");
}

#[test]
fn force_trackback_moderation_after_how_many_days() {
    let mut blog = Blog::under_preset();
    let trackback = |age| under_an_entry_of(age, trackback());
    assert_eq!(blog.verdict(&trackback(29.9)), "accept");
    assert_eq!(blog.verdict(&trackback(31.0)), "moderate", "after 30 days by default");
    let pingback = Comment { kind: "PINGBACK".into(), ..trackback(31.0) };
    assert_eq!(blog.verdict(&pingback), "moderate");
    assert_eq!(blog.verdict(&under_an_entry_of(31.0, Comment::default())), "accept");
    // What to do with trackbacks when being auto-moderated?
    blog.check(
        "article_age",
        r#"options = '{"comment_days": null, "trackback_days": 7, "trackback_action": "reject"}'"#,
    );
    assert_eq!(blog.verdict(&trackback(8.0)), "reject");
    blog.check("article_age", r#"options = '{"trackback_days": null}'"#);
    assert_eq!(blog.verdict(&trackback(4000.0)), "accept");
}

#[test]
fn how_to_treat_comments_made_via_apis() {
    let mut blog = Blog::under_preset();
    let api = || Comment { source: "API".into(), ..Comment::default() };
    assert_eq!(blog.verdict(&api()), "accept", "not individually, by default");
    for (action, verdict) in [("moderate", "moderate"), ("reject", "reject")] {
        blog.check("api_source", &format!("action = '{action}'"));
        assert_eq!(blog.verdict(&api()), verdict);
        assert_eq!(blog.verdict(&trackback()), verdict);
        assert_eq!(blog.verdict(&Comment::default()), "accept");
    }
}

#[test]
fn how_many_links_before_a_comment_gets_moderated_and_rejected() {
    let mut blog = Blog::under_preset();
    let links = |n| saying(&"http://a.example/x ".repeat(n));
    let verdicts = [7, 8, 13, 14].map(|n| blog.verdict(&links(n)));
    assert_eq!(verdicts, ["accept", "moderate", "moderate", "reject"]);
    blog.check("links", r#"options = '{"over": null, "reject_over": 1}'"#);
    assert_eq!([1, 2].map(|n| blog.verdict(&links(n))), ["accept", "reject"]);
}

#[test]
fn wordfilter_for_urls_author_names_and_comment_body() {
    let mut blog = Blog::under_preset();
    let at = |url: &str| Comment { url: url.into(), ..Comment::default() };
    for comment in
        [by("Online CASINO King"), at("http://www.8gold.com/"), saying("Very good site!")]
    {
        assert_eq!(blog.verdict(&comment), "moderate", "{} {}", comment.author, comment.url);
    }
    // If you set it to "reject", they will be completely rejected.
    blog.check("wordfilter", "action = 'reject'");
    assert_eq!(blog.verdict(&by("casino")), "reject");
    // Regular expressions would also allow you a broader range of filtering.
    blog.run(
        r"INSERT INTO spamcheck.list_entry (list, value) VALUES
              ('author_filter', '^cheap.*(pills|watches)$'), ('body_filter', '(\w+) for free'),
              ('url_filter', '\.xyz(/|$)'), ('email_filter', '@mailinator\.com$')",
    );
    let mail = Comment { email: "x@mailinator.com".into(), ..Comment::default() };
    for comment in [by("Cheap Swiss Watches"), saying("money for free"), at("http://a.xyz/"), mail]
    {
        assert_eq!(blog.verdict(&comment), "reject", "{} {}", comment.author, comment.url);
    }
    assert_eq!(blog.verdict(&by("Cheap Watchmaker")), "accept");
}

#[test]
fn activate_url_filtering_by_a_blacklist() {
    let mut blog = Blog::under_preset();
    blog.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'bad.example')");
    let at = |url: &str| Comment { url: url.into(), ..Comment::default() };
    assert_eq!(blog.verdict(&at("http://bad.example/")), "accept", "off by default");
    for (action, verdict) in [("moderate", "moderate"), ("reject", "reject")] {
        blog.check("url_blocklist", &format!("action = '{action}'"));
        assert_eq!(blog.verdict(&at("http://www.bad.example/x")), verdict);
    }
    assert_eq!(blog.detail("url_blocklist")["host"], "www.bad.example");
    assert_eq!(blog.verdict(&at("http://good.example/?bad.example")), "accept");
}

#[test]
fn check_email_addresses() {
    let mut blog = Blog::under_preset();
    let from = |email: &str| Comment { email: email.into(), ..Comment::default() };
    assert_eq!(blog.verdict(&from("nothing")), "accept", "off by default");
    blog.check("email_syntax", "options = '{}'");
    assert_eq!(blog.verdict(&from("nothing")), "reject");
    assert_eq!(blog.verdict(&from("")), "accept", "none was given");
    assert_eq!(blog.verdict(&from("marie@mail.example")), "accept");
}

#[test]
fn required_comment_fields() {
    let mut blog = Blog::under_preset();
    assert_eq!(blog.verdict(&by(" ")), "reject");
    assert_eq!(blog.verdict(&saying("")), "reject");
    assert_eq!(blog.verdict(&Comment { author: String::new(), ..trackback() }), "accept");
    // This way you can force people to leave their email address.
    blog.check("required", r#"options = '{"fields": ["author", "email", "body"]}'"#);
    assert_eq!(blog.verdict(&Comment { email: String::new(), ..Comment::default() }), "reject");
    assert_eq!(blog.detail("required")["missing"], serde_json::json!(["email"]));
    assert_eq!(blog.verdict(&Comment::default()), "accept");
}

#[test]
fn the_comment_time_out_of_later_versions() {
    let mut blog = Blog::under_preset();
    let after = |seconds| Comment { form_seconds: Some(seconds), ..Comment::default() };
    assert_eq!(blog.verdict(&after(1.0)), "accept", "off by default");
    blog.check("form_time", "action = 'reject'");
    assert_eq!([10.0, 29.5, 30.0].map(|s| blog.verdict(&after(s))), ["reject", "reject", "accept"]);
}

#[test]
fn every_check_that_is_off_is_set_to_reject() {
    let mut blog = Blog::under_preset();
    let off = "SELECT count(*) FROM spamcheck.check_setting s JOIN spamcheck.checks c ON c.name = s.check_name
                WHERE s.policy = 'blog' AND 'Serendipity' = ANY (c.seeds) AND NOT s.enabled";
    assert_eq!(blog.ask(&format!("{off} AND s.action <> 'reject'")), "0");
    assert_ne!(blog.ask(off), "0");
}
