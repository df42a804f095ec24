//! What hangs together among the extension's own tables: settings on their policy, entries on their
//! list. Foreign keys would say it, but a parallel restore loads tables in any order (sql/tables.sql).
//! Called by the triggers of validation.rs.

use std::cell::Cell;
use std::collections::BTreeSet;

use pgrx::PgSqlErrorCode;
use serde::Deserialize;
use serde_json::Value as Json;
use spamcheck_engine::lists::ListKind;
use spamcheck_engine::options::OptionKind;
use spamcheck_engine::{CHECKS, Refusal};

use crate::report;
use crate::rights;
use crate::spi::{self, Arg};

thread_local! {
    static UNCHECKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether rows are being written that need no check, because the extension itself writes them.
pub fn unchecked() -> bool {
    UNCHECKED.get()
}

/// Runs `work` as the extension; what it writes into the extension's tables is not checked.
pub fn without_checks<T>(work: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            UNCHECKED.set(false);
        }
    }
    UNCHECKED.set(true);
    let _reset = Reset;
    rights::as_extension(work)
}

/// What hangs on a policy or list goes with it; a policy that tables are under does not go.
pub fn drop_dependents(table: &str, name: &str) {
    rights::as_extension(|| {
        if table == "list" {
            warn_if_named(name);
            spi::write(
                "DELETE FROM spamcheck.list_entry e WHERE e.list = convert_from($1, 'UTF8')",
                &[Arg::Text(name)],
            );
            return;
        }
        let under: Vec<String> = spi::texts_now(
            "SELECT convert_to(r.relation::regclass::text, 'UTF8') FROM spamcheck._protection p
               JOIN spamcheck._protected_relation r ON r.id = p.id WHERE p.policy = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        )
        .into_iter()
        .flatten()
        .collect();
        if !under.is_empty() {
            report::refuse(
                PgSqlErrorCode::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                Refusal::new(format!("policy \"{name}\" is in use"))
                    .with_detail(format!("Tables under it: {}.", under.join(", ")))
                    .with_hint("Call spamcheck.protect() with another policy, or spamcheck.unprotect(), first."),
            );
        }
        remember_retention(name);
        // Protections whose table is gone keep nobody's rows.
        without_checks(|| {
            for dependent in ["check_setting", "_protection"] {
                spi::write(
                    &format!(
                        "DELETE FROM spamcheck.{dependent} d WHERE d.policy = convert_from($1, 'UTF8')"
                    ),
                    &[Arg::Text(name)],
                );
            }
        });
    });
}

/// What was logged under a policy that goes is still purged by its retention, and kept if it has none.
fn remember_retention(policy: &str) {
    let policy = [Arg::Text(policy)];
    spi::write(
        "DELETE FROM spamcheck._dropped_policy d WHERE d.policy = convert_from($1, 'UTF8')",
        &policy,
    );
    spi::write(
        "INSERT INTO spamcheck._dropped_policy (policy, retention)
         SELECT p.name, p.retention FROM spamcheck.policy p
          WHERE p.name = convert_from($1, 'UTF8') AND p.retention IS NOT NULL",
        &policy,
    );
}

/// Checks that a policy has no setting for, as a sentence for each policy: somebody has deleted them.
pub fn missing_settings() -> Vec<String> {
    // As a statement that may write: it must see what the statement at hand has deleted.
    let missing = rights::as_extension(|| {
        spi::write_returning(
            "SELECT convert_to(format('policy \"%s\" has no setting for %s', p.name, m.checks), 'UTF8')
               FROM spamcheck.policy p
              CROSS JOIN LATERAL (
                    SELECT string_agg(c.c ->> 'name', ', ' ORDER BY c.n) AS checks
                      FROM jsonb_array_elements(spamcheck._catalogue()) WITH ORDINALITY c(c, n)
                     WHERE NOT EXISTS (SELECT FROM spamcheck.check_setting s
                                        WHERE s.policy = p.name AND s.check_name = c.c ->> 'name')) m
              WHERE m.checks IS NOT NULL ORDER BY p.name",
            &[],
        )
    });
    missing.into_iter().flatten().collect()
}

/// What to do about them.
pub const MAKE_SETTINGS: &str = "A check is switched off by UPDATE spamcheck.check_setting SET enabled = false. To have a setting again, INSERT one, such as ('default', 'links', true, 'moderate', 5, '{}').";

/// Settings were deleted: no later UPDATE would find them, and nothing else would tell.
pub fn warn_of_missing_settings() {
    for missing in missing_settings() {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            missing,
            "A check without a setting is not made, and an UPDATE finds nothing to switch on."
                .into(),
            MAKE_SETTINGS,
        );
    }
}

/// All rows of a table are about to go at once: what hangs on each goes, or it stays.
pub fn drop_all_dependents(table: &str) {
    let names = match table {
        "policy" => "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p ORDER BY p.name",
        "list" => "SELECT convert_to(l.name, 'UTF8') FROM spamcheck.list l ORDER BY l.name",
        _ => return,
    };
    let names = rights::as_extension(|| spi::texts_now(names, &[]));
    for name in names.into_iter().flatten() {
        drop_dependents(table, &name);
    }
}

