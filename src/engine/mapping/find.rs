//! Owns the guess: which column feeds which field, by its name and its type. It must never guess
//! a secret or a generated column, and knows no table by name: systems are found by the same
//! words as anybody's table.

use std::collections::BTreeMap;

use super::beside;
use super::secrets::is_secret;
use super::source::Source;
use super::table::{Column, ColumnKind, Table};
use super::tokens::{glued, singular, words};
use super::vocabulary::{
    ARTICLES, NEUTRAL, OTHERS, PERSONS, PHRASES, Phrase, SUBMISSIONS, VAGUE, is_word,
};
use crate::submission::Field;

/// Tables of these hang under something else that has a title and a date of its own.
const LEAVES: &[&str] =
    &["comment", "reply", "note", "response", "answer", "feedback", "review", "rating"];

/// What a word says beside the phrase that names the field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Own,
    Person,
    Submission,
    Article,
    Neutral,
    Unknown,
}

/// A column with the words of its name.
pub(super) struct Named<'a> {
    pub(super) column: &'a Column,
    pub(super) words: Vec<String>,
}

/// What the names of a table have in common.
pub(super) struct Reader {
    pub(super) own: Vec<String>,
    /// Whether the rows hang under something else.
    pub(super) leaf: bool,
}

/// The sources that the columns of the table suggest.
pub(super) fn sources(table: &Table) -> BTreeMap<Field, Source> {
    let reader = Reader::of(table);
    let columns = reader.columns(table);
    let mut offers: Vec<(i32, usize, Field)> = Vec::new();
    for (index, named) in columns.iter().enumerate() {
        for phrase in PHRASES.iter() {
            if let Some(bonus) = reader.score(phrase, named) {
                offers.push((phrase.weight + bonus, index, phrase.field));
            }
        }
    }
    beside::correct(table, &columns, &mut offers);
    // The surest first; among equals the column that stands first.
    offers.sort_by_key(|(score, index, field)| (-score, *index, *field));
    let mut taken = vec![false; columns.len()];
    let mut sources = BTreeMap::new();
    for (_, index, field) in offers {
        if !taken[index] && !sources.contains_key(&field) {
            taken[index] = true;
            sources.insert(field, Source::Column(columns[index].column.name.clone()));
        }
    }
    beside::complete(table, &reader, &columns, &taken, &mut sources);
    sources
}

/// Whether the column is part of a postal address, as `state` may be.
pub(super) fn is_place(table: &Table, column: &Column) -> bool {
    let columns = Reader::of(table).columns(table);
    beside::places(table, &columns).iter().any(|named| named.column.name == column.name)
}

/// The words that the table's name and its columns share, in the singular.
pub(super) fn own_words(table: &Table) -> Vec<String> {
    Reader::of(table).own
}

impl Reader {
    fn of(table: &Table) -> Self {
        let mut own: Vec<String> =
            words(&table.name, &is_word).iter().map(|word| singular(word)).collect();
        let leaf = own.iter().any(|word| LEAVES.contains(&word.as_str()));
        let firsts: Vec<String> = table
            .columns
            .iter()
            .filter_map(|column| words(&column.name, &is_word).into_iter().next())
            .collect();
        if let Some(shared) = mostly(&firsts) {
            own.push(singular(shared));
        }
        Self { own, leaf }
    }

