//! Owns the check `duplicate`: a body that is already in the table. It must not know how earlier rows
//! are remembered.

use serde_json::json;

use super::ip_interval::length;
use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::surroundings::{Earlier, Memory, Trace, TraceKind};

/// The check `duplicate` (Serendipity: body clone; its plugin "bee" keeps trackbacks to the article).
pub struct Duplicate;

impl Check for Duplicate {
    fn name(&self) -> &'static str {
        "duplicate"
    }

    fn summary(&self) -> &'static str {
        "The same body is already in the table"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "same",
                kind: OptionKind::MayBeOneOf(&["author", "ip", "article"]),
                default: "null",
                meaning: "Only rows with the same author, ip or article count, as they were called \
                          when the row came; null: all rows. A trackback or pingback is one of its \
                          own type and article only",
            },
            OptionSpec {
                name: "window",
                kind: OptionKind::Interval,
                default: "null",
                meaning: "Only rows that came less than this ago (by their `created_at`, if that is \
                          earlier than their arrival) count; null: all rows",
            },
            OptionSpec {
                name: "min_length",
                kind: OptionKind::Integer { min: 0, max: 1_000_000 },
                default: "10",
                meaning: "Bodies with fewer characters, once they are normalised, are not compared",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "The same text again, perhaps with other letter case, blanks or invisible characters, \
         is an advertisement or a double click. It goes by what the extension remembers of the \
         rows it has seen (hashes, addresses and times, no texts), confirmed against the table, \
         so deleted rows do not count and your table needs no index but its primary key (or a \
         UNIQUE one of NOT NULL columns; without either, deleted rows count too, and protect() \
         says so). Rows of types that the policy does not check, and edits that are not judged, \
         count as others do. Of two sessions that send the same text at the same time one is \
         found: a row waits for a row with the same text that is not committed yet, as a unique \
         index makes it wait. So keep transactions short that insert what others may send, too, \
         and where one inserts several rows, sort them by their text: two transactions that \
         insert the same texts in opposite order are a deadlock, one of them gets the error 40P01 \
         and should be tried again. Under REPEATABLE READ and SERIALIZABLE a row that had to wait fails \
         with 40001, and should be tried again as well. `CALL spamcheck.remember('comments')` lets it know the rows that \
         were there before it was enabled, and anew after `same` was changed."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"action = 'spam', options = '{"same": "author"}'"#,
            sql: r#"INSERT INTO comments (author, body) VALUES ('Ann', 'The crust is wonderful.') RETURNING status;
INSERT INTO comments (author, body) VALUES ('Ann', 'The  CRUST is wonderful.'), ('Bob', 'The crust is wonderful.') RETURNING author, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
  status
----------
 approved
(1 row)

 author |  status
--------+----------
 Ann    | spam
 Bob    | approved
(2 rows)

 check_name |  outcome   |                             why
------------+------------+-------------------------------------------------------------
 duplicate  | suppressed | the same body is already in the table, from the same author
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let window = length(self.name(), "window", options, backing)?;
        if matches!(window, Some((_, 0))) {
            return Ok(Compiled::Nothing);
        }
        let same = match options.text("same") {
            Some("author") => Some(Same::Author),
            Some("ip") => Some(Same::Ip),
            Some("article") => Some(Same::Article),
            _ => None,
        };
        let min_length =
            options.integer("min_length").and_then(|least| usize::try_from(least).ok());
        let min_length = min_length.unwrap_or(1);
        Ok(Compiled::local(Comparison { same, window, min_length }))
    }
}

/// What two rows must share besides the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Same {
    Author,
    Ip,
    Article,
}

impl Same {
    const fn name(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Ip => "ip",
            Self::Article => "article",
        }
    }

    const fn kind(self) -> TraceKind {
        match self {
            Self::Author => TraceKind::BodyOfAuthor,
            Self::Ip => TraceKind::BodyOfIp,
            Self::Article => TraceKind::BodyOfArticle,
        }
    }

    /// What a row has of it, as a text.
    fn value(self, facts: &Facts<'_>) -> String {
        match self {
            Self::Author => text(facts, Field::Author).unwrap_or_default().to_owned(),
            Self::Ip => facts.ip().map(|ip| ip.to_string()).unwrap_or_default(),
            Self::Article => {
                let first = ARTICLE.into_iter().find_map(|f| Some((f.name(), text(facts, f)?)));
                first.map_or_else(String::new, |(name, text)| format!("{name}\0{text}"))
            }
        }
    }

    /// Whether two rows share it. What neither has, they share: where no column holds it, the
    /// option narrows nothing.
    fn is_shared(self, facts: &Facts<'_>, earlier: &Facts<'_>) -> bool {
        let same = |field: Field| text(facts, field) == text(earlier, field);
        match self {
            Self::Author => same(Field::Author),
            Self::Ip => facts.ip() == earlier.ip(),
            // The first that the row has tells its article.
            Self::Article => ARTICLE
                .into_iter()
                .find(|field| text(facts, *field).is_some())
                .map_or_else(|| ARTICLE.into_iter().all(same), same),
        }
    }
}

