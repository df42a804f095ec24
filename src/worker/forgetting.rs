//! Forgets what no enabled check needs any longer of the memory of earlier rows. Owns when it looks and
//! what goes: it passes over `spamcheck._seen` from its first page to its last, a stretch at a time, and
//! rests once nothing is left that will grow old, until a session has remembered something new.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::policy::Mode;

use super::presence::transaction;
use crate::shared::Database;
use crate::spi::{self, Arg};
use crate::submission::wall_clock;
use crate::{memory, rights, rulebook};

/// The pause between two looks while there is something to forget.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause while something grows old.
const LONGEST: Duration = Duration::from_secs(3600);
/// Pages that one look passes over.
const PAGES: i32 = 2_048;
/// Rows that one look forgets at most.
const ROWS: i32 = 10_000;

/// What no check asks for is kept for an hour, so that a check may be off for a while; what belongs to no
/// protection for a day: in the middle of a restore, the memory may come before the protections.
const UNNEEDED: i64 = 3_600_000_000;
const ORPHANED: i64 = 24 * UNNEEDED;

/// Where the worker is in passing over the memory.
pub struct Forgetting {
    /// When to look next; None: nothing grows old.
    due: Option<Instant>,
    /// The first page of the next look.
    page: i32,
    /// When the first of the rows that this pass has left goes, in microseconds since the Unix epoch.
    first_to_go: Option<i64>,
    /// How soon something that is remembered now may have to go.
    shortest: Duration,
    settings: u64,
}

/// The rows of one kind of a protection in a stretch of pages.
#[derive(Deserialize)]
struct Group {
    protection: i32,
    kind: i64,
    /// When the oldest came, in microseconds since the Unix epoch.
    oldest: i64,
}

/// What a look found.
struct Look {
    /// Whether the rows that may go were too many for one look.
    more: bool,
    /// The next page, or else how soon something that is remembered now may have to go.
    next: Result<i32, Duration>,
    first_to_go: Option<i64>,
}

impl Forgetting {
    /// A worker that has just started does not know what is there.
    pub fn new() -> Self {
        let due = Some(Instant::now() + PAUSE);
        Self { due, page: 0, first_to_go: None, shortest: PAUSE, settings: rulebook::changes() }
    }

    /// Looks, if it is time to; false: the extension is gone.
    pub fn turn(&mut self, database: &Database) -> bool {
        if database.memory.swap(false, Ordering::AcqRel) {
            self.look_within(self.shortest);
        }
        let settings = rulebook::changes();
        if settings != self.settings {
            self.settings = settings;
            self.look_within(PAUSE);
        }
        if self.due.is_none_or(|due| Instant::now() < due) {
            return true;
        }
        if self.page == 0 {
            self.first_to_go = None;
        }
        let page = self.page;
        let Some(look) =
            transaction("forgetting earlier rows", || rights::as_extension(|| look(page)))
        else {
            return false;
        };
        // What the look itself made the process hear of is no news.
        self.settings = rulebook::changes();
        self.first_to_go = [self.first_to_go, look.first_to_go].into_iter().flatten().min();
        self.due = None;
        match look.next {
            _ if look.more => self.look_within(Duration::from_millis(100)),
            Ok(next) => {
                self.page = next;
                self.look_within(PAUSE);
            }
            Err(shortest) => {
                (self.page, self.shortest) = (0, shortest);
                if let Some(at) = self.first_to_go {
                    let wait = at.saturating_sub(wall_clock()).max(0).unsigned_abs();
                    self.look_within(Duration::from_micros(wait).clamp(PAUSE, LONGEST));
                }
            }
        }
        true
    }

