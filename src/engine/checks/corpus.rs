//! Walks `tests/corpus`: one text file a check, examples with their expected findings. It must not
//! hold examples itself. The format is described at the head of each file.

#[path = "corpus/session.rs"]
mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::CHECKS;
use crate::facts::Facts;
use crate::lists::{List, ListKind};
use crate::lookup::{Found, LookupSetting, Question, Said};
use crate::policy::{Backing, CheckSetting, Policy, PolicySettings};
use crate::submission::Submission;
use session::Session;

/// Checks whose answers do not come from the submission alone: a text file could not show them.
const ELSEWHERE: &[&str] = &["akismet", "captcha", "custom", "duplicate", "ip_interval"];

/// The fewest examples that a check may have.
const EXAMPLES: usize = 15;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus")
}

/// The lists that a file declares: `list: name kind` and one entry a line, indented.
#[derive(Default)]
struct Lists(Vec<(String, ListKind, Vec<String>)>);

impl Backing for Lists {
    fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
        let (_, kind, entries) = self
            .0
            .iter()
            .find(|list| list.0 == name)
            .ok_or_else(|| format!("there is no list \"{name}\""))?;
        List::compile(*kind, &mut entries.iter().map(String::as_str))
            .map(Rc::new)
            .map_err(|refusal| refusal.to_string())
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        seconds(text.strip_suffix(" seconds").unwrap_or_default())
    }
}

struct Corpus {
    check: &'static str,
    lists: Lists,
    options: Json,
    action: String,
    max_chars: usize,
    now: i64,
    session: Session,
    submission: serde_json::Map<String, Json>,
    /// What the network says, for checks that ask it.
    resolves: Option<String>,
    page: Option<String>,
    examples: usize,
}

impl Corpus {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if line.starts_with(' ') {
            let list = self.lists.0.last_mut().ok_or("an entry without a list")?;
            list.2.push(text.to_owned());
            return Ok(());
        }
        if let Some(expected) = text.strip_prefix("=>") {
            return self.example(expected.trim());
        }
        if text.starts_with('{') {
            self.submission = serde_json::from_str(text).map_err(|error| error.to_string())?;
            return Ok(());
        }
        let (name, value) = text.split_once(':').ok_or("neither a field nor an answer")?;
        let value = value.trim();
        match name {
            "options" => {
                self.options = serde_json::from_str(value).map_err(|error| error.to_string())?;
            }
            "action" => value.clone_into(&mut self.action),
            "now" => self.now = crate::time::parse(value).ok_or("not a time")?,
            "session" => {
                self.session.said =
                    serde_json::from_str(value).map_err(|error| error.to_string())?;
            }
            "at" => self.session.clock = 1 + seconds(value)?,
            "resolves" => self.resolves = Some(value.to_owned()),
            "the_page" => self.page = Some(value.to_owned()),
            "max_chars" => self.max_chars = value.parse().map_err(|_| "not a number")?,
            "list" => {
                let (name, kind) = value.split_once(' ').ok_or("a list has a name and a kind")?;
                let kind = ListKind::from_name(kind).ok_or("no such kind of list")?;
                self.lists.0.push((name.to_owned(), kind, Vec::new()));
            }
            field => {
                // A value that starts with a quotation mark is JSON: for escapes and blanks.
                let value = match value.strip_prefix('"') {
                    Some(_) => serde_json::from_str(value).map_err(|error| error.to_string())?,
                    None => json!(value),
                };
                self.submission.insert(field.to_owned(), value);
            }
        }
        Ok(())
    }

    /// Judges the submission so far and compares; the next one starts anew.
    fn example(&mut self, expected: &str) -> Result<(), String> {
        self.examples += 1;
        let submission = Json::Object(std::mem::take(&mut self.submission));
        let submission =
            Submission::from_json(&submission).map_err(|refusal| refusal.to_string())?;
        let setting = CheckSetting {
            check_name: self.check.to_owned(),
            enabled: true,
            action: self.action.clone(),
            score: 1.0,
            options: self.options.clone(),
        };
        let policy = Policy::compile(PolicySettings::default(), vec![setting], &mut self.lists);
        let facts = Facts::new(&submission, self.max_chars, self.now);
        let facts = facts.within(&self.session);
        let quotes = policy.quotes();
        let texts = crate::submission::Field::ALL
            .map(|field| (field, facts.text(field).map(str::trim).unwrap_or_default().to_owned()));
        let quoted = |why: &str| {
            let told = texts.iter().filter(|(_, text)| text.len() > 3 && why.contains(&**text));
            told.map(|(field, _)| *field).find(|field| !quotes.contains(*field))
        };
        let finding = match policy.lookups().first() {
            Some(lookup) => match lookup.ask(&facts) {
                Said::Passes => None,
                Said::Hits(finding) => Some(finding),
                Said::Ask => match self.looked_up(lookup, &facts.to_json())? {
                    Some(found) => found.map(|found| lookup.finding(found)),
                    None if expected == "ask" => return Ok(()),
                    None => return Err("it asks".to_owned()),
                },
            },
            None => policy.checks().next().and_then(|check| check.ask(&facts)),
        };
        if let Some(field) = finding.as_ref().and_then(|finding| quoted(&finding.why)) {
            return Err(format!("it quotes the {} and does not say so", field.name()));
        }
        let Some((action, detail)) = expected.split_once(' ') else {
            let got = finding.map_or("nothing", |finding| finding.action.name());
            return if got == expected { Ok(()) } else { Err(format!("got {got}")) };
        };
        let finding = finding.ok_or("got nothing")?;
        let expected: Json = serde_json::from_str(detail).map_err(|error| error.to_string())?;
        let same = expected.as_object().is_some_and(|parts| {
            parts.iter().all(|(name, part)| finding.detail.get(name) == Some(part))
        });
        if same && finding.action.name() == action {
            return Ok(());
        }
        Err(format!("got {} {}: {}", finding.action.name(), finding.detail, finding.why))
    }
}

