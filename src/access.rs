//! grant_access() and revoke_access(): who may do what, as one table of levels. Owns no rights by itself:
//! every right is an ordinary GRANT that `\dp` shows.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use spamcheck_engine::Refusal;

use crate::protection;
use crate::report;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg, quoted};
use crate::subtransaction;

/// What one level may do: privileges and what they are on.
struct Level {
    name: &'static str,
    grants: &'static [&'static str],
}

/// What moderators call.
const MODERATION: &str = "EXECUTE ON FUNCTION spamcheck.not_spam(bigint), spamcheck.report_spam(regclass, text), spamcheck.approve(regclass, text), \
    spamcheck.delete_spam(bigint), spamcheck.block_from_log(bigint, text, interval), \
    spamcheck.resubscribe(text, boolean), spamcheck.subscriber_status(text)";

const LEVELS: &[Level] = &[
    Level {
        name: "admin",
        grants: &[
            "SELECT, INSERT, UPDATE, DELETE ON spamcheck.policy, spamcheck.check_setting, spamcheck.list, spamcheck.list_entry",
            "SELECT ON spamcheck.spam_checklog, spamcheck.lookup, spamcheck.recent, spamcheck.protected_table, spamcheck.checks, spamcheck.stat_worker, spamcheck.stat_check, spamcheck.stat_table, spamcheck.stat_daily",
            "EXECUTE ON FUNCTION spamcheck.protect(regclass, text, jsonb, jsonb, jsonb, jsonb, boolean), spamcheck.unprotect(regclass), spamcheck.create_policy(text, text), spamcheck.drop_policy(text), spamcheck.retry_lookups(text), spamcheck.stat_reset(), spamcheck.explain(regclass, jsonb), spamcheck.privacy_report(regclass), spamcheck.erase_subject(text, inet), spamcheck.public_view(regclass, text), spamcheck.import_list(text, text, text), spamcheck.health(), spamcheck.akismet_verify_key(), spamcheck.akismet_usage(), spamcheck.akismet_webhook(jsonb), spamcheck.captcha_new(text, regclass), spamcheck._catalogue(), spamcheck._worker_state(), spamcheck._check_times()",
            MODERATION,
            "SELECT ON spamcheck.subscription_history",
            // Who administers says who else does. All that can be given is in this table.
            "EXECUTE ON FUNCTION spamcheck.grant_access(regrole, text), spamcheck.revoke_access(regrole)",
            "EXECUTE ON PROCEDURE spamcheck.remember(regclass)",
        ],
    },
    Level {
        name: "moderator",
        grants: &[
            "SELECT ON spamcheck.spam_checklog, spamcheck.recent, spamcheck.lookup, spamcheck.protected_table, spamcheck.checks, spamcheck.stat_worker, spamcheck.stat_check, spamcheck.stat_table, spamcheck.stat_daily, spamcheck.policy, spamcheck.check_setting",
            "SELECT, INSERT, UPDATE, DELETE ON spamcheck.list, spamcheck.list_entry",
            "EXECUTE ON FUNCTION spamcheck.explain(regclass, jsonb), spamcheck.privacy_report(regclass), spamcheck.erase_subject(text, inet), spamcheck.public_view(regclass, text), spamcheck.import_list(text, text, text), spamcheck.health(), spamcheck.captcha_new(text, regclass), spamcheck._catalogue(), spamcheck._worker_state(), spamcheck._check_times()",
            MODERATION,
            "SELECT ON spamcheck.subscription_history",
        ],
    },
    Level {
        name: "analyst",
        grants: &[
            "SELECT ON spamcheck.spam_checklog, spamcheck.recent, spamcheck.protected_table, spamcheck.checks, spamcheck.stat_worker, spamcheck.stat_check, spamcheck.stat_table, spamcheck.stat_daily",
            "EXECUTE ON FUNCTION spamcheck._catalogue(), spamcheck._worker_state(), spamcheck._check_times()",
        ],
    },
    Level {
        name: "app",
        grants: &[
            "EXECUTE ON FUNCTION spamcheck.akismet_webhook(jsonb), spamcheck.captcha_new(text, regclass)",
        ],
    },
];

#[pg_extern(sql = false)]
fn grant_access(role: Option<pg_sys::Oid>, level: Option<&[u8]>) {
    let oid = role;
    let role = role_name(role);
    let level = &*row::from_server(level.unwrap_or_default());
    let Some(level) = LEVELS.iter().find(|l| l.name == level) else {
        report::refuse_value(
            Refusal::new(format!("access level \"{level}\" does not exist"))
                .with_hint("Levels are admin, moderator, analyst and app."),
        )
    };
    rights::as_extension(|| {
        if has_more(oid, &role, level) {
            report::notice(&format!(
                "role {role} keeps what it could do before as well; spamcheck.revoke_access() takes all of it away"
            ));
        }
        spi::write(&format!("GRANT USAGE ON SCHEMA spamcheck TO {role}"), &[]);
        for grant in level.grants {
            spi::write(&format!("GRANT {grant} TO {role}"), &[]);
        }
    });
}

