//! Proves what is never guessed, what is refused and how, and that every JSON reads back. Tests
//! only.

use serde_json::json;

use super::sample::table;
use super::{Article, Mapping, Status, StatusValue, Subscriber, Table};
use crate::refusal::Refusal;
use crate::submission::Field;
use crate::verdict::Verdict;

fn rows(mapping: &Mapping) -> String {
    let rows = mapping.rows();
    rows.iter().map(|(field, source)| format!("{field}={source}")).collect::<Vec<_>>().join(" ")
}

fn comments() -> Table {
    table("comments", "*id:integer author:text email:text body:text post_id:integer status:text")
}

fn merged(given: &serde_json::Value) -> Result<Mapping, Refusal> {
    let mut mapping = Mapping::find(&comments());
    mapping.merge(given, &comments())?;
    Ok(mapping)
}

#[test]
fn secrets_and_generated_columns_are_never_guessed() {
    let mut users = table(
        "users",
        "*id:integer author_password:text email_hash:text user_token:text comment_key:text
         body_digest:text author_session:text url_secret:text ip_hash:text title:text body:text
         content_tsv:tsvector email_verified:boolean author_count:integer title_html:text",
    );
    assert_eq!(rows(&Mapping::find(&users)), "body=body title=title");
    users.columns.iter_mut().filter(|c| c.name == "body").for_each(|c| c.generated = true);
    assert_eq!(rows(&Mapping::find(&users)), "title=title");
}

#[test]
fn types_that_do_not_fit_are_not_guessed() {
    let odd = table(
        "comments",
        "id:integer body:bytea comments:integer author:integer email:boolean ip:integer url:jsonb
         created_at:text type:smallint last_ip:inet avatar_url:text edit_reason:text
         notify_email:text job_title:text mime_type:text content_type:text updated_at:timestamp",
    );
    assert_eq!(rows(&Mapping::find(&odd)), "user_id=author");
}

#[test]
fn the_raw_text_goes_before_the_rendered_one() {
    for (columns, body) in [
        ("body_html:text body:text", "body"),
        ("cooked:text raw:text", "raw"),
        ("html:text markdown:text", "markdown"),
        ("content_rendered:text content_md:text", "content_md"),
        ("comment_html:text", "comment_html"),
        ("excerpt:text content:text", "content"),
    ] {
        assert_eq!(rows(&Mapping::find(&table("t", columns))), format!("body={body}"), "{columns}");
    }
}

