//! Who gets mail: a policy may unsubscribe the subscriber of a row that becomes spam, and staff resubscribe.
//! Owns the write into the subscribers' table, made with the rights of the protected table's owner, and the
//! history of both; when it happens is for the triggers, the worker and the moderators to say.

mod name;

use std::panic::AssertUnwindSafe;

use pgrx::{PgLogLevel, PgSqlErrorCode, function_name, pg_sys};
use serde_json::json;
use spamcheck_engine::mapping::Subscriber;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::verdict::Verdict;

use crate::constraints::{self, Reach};
use crate::protection::{self, Described, Protection, Stored};
use crate::rights;
use crate::row::Row;
use crate::rulebook;
use crate::spi::{self, Arg, quoted};
use crate::subtransaction::{self, Failure};

pub use name::name_of;

/// One subscriber, as a protected table names them.
pub struct Subscription {
    protection: i32,
    root: pg_sys::Oid,
    relation: String,
    subscriber: Subscriber,
    /// The texts of the columns that say who.
    key: Vec<String>,
}

impl Subscription {
    /// The subscriber that a row names.
    pub fn of_row(protection: &Protection, row: Row<'_>) -> Option<Self> {
        let (subscriber, from) = protection.subscriber.as_ref()?;
        Some(Self {
            protection: protection.id,
            root: protection.root,
            relation: protection.relation.clone(),
            subscriber: subscriber.clone(),
            key: from.iter().map(|column| row.text(*column)).collect::<Option<_>>()?,
        })
    }

    /// The subscriber of a row with this verdict, if the policy unsubscribes them.
    pub fn to_end(protection: &Protection, row: Row<'_>, verdict: Verdict) -> Option<Self> {
        let settings = &protection.policy.settings;
        let ends = settings.unsubscribe && settings.mode == Mode::Enforce;
        (ends && verdict >= Verdict::Spam).then(|| Self::of_row(protection, row)).flatten()
    }

    /// The subscriber of this name, as a protection knows them; None: it knows no subscribers, or none
    /// that are named like that.
    pub fn named(name: &str, stored: &Stored, described: &Described) -> Option<Self> {
        let subscriber = Subscriber::from_json(stored.subscriber.as_ref()?).ok()?;
        let key = match subscriber.key.len() {
            1 => vec![name.to_owned()],
            several => serde_json::from_str(name)
                .ok()
                .filter(|texts: &Vec<String>| texts.len() == several)?,
        };
        Some(Self {
            protection: stored.id,
            root: pg_sys::Oid::from(described.root),
            relation: format!("{}.{}", quoted(&described.schema), quoted(&described.name)),
            subscriber,
            key,
        })
    }

    /// The name by which the history knows them: their key as text, an array of several columns.
    pub fn name(&self) -> String {
        name::of(&self.key)
    }

    /// The table that they are in, as it stands in SQL.
    pub fn table(&self) -> &str {
        &self.subscriber.table
    }

    /// Unsubscribes who is subscribed, because of a submission; whether that changed anything. An error is
    /// one of the subscribers' table.
    pub fn unsubscribe(&self, submission_id: Option<i64>) -> Result<bool, Failure> {
        let Subscriber { subscribed, unsubscribed, .. } = &self.subscriber;
        let changed = self.set(subscribed, unsubscribed)?;
        if changed {
            self.note("unsubscribe_spamcheck", submission_id);
        }
        Ok(changed)
    }

    /// [`Self::unsubscribe`] on behalf of somebody who inserts a row: that must not fail over a mailing list.
    pub fn unsubscribe_or_log(&self, submission_id: Option<i64>) {
        if let Err(failure) = self.unsubscribe(submission_id) {
            self.log(&failure);
        }
    }

