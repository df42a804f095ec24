//! Owns the check `article_age`: submissions to old articles, comments and trackbacks each by their
//! own limit. It must not know where an article's date comes from.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

const DAY: i64 = 86_400_000_000;

const DAYS: OptionKind = OptionKind::Integer { min: 0, max: 36_500 };
const ACTION: OptionKind =
    OptionKind::MayBeOneOf(&["log", "score", "challenge", "moderate", "spam", "reject"]);

/// The check `article_age` (Serendipity's forced moderation after so many days).
pub struct ArticleAge;

impl Check for ArticleAge {
    fn name(&self) -> &'static str {
        "article_age"
    }

    fn summary(&self) -> &'static str {
        "The article is old"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "comment_days",
                kind: DAYS,
                default: "30",
                meaning: "Comments, and whatever is no trackback or pingback, under articles older \
                          than this are found; 0: every one, null: none",
            },
            OptionSpec {
                name: "comment_action",
                kind: ACTION,
                default: "\"moderate\"",
                meaning: "What is done with such a comment; null: the check's action",
            },
            OptionSpec {
                name: "trackback_days",
                kind: DAYS,
                default: "30",
                meaning: "Trackbacks and pingbacks to articles older than this are found; 0: every \
                          one, null: none",
            },
            OptionSpec {
                name: "trackback_action",
                kind: ACTION,
                default: "\"moderate\"",
                meaning: "What is done with such a trackback; null: the check's action",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "Hardly anybody comments on old articles but spammers, and trackbacks to them are rarer \
         still. Comments and trackbacks (with pingbacks) have limits and actions of their own. \
         It needs `article_created_at`, or an `article` with `created_at`, when the table is \
         protected."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"options = '{"comment_days": 60}'"#,
            sql: r#"INSERT INTO comments (article_id, body) VALUES (1, 'Lovely.'), (2, 'Lovely.') RETURNING article_id, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
 article_id |  status
------------+----------
          1 | approved
          2 | pending
(2 rows)

 check_name  |  outcome  |                            why
-------------+-----------+-----------------------------------------------------------
 article_age | moderated | the article is 100 days old, the limit for comments is 60
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let limit = |days: &str, action: &str| {
            Some(Limit {
                days: options.integer(days)?,
                action: options.text(action).and_then(Action::from_name),
            })
        };
        let limits = Limits {
            comment: limit("comment_days", "comment_action"),
            trackback: limit("trackback_days", "trackback_action"),
        };
        if limits.comment.is_none() && limits.trackback.is_none() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(limits))
    }
}

struct Limit {
    days: i64,
    action: Option<Action>,
}

struct Limits {
    comment: Option<Limit>,
    trackback: Option<Limit>,
}

impl LocalCheck for Limits {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Type, Field::ArticleCreatedAt])
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        let limits = [&self.comment, &self.trackback];
        let mut needed = Vec::new();
        if limits.into_iter().flatten().all(|limit| limit.days > 0) {
            needed.push(FieldSet::of(&[Field::ArticleCreatedAt]));
        }
        if self.comment.is_none() {
            needed.push(FieldSet::of(&[Field::Type]));
        }
        needed
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let (what, limit) = match facts.kind() {
            "trackback" | "pingback" => ("trackbacks", &self.trackback),
            _ => ("comments", &self.comment),
        };
        let Some(Limit { days, action }) = limit else { return Ok(None) };
        let hit = if *days == 0 {
            // Whatever the age, known or not.
            Hit::new(format!("all {what} are looked at"), json!({ "limit": 0 }))
        } else if facts.text(Field::ArticleCreatedAt).is_some_and(|t| t.trim() == "-infinity") {
            Hit::new(
                format!("the article is older than any limit, that for {what} is {days}"),
                json!({ "limit": days }),
            )
        } else {
            let Some(written) = facts.time(Field::ArticleCreatedAt) else { return Ok(None) };
            let age = facts.now().saturating_sub(written);
            if age <= days * DAY {
                return Ok(None);
            }
            let age = age / DAY;
            let over = if age == *days { "over " } else { "" };
            Hit::new(
                format!("the article is {over}{age} days old, the limit for {what} is {days}"),
                json!({"days": age, "limit": days}),
            )
        };
        Ok(Some(Hit { action: *action, ..hit }))
    }
}