/// Fields that tell an article, the most telling first.
const ARTICLE: [Field; 3] = [Field::Permalink, Field::ArticleTitle, Field::Page];

/// A field's normal form, unless it is blank.
fn text<'f>(facts: &'f Facts<'_>, field: Field) -> Option<&'f str> {
    facts.normalised(field).map(str::trim).filter(|text| !text.is_empty())
}

struct Comparison {
    same: Option<Same>,
    /// As it was given, and in microseconds.
    window: Option<(String, i64)>,
    min_length: usize,
}

impl LocalCheck for Comparison {
    fn reads(&self) -> FieldSet {
        let mut fields = FieldSet::of(&[Field::Body, Field::Type]);
        match self.same {
            Some(Same::Author) => fields.insert(Field::Author),
            Some(Same::Ip) => fields.insert(Field::Ip),
            _ => {}
        }
        // Any row may be a trackback.
        ARTICLE.into_iter().for_each(|field| fields.insert(field));
        fields
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        vec![FieldSet::of(&[Field::Body])]
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::default()
    }

    fn remembers(&self) -> Vec<Memory> {
        let within = self.window.as_ref().map(|(_, window)| *window);
        let own = Memory { kind: self.same.map_or(TraceKind::Body, Same::kind), within };
        // Any row may be a trackback.
        let article = Memory { kind: TraceKind::BodyOfArticle, within };
        if own == article { vec![own] } else { vec![own, article] }
    }

    fn leave_traces(&self, facts: &Facts<'_>) -> Result<(), String> {
        let Some(body) = self.body(facts) else { return Ok(()) };
        for (kind, value) in self.traces(facts, &body) {
            self.earlier(facts, kind, &value, 0, &mut |_| false)?;
        }
        Ok(())
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let Some(body) = self.body(facts) else { return Ok(None) };
        let narrowed = narrowed(facts);
        let mut traces = self.traces(facts, &body);
        // The last is the one that is asked by, the others are left for later rows to ask by.
        let (kind, value) = traces.pop().unwrap_or((TraceKind::Body, String::new()));
        for (kind, value) in traces {
            self.earlier(facts, kind, &value, 0, &mut |_| false)?;
        }
        let found = self.earlier(facts, kind, &value, 1, &mut |row| {
            let shared = |same: Option<Same>| same.is_none_or(|s| s.is_shared(facts, row.facts));
            // What a visitor wrote is no trackback's double.
            let alike = narrowed.is_none() || row.facts.kind() == facts.kind();
            alike && normal(row.facts) == body && shared(self.same) && shared(narrowed)
        })?;
        if found == 0 {
            return Ok(None);
        }
        let same = self.same.or(narrowed).map(Same::name);
        let from = same.map_or_else(String::new, |same| format!(", from the same {same}"));
        let from = from.replace("from the same article", "under the same article");
        let within = self.window.as_ref().map(|(text, _)| text.as_str());
        let recent = within.map_or_else(String::new, |text| format!(", less than {text} old"));
        let hit = Hit::new(
            format!("the same body is already in the table{from}{recent}"),
            json!({"same": same, "window": within}),
        );
        Ok(Some(hit.truncated(facts.truncated(Field::Body))))
    }
}

/// One article that links to two others sends both the same excerpt: it is a double under the same
/// article only.
fn narrowed(facts: &Facts<'_>) -> Option<Same> {
    matches!(facts.kind(), "trackback" | "pingback").then_some(Same::Article)
}

impl Comparison {
    /// The body's normal form, if it is long enough to be compared.
    fn body(&self, facts: &Facts<'_>) -> Option<String> {
        let body = normal(facts);
        body.chars().nth(self.min_length.saturating_sub(1)).is_some().then_some(body)
    }

    /// What the row is remembered by: its body with what `same` says, and a trackback with its own type
    /// and article besides. A comment is compared with trackbacks too, so these leave both.
    fn traces(&self, facts: &Facts<'_>, body: &str) -> Vec<(TraceKind, String)> {
        let shared = self.same.map(|same| same.value(facts));
        let own = match (self.same, &shared) {
            (Some(same), Some(shared)) => (same.kind(), format!("{shared}\0{body}")),
            _ => (TraceKind::Body, body.to_owned()),
        };
        let ping = narrowed(facts).map(|narrowed| {
            let (kind, article) = (facts.kind(), narrowed.value(facts));
            let shared = shared.unwrap_or_default();
            (narrowed.kind(), format!("{kind}\0{article}\0{shared}\0{body}"))
        });
        std::iter::once(own).chain(ping).collect()
    }

    fn earlier(
        &self,
        facts: &Facts<'_>,
        kind: TraceKind,
        value: &str,
        wanted: u32,
        counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        let since = self.window.as_ref().map(|(_, window)| facts.now().saturating_sub(*window));
        facts.surroundings().earlier(Trace { kind, value, since }, wanted, counts)
    }
}

