//! The triggers of a protected table: their names, their events, and how they are made and dropped. They
//! are the only record of which table a protection is for.

use serde_json::json;

use super::described::Described;
use crate::renames;
use crate::rights;
use crate::spi::{self, Arg};

/// The names sort behind those of the app's triggers, so that nothing changes a row after its verdict.
const GUARD: &str = "zzzz_spamcheck_guard";
const RECORD: &str = "zzzz_spamcheck_record";

/// Makes the triggers, in place of those that are there.
pub fn make(described: &Described, id: i32) {
    let table = described.display();
    // A row that moves to another partition is updated, deleted here and inserted there; only the
    // three together tell it from a new one.
    let guarded = match described.kind.as_str() {
        "p" => "INSERT OR UPDATE OR DELETE",
        // Also where edits are not judged: statuses and keys are followed, and edits remembered.
        _ => "INSERT OR UPDATE",
    };
    as_protector(|| {
        let fires = fires(described);
        drop(described);
        spi::write(
            &format!(
                "CREATE TRIGGER {GUARD} BEFORE {guarded} ON {table} FOR EACH ROW EXECUTE FUNCTION spamcheck._guard('{id}')"
            ),
            &[],
        );
        spi::write(
            &format!(
                "CREATE TRIGGER {RECORD} AFTER INSERT OR UPDATE ON {table} FOR EACH ROW
                 WHEN (spamcheck._judged({id}, NEW.tableoid, NEW.ctid)) EXECUTE FUNCTION spamcheck._record('{id}')"
            ),
            &[],
        );
        // Of a subscriber of logical replication, who has said ALWAYS or REPLICA.
        for (trigger, when) in fires {
            spi::write(&format!("ALTER TABLE {table} ENABLE {when} TRIGGER {trigger}"), &[]);
        }
    });
}

/// When the triggers that are there fire, if not as they are made. Those that are disabled are not kept so.
fn fires(described: &Described) -> Vec<(String, String)> {
    let name = json!([described.schema, described.name]).to_string();
    spi::json_now(
        "SELECT convert_to(coalesce(json_agg(json_build_array(t.tgname, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END)), '[]')::text, 'UTF8')
           FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
                (SELECT convert_from($1, 'UTF8')::json AS given) g
          WHERE n.nspname = g.given ->> 0 AND c.relname = g.given ->> 1 AND t.tgenabled IN ('A', 'R')
            AND t.tgname IN ('zzzz_spamcheck_guard', 'zzzz_spamcheck_record')",
        &[Arg::Text(&name)],
    )
    .unwrap_or_default()
}

/// With the rights to make triggers that call our functions, and without the event trigger that cleans
/// up after triggers that others drop.
pub fn as_protector<T>(work: impl FnOnce() -> T) -> T {
    renames::while_protecting(|| rights::as_extension(work))
}

/// Whether a trigger of this name is one that protect() made.
pub fn is_ours(name: &str) -> bool {
    [GUARD, RECORD].contains(&name)
}

/// Drops those that are there.
pub fn drop(described: &Described) {
    for trigger in [GUARD, RECORD].into_iter().filter(|t| described.triggers.iter().any(|h| h == t))
    {
        spi::write(&format!("DROP TRIGGER {trigger} ON {}", described.display()), &[]);
    }
}
