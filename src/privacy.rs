//! What concerns a person's data: the report of what is kept of it and where it goes, its erasure, and a
//! view that may be shown to everybody. Owns the three functions as SQL calls them.

mod erase;
mod ham_rows;
mod held;
mod public_view;
mod report;

use pgrx::{AnyElement, JsonB, pg_sys, prelude::*};
use serde_json::json;
use spamcheck_engine::Refusal;

use crate::arguments::{given, preloaded};
use crate::report::refuse_value;
use crate::row;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn privacy_report(
    relation: Option<pg_sys::Oid>,
) -> TableIterator<
    'static,
    (
        name!(field, Vec<u8>),
        name!(source, Vec<u8>),
        name!(sent_to, Option<Vec<u8>>),
        name!(kept, Option<Vec<u8>>),
    ),
> {
    preloaded();
    let text = |text: String| row::to_server(&row::fitting(&text)).into_bytes();
    let rows = report::of(given(relation, "relation")).into_iter().map(move |told| {
        (text(told.field), text(told.source), told.sent_to.map(text), told.kept.map(text))
    });
    TableIterator::new(rows.collect::<Vec<_>>())
}

#[pg_extern(sql = false)]
fn erase_subject(email: Option<&[u8]>, ip: Option<AnyElement>) -> JsonB {
    let email = email.map(|email| erase::folded(&row::from_server(email)));
    let email = email.filter(|email| !email.is_empty());
    let ip = ip.map(|ip| {
        // SAFETY: the function is declared with an inet argument; inet_out gives a C string.
        unsafe {
            let text = pgrx::direct_function_call_as_datum(pg_sys::inet_out, &[Some(ip.datum())]);
            text.map_or_else(String::new, |text| {
                row::from_server(std::ffi::CStr::from_ptr(text.cast_mut_ptr()).to_bytes())
                    .into_owned()
            })
        }
    });
    if email.is_none() && ip.is_none() {
        refuse_value(
            Refusal::new("erase_subject() needs an e-mail address or an IP address")
                .with_hint("SELECT spamcheck.erase_subject(email => 'somebody@example.com')."),
        );
    }
    JsonB(json!(erase::subject(email.as_deref(), ip.as_deref())))
}

#[pg_extern(sql = false)]
fn public_view(relation: Option<pg_sys::Oid>, view_name: Option<&[u8]>) {
    let name = row::from_server(given(view_name, "view_name"));
    public_view::make(given(relation, "relation"), &name);
}
