//! Real comments through the whole path: YouTube's spam collection goes into a table like WordPress's,
//! and every row must be accounted for: rows in = ham + moderated + spam + rejected, the log says the
//! same, and each lookup is answered.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use postgres::Client;
use support::akismet::{Akismet, ENABLE, Endpoint};
use support::cluster::Cluster;
use support::http::Reply;
use support::wait;

/// Outside of the checkout: the collection is not part of the project.
const COLLECTION: &str = "../../shared/data/classifier/youtube.jsonl";

struct Comment {
    author: String,
    text: String,
    date: Option<String>,
    spam: bool,
}

fn comments() -> Vec<Comment> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(COLLECTION);
    let Ok(lines) = std::fs::read_to_string(&path) else {
        println!("{COLLECTION} is not there: a small generated set stands in for it");
        return generated();
    };
    let comment = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_string();
        Comment {
            author: text("author"),
            text: text("text"),
            date: Some(text("date")).filter(|date| !date.is_empty()),
            spam: json["label"] == 1,
        }
    };
    lines.lines().map(comment).collect()
}

fn generated() -> Vec<Comment> {
    let texts = [
        ("love this song", false),
        ("check out my channel https://www.youtube.com/user/x", true),
        ("subscribe to me and win a free iphone", true),
        ("who is here in 2015? ❤", false),
        ("http://a.example/ http://b.example/ http://c.example/ visit my site", true),
        ("", false),
    ];
    let comment = |n: usize| {
        let (text, spam) = texts[n % texts.len()];
        let date = Some(format!("2015-05-{:02}T0{}:15:00", n % 28 + 1, n % 10));
        Comment { author: format!("author {n}"), text: format!("{text} {n}"), date, spam }
    };
    (0..300).map(comment).collect()
}

const WORDPRESS: &str = r#"
    CREATE TABLE wp_comments (
        "comment_ID" bigserial PRIMARY KEY,
        "comment_post_ID" bigint NOT NULL DEFAULT 0,
        comment_author text NOT NULL,
        comment_author_email varchar(100) NOT NULL DEFAULT '',
        comment_author_url varchar(200) NOT NULL DEFAULT '',
        "comment_author_IP" varchar(100) NOT NULL DEFAULT '',
        comment_date timestamp NOT NULL DEFAULT now(),
        comment_date_gmt timestamp NOT NULL DEFAULT now(),
        comment_content text NOT NULL,
        comment_karma integer NOT NULL DEFAULT 0,
        comment_approved varchar(20) NOT NULL DEFAULT '1',
        comment_agent varchar(255) NOT NULL DEFAULT '',
        comment_type varchar(20) NOT NULL DEFAULT 'comment',
        comment_parent bigint NOT NULL DEFAULT 0,
        user_id bigint NOT NULL DEFAULT 0);
    SELECT spamcheck.protect('wp_comments')"#;

/// Words are spam, phrases are refused, links are moderated.
const RULES: &str = r#"
    INSERT INTO spamcheck.list (name, kind) VALUES ('yt_spam', 'word');
    INSERT INTO spamcheck.list_entry (list, value)
        VALUES ('yt_spam', 'subscribe'), ('yt_spam', 'check out my channel');
    UPDATE spamcheck.check_setting SET enabled = true, action = 'spam', options = '{"lists": ["yt_spam"]}'
     WHERE check_name = 'content';
    UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate', options = '{"over": 0, "reject_over": 1}'
     WHERE check_name = 'links'"#;

/// What the app made of its comments: those that were refused, by their place in the collection.
fn insert_all(client: &mut Client, comments: &[Comment]) -> Vec<usize> {
    let statement = client
        .prepare(
            r#"INSERT INTO wp_comments (comment_author, "comment_author_IP", comment_content, comment_date_gmt, comment_agent)
               VALUES ($1, $2, $3, coalesce($4::text::timestamp, now()), 'Mozilla/5.0')"#,
        )
        .expect("it can be prepared");
    let mut refused = Vec::new();
    for (n, comment) in comments.iter().enumerate() {
        let ip = format!("203.0.113.{}", n % 250);
        let inserted =
            client.execute(&statement, &[&comment.author, &ip, &comment.text, &comment.date]);
        if let Err(error) = inserted {
            let error = error.as_db_error().expect("the server refuses it");
            assert_eq!(error.constraint(), Some("spamcheck_reject"), "{error:?}");
            refused.push(n);
        }
    }
    refused
}