    /// Says in the server's log why somebody is not unsubscribed.
    pub fn log(&self, failure: &Failure) {
        pg_sys::panic::ErrorReport::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("the subscriber of a spam row of {} is not unsubscribed", self.relation),
                function_name!(),
            )
            .set_detail(format!("{}.", failure.message))
            .set_hint(match self.owner_may() {
                true => format!(
                    "See what stands against it in {}; spamcheck.report_spam() of the row unsubscribes, too.",
                    self.subscriber.table
                ),
                false => format!(
                    "The owner of {} needs UPDATE on column {} of {}.",
                    self.relation, self.subscriber.column, self.subscriber.table
                ),
            })
            .report(PgLogLevel::LOG);
    }

    /// Whether it is not for want of a right that the table's owner cannot unsubscribe anybody.
    fn owner_may(&self) -> bool {
        let owner = rights::owner_of(self.root);
        let may: Option<bool> = rights::as_extension(|| {
            spi::json_now(
                "SELECT convert_to(coalesce(bool_and(
                            has_schema_privilege($1, c.relnamespace, 'USAGE')
                            AND has_column_privilege($1, c.oid, a.attnum, 'UPDATE')
                            AND has_any_column_privilege($1, c.oid, 'SELECT')), true)::text, 'UTF8')
                   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                  WHERE c.oid = to_regclass(convert_from($2, 'UTF8')) AND a.attname = convert_from($3, 'UTF8')",
                &[
                    Arg::Oid(owner),
                    Arg::Text(&self.subscriber.table),
                    Arg::Text(&self.subscriber.column),
                ],
            )
        });
        may.unwrap_or(true)
    }

    /// Subscribes again who was unsubscribed because of spam; whether that changed anything.
    pub fn resubscribe(&self, submission_id: Option<i64>) -> Result<bool, Failure> {
        if !self.is_ended_by_us() {
            return Ok(false);
        }
        let Subscriber { subscribed, unsubscribed, .. } = &self.subscriber;
        let changed = self.set(unsubscribed, subscribed)?;
        if changed {
            self.note("resubscribe", submission_id);
        }
        Ok(changed)
    }

    /// Whether the last that the history knows is an unsubscription.
    fn is_ended_by_us(&self) -> bool {
        let last = rights::as_extension(|| {
            spi::text_now(
                "SELECT convert_to(h.change, 'UTF8') FROM spamcheck.subscription_history h
                  WHERE h.subscriber = convert_from($1, 'UTF8')
                    AND (h._protection = $2
                         OR h.relation = convert_from($3, 'UTF8')
                            AND NOT EXISTS (SELECT FROM spamcheck._protection p WHERE p.id = h._protection))
                  ORDER BY h.id DESC LIMIT 1",
                &[Arg::Text(&self.name()), Arg::Int(self.protection), Arg::Text(&self.relation)],
            )
        });
        last.as_deref() == Some("unsubscribe_spamcheck")
    }

    /// Whether the subscribers' table still says so; also if it cannot be read.
    pub fn is_still_unsubscribed(&self) -> bool {
        let found = subtransaction::attempt(AssertUnwindSafe(|| {
            let (condition, _) = self.condition();
            let query = format!(
                "SELECT pg_catalog.convert_to('yes', 'UTF8') FROM {} s WHERE {condition}",
                self.subscriber.table
            );
            let args = self.args(&self.subscriber.unsubscribed);
            rights::as_reader_of(self.root, || spi::text_once(&query, &args))
        }));
        found.map_or(true, |found| found.is_some())
    }

    fn set(&self, from: &str, to: &str) -> Result<bool, Failure> {
        constraints::attempt(self.root, &[&self.subscriber.table], Reach::Own, || {
            let (condition, type_name) = self.condition();
            let statement = format!(
                "UPDATE {} s SET {} = ${}::{type_name} WHERE {condition}",
                self.subscriber.table,
                quoted(&self.subscriber.column),
                self.key.len() + 2
            );
            let mut args = self.args(from);
            args.push(Arg::Value(to));
            rights::as_owner_of(self.root, || spi::write(&statement, &args)) > 0
        })
    }

    fn args<'a>(&'a self, value: &'a str) -> Vec<Arg<'a>> {
        std::iter::once(value).chain(self.key.iter().map(String::as_str)).map(Arg::Value).collect()
    }

    /// The condition that finds the subscriber with a value in `s`, and the type of that value.
    fn condition(&self) -> (String, String) {
        let Subscriber { table, key, column, .. } = &self.subscriber;
        let operators = rights::as_extension(|| protection::operators_of(table));
        if operators.is_empty() {
            pgrx::error!("table {table} is gone");
        }
        let names = std::iter::once(column).chain(key);
        let conditions = names.enumerate().map(|(n, name)| {
            let Some((type_name, operator)) = operators.get(name) else {
                pgrx::error!("table {table} has no column \"{name}\" any more");
            };
            format!("s.{} {operator} ${}::{type_name}", quoted(name), n + 1)
        });
        let condition = conditions.collect::<Vec<_>>().join(" AND ");
        let type_name = operators.get(column).map(|(type_name, _)| type_name.clone());
        (condition, type_name.unwrap_or_default())
    }

    fn note(&self, change: &str, submission_id: Option<i64>) {
        let row = json!({
            "subscriber": self.name(),
            "relation": self.relation,
            "change": change,
            "changed_by": rights::session_user(),
            "submission_id": submission_id,
            "protection": self.protection,
        });
        rights::as_extension(|| {
            spi::write_json(
                "INSERT INTO spamcheck.subscription_history (subscriber, relation, change, changed_by, log_id, _protection)
                 SELECT r.subscriber, r.relation, r.change, r.changed_by,
                        (SELECT min(l.id) FROM spamcheck.spam_checklog l WHERE l.submission_id = r.submission_id), r.protection
                   FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                     AS r(subscriber text, relation text, change text, changed_by name, submission_id bigint, protection integer)",
                &row.to_string(),
            )
        });
    }

    /// The condition that finds the subscriber's rows in the protected table `t`, with its parameters.
    pub fn rows(&self) -> Option<(String, Vec<String>)> {
        let operators = rights::as_extension(|| protection::operators_of(&self.relation));
        let conditions = self.subscriber.from.iter().enumerate().map(|(n, name)| {
            let (type_name, operator) = operators.get(name)?;
            Some(format!("t.{} {operator} ${}::{type_name}", quoted(name), n + 1))
        });
        Some((conditions.collect::<Option<Vec<_>>>()?.join(" AND "), self.key.clone()))
    }
}

