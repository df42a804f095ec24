//! protect() and unprotect(): what the caller said and what the table is become a stored mapping and two
//! triggers. Owns the order of the steps; refusals that follow from names and types alone are the
//! engine's mapping module's.

mod described;
pub mod shortfalls;
mod sources;
mod triggers;
pub mod values;
pub mod views;

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::{Article, Mapping, Source, Status, Subscriber, Table};

use crate::access;
use crate::lookups;
use crate::memory;
use crate::protection;
use crate::renames;
use crate::report::{self, notice};
use crate::rights;
use crate::rulebook;
use crate::spi::{self, Arg};
pub use described::{Described, DescribedColumn, may_protect};
use sources::{may_read_sources, may_unsubscribe, resolve};
use values::{constraints_hold, takes_subscriber, values_fit};

/// What the caller said.
pub struct Wish {
    /// The table.
    pub relation: pg_sys::Oid,
    /// The policy's name.
    pub policy: String,
    /// Field to source.
    pub columns: Option<Json>,
    /// Status values.
    pub status: Option<Json>,
    /// The article's table.
    pub article: Option<Json>,
    /// The subscriber's table.
    pub subscriber: Option<Json>,
    /// Whether edits are judged.
    pub on_update: bool,
}

/// Puts a table under a policy; the mapping in force, field and source.
pub fn protect(wish: &Wish) -> Vec<(String, String)> {
    lock(wish.relation);
    let described = may_protect(wish.relation, "protect");
    let table = described.table();
    let (mapping, article, subscriber, status) =
        settle(wish, &table).unwrap_or_else(|refusal| report::refuse_value(refusal));
    let policy_exists = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p WHERE p.name = convert_from($1, 'UTF8')",
            &[Arg::Text(&wish.policy)],
        )
    });
    if policy_exists.is_none() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            Refusal::new(format!("policy \"{}\" does not exist", wish.policy))
                .with_hint("See spamcheck.policy, or make one with spamcheck.create_policy()."),
        );
    }
    let notices = mapping.check(&table).unwrap_or_else(|refusal| report::refuse_value(refusal));
    may_read_sources(wish.relation, &mapping, &described);
    if let Some(subscriber) = &subscriber {
        may_unsubscribe(wish.relation, subscriber, &described);
        takes_subscriber(wish.relation, subscriber);
    }
    values_fit(wish.relation, &status, &described);
    constraints_hold(wish.relation, &status, &described);
    notices.iter().for_each(|text| notice(text));
    missing_verdicts(&status, &described);
    shortfalls::tell(&wish.policy, &mapping, &described);
    if described.key.is_empty() {
        notice(&format!(
            "table {} has no primary key and no UNIQUE index of NOT NULL columns: rows are judged, but Akismet cannot be asked, \
             moderators cannot find a row from the log, and to the checks of earlier rows (duplicate, ip_interval) deleted rows \
             count as if they were there",
            described.display()
        ));
    }
    protection::one_at_a_time();
    let before = described.protection.and_then(|id| rights::as_extension(|| rulebook::stored(id)));
    let id =
        store(wish, described.protection, &mapping, &status, article.as_ref(), subscriber.as_ref());
    if described.protection.is_some() {
        lookups::put_under(id, &wish.policy, &described.display());
        if before.is_some_and(|before| before.status != status.to_json()) {
            views::warn_of_outdated(wish.relation, &described.display());
        }
    }
    triggers::make(&described, id);
    rights::as_extension(access::let_partitions_be_made);
    renames::follow(true);
    mapping.rows()
}

/// The protection of a table that the caller may protect, and the table's name as SQL needs it.
pub fn protection_of(relation: pg_sys::Oid, verb: &str) -> (i32, String) {
    let described = may_protect(relation, verb);
    let Some(id) = described.protection else { not_protected(&described) };
    (id, described.display())
}

fn not_protected(described: &Described) -> ! {
    report::refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Refusal::new(format!("table {} is not protected", described.display()))
            .with_hint("See spamcheck.protected_table."),
    )
}

/// Takes a table out of its policy. Its log rows stay.
pub fn unprotect(relation: pg_sys::Oid) {
    lock(relation);
    let described = may_protect(relation, "unprotect");
    let Some(id) = described.protection else {
        if described.triggers.iter().any(|t| triggers::is_ours(t)) {
            // A copy from another database, under an id that is somebody else's here.
            triggers::as_protector(|| triggers::drop(&described));
            return;
        }
        not_protected(&described)
    };
    triggers::as_protector(|| {
        triggers::drop(&described);
        lookups::drop_all(id, &described.display());
        spi::write("DELETE FROM spamcheck._protection p WHERE p.id = $1", &[Arg::Int(id)]);
        memory::forget(id);
        access::let_partitions_be_made();
    });
}

