//! Owns the guess of a table's status: one column of states whose values are told by labels or
//! constraints, or flags. It must refuse rather than guess a value that nothing tells.

use super::constraint::listed_values;
use super::find;
use super::status::{Assignments, Status, StatusValue, writable};
use super::status_ask::ask;
use super::status_systems;
use super::status_words::{
    HAM_VALUES, MODERATE_VALUES, REFUSED_VALUES, SHOWN, SPAM_MARKS, SPAM_VALUES, STATES, SURE_HAM,
    SURE_MODERATE, TAKEN_AWAY, UNSEEN, WAITING, YES_OR_NO,
};
use super::table::{Column, ColumnKind, Table};
use super::tokens::{singular, words};
use super::vocabulary::{SUBMISSIONS, is_word};
use crate::refusal::Refusal;

/// The status of the table; an empty one if no column looks like a status.
pub(super) fn status(table: &Table) -> Result<Status, Refusal> {
    // What is computed from other columns is no column to write a verdict into.
    let table = &mut table.clone();
    table.columns.retain(|column| !column.generated);
    let names = Names::of(table);
    let states: Vec<&Column> =
        table.columns.iter().filter(|column| names.is_state(column)).collect();
    let asked = states.iter().find(|column| !is_workflow(column, table));
    // What has a word for spam goes before what would stand for spam.
    let named = states.iter().filter(|column| {
        first(&values(column, table), SPAM_VALUES).is_some()
            && writable(&column.name, table).is_ok()
    });
    // Of several, one that says what waits. Those that say neither go after a flag of spam.
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|column| !tells_moderation(column, table));
    let (sure, unsure): (Vec<_>, Vec<_>) =
        states.iter().partition(|column| tells_verdicts(column, table));
    let marked = table.columns.iter().any(|column| {
        column.kind == ColumnKind::Boolean && SPAM_MARKS.contains(&names.telling(column).as_str())
    });
    let found = status_systems::status(table)
        .or_else(|| named.into_iter().chain(sure).find_map(|column| told(column, table)))
        .or_else(|| if marked { flags(&names, table, asked.is_none()) } else { None })
        .or_else(|| unsure.into_iter().find_map(|column| told(column, table)))
        // Beside a status, a time says when something happened, not whether the row is shown.
        .or_else(|| flags(&names, table, asked.is_none()));
    if let Some(status) = found {
        for column in status.columns() {
            writable(column, table)?;
        }
        return Ok(status);
    }
    match asked {
        Some(column) => {
            writable(&column.name, table)?;
            Err(ask(column, table))
        }
        None => Ok(Status::default()),
    }
}

/// The words of a table's columns that tell a status.
struct Names<'a> {
    own: Vec<String>,
    table: &'a Table,
}

impl<'a> Names<'a> {
    fn of(table: &'a Table) -> Self {
        Self { own: find::own_words(table), table }
    }

    /// What is left of a name without the words that any column of such a table may bear.
    fn telling(&self, column: &Column) -> String {
        let known = |run: &str| {
            let lists = [STATES, SHOWN, SPAM_MARKS, WAITING, TAKEN_AWAY];
            is_word(run) || lists.iter().any(|list| list.contains(&run))
        };
        let mut left = words(&column.name, &known);
        let whole = left.clone();
        left.retain(|word| {
            !["is", "was", "has"].contains(&word.as_str())
                && !self.own.contains(&singular(word))
                && !SUBMISSIONS.contains(&word.as_str())
        });
        if left.is_empty() { whole.join(" ") } else { left.join(" ") }
    }

    fn is_state(&self, column: &Column) -> bool {
        let telling = self.telling(column);
        let (about, last) = telling.rsplit_once(' ').unwrap_or(("", &telling));
        let fits = matches!(
            column.kind,
            ColumnKind::Text | ColumnKind::Enum | ColumnKind::Integer | ColumnKind::Boolean
        );
        fits && STATES.contains(&last)
            && ["", "moderation", "approval", "publication", "publish", "spam"].contains(&about)
            && !(telling == "state" && find::is_place(self.table, column))
    }
}