    /// The columns that may be guessed at all.
    fn columns<'a>(&self, table: &'a Table) -> Vec<Named<'a>> {
        let initials: Vec<String> = table
            .columns
            .iter()
            .filter_map(|column| column.name.chars().next())
            .map(|letter| letter.to_lowercase().collect())
            .collect();
        let stem = mostly(&initials);
        table
            .columns
            .iter()
            .filter(|column| !column.generated && table.key != [column.name.as_str()])
            .filter_map(|column| {
                let words = self.words(&column.name, stem.map(String::as_str));
                let telling: Vec<String> =
                    words.iter().filter(|word| !self.own.contains(word)).cloned().collect();
                (!is_secret(&column.name, &telling)).then_some(Named { column, words })
            })
            .collect()
    }

    fn words(&self, name: &str, stem: Option<&str>) -> Vec<String> {
        let mut found = words(name, &is_word);
        // Names like cbody, cuser, cip: one letter before each name of the table.
        if let Some(stem) = stem
            && let [only] = found.as_slice()
            && !is_word(only)
            && let Some(rest) = only.strip_prefix(stem)
            && let Some(parts) = glued(rest, &is_word)
        {
            found = parts;
        }
        if found.len() > 1 && found.last().is_some_and(|word| word == "value") {
            found.pop();
        }
        // id_member, email_auteur, url_author: the head stands first.
        let heads = ["id", "ip", "email", "mail", "url", "website", "name"];
        if let [head, rest @ ..] = found.as_slice()
            && heads.contains(&head.as_str())
            && !rest.is_empty()
            && rest.iter().all(|word| word == "parent" || PERSONS.contains(&word.as_str()))
        {
            found.rotate_left(1);
        }
        found
    }

    fn class(&self, word: &str) -> Class {
        let one = singular(word);
        let is_in = |list: &[&str]| list.contains(&word) || list.contains(&one.as_str());
        if self.own.iter().any(|own| *own == one || own == word) {
            Class::Own
        } else if is_in(PERSONS) {
            Class::Person
        } else if is_in(ARTICLES) || self.is_above(word) {
            Class::Article
        } else if is_in(SUBMISSIONS) {
            Class::Submission
        } else if is_in(NEUTRAL) || word.chars().all(|letter| letter.is_ascii_digit()) {
            Class::Neutral
        } else {
            Class::Unknown
        }
    }

    /// Whether the word names what the rows of this table hang under, as a post has comments.
    fn is_above(&self, word: &str) -> bool {
        self.leaf && ["post", "issue", "ticket", "question", "petition", "bug"].contains(&word)
    }

    /// Whether the phrase stands for the field in this name: the bonus, which is mostly a malus
    /// for what stands beside it.
    fn score(&self, phrase: &Phrase, named: &Named) -> Option<i32> {
        let (field, phrase) = (phrase.field, phrase.words.as_slice());
        let rest = rest(phrase, &named.words)?;
        let fit = fit(field, phrase, named.column)?;
        if OTHERS.iter().any(|other| named.words.join(" ").ends_with(other)) {
            return None;
        }
        if matches!(field, Field::ArticleTitle | Field::ArticleCreatedAt)
            && self.class(phrase[0]) != Class::Article
        {
            return None;
        }
        // The name of a post or a page is its address.
        if *phrase == ["name"] && rest.iter().any(|word| *word == "post" || ARTICLES.contains(word))
        {
            return None;
        }
        if let [only] = phrase
            && VAGUE.contains(only)
            && rest.iter().any(|word| self.class(word) != Class::Own)
        {
            return None;
        }
        let fine = rest.iter().all(|word| match (self.class(word), field) {
            (Class::Own, _) => true,
            (Class::Neutral, Field::Author | Field::Type | Field::Page) => false,
            (Class::Neutral, _) => true,
            (Class::Submission, Field::Author) => *phrase != ["name"],
            // Where the form stands.
            (Class::Submission, Field::Url) => *word != "form",
            (Class::Submission, _) => true,
            (Class::Person, Field::Title | Field::Type | Field::Source | Field::ParentId) => false,
            // A user's host is the server of an account.
            (Class::Person, Field::Ip) => !phrase[0].starts_with("host"),
            (Class::Person, Field::Permalink | Field::Page | Field::Fields) => false,
            (Class::Person, _) => true,
            // pagetext is vBulletin's text of a post; a text that is surely its own goes before.
            (Class::Article, Field::Body) => true,
            (Class::Article | Class::Unknown, _) => false,
        });
        let malus = |word: &&str| if self.class(word) == Class::Article { 20 } else { 2 };
        fine.then(|| fit - rest.iter().map(malus).sum::<i32>())
    }
}

/// The words beside the phrase, if its words stand in this order and the last one at the end.
fn rest<'a>(phrase: &[&str], words: &'a [String]) -> Option<Vec<&'a str>> {
    if words.last().map(String::as_str) != phrase.last().copied() {
        return None;
    }
    let mut wanted = phrase.iter().rev().peekable();
    let mut rest = Vec::new();
    for word in words.iter().rev() {
        if wanted.peek().is_some_and(|next| **next == word) {
            wanted.next();
        } else {
            rest.push(word.as_str());
        }
    }
    wanted.peek().is_none().then_some(rest)
}

/// Whether the type of the column can hold the field, and how well.
fn fit(field: Field, phrase: &[&str], column: &Column) -> Option<i32> {
    use ColumnKind::{Address, Date, Enum, Hstore, Integer, Json, Number, Text, Time, Uuid};
    let names_an_id =
        phrase.iter().any(|word| matches!(*word, "id" | "uid" | "userid" | "hex" | "uuid"));
    match (field, column.kind) {
        (Field::Body | Field::Title, Text) => Some(0),
        // Text in several languages, as Decidim keeps it.
        (Field::Body | Field::Title, Json) => (!VAGUE.contains(&phrase[0])).then_some(-10),
        (Field::Ip, Address) => Some(10),
        (Field::Ip, Text) => Some(0),
        (Field::Type | Field::Source | Field::UserRole, Text | Enum) => Some(0),
        (Field::CreatedAt, Time) => Some(3),
        (Field::CreatedAt, Date) => Some(-5),
        (Field::CreatedAt, Integer | Number) => (!["published", "signed"].contains(&phrase[0])
            && column.type_name != "smallint")
            .then_some(0),
        (Field::UserId, Integer | Uuid) => Some(0),
        (Field::UserId | Field::ParentId, Text) => names_an_id.then_some(0),
        (Field::ParentId, Integer | Uuid) => Some(0),
        (Field::Subscriber, Text | Integer | Uuid) => Some(0),
        (Field::FormSeconds, Integer | Number) => Some(0),
        (Field::Fields, Json | Hstore) => Some(0),
        (
            Field::Author
            | Field::Email
            | Field::Url
            | Field::UserAgent
            | Field::Referrer
            | Field::Honeypot
            | Field::Captcha
            | Field::Permalink
            | Field::Page
            | Field::ArticleTitle,
            Text,
        ) => Some(0),
        (Field::ArticleCreatedAt, Time | Date) => Some(0),
        _ => None,
    }
}

/// The text that more than half of at least four are.
fn mostly(texts: &[String]) -> Option<&String> {
    texts.iter().find(|text| {
        let count = texts.iter().filter(|other| other == text).count();
        count >= 4 && count * 2 > texts.len()
    })
}