/// The body's normal form, without white space at its ends and with one blank for each inside.
fn normal(facts: &Facts<'_>) -> String {
    let mut body = String::new();
    for word in facts.normalised(Field::Body).unwrap_or_default().split_whitespace() {
        if !body.is_empty() {
            body.push(' ');
        }
        body.push_str(word);
    }
    // What is not looked at is compared as it is written: texts that begin alike are not one.
    let past = facts.past(Field::Body);
    if !past.is_empty() {
        body.push('\0');
        body.push_str(past);
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::checks::remembered::{Table, judged, refused};

    const HOUR: i64 = 3_600_000_000;

    fn hits(options: &Json, earlier: &[Json], submission: &Json) -> bool {
        let mut table = Table::default();
        for submission in earlier {
            table.add(-HOUR, submission.clone());
        }
        judged("duplicate", options, &table, submission).is_some()
    }

    fn text(body: &str) -> Json {
        json!({ "body": body })
    }

    #[test]
    fn bodies_are_compared_in_their_normal_form() {
        let earlier = [text("Buy  cheap PILLS\tnow ")];
        for same in
            ["buy cheap pills now", "BUY\ncheap\u{200B} pi\u{AD}lls  now", "ｂｕｙ cheap pills now"]
        {
            assert!(hits(&json!({}), &earlier, &text(same)), "{same}");
        }
        for other in ["buycheappillsnow", "buy cheap pills now!", "buy cheap pills"] {
            assert!(!hits(&json!({}), &earlier, &text(other)), "{other}");
        }
    }

    #[test]
    fn short_bodies_are_not_compared_and_characters_count_not_bytes() {
        assert!(!hits(&json!({}), &[text("+1 thanks")], &text("+1 thanks")));
        assert!(hits(&json!({}), &[text("+1 thanks!")], &text("+1  thanks!")));
        assert!(!hits(&json!({}), &[text("ありがとう")], &text("ありがとう")));
        assert!(hits(&json!({"min_length": 5}), &[text("ありがとう")], &text("ありがとう")));
        assert!(!hits(&json!({"min_length": null}), &[text("  ")], &text(" ")));
        assert!(!hits(&json!({"min_length": 1}), &[json!({})], &json!({})));
    }

    #[test]
    fn a_row_in_the_window_counts_and_an_older_one_does_not() {
        let earlier = [text("buy cheap pills now")];
        let window = |window: &str| hits(&json!({ "window": window }), &earlier, &earlier[0]);
        assert!(window("61 minutes"));
        assert!(!window("1 hour"));
        assert!(!window("0 seconds"));
    }

    #[test]
    fn same_narrows_it() {
        let row = |author: &str, ip: &str, page: &str| json!({"body": "buy cheap pills now", "author": author, "ip": ip, "page": page});
        let earlier = [row("Ann", "192.0.2.1", "/a"), row("Bob", "192.0.2.2", "/b")];
        for (same, hit, miss) in [
            ("author", row("ann ", "192.0.2.9", "/z"), row("Cy", "192.0.2.1", "/a")),
            ("ip", row("Z", "192.0.2.2", "/z"), row("Ann", "192.0.2.9", "/a")),
            ("article", row("Z", "192.0.2.9", "/b"), row("Ann", "192.0.2.1", "/z")),
        ] {
            assert!(hits(&json!({ "same": same }), &earlier, &hit), "{same}");
            assert!(!hits(&json!({ "same": same }), &earlier, &miss), "{same}");
        }
        assert!(hits(&json!({"same": null}), &earlier, &row("Z", "192.0.2.9", "/z")));
        // What no row has narrows nothing.
        assert!(hits(
            &json!({"same": "ip"}),
            &[text("buy cheap pills now")],
            &text("buy cheap pills now")
        ));
    }

    #[test]
    fn trackbacks_count_under_their_own_article_only() {
        let ping = |kind: &str, to: &str| json!({"body": "read my own article", "type": kind, "permalink": to});
        let earlier = [ping("trackback", "/a")];
        assert!(!hits(&json!({}), &earlier, &ping("trackback", "/b")));
        assert!(!hits(&json!({"same": "author"}), &earlier, &ping("PingBack", "/b")));
        assert!(hits(&json!({}), &earlier, &ping("trackback", "/a")));
        assert!(hits(&json!({}), &earlier, &ping("comment", "/b")));
        assert!(!hits(&json!({}), &[ping("comment", "/a")], &ping("trackback", "/a")));
    }

    #[test]
    fn wrong_options_are_refused() {
        assert!(refused("duplicate", &json!({"same": "page"})).contains("\"author\", \"ip\""));
        assert!(refused("duplicate", &json!({"window": "a while"})).contains("\"window\""));
        assert!(refused("duplicate", &json!({"min_length": -1})).contains("min_length"));
    }
}