/// A `state` that follows the work on something, as GitLab's issues have it: opened, closed.
fn is_workflow(column: &Column, table: &Table) -> bool {
    column.name == "state" && follows_work(table)
}

/// Whether the rows are work to be done: they close, and somebody is to do them.
fn follows_work(table: &Table) -> bool {
    ["closed_at", "resolved_at", "milestone_id", "assignee_id", "assigned_to_id"]
        .iter()
        .any(|name| table.column(name).is_some())
}

/// Whether labels, constraints or the default of the column tell that it is a status.
pub(super) fn is_told(column: &Column, table: &Table) -> bool {
    let lists = [HAM_VALUES, MODERATE_VALUES, SPAM_VALUES, REFUSED_VALUES, &["new"]];
    let default = column.default_text().map(plain);
    let is_value = |word: &str| lists.iter().any(|list| list.contains(&word));
    default.is_some_and(|word| is_value(&word))
        || values(column, table).iter().any(|value| is_value(&plain(value)))
}

/// Whether a column of states has a word for what waits for a moderator.
fn tells_moderation(column: &Column, table: &Table) -> bool {
    let values = values(column, table);
    first(&values, &MODERATE_VALUES[..SURE_MODERATE])
        .or_else(|| first(&values, &["pending"]))
        .is_some()
}

/// Whether it has a word for what is kept from readers, beside drafts.
fn tells_verdicts(column: &Column, table: &Table) -> bool {
    column.kind == ColumnKind::Boolean
        || tells_moderation(column, table)
        || [SPAM_VALUES, REFUSED_VALUES, UNSEEN]
            .iter()
            .any(|words| first(&values(column, table), words).is_some())
}

/// The status that the labels or the constraints of a column of states tell.
fn told(column: &Column, table: &Table) -> Option<Status> {
    if column.kind == ColumnKind::Boolean {
        let flag = flag(column);
        // spam_status is true for what is not to be seen.
        let flags = match column.name.to_lowercase().contains("spam") {
            true => [None, flag, None, None],
            false => [flag, None, None, None],
        };
        return Some(from_flags(table, flags));
    }
    let values = values(column, table);
    let first = |words: &[&str]| first(&values, words);
    let among = |found: &Option<String>, words: &[&str]| {
        found.as_ref().is_some_and(|value| words.contains(&plain(value).as_str()))
    };
    let ham = first(HAM_VALUES);
    let mut moderate = first(MODERATE_VALUES);
    let sure_spam = first(SPAM_VALUES);
    // "draft" or "in_review" says moderation only beside "published" and the like.
    if sure_spam.is_none()
        && !among(&moderate, &MODERATE_VALUES[..SURE_MODERATE])
        && !among(&moderate, UNSEEN)
        && !among(&ham, &HAM_VALUES[..SURE_HAM])
    {
        moderate = None;
    }
    let spam = sure_spam.clone().or_else(|| first(REFUSED_VALUES)).or_else(|| moderate.clone());
    let clear = spam.is_some() && (ham.is_some() || sure_spam.is_some());
    let set = |value: Option<String>| Some(vec![(column.name.clone(), StatusValue::Text(value?))]);
    clear.then(|| Status::of(table, set(ham), set(moderate), set(spam)))
}

/// The first of the words that is a value, as the value is written.
pub(super) fn first(values: &[String], words: &[&str]) -> Option<String> {
    words.iter().find_map(|word| values.iter().find(|value| plain(value) == *word)).cloned()
}

/// The values that a column can take, as far as its type or the constraints list them.
pub(super) fn values(column: &Column, table: &Table) -> Vec<String> {
    match column.kind {
        ColumnKind::Enum => column.labels.clone(),
        ColumnKind::Text => listed_values(&table.checks, &column.name),
        _ => Vec::new(),
    }
}

