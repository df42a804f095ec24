//! The comment tables of real systems, as their own schemas have them: each is protected as it is, and
//! its app's own INSERT gets verdicts. This file holds how one is proved; the systems are data.

use postgres::Client;
use support::cluster::Cluster;

#[path = "systems/blogs.rs"]
mod blogs;
#[path = "systems/forums.rs"]
mod forums;
#[path = "systems/named.rs"]
mod named;
#[path = "systems/networks.rs"]
mod networks;
#[path = "systems/petitions.rs"]
mod petitions;
#[path = "systems/shops.rs"]
mod shops;
#[path = "systems/trackers.rs"]
mod trackers;

/// "casino" makes a text spam; a link in the body, or an address at `moderate.example`, moderates.
const RULES: &str = r#"
    UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content';
    UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'email_pattern';
    UPDATE spamcheck.check_setting SET options = '{"over":0,"reject_over":null}' WHERE check_name = 'links';
    INSERT INTO spamcheck.list_entry (list, value) VALUES
        ('banned_words', 'casino'), ('email_block', '@moderate\.example$');"#;

/// A text and an address that come to ham, moderate and spam, in this order.
const SUBMISSIONS: [(&str, &str); 3] = [
    ("fine words", "ann@example.org"),
    ("see https://links.example/", "ann@moderate.example"),
    ("play at the casino", "ann@example.org"),
];

/// A system's table and what is to be found about it.
struct System<'a> {
    /// The script that creates it, with whatever else its rows need.
    schema: &'a str,
    /// The arguments of protect(): mostly the table alone.
    protect: &'a str,
    /// The mapping, `field=source`, in any order.
    mapping: &'a str,
    /// The status as protected_table shows it.
    status: &'a str,
    /// The app's INSERT; `{text}` and `{email}` are put in.
    insert: &'a str,
    /// The columns that the app reads the row's fate from, a row expression.
    shown: &'a str,
    /// What these are for ham, a moderated and a spam row.
    verdicts: [&'a str; 3],
    /// Of the spam row's log entry: author, email, ip, url and user agent, as far as there are any.
    logged: &'a str,
}

#[track_caller]
fn run(client: &mut Client, script: &str) {
    client.batch_execute(script).unwrap_or_else(|error| panic!("{script}\n{error:#?}"));
}

#[track_caller]
fn texts(client: &mut Client, query: &str) -> Vec<String> {
    let rows = client.query(query, &[]).unwrap_or_else(|error| panic!("{query}\n{error:#?}"));
    rows.iter()
        .map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into()))
        .collect()
}

impl System<'_> {
    /// Creates, protects and inserts, and holds what comes of it against what is expected.
    #[track_caller]
    fn prove(&self) {
        let database = Cluster::shared().database();
        let mut client = database.client();
        run(&mut client, RULES);
        run(&mut client, self.schema);
        let found = texts(
            &mut client,
            &format!("SELECT field || '=' || source FROM spamcheck.protect({})", self.protect),
        );
        assert_eq!(sorted(&found), sorted(&words(self.mapping)));
        let status: serde_json::Value = client
            .query_one("SELECT status FROM spamcheck.protected_table", &[])
            .expect("it is protected")
            .get(0);
        let expected: serde_json::Value = serde_json::from_str(self.status).expect("JSON");
        assert_eq!(status, expected);
        let stored: Vec<String> = SUBMISSIONS
            .iter()
            .map(|(text, email)| {
                let insert = self.insert.replace("{text}", text).replace("{email}", email);
                texts(&mut client, &format!("{insert} RETURNING concat_ws(' ', {})", self.shown))
                    .concat()
            })
            .collect();
        assert_eq!(stored, self.verdicts);
        let outcomes = texts(
            &mut client,
            "SELECT string_agg(DISTINCT outcome, ' ') FROM spamcheck.spam_checklog
              WHERE row_key IS NOT NULL GROUP BY submission_id ORDER BY submission_id",
        );
        assert_eq!(outcomes, ["moderated", "suppressed"]);
        let logged = texts(
            &mut client,
            "SELECT concat_ws(' ', author, email, host(ip), url, user_agent) FROM spamcheck.recent LIMIT 1",
        );
        assert_eq!(logged, [self.logged]);
    }
}

/// `field=source` pairs; a source in brackets or braces may hold blanks nowhere.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn sorted(rows: &[String]) -> Vec<&str> {
    let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    rows.sort_unstable();
    rows
}