fn counts(client: &mut Client, query: &str) -> BTreeMap<String, i64> {
    let rows = client.query(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}"));
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn every_comment_is_accounted_for() {
    let comments = comments();
    let cluster = Cluster::shared();
    let akismet = Akismet::start();
    // Akismet knows what people labelled as spam, but for every fifth text.
    let known: HashMap<String, bool> = comments
        .iter()
        .enumerate()
        .map(|(n, comment)| (comment.text.clone(), comment.spam && n % 5 != 0))
        .collect();
    let asked_about_spam = move |request: &support::http::Request| {
        Endpoint::of(request) == Some(Endpoint::CommentCheck)
            && request.param("comment_content").is_some_and(|text| known.get(&text) == Some(&true))
    };
    akismet.always(asked_about_spam, Reply::text("true"));
    akismet.attach(cluster);
    let database = cluster.database();
    let mut client = database.client();
    for statements in [WORDPRESS, RULES, ENABLE] {
        client.batch_execute(statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }
    let refused = insert_all(&mut client, &comments);
    let waiting = "SELECT count(*) FROM spamcheck.lookup";
    wait::until(Duration::from_secs(120), "every answer", || {
        client.query_one(waiting, &[]).expect("a row").get::<_, i64>(0) == 0
    });

    let verdicts = "SELECT comment_approved::text, count(*) FROM wp_comments GROUP BY 1";
    let verdicts = counts(&mut client, verdicts);
    let of = |status: &str| verdicts.get(status).copied().unwrap_or(0) as usize;
    let (ham, moderated, spam) = (of("1"), of("0"), of("spam"));
    println!(
        "{} comments: {ham} ham, {moderated} moderated, {spam} spam, {} rejected",
        comments.len(),
        refused.len()
    );
    assert_eq!(verdicts.len(), 3, "no other status: {verdicts:?}");
    assert_eq!(ham + moderated + spam + refused.len(), comments.len());
    for (name, count) in [("ham", ham), ("moderated", moderated), ("spam", spam)] {
        assert!(count > 0, "no comment is {name}");
    }
    assert!(!refused.is_empty(), "no comment is rejected");

    // One submission in the log for each row that is not ham, saying what its row says. A row that was
    // moderated here and called spam by Akismet is one submission with both findings.
    let logged = "
        SELECT worst, count(*) FROM (
            SELECT submission_id, CASE WHEN bool_or(outcome = 'rejected') THEN 'rejected'
                                       WHEN bool_or(outcome = 'suppressed') THEN 'spam'
                                       WHEN bool_or(outcome = 'moderated') THEN '0' ELSE max(outcome) END AS worst
              FROM spamcheck.spam_checklog GROUP BY submission_id) s GROUP BY worst";
    let logged = counts(&mut client, logged);
    let expected = [
        ("0".to_string(), moderated as i64),
        ("rejected".to_string(), refused.len() as i64),
        ("spam".to_string(), spam as i64),
    ];
    assert_eq!(logged, BTreeMap::from(expected));
    let mismatches = r#"
        SELECT 'mismatches', count(*) FROM wp_comments c
         FULL JOIN (SELECT (row_key->>'comment_ID')::bigint AS id, bool_or(outcome = 'suppressed') AS spam
                      FROM spamcheck.spam_checklog WHERE row_key IS NOT NULL GROUP BY 1) l ON l.id = c."comment_ID"
         WHERE c.comment_approved IS DISTINCT FROM
               CASE WHEN l.id IS NULL THEN '1' WHEN l.spam THEN 'spam' ELSE '0' END"#;
    assert_eq!(counts(&mut client, mismatches)["mismatches"], 0, "log and rows agree row by row");
    let texts = "SELECT comment, count(*) FROM spamcheck.spam_checklog WHERE outcome = 'rejected' GROUP BY 1";
    let kept = counts(&mut client, texts);
    for n in refused {
        assert!(kept.contains_key(&comments[n].text), "not in the log: {}", comments[n].text);
    }

    // Akismet was asked once about each row that no local check had called spam, and about no other.
    let rows = "SELECT 'asked', count(*) FROM wp_comments c WHERE NOT EXISTS (
                    SELECT FROM spamcheck.spam_checklog l WHERE l.outcome = 'suppressed' AND l.check_name <> 'akismet'
                       AND (l.row_key->>'comment_ID')::bigint = c.\"comment_ID\")";
    let asked = akismet.requests_for(Endpoint::CommentCheck).len();
    assert_eq!(asked as i64, counts(&mut client, rows)["asked"]);
    akismet.assert_no_problems();
}
