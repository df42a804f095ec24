//! resubscribe() and subscriber_status(): ActionKit's page of a user who was marked as a comment spammer,
//! with its two buttons. Owns which tables and rows are meant by a subscriber's name.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use serde_json::Value as Json;

use super::answer::Answer;
use super::not_spam::release_row;
use super::place::Place;
use crate::rights;
use crate::spi;
use crate::stored_row;
use crate::subscription::{self, Subscription};
use crate::subtransaction;

/// Resubscribes wherever a subscriber was unsubscribed because of spam, and restores their rows if wanted.
pub fn resubscribe(subscriber: &str, restore_rows: bool) -> Answer {
    let subscriber = &subscription::name_of(subscriber);
    let ended: Vec<Subscription> = subscription::history_of(subscriber)
        .iter()
        .filter(|last| last.ended)
        .filter_map(|last| subscription::known_as(subscriber, last.protection))
        .filter(Subscription::is_still_unsubscribed)
        .collect();
    // Rows before subscribers, as all other decisions have it: two that met halfway would be a deadlock. With a
    // row its subscriber may come back already.
    let restored = if restore_rows { restore_rows_of(subscriber) } else { 0 };
    let (mut resubscribed, mut failure, mut tables) = (0, None, BTreeSet::new());
    for subscription in &ended {
        match subscription.resubscribe(None) {
            Ok(changed) => {
                let changed = changed || !subscription.is_still_unsubscribed();
                resubscribed += usize::from(changed);
                tables.extend(changed.then(|| subscription.table().to_owned()));
            }
            Err(why) => failure = Some(why),
        }
    }
    let who = match (resubscribed, failure) {
        (0, Some(why)) => format!("{subscriber} could not be resubscribed: {}", why.message),
        (0, None) => format!("{subscriber} is not unsubscribed because of spam"),
        _ if tables.len() > 1 => {
            let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
            format!(
                "{subscriber} is subscribed again in {}, which may be different people",
                tables.join(" and in ")
            )
        }
        _ => format!("{subscriber} is subscribed again"),
    };
    let rows = match (restore_rows, restored) {
        (false, _) => String::new(),
        (true, 0) => "; there was no row to restore".to_owned(),
        (true, 1) => "; one row was restored".to_owned(),
        (true, many) => format!("; {many} rows were restored"),
    };
    let status = if resubscribed + restored == 0 { "already" } else { "done" };
    let mut answer = Answer::new(status, format!("{who}{rows}."))
        .with("subscriber", subscriber.as_str())
        .with("resubscribed", resubscribed > 0);
    if restore_rows {
        answer.set("rows", restored);
    }
    answer
}

/// Gives the rows of a subscriber that were suppressed their own status back; how many there were.
fn restore_rows_of(subscriber: &str) -> usize {
    let protections = rights::as_extension(|| {
        spi::json_now::<Vec<i32>>(
            "SELECT convert_to(coalesce(jsonb_agg(p.id ORDER BY p.id), '[]')::text, 'UTF8')
               FROM spamcheck._protection p WHERE p.subscriber IS NOT NULL",
            &[],
        )
    });
    let mut restored = 0;
    for place in protections.unwrap_or_default().into_iter().filter_map(Place::open) {
        let Some(named) = Subscription::named(subscriber, &place.stored, &place.described) else {
            continue;
        };
        for row_key in keys_of_rows(&place, &named) {
            restored += usize::from(release_row(&place, &row_key));
        }
    }
    restored
}

/// The keys of the rows that name a subscriber. A name that the table's columns do not take names nobody.
fn keys_of_rows(place: &Place, named: &Subscription) -> Vec<Json> {
    let Some((condition, parameters)) = named.rows() else { return Vec::new() };
    let key: Vec<String> = place
        .described
        .key
        .iter()
        .map(|(name, ..)| {
            let literal = name.replace('\'', "''");
            format!("'{literal}', t.{}", spi::quoted(name))
        })
        .collect();
    if key.is_empty() {
        return Vec::new();
    }
    // One text for all of them.
    let query = format!(
        "SELECT pg_catalog.convert_to(coalesce(pg_catalog.jsonb_agg(k.key ORDER BY k.key), '[]')::pg_catalog.text, 'UTF8')
           FROM (SELECT pg_catalog.jsonb_build_object({}) AS key FROM {} t WHERE {condition}) k",
        key.join(", "),
        stored_row::table(&place.described)
    );
    let args = spi::values(&parameters);
    let found = subtransaction::attempt(AssertUnwindSafe(|| {
        rights::as_reader_of(place.root(), || spi::json_once::<Vec<Json>>(&query, &args))
    }));
    found.ok().flatten().unwrap_or_default()
}

/// `Unsubscribed for Comment Spamming since Wed Mar 11, 2015`, as ActionKit shows it; None: is not.
pub fn subscriber_status(subscriber: &str) -> Option<String> {
    let subscriber = &subscription::name_of(subscriber);
    let history = subscription::history_of(subscriber);
    let ended = history.iter().filter(|last| last.ended).find(|last| {
        subscription::known_as(subscriber, last.protection)
            .is_none_or(|subscription| subscription.is_still_unsubscribed())
    })?;
    Some(format!("Unsubscribed for Comment Spamming since {}", ended.day))
}