/// A check without its list fails on every submission: that is said, and allowed.
fn warn_if_named(list: &str) {
    let named = that_name(list).into_iter().filter(|one| one.enabled).map(|one| one.check);
    let checks: Vec<String> = named.collect::<BTreeSet<_>>().into_iter().collect();
    if !checks.is_empty() {
        let checks = checks.join(", ");
        report::warn(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("list \"{list}\" is named by the settings of check {checks}"),
            "Without it the check fails on every submission, and on_error decides.".into(),
            "Take it out of the check's options, or make the list again.",
        );
    }
}

/// A setting of a check, enabled or not, that names a list in one of its options.
#[derive(Deserialize)]
pub struct Naming {
    check: String,
    option: String,
    policy: String,
    enabled: bool,
}

impl Naming {
    /// The kind of the lists that the option takes.
    pub fn takes(&self) -> Option<ListKind> {
        let check = CHECKS.iter().find(|check| check.name() == self.check)?;
        let option = check.options().iter().find(|option| option.name == self.option)?;
        if let OptionKind::Lists(kind) = option.kind { Some(kind) } else { None }
    }
}

impl std::fmt::Display for Naming {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} of policy \"{}\"", self.check, self.policy)
    }
}

/// The settings that name a list.
pub fn that_name(list: &str) -> Vec<Naming> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(jsonb_build_object('check', s.check_name, 'option', o ->> 'name', 'policy', s.policy, 'enabled', s.enabled)
                                                  ORDER BY s.check_name, s.policy), '[]')::text, 'UTF8')
               FROM spamcheck.check_setting s, jsonb_array_elements(spamcheck._catalogue()) c,
                    jsonb_array_elements(c -> 'options') o
              WHERE c ->> 'name' = s.check_name AND o ->> 'type' = 'lists'
                AND coalesce(s.options -> (o ->> 'name'), o -> 'default') ? convert_from($1, 'UTF8')",
            &[Arg::Text(list)],
        )
    })
    .unwrap_or_default()
}

/// What remember() had reached under a policy says nothing any more: while a check was off, or asked for
/// other rows, none was remembered as it came.
pub fn remember_anew(table: &str, old: Option<&Json>, new: &Json) {
    let (policy, columns): (&str, &[&str]) = match table {
        "policy" => ("name", &["mode", "types"]),
        "check_setting" => ("policy", &["enabled", "options"]),
        _ => return,
    };
    if old.is_some_and(|old| columns.iter().all(|column| old[column] == new[column])) {
        return;
    }
    rights::as_extension(|| {
        spi::write(
            "DELETE FROM spamcheck._remembering r USING spamcheck._protection p
              WHERE p.id = r.protection AND p.policy = convert_from($1, 'UTF8')",
            &[Arg::Text(new[policy].as_str().unwrap_or_default())],
        );
    });
}

/// Rows that name a policy or list by its old name follow, and so do the options of checks
/// that name a list.
pub fn rename_dependents(table: &str, old: &Json, new: &Json) {
    let name = |row: &Json| row["name"].as_str().unwrap_or_default().to_owned();
    let (old, new) = (&name(old), &name(new));
    let dependents: &[(&str, &str)] = match table {
        "policy" => &[
            ("check_setting", "policy"),
            ("_protection", "policy"),
            ("lookup", "policy"),
            ("_mail", "policy"),
            ("_mailing", "policy"),
            ("spam_checklog", "policy"),
        ],
        "list" => &[("list_entry", "list")],
        _ => return,
    };
    if old == new {
        return;
    }
    without_checks(|| {
        if table == "list" {
            rename_in_options(old, new);
        }
        for (dependent, column) in dependents {
            spi::write(
                &format!(
                    "UPDATE spamcheck.{dependent} d SET {column} = convert_from($2, 'UTF8')
                      WHERE d.{column} = convert_from($1, 'UTF8')"
                ),
                &[Arg::Text(old), Arg::Text(new)],
            );
        }
    });
}

/// Options that name a list name it by its new name, also where they were left to their defaults.
fn rename_in_options(old: &str, new: &str) {
    spi::write(
        "UPDATE spamcheck.check_setting s SET options = s.options || n.options
           FROM (SELECT t.policy, t.check_name, jsonb_object_agg(o ->> 'name', (
                            SELECT jsonb_agg(CASE l.name WHEN convert_from($1, 'UTF8') THEN convert_from($2, 'UTF8') ELSE l.name END
                                             ORDER BY l.number)
                              FROM jsonb_array_elements_text(x.named) WITH ORDINALITY l(name, number))) AS options
                   FROM spamcheck.check_setting t, jsonb_array_elements(spamcheck._catalogue()) c,
                        jsonb_array_elements(c -> 'options') o,
                        LATERAL (SELECT coalesce(t.options -> (o ->> 'name'), o -> 'default') AS named) x
                  WHERE c ->> 'name' = t.check_name AND o ->> 'type' = 'lists'
                    AND jsonb_typeof(x.named) = 'array' AND x.named ? convert_from($1, 'UTF8')
                  GROUP BY t.policy, t.check_name) n
          WHERE n.policy = s.policy AND n.check_name = s.check_name",
        &[Arg::Text(old), Arg::Text(new)],
    );
}
