//! Owns what a column means because of the columns beside it: the names alone would get it wrong,
//! or only several columns together make up a field. It must not read a name into words.

use std::collections::BTreeMap;

use super::find::{Named, Reader};
use super::source::Source;
use super::status_find;
use super::table::{Column, ColumnKind, Table};
use super::vocabulary::{PERSONS, PLACED, PLACES};
use crate::submission::Field;

/// Mends the offers that the columns beside one turn into something else.
pub(super) fn correct(table: &Table, columns: &[Named], offers: &mut Vec<(i32, usize, Field)>) {
    let named = |index: usize| columns[index].column.name.to_lowercase();
    let mut add = |weight: i32, name: &str, field: Field| {
        let found = columns.iter().position(|n| n.column.name.eq_ignore_ascii_case(name));
        offers.extend(found.map(|index| (weight, index, field)));
    };
    // Beside `uri` (ActivityPub), `url` is the address of the row itself; beside `nick` and `link`
    // (Valine and its kin) that of the page.
    let federated = table.has(&["uri", "url"]);
    let valine = table.has(&["nick", "link", "url"]);
    if federated || valine {
        add(80, "url", Field::Permalink);
    }
    // Drupal: cid, pid, nid, uid are the comment, its parent, its node, its user; elsewhere rid is
    // the root of the thread.
    if table.has(&["cid", "pid"]) || table.has(&["pid", "rid"]) {
        add(80, "pid", Field::ParentId);
    }
    // What was written before it was rendered.
    if table.has(&["original", "parsed"]) {
        add(95, "original", Field::Body);
    }
    // Craft gives each row a uid of its own.
    let craft = table.has(&["uid", "dateCreated", "dateUpdated"]);
    // Rails: beside a polymorphic reference (noteable_type) `type` is the name of a class.
    let rails = table.columns.iter().any(|column| column.name.ends_with("able_type"));
    offers.retain(|(_, index, field)| match (field, named(*index).as_str()) {
        (Field::Type, "type") => !rails,
        (Field::Url, "uri") => !federated,
        (Field::Url, "url") => !federated && !valine,
        (Field::UserId, "uid") if craft => false,
        (Field::UserId | Field::ParentId, _) => !is_made_up(columns[*index].column),
        _ => true,
    });
}

/// Whether the database makes the value up: it then refers to nobody.
fn is_made_up(column: &Column) -> bool {
    column.default.as_deref().is_some_and(|default| {
        ["nextval(", "gen_random_uuid(", "uuid_generate_"].iter().any(|made| default.contains(made))
    })
}

/// Adds what no single offer can tell, once the surest offers are taken.
pub(super) fn complete(
    table: &Table,
    reader: &Reader,
    columns: &[Named],
    taken: &[bool],
    sources: &mut BTreeMap<Field, Source>,
) {
    add_several(table, columns, taken, sources);
    add_sole_address(columns, taken, sources);
    url_is_permalink(reader, columns, sources);
    name_is_title(table, reader, columns, sources);
    add_original_author(columns, sources);
    add_data(reader, columns, sources);
}

/// Fields that several columns make up: a name in two parts, the parts of a postal address.
fn add_several(
    table: &Table,
    columns: &[Named],
    taken: &[bool],
    sources: &mut BTreeMap<Field, Source>,
) {
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
    let names: Vec<String> =
        places(table, columns).iter().map(|named| named.column.name.clone()).collect();
    if !names.is_empty() {
        sources.entry(Field::Fields).or_insert(Source::Columns(names));
    }
}

/// The parts of a postal address, if there are at least two. A `state` is one only where another
/// column is surely a place (a postcode is not: reports and petitions have states, too), and never
/// where its values are those of a status.
pub(super) fn places<'a>(table: &Table, columns: &'a [Named<'a>]) -> Vec<&'a Named<'a>> {
    let mut found: Vec<(&Named, &str)> =
        columns.iter().filter_map(|named| Some((named, place(named)?))).collect();
    let sure = found.iter().any(|(_, place)| !["state", "postcode"].contains(place));
    found.retain(|(named, place)| {
        *place != "state" || (sure && !status_find::is_told(named.column, table))
    });
    if found.len() < 2 {
        found.clear();
    }
    found.into_iter().map(|(named, _)| named).collect()
}

/// The word for a part of an address that the column is named with.
fn place<'a>(named: &'a Named) -> Option<&'a str> {
    let mut words: Vec<&str> = named.words.iter().map(String::as_str).collect();
    words.retain(|word| !word.chars().all(|letter| letter.is_ascii_digit()));
    words.retain(|word| !["line", "code", "name"].contains(word));
    let (place, whose) = words.split_last()?;
    let fits = match whose {
        [] => true,
        ["ip" | "email" | "mail" | "remote" | "client" | "mac" | "wallet" | "web"] => false,
        [whose] => {
            *place != "state" || [PERSONS, PLACES, PLACED].iter().any(|list| list.contains(whose))
        }
        _ => false,
    };
    (fits && named.column.kind == ColumnKind::Text && PLACES.contains(place)).then_some(place)
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