fn plain(value: &str) -> String {
    value.trim().to_lowercase().replace([' ', '-'], "_")
}

/// A column that says yes or no, with what it is set to for either.
struct Flag {
    column: String,
    yes: StatusValue,
    no: StatusValue,
}

/// The flag that a column of this type is.
fn flag(column: &Column) -> Option<Flag> {
    let text = |value: &str| StatusValue::Text(value.to_owned());
    let (yes, no) = match column.kind {
        ColumnKind::Boolean => (text("true"), text("false")),
        ColumnKind::Integer => (text("1"), text("0")),
        ColumnKind::Time if !column.not_null => (StatusValue::Now, StatusValue::Null),
        _ => return None,
    };
    Some(Flag { column: column.name.clone(), yes, no })
}

/// The status that flags tell: approved, is_public with is_removed, hidden, is_spam, …; if none
/// does, times at which it was approved and the like.
fn flags(names: &Names, table: &Table, may_be_times: bool) -> Option<Status> {
    // What is to be done is blocked by other work.
    let works = follows_work(table);
    let find = |phrases: &[&str]| {
        let candidates = |times: bool| {
            phrases.iter().filter(|phrase| !works || **phrase != "blocked").find_map(
                move |phrase| {
                    table.columns.iter().find(|column| {
                        let telling = names.telling(column);
                        match column.kind {
                            ColumnKind::Time if times && may_be_times => {
                                // published_at says when, not whether.
                                *phrase != "published" && telling == format!("{phrase} at")
                            }
                            ColumnKind::Boolean | ColumnKind::Integer if !times => {
                                telling == *phrase
                            }
                            _ => false,
                        }
                    })
                },
            )
        };
        candidates(false).or_else(|| candidates(true)).and_then(flag)
    };
    let found = [find(SHOWN), find(SPAM_MARKS), find(WAITING), find(TAKEN_AWAY)];
    let yes_or_no = || {
        let mut shown =
            table.columns.iter().filter(|column| SHOWN.contains(&names.telling(column).as_str()));
        let flag = shown.find_map(|column| yes_or_no(column, table))?;
        Some(from_flags(table, [Some(flag), None, None, None]))
    };
    if found.iter().all(Option::is_none) { yes_or_no() } else { Some(from_flags(table, found)) }
}

/// The flag that a column of text is whose constraint or default says yes or no.
fn yes_or_no(column: &Column, table: &Table) -> Option<Flag> {
    let values = values(column, table);
    let listed = |word: &str| values.iter().find(|value| plain(value) == word).cloned();
    let (yes, no) = YES_OR_NO
        .iter()
        .find_map(|(yes, no)| listed(yes).zip(listed(no)))
        .or_else(|| by_default(column))?;
    let [yes, no] = [yes, no].map(StatusValue::Text);
    Some(Flag { column: column.name.clone(), yes, no })
}

/// Yes and no, as the default of a column of text writes one of them. A default of 1 says too
/// little: WordPress has 0, 1 and words.
fn by_default(column: &Column) -> Option<(String, String)> {
    let default = column.default_text().filter(|_| column.kind == ColumnKind::Text)?;
    let as_written = |word: &str| match default.chars().all(char::is_uppercase) {
        true => word.to_uppercase(),
        false => word.to_owned(),
    };
    let mut pairs = YES_OR_NO.iter().filter(|(yes, _)| *yes != "1");
    pairs
        .find(|(yes, no)| [yes, no].iter().any(|word| as_written(word) == default))
        .map(|(yes, no)| (as_written(yes), as_written(no)))
}

