//! Owns what a column means because of the columns beside it: the names alone would get it wrong,
//! or only several columns together make up a field. It must not read a name into words.

use std::collections::BTreeMap;

use super::find::Named;
use super::source::Source;
use super::table::{ColumnKind, Table};
use super::vocabulary::PLACES;
use crate::submission::Field;

/// What the words alone would get wrong.
fn exceptions(table: &Table, columns: &[Named], offers: &mut Vec<(i32, usize, Field)>) {
    let named = |index: usize| columns[index].column.name.to_lowercase();
    // Rails: beside a polymorphic reference (noteable_type) `type` is the name of a class.
    if table.columns.iter().any(|column| column.name.ends_with("able_type")) {
        offers.retain(|(_, index, field)| *field != Field::Type || named(*index) != "type");
    }
    // ActivityPub: beside `uri`, `url` is the address of the row itself.
    if table.has(&["uri", "url"]) {
        offers.retain(|(_, index, field)| {
            *field != Field::Url || !matches!(named(*index).as_str(), "uri" | "url")
        });
        offers.extend(position(columns, "url").map(|index| (80, index, Field::Permalink)));
    }
    // Drupal: cid, pid, nid, uid are the comment, its parent, its node, its user.
    if table.has(&["cid", "pid"]) {
        offers.extend(position(columns, "pid").map(|index| (80, index, Field::ParentId)));
    }
}

fn position(columns: &[Named], name: &str) -> Option<usize> {
    columns.iter().position(|named| named.column.name.eq_ignore_ascii_case(name))
}

/// Fields that several columns make up: a name in two parts, the parts of a postal address.
fn add_several(columns: &[Named], taken: &[bool], sources: &mut BTreeMap<Field, Source>) {
    if !sources.contains_key(&Field::Author) {
        let part = |parts: &[&str]| {
            let mut free = columns.iter().zip(taken).filter(|(_, taken)| !**taken);
            free.find(|(named, _)| {
                named.column.kind == ColumnKind::Text
                    && parts.iter().any(|part| named.words.join(" ").ends_with(part))
            })
            .map(|(named, _)| named.column.name.clone())
        };
        let first = part(&["first name", "firstname", "given name", "forename"]);
        let last = part(&["last name", "lastname", "family name", "surname"]);
        let author = match (first, last) {
            (Some(first), Some(last)) => Some(Source::Columns(vec![first, last])),
            (one, other) => one.or(other).map(Source::Column),
        };
        sources.extend(author.map(|author| (Field::Author, author)));
    }
    let names: Vec<String> = places(columns).map(|named| named.column.name.clone()).collect();
    if !names.is_empty() {
        sources.entry(Field::Fields).or_insert(Source::Columns(names));
    }
}

/// The parts of a postal address, if there are at least two.
fn places<'a>(columns: &'a [Named<'a>]) -> impl Iterator<Item = &'a Named<'a>> {
    let is_place = |named: &&Named| {
        let mut words: Vec<&str> = named.words.iter().map(String::as_str).collect();
        words.retain(|word| !word.chars().all(|letter| letter.is_ascii_digit()));
        words.retain(|word| !["line", "code", "name"].contains(word));
        named.column.kind == ColumnKind::Text
            && matches!(words.as_slice(), [place] | [_, place] if PLACES.contains(place))
            && !matches!(words.as_slice(), ["ip" | "email" | "mail" | "remote" | "client", ..])
    };
    let enough = columns.iter().filter(is_place).count() >= 2;
    columns.iter().filter(move |named| enough && is_place(named))
}

/// The only column of an address type is where the row came from, whatever it is called.
fn add_sole_address(columns: &[Named], taken: &[bool], sources: &mut BTreeMap<Field, Source>) {
    let mut addresses =
        columns.iter().zip(taken).filter(|(named, _)| named.column.kind == ColumnKind::Address);
    if let (Some((named, false)), None) = (addresses.next(), addresses.next())
        && !sources.contains_key(&Field::Ip)
        && !named.words.iter().any(|word| {
            ["last", "update", "updated", "edit", "edited", "server", "network", "blocked"]
                .contains(&word.as_str())
        })
    {
        sources.insert(Field::Ip, Source::Column(named.column.name.clone()));
    }
}

/// Where an account wrote the row and there is no address of a guest, `name` is what the row is
/// called, as Lemmy calls its posts; a comment or a review has a person's name.
fn name_is_title(reader: &Reader, columns: &[Named], sources: &mut BTreeMap<Field, Source>) {
    let Some(Source::Column(author)) = sources.get(&Field::Author) else { return };
    let bare = columns.iter().any(|n| n.column.name == *author && n.words == ["name"]);
    if bare
        && !reader.leaf
        && sources.contains_key(&Field::UserId)
        && ![Field::Title, Field::Email, Field::Ip].iter().any(|field| sources.contains_key(field))
        && let Some(name) = sources.remove(&Field::Author)
    {
        sources.insert(Field::Title, name);
    }
}
