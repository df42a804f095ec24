//! ALTER TABLE … ATTACH PARTITION, where both sides are protected: the parent's triggers cannot be cloned
//! onto a table that has its own. The server says so in words about triggers that nobody made by hand;
//! this says it before, in ours. Who adds a partition needs a right to the parent's triggers, which a new
//! owner may not have yet. It must let everything else pass unseen.

use pgrx::{PgList, PgSqlErrorCode, pg_sys, prelude::*};
use spamcheck_engine::Refusal;

use crate::access;
use crate::report;
use crate::rights;
use crate::spi::{self, Arg};
use crate::trigger::VERSION_1;

/// The version-1 calling convention's record for `spamcheck_attached`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_attached() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// Event trigger on ddl_command_start.
///
/// # Safety
/// To be called by the server, as an event trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_attached(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the context of an event trigger is an EventTriggerData; nodes are told by their tag.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            error!("spamcheck._attached() is only for the event trigger of pg_spamcheck");
        }
        let statement = (*context.cast::<pg_sys::EventTriggerData>()).parsetree;
        if !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_CreateStmt {
            let statement = statement.cast::<pg_sys::CreateStmt>();
            if !(*statement).partbound.is_null() {
                rights::as_extension(access::let_partitions_be_made);
            }
        }
        if !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_AlterTableStmt {
            let statement = statement.cast::<pg_sys::AlterTableStmt>();
            let commands = PgList::<pg_sys::AlterTableCmd>::from_pg((*statement).cmds);
            for command in commands.iter_ptr() {
                if (*command).subtype == pg_sys::AlterTableType::AT_AttachPartition {
                    let partition = (*(*command).def.cast::<pg_sys::PartitionCmd>()).name;
                    refuse_two_guards(relation(partition), relation((*statement).relation));
                    rights::as_extension(access::let_partitions_be_made);
                }
            }
        }
    }
    pg_sys::Datum::null()
}

/// InvalidOid for what is not there: the server says that itself.
///
/// # Safety
/// `range` must be a RangeVar or null.
unsafe fn relation(range: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    if range.is_null() {
        return pg_sys::InvalidOid;
    }
    // SAFETY: the caller's promise. Without a lock: what changes meanwhile, the server refuses.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            range,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

fn refuse_two_guards(partition: pg_sys::Oid, parent: pg_sys::Oid) {
    if partition == pg_sys::InvalidOid || parent == pg_sys::InvalidOid {
        return;
    }
    // The partition may be partitioned in its turn, and the parent a part of what is protected.
    let guarded = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(format('table %s is protected by itself and so is %s', g.relation::regclass, $2::oid::regclass), 'UTF8')
               FROM spamcheck._guarded_relation g
              WHERE (g.relation = $1 OR g.relation IN (SELECT t.relid FROM pg_partition_tree($1) t))
                AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = $2
                             AND t.tgfoid = 'spamcheck._guard()'::regprocedure)
              LIMIT 1",
            &[Arg::Oid(partition), Arg::Oid(parent)],
        )
    });
    if let Some(why) = guarded {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(why)
                .with_detail("A partition is judged by its parent's policy and mapping, and cannot have its own.")
                .with_hint("Call spamcheck.unprotect() for the table that is to be attached first; its log rows stay."),
        );
    }
}

/// Rows of a partition that is detached have no table any more that their lookups could find them in.
///
/// # Safety
/// `statement` must be a parse tree or null.
pub unsafe fn warn_of_detached(statement: *mut pg_sys::Node) {
    // SAFETY: the caller's promise; nodes are told by their tag.
    let parent = unsafe {
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_AlterTableStmt {
            return;
        }
        let statement = statement.cast::<pg_sys::AlterTableStmt>();
        let commands = PgList::<pg_sys::AlterTableCmd>::from_pg((*statement).cmds);
        let detaches = |command: *mut pg_sys::AlterTableCmd| {
            (*command).subtype == pg_sys::AlterTableType::AT_DetachPartition
        };
        if !commands.iter_ptr().any(detaches) {
            return;
        }
        relation((*statement).relation)
    };
    let waiting = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(format('lookups of table %s wait (%s)', min(l.relation), count(*)), 'UTF8')
               FROM spamcheck.lookup l
              WHERE l.kind IN ('akismet', 'trackback_ip', 'trackback_link')
                AND l._protection IN (SELECT r.id FROM spamcheck._protected_relation r
                                       WHERE r.relation = $1 OR r.relation IN (SELECT a.relid FROM pg_partition_ancestors($1) a))
             HAVING count(*) > 0",
            &[Arg::Oid(parent)],
        )
    });
    if let Some(waiting) = waiting {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("{waiting}: rows of the partition that is detached get no verdict"),
            "A row that is not in the table any more when its answer comes keeps the status that it has.".into(),
            "Let spamcheck.lookup run empty before partitions with new rows are detached, or set the status of their moderated rows by hand.",
        );
    }
}