/// CREATE TRIGGER takes this lock anyway; taking it first keeps the description true. Where triggers are to
/// be dropped, the stronger lock that this takes comes at once: a session that has read the table and is
/// about to write it would deadlock with who has the one and waits for the other.
fn lock(relation: pg_sys::Oid) {
    let guarded = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck._guarded_relation g WHERE g.relation = $1",
            &[Arg::Oid(relation)],
        )
    });
    let mode =
        if guarded.is_some() { pg_sys::AccessExclusiveLock } else { pg_sys::ShareRowExclusiveLock };
    // SAFETY: locks by OID; released at the end of the transaction.
    unsafe { pg_sys::LockRelationOid(relation, mode as i32) };
}

fn settle(
    wish: &Wish,
    table: &Table,
) -> Result<(Mapping, Option<Article>, Option<Subscriber>, Status), Refusal> {
    let article = match &wish.article {
        None | Some(Json::Null) => None,
        Some(given) => {
            let mut article = Article::given(given, table)?;
            let needed: Vec<String> = article.columns().map(str::to_owned).collect();
            article.table = resolve(&article.table, needed.iter())?;
            Some(article)
        }
    };
    let mut mapping = Mapping::find(table);
    if let Some(article) = &article {
        mapping.take_article(article);
    }
    if let Some(given) = wish.columns.as_ref().filter(|given| !given.is_null()) {
        mapping.merge(given, table)?;
    }
    for source in mapping.sources.values_mut() {
        if let Source::Foreign { table: other, key, column, .. } = source {
            *other = resolve(other, key.iter().chain(std::iter::once(&*column)))?;
        }
    }
    let subscriber = match &wish.subscriber {
        None | Some(Json::Null) => None,
        Some(given) => {
            let mut subscriber = Subscriber::given(given, table)?;
            let needed: Vec<String> = subscriber.columns().map(str::to_owned).collect();
            subscriber.table = resolve(&subscriber.table, needed.iter())?;
            Some(subscriber)
        }
    };
    let status = match &wish.status {
        None | Some(Json::Null) => Status::find(table)?,
        Some(given) => {
            let status = Status::given(given, table)?;
            mapping.leave_to(&status, wish.columns.as_ref())?;
            status
        }
    };
    Ok((mapping, article, subscriber, status))
}

fn missing_verdicts(status: &Status, described: &Described) {
    if status.columns().is_empty() {
        notice(&format!(
            "table {} has no status column: verdicts are only logged, except that rejected rows are refused",
            described.display()
        ));
        return;
    }
    let missing = status.missing();
    if !missing.is_empty() {
        notice(&format!(
            "no status value is given for {}: such a verdict is only logged",
            missing.join(" and ")
        ));
    }
}

fn store(
    wish: &Wish,
    known: Option<i32>,
    mapping: &Mapping,
    status: &Status,
    article: Option<&Article>,
    subscriber: Option<&Subscriber>,
) -> i32 {
    let row = serde_json::json!({
        "id": known,
        "policy": wish.policy,
        "columns": mapping.to_json(),
        "status": status.to_json(),
        "article": article.map(Article::to_json),
        "subscriber": subscriber.map(Subscriber::to_json),
        "on_update": wish.on_update,
    });
    let id = rights::as_extension(|| {
        spi::write_returning(
            // Rows keep what verdicts wrote under a former mapping of the status; the last eight are known.
            "INSERT INTO spamcheck._protection AS p (id, policy, columns, status, article, subscriber, on_update)
             SELECT coalesce(r.id, (
                        -- In a copy of the schema alone, triggers carry ids that the sequence has not given yet.
                        SELECT x.id FROM (
                            SELECT nextval('spamcheck._protection_id_seq')::integer AS id
                              FROM generate_series(0, (SELECT count(*) FROM spamcheck._guarded_relation)
                                                      + (SELECT count(*) FROM spamcheck._protection))) x
                         WHERE NOT EXISTS (SELECT FROM spamcheck._guarded_relation g WHERE g.id = x.id)
                           AND NOT EXISTS (SELECT FROM spamcheck._protection t WHERE t.id = x.id)
                         LIMIT 1)), r.policy, r.columns, r.status,
                    nullif(r.article, 'null'), nullif(r.subscriber, 'null'), r.on_update
               FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                 AS r(id integer, policy text, columns jsonb, status jsonb, article jsonb, subscriber jsonb, on_update boolean)
             ON CONFLICT (id) DO UPDATE
                SET policy = excluded.policy, columns = excluded.columns, status = excluded.status,
                    article = excluded.article, subscriber = excluded.subscriber,
                    on_update = excluded.on_update, protected_at = now(), hints = NULL,
                    former_status = CASE WHEN p.status = excluded.status THEN p.former_status
                                         ELSE jsonb_path_query_array(coalesce(p.former_status, '[]') || jsonb_build_array(p.status), '$[last - 7 to last]') END
             RETURNING convert_to(p.id::text, 'UTF8')",
            &[Arg::Text(&row.to_string())],
        )
    });
    match id.into_iter().flatten().next().and_then(|text| text.parse().ok()) {
        Some(id) => id,
        None => error!("pg_spamcheck could not store the protection"),
    }
}