    fn look_within(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// Passes over a stretch of pages.
fn look(page: i32) -> Look {
    let groups: Vec<Group> = spi::json_now(
        "SELECT convert_to(coalesce(json_agg(g), '[]')::text, 'UTF8')
           FROM (SELECT s.protection, s.hash & 3 AS kind,
                        coalesce((extract(epoch FROM min(nullif(s.at, '-infinity'))) * 1000000)::bigint, 0) AS oldest
                   FROM spamcheck._seen s
                  WHERE s.ctid >= format('(%s,0)', $1)::tid AND s.ctid < format('(%s,0)', $1 + $2)::tid
                  GROUP BY s.protection, s.hash & 3) g",
        &[Arg::Int(page), Arg::Int(PAGES)],
    )
    .unwrap_or_default();
    let (mut goes, mut first_to_go) = (Vec::new(), None);
    let now = wall_clock();
    let mut terms = Terms::default();
    for group in &groups {
        let (before, expires) = match terms.of(group) {
            Term::Kept => continue,
            Term::Within(within) => {
                (now.saturating_sub(within), group.oldest.saturating_add(within))
            }
            Term::Unneeded(until) if until <= now => (i64::MAX, until),
            Term::Unneeded(until) => (i64::MIN, until),
        };
        first_to_go = Some(first_to_go.map_or(expires, |first: i64| first.min(expires)));
        if group.oldest <= before {
            let before = (before != i64::MAX).then_some(before);
            goes.push(
                json!({"protection": group.protection, "kind": group.kind, "before": before}),
            );
        }
    }
    let gone = if goes.is_empty() { 0 } else { forget(page, &Json::from(goes)) };
    let pages: i32 = spi::json_now(
        "SELECT convert_to((pg_relation_size('spamcheck._seen') / current_setting('block_size')::bigint)::text, 'UTF8')",
        &[],
    )
    .unwrap_or_default();
    let next = page.saturating_add(PAGES);
    let next = if next < pages { Ok(next) } else { Err(shortest()) };
    Look { more: gone >= ROWS as usize, next, first_to_go }
}

/// The shortest time that any check wants a row remembered for, within what the pauses may be.
fn shortest() -> Duration {
    let policies: Vec<String> = spi::json_now(
        "SELECT convert_to(coalesce(json_agg(DISTINCT p.policy), '[]')::text, 'UTF8') FROM spamcheck._protection p",
        &[],
    )
    .unwrap_or_default();
    let policies: Vec<_> = policies.iter().filter_map(|name| rulebook::policy(name)).collect();
    let checks = policies.iter().flat_map(|policy| policy.checks());
    let shortest =
        checks.flat_map(|check| check.remembers()).filter_map(|memory| memory.within).min();
    let shortest = shortest.map_or(LONGEST, |time| Duration::from_micros(time.unsigned_abs()));
    shortest.clamp(PAUSE, LONGEST)
}

/// Forgets rows of a stretch that came up to a moment, by protection and kind. Those that a session is
/// about to follow stay; see memory/chain.rs.
fn forget(page: i32, goes: &Json) -> usize {
    spi::write(
        "WITH goes AS MATERIALIZED (
             SELECT g.protection, g.kind,
                    CASE WHEN g.before IS NULL THEN 'infinity' ELSE timestamptz 'epoch' + g.before * interval '1 microsecond' END AS before
               FROM json_to_recordset(convert_from($1, 'UTF8')::json) AS g(protection integer, kind bigint, before bigint))
         DELETE FROM spamcheck._seen s
          WHERE s.ctid = ANY (ARRAY(
                SELECT o.ctid FROM spamcheck._seen o JOIN goes g ON g.protection = o.protection AND g.kind = o.hash & 3
                 WHERE o.ctid >= format('(%s,0)', $2)::tid AND o.ctid < format('(%s,0)', $2 + $3)::tid AND o.at <= g.before
                 LIMIT $4 FOR UPDATE OF o SKIP LOCKED))",
        &[Arg::Text(&goes.to_string()), Arg::Int(page), Arg::Int(PAGES), Arg::Int(ROWS)],
    )
}

/// How long rows of a kind are kept.
#[derive(Clone, Copy)]
enum Term {
    /// As long as they are in their table; or nobody can say.
    Kept,
    /// So many microseconds.
    Within(i64),
    /// Nobody asks for them; until then somebody may begin to.
    Unneeded(i64),
}

/// The policies of protections, each asked once a look.
#[derive(Default)]
struct Terms(HashMap<i32, Option<String>>);

impl Terms {
    fn of(&mut self, group: &Group) -> Term {
        let policy = self.0.entry(group.protection).or_insert_with(|| {
            spi::text_now(
                "SELECT convert_to(p.policy, 'UTF8') FROM spamcheck._protection p WHERE p.id = $1",
                &[Arg::Int(group.protection)],
            )
        });
        let Some(policy) = policy else { return unneeded(group, ORPHANED) };
        // In a restore a policy may come later; one that is off may be on again.
        let Some(policy) = rulebook::policy(policy).filter(|p| p.settings.mode != Mode::Off) else {
            return Term::Kept;
        };
        let mut longest = None;
        for check in policy.checks() {
            let memories = check.remembers().into_iter();
            for memory in memories.filter(|m| memory::number(m.kind) == group.kind) {
                longest = longest.max(Some(memory.within.unwrap_or(i64::MAX)));
            }
            if check.failure().is_some() {
                // Nobody knows what it will ask for once it is mended.
                longest = Some(i64::MAX);
            }
        }
        match longest {
            None => unneeded(group, UNNEEDED),
            Some(term) => {
                needed(group);
                if term == i64::MAX { Term::Kept } else { Term::Within(term) }
            }
        }
    }
}

fn needed(group: &Group) {
    spi::write(
        "DELETE FROM spamcheck._unneeded u WHERE u.protection = $1 AND u.kind = $2",
        &[Arg::Int(group.protection), Arg::Int(group.kind as i32)],
    );
}

/// Until when rows are kept that nobody asks for.
fn unneeded(group: &Group, grace: i64) -> Term {
    let args = [Arg::Int(group.protection), Arg::Int(group.kind as i32)];
    spi::write(
        "INSERT INTO spamcheck._unneeded (protection, kind) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &args,
    );
    // A remember() that was cut short must not go on behind rows that are about to be forgotten.
    spi::write(
        "DELETE FROM spamcheck._remembering r WHERE r.protection = $1",
        &[Arg::Int(group.protection)],
    );
    let since: Option<i64> = spi::json_now(
        "SELECT convert_to((extract(epoch FROM u.since) * 1000000)::bigint::text, 'UTF8')
           FROM spamcheck._unneeded u WHERE u.protection = $1 AND u.kind = $2",
        &args,
    );
    Term::Unneeded(since.unwrap_or_else(wall_clock).saturating_add(grace))
}
