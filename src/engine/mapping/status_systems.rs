//! Owns the statuses of well-known systems whose columns tell their values by no label and no
//! constraint. A system is told by columns that it alone has together, never by a table's name.

use super::status::{Status, StatusValue};
use super::table::{ColumnKind, Table};

/// What one verdict sets: columns with their values.
type Set = &'static [(&'static str, &'static str)];

/// A system: the columns that tell it, whether its status is an integer, and what ham, moderate
/// and spam set.
struct System {
    columns: &'static [&'static str],
    integer: bool,
    sets: [Set; 3],
}

const fn text(columns: &'static [&'static str], sets: [Set; 3]) -> System {
    System { columns, integer: false, sets }
}

const fn integer(columns: &'static [&'static str], sets: [Set; 3]) -> System {
    System { columns, integer: true, sets }
}

/// The status of a row stands in the first column of each set. Where a system has no state for
/// spam, spam waits as moderated rows do, as in Serendipity.
const SYSTEMS: &[System] = &[
    // WordPress
    text(
        &["comment_approved"],
        [
            &[("comment_approved", "1")],
            &[("comment_approved", "0")],
            &[("comment_approved", "spam")],
        ],
    ),
    // Serendipity
    text(
        &["entry_id", "body", "referer", "subscribed", "status"],
        [&[("status", "approved")], &[("status", "pending")], &[("status", "pending")]],
    ),
    // Drupal 6 counts the other way round
    integer(
        &["nid", "hostname", "timestamp", "format", "status"],
        [&[("status", "0")], &[("status", "1")], &[("status", "1")]],
    ),
    // Drupal 7 and later
    integer(
        &["cid", "hostname", "homepage", "status"],
        [&[("status", "1")], &[("status", "0")], &[("status", "0")]],
    ),
    // Movable Type
    integer(
        &["comment_visible", "comment_junk_status"],
        [
            &[("comment_visible", "1"), ("comment_junk_status", "1")],
            &[("comment_visible", "0")],
            &[("comment_visible", "0"), ("comment_junk_status", "-1")],
        ],
    ),
    // Dotclear
    integer(
        &["comment_status", "comment_spam_status"],
        [&[("comment_status", "1")], &[("comment_status", "-1")], &[("comment_status", "-2")]],
    ),
    // ExpressionEngine
    text(
        &["channel_id", "entry_id", "comment_date", "status"],
        [&[("status", "o")], &[("status", "p")], &[("status", "s")]],
    ),
    // Typecho
    text(
        &["coid", "cid", "ownerId", "agent", "status"],
        [&[("status", "approved")], &[("status", "waiting")], &[("status", "spam")]],
    ),
    // SilverStripe
    integer(
        &["ParentCommentID", "Moderated", "IsSpam"],
        [&[("Moderated", "1"), ("IsSpam", "0")], &[("Moderated", "0")], &[("IsSpam", "1")]],
    ),
    // Commento
    text(
        &["commenterhex", "markdown", "state"],
        [&[("state", "approved")], &[("state", "unapproved")], &[("state", "flagged")]],
    ),
    // Ghost
    text(
        &["post_id", "member_id", "html", "status"],
        [&[("status", "published")], &[("status", "hidden")], &[("status", "hidden")]],
    ),
    // XenForo
    text(
        &["message", "message_state"],
        [
            &[("message_state", "visible")],
            &[("message_state", "moderated")],
            &[("message_state", "deleted")],
        ],
    ),
    // Habari
    integer(
        &["post_id", "name", "email", "url", "content", "date", "type", "status"],
        [&[("status", "1")], &[("status", "0")], &[("status", "2")]],
    ),
    // Textpattern
    integer(
        &["discussid", "visible"],
        [&[("visible", "1")], &[("visible", "0")], &[("visible", "-1")]],
    ),
    // phpBB
    integer(
        &["poster_id", "post_text", "post_visibility"],
        [&[("post_visibility", "1")], &[("post_visibility", "0")], &[("post_visibility", "0")]],
    ),
    // Kunena
    integer(
        &["catid", "thread", "subject", "hold"],
        [&[("hold", "0")], &[("hold", "1")], &[("hold", "1")]],
    ),
    // Isso
    integer(
        &["remote_addr", "voters", "mode"],
        [&[("mode", "1")], &[("mode", "2")], &[("mode", "2")]],
    ),
    // Gallery
    text(
        &["guest_name", "item_id", "text", "state"],
        [&[("state", "published")], &[("state", "unpublished")], &[("state", "spam")]],
    ),
    // SPIP
    text(
        &["id_forum", "texte", "statut"],
        [&[("statut", "publie")], &[("statut", "prop")], &[("statut", "spam")]],
    ),
    // b2evolution
    text(
        &["comment_item_id", "comment_status"],
        [
            &[("comment_status", "published")],
            &[("comment_status", "review")],
            &[("comment_status", "deprecated")],
        ],
    ),
    // Chyrp
    text(
        &["author_ip", "author_agent", "body", "status"],
        [&[("status", "approved")], &[("status", "denied")], &[("status", "spam")]],
    ),
    // Apache Roller
    text(
        &["remotehost", "posttime", "plugins", "status"],
        [&[("status", "APPROVED")], &[("status", "PENDING")], &[("status", "SPAM")]],
    ),
    // OpenCart
    integer(
        &["review_id", "product_id", "rating", "status"],
        [&[("status", "1")], &[("status", "0")], &[("status", "0")]],
    ),
    // Waline
    text(
        &["nick", "link", "ua", "status"],
        [&[("status", "approved")], &[("status", "waiting")], &[("status", "spam")]],
    ),
    // The comments plugin of Strapi
    text(
        &["author_avatar", "blocked_thread", "approval_status"],
        [
            &[("approval_status", "APPROVED")],
            &[("approval_status", "PENDING")],
            &[("approval_status", "REJECTED")],
        ],
    ),
    // TYPO3's blog extension
    integer(
        &["crdate", "parenttable", "post_language_id", "status"],
        [&[("status", "10")], &[("status", "0")], &[("status", "50")]],
    ),
    // Liferay
    integer(
        &["classpk", "statusbyuserid", "status"],
        [&[("status", "0")], &[("status", "1")], &[("status", "4")]],
    ),
    // Phorum
    integer(
        &["msgid", "datestamp", "modifystamp", "status"],
        [&[("status", "2")], &[("status", "-1")], &[("status", "-2")]],
    ),
    // Polis
    integer(
        &["tid", "zid", "txt", "mod", "active"],
        [
            &[("mod", "1"), ("active", "true")],
            &[("mod", "0"), ("active", "false")],
            &[("mod", "-1"), ("active", "false")],
        ],
    ),
    // ActionKit
    text(
        &["page_id", "mailing_id", "created_user", "status"],
        [&[("status", "complete")], &[("status", "moderated")], &[("status", "spam")]],
    ),
];

/// The status of the system that the table's columns tell, with the columns spelt as they are.
pub(super) fn status(table: &Table) -> Option<Status> {
    let system = SYSTEMS.iter().find(|system| {
        let first = system.sets[0][0].0;
        let kind = named(table, first).map(|(_, kind)| kind);
        let fits = if system.integer {
            kind == Some(ColumnKind::Integer)
        } else {
            kind == Some(ColumnKind::Text)
        };
        fits && table.has(system.columns)
    })?;
    let [ham, moderate, spam] = system.sets.map(|set| {
        let assigned = set.iter().filter_map(|(column, value)| {
            let (name, _) = named(table, column)?;
            Some((name.to_owned(), StatusValue::Text((*value).to_owned())))
        });
        Some(assigned.collect())
    });
    Some(Status::of(table, ham, moderate, spam))
}

fn named<'a>(table: &'a Table, name: &str) -> Option<(&'a str, ColumnKind)> {
    let column = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))?;
    Some((&column.name, column.kind))
}