/// What the verdicts set: a row that waits is not shown; spam gets its own mark if there is one,
/// is taken away if there is a mark for that, and is at least not shown. It does not wait: queues
/// of moderators list what does.
fn from_flags(table: &Table, flags: [Option<Flag>; 4]) -> Status {
    let [shown, spam, waiting, away] = &flags;
    let set = |flag: &Flag, on: bool| {
        (flag.column.clone(), if on { flag.yes.clone() } else { flag.no.clone() })
    };
    let shown_as = |on: bool| shown.iter().map(move |flag| set(flag, on));
    let waits = |on: bool| waiting.iter().map(move |flag| set(flag, on));
    let marked = [spam, waiting, away].into_iter().flatten();
    let ham: Assignments = shown_as(true).chain(marked.map(|flag| set(flag, false))).collect();
    let moderate: Option<Assignments> = match (shown, waiting, away) {
        (None, None, None) => None,
        (None, None, Some(away)) => Some(vec![set(away, true)]),
        _ => Some(shown_as(false).chain(waits(true)).collect()),
    };
    let junk: Option<Assignments> = match (shown, spam, away) {
        (_, Some(spam), _) => {
            Some(shown_as(false).chain(waits(false)).chain([set(spam, true)]).collect())
        }
        (_, None, Some(away)) => Some(waits(false).chain([set(away, true)]).collect()),
        (Some(_), None, None) => Some(shown_as(false).chain(waits(false)).collect()),
        (None, None, None) => moderate.clone(),
    };
    Status::of(table, Some(ham), moderate, junk)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::sample::table;
    use crate::mapping::{Status, Table};

    fn comments(columns: &str) -> Table {
        table("comments", &format!("*id:integer body:text {columns}"))
    }

    #[test]
    fn flags_beside_each_other_are_all_set() {
        for (columns, expected) in [
            (
                "approved:boolean held:boolean is_spam:boolean",
                json!({"ham": {"approved": true, "held": false, "is_spam": false},
                    "moderate": {"approved": false, "held": true},
                    "spam": {"approved": false, "held": false, "is_spam": true}}),
            ),
            (
                "pending:boolean rejected:boolean",
                json!({"ham": {"pending": false, "rejected": false},
                    "moderate": {"pending": true},
                    "spam": {"pending": false, "rejected": true}}),
            ),
            (
                "approved:char=N",
                json!({"column": "approved", "ham": "Y", "moderate": "N", "spam": "N"}),
            ),
            ("approved:char=1", json!({})),
            ("is_blocked:boolean assignee_id:integer", json!({})),
        ] {
            let found = Status::find(&comments(columns)).map(|status| status.to_json());
            assert_eq!(found, Ok(expected), "{columns}");
        }
    }

    #[test]
    fn a_word_for_spam_goes_before_what_would_stand_for_it() {
        let spam = json!({"column": "spam_status", "ham": "ham", "spam": "spam"});
        for (columns, expected) in [
            ("status:check/draft/published spam_status:check/unknown/ham/spam", spam.clone()),
            ("spam_status:enum/unknown/ham/spam status:check/rejected/approved", spam),
            (
                "status:check/draft/published spam_status:check/unknown/clean",
                json!({"column": "status", "ham": "published", "moderate": "draft", "spam": "draft"}),
            ),
            ("spam_status:boolean", json!({"column": "spam_status", "ham": false, "spam": true})),
            (
                "status:check/draft/published is_spam:boolean",
                json!({"column": "is_spam", "ham": false, "spam": true}),
            ),
            (
                "state:check/draft/published/spam status:check/approved/pending/spam",
                json!({"column": "status", "ham": "approved", "moderate": "pending", "spam": "spam"}),
            ),
        ] {
            let found = Status::find(&comments(columns)).map(|status| status.to_json());
            assert_eq!(found, Ok(expected), "{columns}");
        }
    }

    #[test]
    fn a_status_that_is_not_told_goes_before_a_time() {
        let times = "approved_at:timestamptz status:text=pending";
        assert!(Status::find(&comments(times)).is_err());
        let place = "approved_at:timestamptz city:text state:text";
        assert!(!Status::find(&comments(place)).unwrap().is_empty());
        let state = "approved_at:timestamptz city:text state:text=pending";
        assert!(Status::find(&comments(state)).is_err());
    }
}