/// Whether a role has been given anything in the extension's schema that is not of this level.
fn has_more(oid: Option<pg_sys::Oid>, role: &str, level: &Level) -> bool {
    let others = subtransaction::rehearse(AssertUnwindSafe(|| {
        for grant in level.grants {
            spi::write(&format!("REVOKE {grant} FROM {role}"), &[]);
        }
        spi::json_now::<bool>(
            "SELECT convert_to((EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a
                                         WHERE c.relnamespace = 'spamcheck'::regnamespace AND a.grantee = $1)
                             OR EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
                                         WHERE p.pronamespace = 'spamcheck'::regnamespace AND a.grantee = $1
                                           AND p.prorettype <> 'trigger'::regtype))::text, 'UTF8')",
            &[Arg::Oid(oid.unwrap_or(pg_sys::Oid::INVALID))],
        )
    }));
    others.ok().flatten().unwrap_or(false)
}

#[pg_extern(sql = false)]
fn revoke_access(role: Option<pg_sys::Oid>) {
    // What the extension does, it does with its owner's rights.
    if role == Some(rights::extension_owner()) {
        report::refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Refusal::new(format!(
                "role {} owns pg_spamcheck and keeps its access",
                role_name(role)
            ))
            .with_hint("Take access from other roles only; \\dn+ spamcheck shows them."),
        );
    }
    let role = role_name(role);
    rights::as_extension(|| {
        for kind in ["TABLES", "ROUTINES", "SEQUENCES"] {
            spi::write(&format!("REVOKE ALL ON ALL {kind} IN SCHEMA spamcheck FROM {role}"), &[]);
        }
        spi::write(&format!("REVOKE ALL ON SCHEMA spamcheck FROM {role}"), &[]);
        let_partitions_be_made();
    });
}

/// Who makes a partition has the parent's row triggers cloned, and the server asks for EXECUTE on their
/// functions then: the owners of protected partitioned tables have it, and only they. As the extension.
pub fn let_partitions_be_made() {
    if strangers_to_triggers().is_empty() {
        return;
    }
    protection::one_at_a_time();
    for (role, owner) in strangers_to_triggers() {
        let (verb, to) = if owner { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        let role = quoted(&role);
        spi::write(
            &format!(
                "{verb} EXECUTE ON FUNCTION spamcheck._guard(), spamcheck._record() {to} {role}"
            ),
            &[],
        );
    }
}

/// Owners of protected partitioned tables who have no right to the triggers' functions (true), and roles
/// that have it but own none any more (false).
fn strangers_to_triggers() -> Vec<(String, bool)> {
    spi::json_now(
        "WITH owner AS (
             SELECT DISTINCT c.relowner AS role FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
               JOIN pg_roles r ON r.oid = c.relowner
              WHERE t.tgfoid = 'spamcheck._guard()'::regprocedure AND c.relkind = 'p' AND NOT r.rolsuper),
         given AS (
             SELECT a.grantee AS role, count(DISTINCT p.oid) AS functions FROM pg_proc p, aclexplode(p.proacl) a
              WHERE p.oid IN ('spamcheck._guard()'::regprocedure, 'spamcheck._record()'::regprocedure)
                AND a.grantee NOT IN (0, p.proowner) GROUP BY a.grantee)
         SELECT convert_to(coalesce(json_agg(json_build_array(pg_get_userbyid(coalesce(o.role, g.role)), o.role IS NOT NULL)), '[]')::text, 'UTF8')
           FROM owner o FULL JOIN given g ON g.role = o.role
          WHERE o.role IS NULL OR coalesce(g.functions, 0) < 2",
        &[],
    )
    .unwrap_or_default()
}

/// The role's name, quoted for SQL.
fn role_name(role: Option<pg_sys::Oid>) -> String {
    let oid = role.unwrap_or(pg_sys::Oid::INVALID);
    // SAFETY: with noerr an unknown OID gives null; the name is a C string.
    let name = unsafe {
        let name = pg_sys::GetUserNameFromId(oid, true);
        (!name.is_null()).then(|| row::from_server(CStr::from_ptr(name).to_bytes()).into_owned())
    };
    match name {
        Some(name) => quoted(&name),
        None => report::refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            Refusal::new("the role does not exist").with_hint("\\du shows the roles."),
        ),
    }
}
