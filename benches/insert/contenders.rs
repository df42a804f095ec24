//! The four tables that `insert` compares, and the rules that two of them follow: 500 words, 100
//! patterns, 10,000 networks, 10,000 domains, the same for both. The PL/pgSQL trigger is what a
//! careful user writes without us: rule tables, each with the index that serves it.

use postgres::Client;
use support::texts::Generator;

/// The name of the table that is checked by hand.
pub const HAND: &str = "by_hand";

/// A table to insert into.
pub struct Contender {
    /// The table.
    pub name: &'static str,
    /// What it is, for the reader.
    pub title: &'static str,
}

/// All four; the first is what the others are compared with.
pub const CONTENDERS: &[Contender] = &[
    Contender { name: "bare", title: "bare" },
    Contender { name: "empty_trigger", title: "empty PL/pgSQL trigger" },
    Contender { name: HAND, title: "the checks by hand in PL/pgSQL" },
    Contender { name: "protected", title: "protected by pg_spamcheck" },
];

impl Contender {
    /// The statement that copies a file of the server's into it.
    pub fn copy_from(&self, file: &str) -> String {
        format!("COPY {} (author, email, ip, body) FROM '{file}'", self.name)
    }

    /// The statement that inserts one comment.
    pub fn insert(&self) -> String {
        format!(
            "INSERT INTO {} (author, email, ip, body) VALUES ($1, $2, $3::text::inet, $4)",
            self.name
        )
    }

    /// The statement that empties it.
    pub fn empty(&self) -> String {
        format!("TRUNCATE {}", self.name)
    }
}

const TABLES: &str = "
    CREATE TABLE bare (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        author     text NOT NULL,
        email      text,
        ip         inet,
        body       text NOT NULL,
        status     text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
        created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE empty_trigger (LIKE bare INCLUDING ALL);
    CREATE TABLE by_hand (LIKE bare INCLUDING ALL);
    CREATE TABLE protected (LIKE bare INCLUDING ALL);
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER nothing BEFORE INSERT ON empty_trigger FOR EACH ROW EXECUTE FUNCTION nothing();";

const HAND_RULES: &str = "
    CREATE TABLE rule_word (word text PRIMARY KEY);
    CREATE TABLE rule_pattern (pattern text PRIMARY KEY);
    CREATE TABLE rule_network (network inet PRIMARY KEY);
    CREATE TABLE rule_domain (domain text PRIMARY KEY);
    CREATE INDEX ON rule_network USING gist (network inet_ops);";

// A link's host, and every parent domain of it, is looked up by its name; DOMAINS is dropped from the
// trigger where the extension at hand has no check to compare it with.
const HAND_TRIGGER: &str = r"
    CREATE FUNCTION check_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM rule_network WHERE network >>= NEW.ip) THEN
            NEW.status := 'spam';
        ELSIF EXISTS (SELECT FROM rule_pattern WHERE NEW.email ~* pattern) THEN
            NEW.status := 'spam';
        ELSIF EXISTS (
            SELECT FROM regexp_split_to_table(lower(NEW.author || ' ' || NEW.body), '\W+') AS said (word)
            JOIN rule_word USING (word)
        ) THEN
            NEW.status := 'spam';
        ELSIF (
            SELECT count(DISTINCT link[1]) > 7
            FROM regexp_matches(NEW.body, '(https?://[^\s<>]+|www\.[^\s<>]+)', 'gi') AS link
        ) THEN
            NEW.status := 'pending';
        DOMAINS
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER check_by_hand BEFORE INSERT ON by_hand
        FOR EACH ROW EXECUTE FUNCTION check_by_hand();";

const HAND_DOMAINS: &str = r"
        ELSIF EXISTS (
            SELECT FROM regexp_matches(NEW.body, 'https?://([^\s/<>:]+)', 'gi') AS link,
                string_to_array(lower(link[1]), '.') AS label,
                generate_series(1, cardinality(label)) AS first, rule_domain
            WHERE domain = array_to_string(label[first:], '.')
        ) THEN
            NEW.status := 'spam';";

/// Creates tables and rules, and protects the last table; what the rules are, in a sentence.
pub fn prepare(client: &mut Client) -> String {
    client.batch_execute(TABLES).expect("tables can be created");
    client.batch_execute(HAND_RULES).expect("tables can be created");
    let mut generator = Generator::new(7);
    let mut words: Vec<String> =
        (0..500).map(|n| format!("{}{n}", generator.foreign_word())).collect();
    words.sort();
    let patterns = (0..100).map(|n| format!(r"^{}\d*@bulk{n}\.example$", generator.foreign_word()));
    let patterns: Vec<String> = patterns.collect();
    // None of them within 198.18.0.0/15, where the comments come from.
    let networks = (0..10_000).map(|n| format!("100.{}.{}.0/24", 64 + n / 256 % 64, n % 256));
    let networks: Vec<String> = networks.collect();
    let domains = (0..10_000).map(|n| format!("{}{n}.example", generator.foreign_word()));
    let domains: Vec<String> = domains.collect();
    let by_domain = client
        .query_opt("SELECT FROM spamcheck.checks WHERE name = 'url_blocklist'", &[])
        .expect("the catalogue is there")
        .is_some();
    for (table, list, kind, values) in [
        ("rule_word", "banned_words", "word", &words),
        ("rule_pattern", "email_block", "regex", &patterns),
        ("rule_network", "ip_block", "ip", &networks),
        ("rule_domain", "url_block", "domain", &domains),
    ] {
        let by_hand = format!(
            "INSERT INTO {table} SELECT value::{} FROM unnest($1::text[]) AS value",
            if table == "rule_network" { "inet" } else { "text" }
        );
        client.execute(&by_hand, &[values]).expect("rules can be added");
        client
            .execute(
                "INSERT INTO spamcheck.list (name, kind) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                &[&list, &kind],
            )
            .expect("a list can be added");
        client
            .execute(
                "INSERT INTO spamcheck.list_entry (list, value) SELECT $1, value FROM unnest($2::text[]) AS value",
                &[&list, values],
            )
            .unwrap_or_else(|error| panic!("{list}: {error:?}"));
    }
    client.batch_execute("ANALYZE").expect("a superuser may");
    let trigger = HAND_TRIGGER.replace("DOMAINS", if by_domain { HAND_DOMAINS.trim() } else { "" });
    client.batch_execute(&trigger).unwrap_or_else(|error| panic!("{trigger}: {error:?}"));
    client
        .batch_execute(
            "UPDATE spamcheck.check_setting SET enabled = true
             WHERE policy = 'default' AND check_name = 'url_blocklist'",
        )
        .expect("settings can be changed");
    client.query("SELECT * FROM spamcheck.protect('protected')", &[]).expect("it can be protected");
    format!(
        "Rules of both: 500 words, 100 patterns, 10000 networks, {}links",
        if by_domain { "10000 domains, " } else { "" }
    )
}