impl Corpus {
    /// What the network's answer means; None: the example has none.
    fn looked_up(
        &mut self,
        lookup: &LookupSetting,
        submission: &Json,
    ) -> Result<Option<Option<Found>>, String> {
        let question = lookup.question(submission)?;
        if let Some(addresses) = self.resolves.take() {
            let addresses: Result<Vec<_>, _> =
                addresses.split_whitespace().map(str::parse).collect();
            let addresses = addresses.map_err(|_| "not addresses")?;
            return Ok(Some(question.of_addresses(&addresses)));
        }
        let Question::Link { page: at, .. } = &question else { return Ok(None) };
        Ok(self.page.take().map(|page| question.of_page(&page, at, true)))
    }
}

fn seconds(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map(|n| n * 1_000_000).map_err(|_| "not a number of seconds".to_owned())
}

#[test]
fn every_local_check_answers_its_corpus() {
    let mut faults = Vec::new();
    for check in CHECKS.iter().filter(|check| !ELSEWHERE.contains(&check.name())) {
        let path = folder().join(format!("{}.txt", check.name()));
        let Ok(text) = fs::read_to_string(&path) else {
            faults.push(format!("check {} has no corpus file", check.name()));
            continue;
        };
        let mut corpus = Corpus {
            check: check.name(),
            lists: Lists::default(),
            options: json!({}),
            action: check.action().name().to_owned(),
            max_chars: 65_536,
            now: 0,
            session: Session::default(),
            submission: serde_json::Map::new(),
            resolves: None,
            page: None,
            examples: 0,
        };
        for (number, line) in text.lines().enumerate() {
            if let Err(fault) = corpus.line(line) {
                faults.push(format!("{}.txt:{}: {line}\n    {fault}", check.name(), number + 1));
            }
        }
        if corpus.examples < EXAMPLES {
            faults.push(format!("{}.txt has only {} examples", check.name(), corpus.examples));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_corpus_file_belongs_to_a_check() {
    let checks: BTreeSet<String> =
        CHECKS.iter().map(|check| format!("{}.txt", check.name())).collect();
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(checks.contains(&name), "{name}");
    }
}
