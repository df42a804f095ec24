//! The server's trigger protocol: what a trigger function is called with. Owns the checks that it is
//! called as it should be and the access to its rows; the triggers themselves are guard.rs and record.rs.

use std::ffi::CStr;

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::Refusal;

use crate::report;
use crate::row::{self, Column};
use crate::stash::Address;

/// The version-1 calling convention's record, the same for every function.
pub static VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// What fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A row is inserted.
    Insert,
    /// A row is updated.
    Update,
    /// A row is deleted. Of protected tables, only the guards of partitioned ones are told.
    Delete,
}

/// One call of a trigger function.
pub struct Trigger {
    fcinfo: pg_sys::FunctionCallInfo,
    data: *mut pg_sys::TriggerData,
    /// What fired.
    pub event: Event,
}

impl Trigger {
    /// Reads the call. Anything but a trigger FOR EACH ROW on INSERT, UPDATE or DELETE is
    /// an error.
    ///
    /// # Safety
    /// `fcinfo` must be that of the running call.
    pub unsafe fn of(fcinfo: pg_sys::FunctionCallInfo) -> Trigger {
        // SAFETY: the caller's promise; `context` is a node or null.
        unsafe {
            let context = (*fcinfo).context;
            if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
                protocol("this function of pg_spamcheck is only for its triggers");
            }
            let data = context.cast::<pg_sys::TriggerData>();
            let event = match (*data).tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
                pg_sys::TRIGGER_EVENT_INSERT => Event::Insert,
                pg_sys::TRIGGER_EVENT_UPDATE => Event::Update,
                pg_sys::TRIGGER_EVENT_DELETE => Event::Delete,
                _ => wrong_event(),
            };
            if (*data).tg_event & pg_sys::TRIGGER_EVENT_ROW == 0 {
                wrong_event();
            }
            Trigger { fcinfo, data, event }
        }
    }

    /// Makes sure that the trigger is a BEFORE trigger.
    pub fn must_be_before_row(&self, _name: &str) {
        // SAFETY: checked in `of`.
        let timing = unsafe { (*self.data).tg_event } & pg_sys::TRIGGER_EVENT_TIMINGMASK;
        if timing != pg_sys::TRIGGER_EVENT_BEFORE {
            wrong_event();
        }
    }

    /// The function's call information, with room for what a statement wants to keep.
    pub fn flinfo(&self) -> *mut pg_sys::FmgrInfo {
        // SAFETY: checked in `of`.
        unsafe { (*self.fcinfo).flinfo }
    }

    /// The relation at hand: the protected table or a partition of it.
    pub fn relation(&self) -> pg_sys::Relation {
        // SAFETY: checked in `of`.
        unsafe { (*self.data).tg_relation }
    }

    /// The relation's row type.
    pub fn tupdesc(&self) -> pg_sys::TupleDesc {
        // SAFETY: the relation is open.
        unsafe { (*self.relation()).rd_att }
    }

    /// Columns of the row type, dropped ones too.
    pub fn columns(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.tupdesc()).natts as usize }
    }

    /// The relation's name.
    pub fn table_name(&self) -> String {
        // SAFETY: the server keeps the relation open.
        unsafe { name_of(self.relation()) }
    }

    /// The id that the trigger carries; 0, which no protection has, when it carries none.
    pub fn protection_id(&self) -> i32 {
        // SAFETY: tgargs has tgnargs C strings.
        unsafe {
            let trigger = (*self.data).tg_trigger;
            if (*trigger).tgnargs < 1 {
                return 0;
            }
            let argument = CStr::from_ptr(*(*trigger).tgargs);
            argument.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        }
    }

    /// The slot with the new row.
    pub fn new_slot(&self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: checked in `of`.
        unsafe {
            match self.event {
                Event::Insert | Event::Delete => (*self.data).tg_trigslot,
                Event::Update => (*self.data).tg_newslot,
            }
        }
    }

    /// The slot with the old row; the new one for an INSERT.
    pub fn old_slot(&self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: checked in `of`.
        unsafe { (*self.data).tg_trigslot }
    }

    /// Where the old row is stored.
    pub fn old_address(&self) -> Address {
        // SAFETY: checked in `of`; the row of an UPDATE or DELETE is a stored one.
        unsafe { Address::new((*self.relation()).rd_id, (*(*self.data).tg_trigtuple).t_self) }
    }

    /// The new row; the old one for a DELETE.
    pub fn new_tuple(&self) -> pg_sys::HeapTuple {
        // SAFETY: checked in `of`.
        unsafe {
            match self.event {
                Event::Insert | Event::Delete => (*self.data).tg_trigtuple,
                Event::Update => (*self.data).tg_newtuple,
            }
        }
    }

    /// What a BEFORE trigger returns to leave the row as it is.
    pub fn unchanged(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.new_tuple())
    }

    /// What a BEFORE trigger returns to have these columns changed; None: to NULL.
    pub fn changed(&self, columns: &[(Column, Option<pg_sys::Datum>)]) -> pg_sys::Datum {
        if columns.is_empty() {
            return self.unchanged();
        }
        let mut numbers: Vec<i32> = columns.iter().map(|(c, _)| c.index as i32 + 1).collect();
        let mut nulls: Vec<bool> = columns.iter().map(|(_, value)| value.is_none()).collect();
        let mut values: Vec<pg_sys::Datum> =
            columns.iter().map(|(_, value)| value.unwrap_or(pg_sys::Datum::null())).collect();
        // SAFETY: the three arrays have the same length; the tuple is of the relation's row type.
        unsafe {
            let tuple = pg_sys::heap_modify_tuple_by_cols(
                self.new_tuple(),
                self.tupdesc(),
                numbers.len() as i32,
                numbers.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            pg_sys::Datum::from(tuple)
        }
    }

    /// The new row as `row_to_json` gives it.
    pub fn new_row_json(&self) -> serde_json::Value {
        self.tuple_json(self.new_tuple())
    }

    /// The old row as `row_to_json` gives it.
    pub fn old_row_json(&self) -> serde_json::Value {
        // SAFETY: checked in `of`.
        self.tuple_json(unsafe { (*self.data).tg_trigtuple })
    }

    fn tuple_json(&self, tuple: pg_sys::HeapTuple) -> serde_json::Value {
        // SAFETY: the tuple is of the relation's row type, which the composite datum names.
        let json = unsafe {
            let record = pg_sys::heap_copy_tuple_as_datum(tuple, self.tupdesc());
            pgrx::direct_function_call_as_datum(pg_sys::row_to_json, &[Some(record)])
                .map(|datum| row::text_of_datum(datum).into_owned())
        };
        json.map(|text| crate::arguments::parsed(&text)).unwrap_or_default()
    }
}