/// The last change of a subscriber in one protected table.
#[derive(serde::Deserialize)]
pub struct LastChange {
    /// The protection.
    pub protection: i32,
    /// Whether it ended a subscription.
    pub ended: bool,
    /// The day, as ActionKit writes it: `Wed Mar 11, 2015`.
    pub day: String,
}

/// What the history knows of a subscriber, for each protected table, the latest first.
pub fn history_of(subscriber: &str) -> Vec<LastChange> {
    let texts = rights::as_extension(|| {
        spi::texts_now(
            "SELECT convert_to(to_jsonb(c)::text, 'UTF8') FROM (
                 SELECT DISTINCT ON (n.protection) n.protection, h.change = 'unsubscribe_spamcheck' AS ended,
                        to_char(h.changed_at, 'Dy Mon FMDD, YYYY') AS day, h.id
                   FROM spamcheck.subscription_history h
                   LEFT JOIN spamcheck._protection p ON p.id = h._protection
                   -- A table may have been unprotected and protected again.
                   LEFT JOIN spamcheck._protected_relation r ON p.id IS NULL AND r.relation = to_regclass(h.relation),
                        LATERAL (SELECT coalesce(p.id, r.id, h._protection) AS protection) n
                  WHERE h.subscriber = convert_from($1, 'UTF8')
                  ORDER BY n.protection, h.id DESC) c ORDER BY c.id DESC",
            &[Arg::Text(subscriber)],
        )
    });
    texts.into_iter().flatten().filter_map(|text| serde_json::from_str(&text).ok()).collect()
}

/// Whom a submission unsubscribed, by name.
pub fn ended_by(protection: i32, submission_id: i64) -> Option<String> {
    rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(h.subscriber, 'UTF8') FROM spamcheck.subscription_history h
              WHERE h._protection = $1 AND h.change = 'unsubscribe_spamcheck'
                AND h.log_id IN (SELECT l.id FROM spamcheck.spam_checklog l WHERE l.submission_id = $2)
              ORDER BY h.id DESC LIMIT 1",
            &[Arg::Int(protection), Arg::Big(submission_id)],
        )
    })
}

/// Whether the last that the history knows of somebody, in the table of a submission, is that it unsubscribed them.
pub fn was_ended_last_by(name: &str, submission_id: i64) -> bool {
    let last = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck.subscription_history h
              WHERE h.subscriber = convert_from($1, 'UTF8') AND h.change = 'unsubscribe_spamcheck'
                AND h.log_id IN (SELECT l.id FROM spamcheck.spam_checklog l WHERE l.submission_id = $2)
                AND NOT EXISTS (SELECT FROM spamcheck.subscription_history x
                                 WHERE x.subscriber = h.subscriber AND x._protection = h._protection AND x.id > h.id)",
            &[Arg::Text(name), Arg::Big(submission_id)],
        )
    });
    last.is_some()
}

/// The subscriber of this name in a protection, and the table, if both are there.
pub fn known_as(name: &str, protection: i32) -> Option<Subscription> {
    let (stored, described) = rights::as_extension(|| {
        Some((rulebook::stored(protection)?, rulebook::describe(protection)?))
    })?;
    Subscription::named(name, &stored, &described)
}
