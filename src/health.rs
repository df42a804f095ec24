//! health(): what works, what does not, and what to do about it; one file of its folder for each kind of
//! trouble. Reads only shared memory and our own tables, and never a secret.

mod akismet;
mod captchas;
mod policies;
mod queues;
mod server;
mod statuses;
mod switch;
mod tables;

use pgrx::{pg_sys, prelude::*};

use crate::row;
use crate::settings;
use crate::shared;
use crate::worker::http;
use akismet::akismet;
use captchas::captchas;
use policies::{checks, lists};
use queues::{mail, queue};
use server::{addresses, log_file, network, preload, rejections, senders, worker};
use tables::tables;

/// What helps against a setting that cannot be used.
const RELOAD: &str =
    "Correct it in postgresql.conf and SELECT pg_reload_conf(); the worker goes on by itself.";

struct Item {
    item: &'static str,
    state: &'static str,
    message: String,
    hint: Option<String>,
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn health() -> TableIterator<
    'static,
    (
        name!(item, Vec<u8>),
        name!(state, Vec<u8>),
        name!(message, Vec<u8>),
        name!(hint, Option<Vec<u8>>),
    ),
> {
    let mut items = vec![preload()];
    let fault = http::fault(&settings::network());
    if let Some(shared) = shared::shared() {
        // SAFETY: a static that is set for the life of the backend.
        let entry = shared.database(unsafe { pg_sys::MyDatabaseId });
        items.push(worker(entry));
        items.push(network(fault.as_deref()));
        items.extend(akismet(entry, fault.as_deref()));
        items.push(captchas(entry, fault.as_deref()));
        items.push(rejections(entry));
        items.push(senders());
        items.push(addresses(entry));
        items.push(log_file(entry));
    }
    items.push(queue());
    items.push(mail());
    items.push(checks());
    items.push(lists());
    items.push(tables());
    // Names of tables and policies are in it: in the database's encoding.
    let text = |text: &str| row::to_server(&row::fitting(text)).into_bytes();
    let rows = items
        .into_iter()
        .map(move |i| (text(i.item), text(i.state), text(&i.message), i.hint.as_deref().map(text)));
    TableIterator::new(rows.collect::<Vec<_>>())
}

fn ok(item: &'static str, message: impl Into<String>) -> Item {
    Item { item, state: "ok", message: message.into(), hint: None }
}

fn bad(
    item: &'static str,
    state: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Item {
    Item { item, state, message: message.into(), hint: Some(hint.into()) }
}