/// The table that a TRUNCATE is about to empty.
///
/// # Safety
/// `fcinfo` must be that of the running call.
pub unsafe fn table_to_empty(fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: the caller's promise; `context` is a node or null, names are C strings.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            protocol("this function of pg_spamcheck is only for its triggers");
        }
        let data = context.cast::<pg_sys::TriggerData>();
        let before = pg_sys::TRIGGER_EVENT_TIMINGMASK | pg_sys::TRIGGER_EVENT_OPMASK;
        if (*data).tg_event & before
            != pg_sys::TRIGGER_EVENT_BEFORE | pg_sys::TRIGGER_EVENT_TRUNCATE
        {
            protocol("this function of pg_spamcheck is for triggers BEFORE TRUNCATE");
        }
        name_of((*data).tg_relation)
    }
}

/// The table of a trigger of any kind.
///
/// # Safety
/// `fcinfo` must be that of the running call.
pub unsafe fn table_of(fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: the caller's promise; `context` is a node or null.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            protocol("this function of pg_spamcheck is only for its triggers");
        }
        name_of((*context.cast::<pg_sys::TriggerData>()).tg_relation)
    }
}

/// Whether a trigger of any kind fires for a DELETE or a TRUNCATE.
///
/// # Safety
/// `fcinfo` must be that of the running call.
pub unsafe fn takes_rows_away(fcinfo: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: the caller's promise; `context` is a node or null.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return false;
        }
        let event =
            (*context.cast::<pg_sys::TriggerData>()).tg_event & pg_sys::TRIGGER_EVENT_OPMASK;
        matches!(event, pg_sys::TRIGGER_EVENT_DELETE | pg_sys::TRIGGER_EVENT_TRUNCATE)
    }
}

/// # Safety
/// The relation must be open.
unsafe fn name_of(relation: pg_sys::Relation) -> String {
    // SAFETY: the caller's promise; names are C strings within their array.
    let name = unsafe { CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr()) };
    row::from_server(name.to_bytes()).into_owned()
}

fn protocol(message: &str) -> ! {
    report::refuse(
        PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        Refusal::new(message).with_hint("Call spamcheck.protect() to have the triggers made."),
    )
}

fn wrong_event() -> ! {
    protocol("this function of pg_spamcheck is for triggers FOR EACH ROW that protect() makes")
}