/// Where an account wrote the row, which has neither a guest nor a title, a bare `url` is where
/// the row itself is found, as in PeerTube; a posted link has a title.
fn url_is_permalink(reader: &Reader, columns: &[Named], sources: &mut BTreeMap<Field, Source>) {
    let of_a_guest = [Field::Title, Field::Author, Field::Email, Field::Permalink];
    if reader.leaf
        && sources.contains_key(&Field::UserId)
        && !of_a_guest.iter().any(|field| sources.contains_key(field))
        && is_bare(columns, sources.get(&Field::Url), &["url"])
        && let Some(url) = sources.remove(&Field::Url)
    {
        sources.insert(Field::Permalink, url);
    }
}

/// Where an account wrote the row and there is no address of a guest, `name` is what the row is
/// called, as Lemmy calls its posts; a comment or a review has a person's name, unless it came
/// from another server.
fn name_is_title(
    table: &Table,
    reader: &Reader,
    columns: &[Named],
    sources: &mut BTreeMap<Field, Source>,
) {
    let is_host = |named: &Named| {
        let mut ends = named.words.iter().rev();
        ends.next().is_some_and(|word| word == "host") && ends.next().is_some_and(|w| w == "user")
    };
    let federated = table.has(&["uri"]) || columns.iter().any(is_host);
    let guest = [Field::Title, Field::Email, Field::Ip];
    if is_bare(columns, sources.get(&Field::Author), &["name"])
        && sources.contains_key(&Field::UserId)
        && (federated || !reader.leaf && !guest.iter().any(|field| sources.contains_key(field)))
        && let Some(name) = sources.remove(&Field::Author)
    {
        sources.entry(Field::Title).or_insert(name);
    }
}

/// Whether the source is a column of exactly this name.
fn is_bare(columns: &[Named], source: Option<&Source>, words: &[&str]) -> bool {
    let Some(Source::Column(name)) = source else { return false };
    columns.iter().any(|named| named.column.name == *name && named.words == words)
}

/// Who wrote an imported row is its author where none other is kept.
fn add_original_author(columns: &[Named], sources: &mut BTreeMap<Field, Source>) {
    let mut texts = columns.iter().filter(|named| named.column.kind == ColumnKind::Text);
    if let Some(named) = texts.find(|named| named.words == ["original", "author"]) {
        let author = Source::Column(named.column.name.clone());
        sources.entry(Field::Author).or_insert(author);
    }
}

/// A document called `data` is the text of a comment, and what was filled in of a form, where
/// nothing else is.
fn add_data(reader: &Reader, columns: &[Named], sources: &mut BTreeMap<Field, Source>) {
    let said = ["comment", "note", "reply", "message", "post"];
    let field = match reader.own.iter().any(|own| said.contains(&own.as_str())) {
        true => Field::Body,
        false => Field::Fields,
    };
    let mut documents = columns.iter().filter(|named| named.column.kind == ColumnKind::Json);
    if ![Field::Body, Field::Fields].iter().any(|field| sources.contains_key(field))
        && let Some(named) = documents.find(|named| named.words == ["data"])
    {
        sources.insert(field, Source::Column(named.column.name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use crate::mapping::sample::table;
    use crate::mapping::{Mapping, Source};
    use crate::submission::Field;

    fn found(columns: &str) -> String {
        let rows = Mapping::find(&table("leaflets", columns)).rows();
        rows.iter().map(|(field, source)| format!("{field}={source}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_state_is_a_place_only_beside_a_sure_one() {
        for (columns, expected) in [
            ("body:text city:text state:text", r#"body=body fields=["city","state"]"#),
            ("body:text zip:text us_state:text", r#"body=body fields=["zip","us_state"]"#),
            ("body:text city:text zip:text send_state:text", r#"body=body fields=["city","zip"]"#),
            ("body:text city:text state:text=pending", "body=body"),
            ("body:text city:text state:check/new/approved/spam", "body=body"),
            ("body:text postcode:text state:text", "body=body"),
            ("body:text state:text home_state:text", "body=body"),
        ] {
            assert_eq!(found(columns), expected, "{columns}");
        }
    }

    #[test]
    fn a_document_is_the_form_only_where_no_text_is() {
        assert_eq!(found("data:jsonb email:text"), "email=email fields=data");
        assert_eq!(found("data:jsonb message:text"), "body=message");
        assert_eq!(found("user_data:text meta_data:text email:text"), "email=email");
    }

    #[test]
    fn an_identity_that_the_database_makes_up_is_nobody() {
        let mut posts = table("leaflets", "*id:integer uid:uuid body:text");
        let user = |posts: &_| Mapping::find(posts).sources.get(&Field::UserId).cloned();
        assert_eq!(user(&posts), Some(Source::Column("uid".to_owned())));
        posts.columns[1].default = Some("gen_random_uuid()".to_owned());
        assert_eq!(user(&posts), None);
        let craft = "*id:integer title:text dateCreated:timestamp dateUpdated:timestamp uid:char";
        assert_eq!(found(craft), "title=title created_at=dateCreated");
    }

    #[test]
    fn a_posted_link_stays_one() {
        let link = "*id:integer url:text title:text user_id:integer";
        assert_eq!(found(link), "title=title url=url user_id=user_id");
        let hosts = "body:text user_host:text host:text";
        assert_eq!(found(hosts), "body=body ip=host");
    }
}