#[test]
fn names_are_read_in_any_style() {
    for (columns, found) in [
        ("UserAgent:text UserURL:text", "url=UserURL user_agent=UserAgent"),
        ("useragent:text commentText:text", "body=commentText user_agent=useragent"),
        ("peer:inet message:text", "body=message ip=peer"),
        ("e_mail_address:text body:text", "body=body email=e_mail_address"),
        ("email_addr:text body:text", "body=body email=email_addr"),
        (
            "ip_address:cidr visitor_mail:citext nick:text",
            "author=nick email=visitor_mail ip=ip_address",
        ),
        ("text:jsonb title:jsonb", "body=text title=title"),
        ("payload:jsonb form_data:jsonb msg:text", "body=msg fields=form_data"),
        (
            "post_title:text post_url:text comment:text",
            "body=comment permalink=post_url article_title=post_title",
        ),
        ("street:text city:text state:text", r#"fields=["street","city","state"]"#),
        ("state:text body:text", "body=body"),
    ] {
        assert_eq!(rows(&Mapping::find(&table("comments", columns))), found, "{columns}");
    }
}

#[test]
fn given_sources_go_over_found_ones() {
    let mapping = merged(&json!({
        "email": null, "body": ["author", "body"], "ip": {"setting": "app.ip"},
        "type": {"value": "letter"}, "fields": "status",
        "url": {"table": "public.users", "key": "id", "from": "post_id", "column": "site"}
    }))
    .unwrap();
    let expected = concat!(
        r#"body=["author","body"] author=author "#,
        r#"url={"column":"site","from":"post_id","key":"id","table":"public.users"} "#,
        r#"ip={"setting":"app.ip"} type={"value":"letter"} fields=["status"]"#
    );
    assert_eq!(rows(&mapping), expected);
    assert_eq!(Mapping::from_json(&mapping.to_json()).unwrap(), mapping);
    let watched: Vec<&str> = mapping.watched_columns().collect();
    assert_eq!(watched, ["author", "body", "author", "status"]);
}

#[test]
fn wrong_mappings_say_what_is_wrong() {
    let unknown = merged(&json!({"boddy": "body"})).unwrap_err();
    assert_eq!(unknown.message, "columns maps \"boddy\", which is not a field");
    assert!(unknown.detail.unwrap().contains("user_agent"));
    assert_eq!(unknown.hint.unwrap(), "Did you mean \"body\"?");

    let missing = merged(&json!({"body": "bodi"})).unwrap_err();
    assert_eq!(
        missing.message,
        "field \"body\" names the column \"bodi\", which table public.comments does not have"
    );
    assert!(missing.detail.unwrap().starts_with("Its columns are: id (integer), author (text)"));
    assert_eq!(missing.hint.unwrap(), "Did you mean \"body\"?");

    let from = json!({"email": {"table": "u", "key": "id", "from": "user_id", "column": "e"}});
    assert!(merged(&from).unwrap_err().message.contains("names the column \"user_id\""));

    let mut computed = comments();
    computed.columns[3].generated = true;
    let refusal = Mapping::default().merge(&json!({"body": "body"}), &computed).unwrap_err();
    assert_eq!(
        refusal.message,
        "field \"body\" cannot be read from the generated column \"body\" of table public.comments"
    );
    assert!(merged(&json!(["body"])).unwrap_err().message.contains("takes a JSON object"));
}

#[test]
fn a_table_needs_something_to_judge() {
    let counters = table("hits", "*id:integer page_id:integer ip:inet at:timestamp");
    let refusal = Mapping::find(&counters).check(&counters).unwrap_err();
    assert!(refusal.message.starts_with("table public.hits has nothing to judge"));
    assert_eq!(
        refusal.detail.unwrap(),
        "Its columns are: id (integer), page_id (integer), ip (inet), at (timestamp without time zone)."
    );
    let signups = table("signups", "*id:integer email:text");
    let notices = Mapping::find(&signups).check(&signups).unwrap();
    assert!(notices[0].contains("for the body"), "{notices:?}");
    assert_eq!(merged(&json!({})).unwrap().check(&comments()), Ok(Vec::new()));
}

#[test]
fn mappings_follow_renames() {
    let source = json!({"table": "u", "key": "id", "from": "post_id", "column": "mail"});
    let mut mapping = merged(&json!({ "email": source, "body": ["author", "body"] })).unwrap();
    mapping.rename_own_column("author", "writer");
    mapping.rename_own_column("post_id", "about");
    mapping.rename_column("u", "mail", "address");
    mapping.rename_column("other", "id", "nr");
    mapping.rename_table("u", "people");
    let expected = json!({
        "author": "writer", "body": ["writer", "body"],
        "email": {"table": "people", "key": "id", "from": "about", "column": "address"}
    });
    assert_eq!(mapping.to_json(), expected);
}

#[test]
fn a_status_is_told_by_labels_and_constraints() {
    let checked = |values: &str| {
        let mut table = comments();
        table.checks.push(format!("CHECK ((status = ANY (ARRAY[{values}])))"));
        Status::find(&table).map(|status| status.to_json())
    };
    assert_eq!(
        checked("'pending'::text, 'approved'::text, 'spam'::text"),
        Ok(json!({"column": "status", "ham": "approved", "moderate": "pending", "spam": "spam"}))
    );
    assert_eq!(
        checked("'complete'::text, 'moderated'::text, 'spam'::text"),
        Ok(json!({"column": "status", "ham": "complete", "moderate": "moderated", "spam": "spam"}))
    );
    // No word for spam: it waits as moderated rows do. No word for moderation: not given.
    assert_eq!(
        checked("'Published'::text, 'On Hold'::text"),
        Ok(
            json!({"column": "status", "ham": "Published", "moderate": "On Hold", "spam": "On Hold"})
        )
    );
    assert_eq!(
        checked("'ok'::text, 'junk'::text"),
        Ok(json!({"column": "status", "ham": "ok", "spam": "junk"}))
    );
    let states =
        table("reviews", "id:integer body:text moderation_state:enum/visible/held/rejected");
    assert_eq!(
        Status::find(&states).unwrap().to_json(),
        json!({"column": "moderation_state", "ham": "visible", "moderate": "held", "spam": "rejected"})
    );
}

#[test]
fn flags_tell_a_status_too() {
    for (columns, expected) in [
        ("is_spam:boolean", json!({"column": "is_spam", "ham": false, "spam": true})),
        (
            "pending:boolean",
            json!({"column": "pending", "ham": false, "moderate": true, "spam": true}),
        ),
        (
            "approved_at:timestamptz",
            json!({"ham": {"approved_at": "$now"},
            "moderate": {"approved_at": null}, "spam": {"approved_at": null}}),
        ),
        ("published:timestamptz published_at:timestamptz deleted:boolean", json!({})),
        ("subscription_status:text user_status:text status_id:integer", json!({})),
    ] {
        let table = table("comments", &format!("*id:integer body:text {columns}"));
        assert_eq!(Status::find(&table).unwrap().to_json(), expected, "{columns}");
    }
}

#[test]
fn a_status_that_nothing_tells_is_asked_for() {
    let refusal = Status::find(&comments()).unwrap_err();
    assert_eq!(
        refusal.message,
        "the values that verdicts write into column \"status\" of table public.comments cannot be \
         told"
    );
    assert!(
        refusal.hint.unwrap().contains("status => '{\"column\": \"status\", \"ham\": \"approved\"")
    );
    let labels = table("t", "body:text state:enum/open/closed");
    let refusal = Status::find(&labels).unwrap_err();
    assert_eq!(refusal.detail.unwrap(), "Its values are: open, closed.");
    // A place is no status.
    let address = table("t", "body:text city:text state:text zip:text");
    assert!(Status::find(&address).unwrap().is_empty());
}

#[test]
fn both_forms_of_a_status_are_read_and_written() {
    let table = table("t", "*id:integer status:text shown:boolean level:smallint gone:timestamptz");
    for form in [
        json!({"column": "status", "ham": "a", "moderate": "b", "spam": "c"}),
        json!({"column": "status", "spam": "c"}),
        json!({"column": "shown", "ham": true, "spam": false}),
        json!({"column": "level", "ham": 1, "spam": -1}),
        json!({"ham": {"shown": true, "gone": null}, "spam": {"gone": "$now", "level": 2}}),
        json!({}),
    ] {
        let status = Status::given(&form, &table).unwrap();
        assert_eq!(status.to_json(), form);
        assert_eq!(Status::from_json(&form).unwrap(), status);
    }
    let status = Status::given(&json!({"column": "status", "moderate": "b", "ham": null}), &table);
    let status = status.unwrap();
    assert_eq!(status.missing(), ["ham", "spam"]);
    let set = vec![("status".to_owned(), StatusValue::Text("b".to_owned()))];
    assert_eq!(status.of_verdict(Verdict::Challenge), Some(&set));
    assert_eq!(status.of_verdict(Verdict::Reject), None);
    // Text in, boolean out, in the form that the type reads.
    let on = Status::given(&json!({"column": "shown", "spam": "off"}), &table).unwrap();
    assert_eq!(on.spam, Some(vec![("shown".to_owned(), StatusValue::Text("false".to_owned()))]));
    let mut renamed = on;
    renamed.rename_column("shown", "seen");
    assert_eq!(renamed.columns(), ["seen"]);
}

#[test]
fn wrong_statuses_say_what_is_wrong() {
    let mut table = table(
        "t",
        "*id:integer status:enum/new/old kind:text level:smallint on:boolean gone:timestamptz
         doc:jsonb day:date made:text",
    );
    table.partition_key.push("day".to_owned());
    table.checks.push("CHECK ((kind = ANY (ARRAY['a'::text, 'b'::text])))".to_owned());
    for column in &mut table.columns {
        column.generated = column.name == "made";
        column.not_null = column.name == "on";
    }
    for (form, part) in [
        (json!("x"), "takes a JSON object"),
        (json!({"column": 7}), "takes the name of a column, not 7"),
        (json!({"column": "status"}), "no value for ham, moderate or spam"),
        (json!({"column": "status", "reject": "x"}), "not for \"reject\""),
        (json!({"ham": "x"}), "no \"column\" says where"),
        (json!({"ham": {}}), "\"ham\" of status names no column"),
        (json!({"column": "status", "ham": {"kind": "a"}}), "one value beside \"column\""),
        (json!({"ham": {"kind": ["a"]}}), "a string, a number, a boolean or null"),
        (json!({"column": "stat", "ham": "new"}), "does not have"),
        (json!({"column": "status", "ham": "gone"}), "one of its labels: new, old, not \"gone\""),
        (json!({"column": "kind", "ham": "c"}), "takes one of a, b, not \"c\""),
        (json!({"column": "level", "ham": "x"}), "takes an integer, not \"x\""),
        (json!({"column": "level", "ham": 40000}), "takes an integer, not \"40000\""),
        (json!({"column": "on", "ham": "maybe"}), "true or false, not \"maybe\""),
        (json!({"ham": {"on": null}}), "does not take null"),
        (json!({"column": "kind", "ham": "$now"}), "takes a timestamp or date column"),
        (json!({"column": "gone", "ham": "soon"}), "\"$now\" or null, not \"soon\""),
        (json!({"column": "doc", "ham": "x"}), "takes a text, enum, integer or boolean column"),
        (json!({"column": "day", "ham": "$now"}), "it is in the partition key"),
        (json!({"column": "id", "ham": 1}), "it is in the primary key"),
        (json!({"column": "made", "ham": "x"}), "it is a generated column"),
    ] {
        let refusal = Status::given(&form, &table).unwrap_err();
        assert!(refusal.message.contains(part), "{form}: {}", refusal.message);
    }
}

#[test]
fn a_found_status_in_the_partition_key_is_refused() {
    let mut table = comments();
    table.checks.push("CHECK (status IN ('approved', 'spam'))".to_owned());
    table.partition_key.push("status".to_owned());
    assert!(Status::find(&table).unwrap_err().message.contains("partition key"));
}

#[test]
fn articles_and_subscribers_read_back_and_feed_fields() {
    let form = json!({"table": "posts", "key": "id", "from": "post_id", "title": "head",
                      "permalink": "url"});
    let mut article = Article::given(&form, &comments()).unwrap();
    assert_eq!(article.to_json(), form);
    let mut mapping = Mapping::find(&comments());
    mapping.take_article(&article);
    assert!(rows(&mapping).contains(r#"article_title={"column":"head","from":"post_id""#));
    assert!(!mapping.sources.contains_key(&Field::ArticleCreatedAt));
    article.rename_own_column("post_id", "about");
    article.rename_column("posts", "head", "title");
    article.rename_table("posts", "texts");
    assert_eq!(
        article.to_json(),
        json!({"table": "texts", "key": "id", "from": "about", "title": "title", "permalink": "url"})
    );

    let form = json!({"table": "users", "key": ["site", "mail"], "from": ["post_id", "email"],
                      "column": "state", "subscribed": "yes", "unsubscribed": "no"});
    let subscriber = Subscriber::given(&form, &comments()).unwrap();
    assert_eq!(subscriber.to_json(), form);
    let numbers = json!({"table": "users", "key": "mail", "from": "email", "column": "on",
                         "subscribed": true, "unsubscribed": 0});
    let subscriber = Subscriber::given(&numbers, &comments()).unwrap();
    assert_eq!((subscriber.subscribed.as_str(), subscriber.unsubscribed.as_str()), ("true", "0"));
}

#[test]
fn wrong_articles_and_subscribers_say_what_is_wrong() {
    for (form, part) in [
        (json!(7), "article takes a JSON object, not 7"),
        (json!({"table": "p", "key": "id"}), "article lacks the key \"from\""),
        (json!({"table": "p", "key": "id", "from": "post_id", "titel": "t"}), "no key \"titel\""),
        (json!({"table": "p", "key": [], "from": "post_id"}), "\"key\" of article takes a column"),
        (json!({"table": "p", "key": ["a", "b"], "from": "post_id"}), "not 1 and 2"),
        (json!({"table": "p", "key": "id", "from": "postid"}), "names the column \"postid\""),
        (json!({"table": "", "key": "id", "from": "post_id"}), "takes a name, not \"\""),
    ] {
        let refusal = Article::given(&form, &comments()).unwrap_err();
        assert!(refusal.message.contains(part), "{form}: {}", refusal.message);
        assert!(refusal.hint.is_some(), "{form}");
    }
    let form =
        json!({"table": "u", "key": "id", "from": "email", "column": "s", "subscribed": "y"});
    let refusal = Subscriber::given(&form, &comments()).unwrap_err();
    assert_eq!(refusal.message, "subscriber lacks the key \"unsubscribed\"");
}
