//! Whether the protected tables have their triggers and all columns that their mappings name. All that is wrong
//! is told, what leaves rows unjudged first.

use std::borrow::Cow;

use super::{Item, bad, ok, statuses};
use crate::protect::shortfalls;
use crate::renames::missing::{self, Elsewhere};
use crate::uncovered::{self, Uncovered};
use crate::{rights, spi};

const AGAIN: &str = "Call spamcheck.protect() for the table again.";

/// One thing that is wrong, and what helps.
struct Trouble {
    message: String,
    hint: Cow<'static, str>,
}

impl Trouble {
    /// None, if it concerns nothing.
    fn of(
        what: &[String],
        hint: &'static str,
        message: impl FnOnce(&str) -> String,
    ) -> Option<Self> {
        (!what.is_empty()).then(|| Self { message: message(&what.join(", ")), hint: hint.into() })
    }
}

pub fn tables() -> Item {
    let (count, idle) = guarded();
    let errors: Vec<Trouble> = [orphans(), without_policy(), idle].into_iter().flatten().collect();
    let [fields, subscribers] = elsewhere();
    let warnings = [columns(), fields, subscribers, statuses(), uncovered(), required(), unheard()];
    let warnings = warnings.into_iter().flatten();
    let state = if errors.is_empty() { "warning" } else { "error" };
    let mut troubles = errors.into_iter().chain(warnings);
    if let Some(Trouble { mut message, hint }) = troubles.next() {
        let mut hints = vec![hint];
        for other in troubles {
            message = format!("{message}; {}", other.message);
            if !hints.contains(&other.hint) {
                hints.push(other.hint);
            }
        }
        return bad("tables", state, message, hints.join(" "));
    }
    match count {
        0 => bad(
            "tables",
            "warning",
            "no table is protected",
            "SELECT * FROM spamcheck.protect('comments');",
        ),
        1 => ok("tables", "1 table is protected"),
        n => ok("tables", format!("{n} tables are protected")),
    }
}

/// Own columns that mappings name.
fn columns() -> Option<Trouble> {
    Trouble::of(&missing::columns(None), AGAIN, |columns| {
        format!("columns that a mapping names are gone: {columns}")
    })
}

/// Tables of which the policy checks nothing, since all their rows are of one type.
fn uncovered() -> Option<Trouble> {
    let all = uncovered::all();
    let hint = all.first()?.hint().into();
    let sentences: Vec<String> = all.iter().map(Uncovered::sentence).collect();
    Some(Trouble { message: sentences.join("; "), hint })
}

/// Checks that hit every row of a table, since it lacks what they ask for.
fn required() -> Option<Trouble> {
    let all = shortfalls::that_hit_all();
    let hint = all.first()?.hint.clone().into();
    let sentences: Vec<&str> = all.iter().map(|one| one.sentence.as_str()).collect();
    Some(Trouble { message: sentences.join("; "), hint })
}

/// Tables with our triggers, but without a mapping.
fn orphans() -> Option<Trouble> {
    let orphans = found("SELECT convert_to(coalesce(jsonb_agg(g.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._guarded_relation g
              WHERE NOT EXISTS (SELECT FROM spamcheck.protected_table p WHERE p.relation = g.relation)");
    let hint = "Call spamcheck.protect() for the table again, or spamcheck.unprotect().";
    Trouble::of(&orphans, hint, |tables| {
        format!("rows of {tables} go in unjudged: nothing is stored about their protection")
    })
}

/// Other tables that fields come from, or that say who gets mail, and their columns.
fn elsewhere() -> [Option<Trouble>; 2] {
    let Elsewhere { fields, subscribers } = missing::elsewhere(None);
    let fields = Trouble::of(&fields, AGAIN, |gone| {
        format!("fields cannot be read, since what a mapping names is gone: {gone}")
    });
    let subscribers = Trouble::of(&subscribers, AGAIN, |gone| {
        format!("subscribers cannot be unsubscribed, since what a mapping names is gone: {gone}")
    });
    [fields, subscribers]
}

/// Values that status columns do not take any more.
fn statuses() -> Option<Trouble> {
    let hint =
        "Call spamcheck.protect() for the table again, with the values in argument \"status\".";
    Trouble::of(&statuses::refused(), hint, |refused| {
        format!("the status does not take what verdicts write: {refused}")
    })
}

/// Tables under a policy that is not there.
fn without_policy() -> Option<Trouble> {
    let without = found("SELECT convert_to(coalesce(jsonb_agg(r.relation::regclass::text || ' (policy \"' || p.policy || '\")' ORDER BY r.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id
              WHERE NOT EXISTS (SELECT FROM spamcheck.policy y WHERE y.name = p.policy)");
    let hint =
        "spamcheck.create_policy() makes one of that name; spamcheck.protect() names another.";
    Trouble::of(&without, hint, |tables| {
        format!("rows go in unjudged where the policy does not exist: {tables}")
    })
}

/// How many tables are protected, and those of which a trigger does not fire.
fn guarded() -> (i64, Option<Trouble>) {
    let (count, idle): (i64, Vec<String>) = rights::as_extension(|| {
        spi::json_now(
            "WITH guarded AS (
                 SELECT r.relation FROM spamcheck._protected_relation r
                  UNION SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = 'spamcheck._record()'::regprocedure
                  -- Partitions have triggers of their own, which may be switched off there.
                  UNION SELECT c.tgrelid FROM pg_trigger c WHERE c.tgfoid = 'spamcheck._guard()'::regprocedure)
             SELECT convert_to(jsonb_build_array((SELECT count(*) FROM spamcheck._protected_relation), coalesce(jsonb_agg(g.relation::regclass::text ORDER BY g.relation::regclass::text), '[]'))::text, 'UTF8')
               FROM guarded g
              WHERE (SELECT count(DISTINCT t.tgfoid) FROM pg_trigger t
                      WHERE t.tgrelid = g.relation AND t.tgenabled IN ('O', 'A')
                        AND t.tgfoid IN ('spamcheck._guard()'::regprocedure, 'spamcheck._record()'::regprocedure)) < 2",
            &[],
        )
    })
    .unwrap_or_default();
    let hint =
        "ALTER TABLE ... ENABLE TRIGGER ALL, or call spamcheck.protect() for the table again.";
    let idle =
        Trouble::of(&idle, hint, |tables| format!("triggers of {tables} are missing or disabled"));
    (count, idle)
}

/// Tables that a subscription fills, whose triggers do not fire for it.
fn unheard() -> Option<Trouble> {
    let unheard = found("SELECT convert_to(coalesce(jsonb_agg(DISTINCT s.srrelid::regclass::text), '[]')::text, 'UTF8')
               FROM pg_subscription_rel s JOIN pg_trigger t ON t.tgrelid = s.srrelid
              WHERE t.tgfoid = 'spamcheck._guard()'::regprocedure AND t.tgenabled = 'O'");
    let hint = "Where they are to be: ALTER TABLE ... ENABLE ALWAYS TRIGGER zzzz_spamcheck_guard, and the same for zzzz_spamcheck_record.";
    Trouble::of(&unheard, hint, |tables| {
        format!("rows of {tables} that a subscription brings are not judged")
    })
}

/// The names that a query gives as one JSON array.
fn found(query: &'static str) -> Vec<String> {
    rights::as_extension(|| spi::json_now(query, &[])).unwrap_or_default()
}
