//! explain(): every enabled check of a protected table on a submission that need not exist: what it says,
//! and how long it took. Nothing is written, counted or called: surroundings.rs is told so. Owns no
//! judgement; what follows for a row is the policy's.

use std::cell::Cell;
use std::time::Instant;

use pgrx::{AnyElement, pg_sys, prelude::*};
use serde_json::{Map, Value as Json, json};
use spamcheck_engine::akismet::Mode;
use spamcheck_engine::captcha::When;
use spamcheck_engine::lookup::Said as Beforehand;
use spamcheck_engine::policy::{self, CaptchaSetting, Enabled, asks, in_words};
use spamcheck_engine::verdict::{Action, Finding, Judgement, Verdict};
use spamcheck_engine::{Facts, Field, FieldSet, Policy, Submission, Value};

use crate::arguments::{given, json as json_argument, jsonb, preloaded};
use crate::captcha::{self, Asked, Tried};
use crate::lookups::NO_KEY;
use crate::protection::{Bound, Protection};
use crate::surroundings::Around;
use crate::{report, row, rulebook, settings, submission};

/// What one check says.
struct Said {
    check: &'static str,
    action: Option<Action>,
    score: Option<f32>,
    why: Option<String>,
    detail: Json,
    microseconds: f32,
}

impl Said {
    /// Nothing: it does not hit.
    fn nothing(check: &'static str) -> Said {
        Said { check, action: None, score: None, why: None, detail: Json::Null, microseconds: 0.0 }
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn explain(
    relation: Option<pg_sys::Oid>,
    submission: Option<AnyElement>,
) -> TableIterator<
    'static,
    (
        name!(check_name, Vec<u8>),
        name!(action, Option<Vec<u8>>),
        name!(score, Option<f32>),
        name!(why, Option<Vec<u8>>),
        name!(detail, Option<AnyElement>),
        name!(microseconds, f32),
    ),
> {
    preloaded();
    let relation = given(relation, "relation");
    let submission = json_argument(given(submission, "submission"));
    let text = |text: &str| row::to_server(&row::fitting(text)).into_bytes();
    let rows = said(relation, &submission).into_iter().map(move |said| {
        (
            text(said.check),
            said.action.map(|action| text(action.name())),
            said.score,
            said.why.as_deref().map(text),
            jsonb(&said.detail),
            said.microseconds,
        )
    });
    TableIterator::new(rows)
}

fn said(relation: pg_sys::Oid, given: &Json) -> Vec<Said> {
    let mut submission =
        Submission::from_json(given).unwrap_or_else(|refusal| report::refuse_value(refusal));
    let protection = rulebook::protection_of(relation);
    if let Some(given) = given.as_object() {
        fill(&mut submission, &protection, given);
    }
    let policy = rulebook::policy_as_if_on(&protection.policy.settings.name)
        .unwrap_or_else(|| protection.policy.clone());
    let around = Around {
        protection: &protection,
        row: None,
        dry: true,
        edited: false,
        claim: Cell::default(),
    };
    let facts =
        Facts::new(&submission, settings::max_checked_chars(), submission::now()).within(&around);
    let unjudged = unjudged(&protection.policy);
    if let Some(why) = &unjudged {
        report::notice(&format!("rows are not judged: {why}"));
    }
    ask(&protection, &policy, &facts, unjudged.as_deref())
}

/// Why rows are not judged at all, whatever checks would say about them.
fn unjudged(under: &Policy) -> Option<String> {
    if !settings::enabled() {
        return Some("pg_spamcheck.enabled is off".to_owned());
    }
    let off = under.settings.mode == policy::Mode::Off;
    off.then(|| format!("policy \"{}\" has mode off", under.settings.name))
}

/// What no column holds comes from where it would for a row, unless it is given.
fn fill(submission: &mut Submission<'_>, protection: &Protection, given: &Map<String, Json>) {
    for (field, bound) in &protection.sources {
        if given.contains_key(field.name()) {
            continue;
        }
        match bound {
            Bound::Setting(name) => {
                if let Some(text) = settings::by_name(name) {
                    submission.set(*field, Value::Text(text.into()));
                }
            }
            Bound::Value(text) => submission.set(*field, Value::Text(text.clone().into())),
            _ => {}
        }
    }
}

/// Adds how the submission was read: what the log has of it too for a hit, and for the others what
/// concerns the fields that they look at.
fn note(said: &mut [(Said, Option<FieldSet>)], facts: &Facts<'_>) {
    let notes = facts.notes();
    for (said, reads) in said {
        let Some(reads) = reads else { continue };
        let field =
            |note: &str| Field::from_name(note.split([':', '.']).next().unwrap_or_default());
        let concerns = |note: &&String| {
            said.action.is_some() || field(note).is_some_and(|field| reads.contains(field))
        };
        let notes: Vec<&String> = notes.iter().filter(concerns).collect();
        if notes.is_empty() {
            continue;
        }
        if !said.detail.is_object() {
            said.detail = json!({});
        }
        said.detail["notes"] = json!(notes);
    }
}

fn ask(
    protection: &Protection,
    policy: &Policy,
    facts: &Facts<'_>,
    unjudged: Option<&str>,
) -> Vec<Said> {
    let covered = policy.covers(facts.kind());
    let against =
        |findings: &[Finding]| unjudged.map(str::to_owned).or_else(|| against(policy, findings));
    let mut findings = Vec::new();
    let mut all = Vec::new();
    for enabled in policy.enabled() {
        let reads = match &enabled {
            Enabled::Local { check, first } if covered || *first => Some(check.reads()),
            _ => None,
        };
        let lacks = enabled.lacks(|field| has(protection, facts, field));
        let mut said = match enabled {
            Enabled::Idle(name) => Said {
                detail: json!({ "skipped": "as it is set there is nothing that it could hit" }),
                ..Said::nothing(name)
            },
            Enabled::Local { check, first } if !covered && !first => {
                Said { detail: json!({ "skipped": uncovered(facts) }), ..Said::nothing(check.name) }
            }
            Enabled::Local { check, .. } => {
                let started = Instant::now();
                let finding = check.ask(facts);
                let microseconds = started.elapsed().as_secs_f32() * 1e6;
                let said = Said { microseconds, ..shown(check.name, finding.as_ref()) };
                findings.extend(finding);
                said
            }
            Enabled::Lookup(lookup) => {
                let started = Instant::now();
                let asked = if covered { Some(lookup.ask(facts)) } else { None };
                let microseconds = started.elapsed().as_secs_f32() * 1e6;
                match asked {
                    None => Said {
                        detail: json!({ "skipped": uncovered(facts) }),
                        ..Said::nothing(lookup.name())
                    },
                    Some(Beforehand::Passes) => {
                        Said { microseconds, ..Said::nothing(lookup.name()) }
                    }
                    Some(Beforehand::Hits(finding)) => {
                        let said = Said { microseconds, ..shown(lookup.name(), Some(&finding)) };
                        findings.push(finding);
                        said
                    }
                    Some(Beforehand::Ask) => {
                        let against = against(&findings);
                        let detail =
                            json!({ "asked": against.is_none(), "action": lookup.action.name() });
                        let nothing = Said { detail, microseconds, ..Said::nothing(lookup.name()) };
                        match against {
                            Some(why) => Said {
                                why: Some(format!("it would not be looked up: {why}")),
                                ..nothing
                            },
                            None if protection.key.is_empty() => Said {
                                action: Some(Action::Error),
                                why: Some(NO_KEY.to_owned()),
                                ..nothing
                            },
                            None => Said {
                                why: Some("the worker would look it up".to_owned()),
                                ..nothing
                            },
                        }
                    }
                }
            }
            Enabled::Captcha(captcha) => {
                let against = findings.iter().any(|finding| finding.action == Action::Allow);
                let started = Instant::now();
                let said = captcha_said(protection, policy, captcha, facts, &findings, against);
                Said { microseconds: started.elapsed().as_secs_f32() * 1e6, ..said }
            }
            Enabled::Akismet(akismet) => {
                let against = if covered { against(&findings) } else { Some(uncovered(facts)) };
                let mode = match akismet.options.mode {
                    Mode::Async => "async",
                    Mode::Hold => "hold",
                    Mode::Wait => "wait",
                };
                let detail = json!({ "asked": against.is_none(), "mode": mode, "action": akismet.action.name() });
                let nothing = Said { detail, ..Said::nothing("akismet") };
                match against {
                    Some(why) => {
                        Said { why: Some(format!("Akismet would not be asked: {why}")), ..nothing }
                    }
                    None if protection.key.is_empty() => Said {
                        action: Some(Action::Error),
                        why: Some(NO_KEY.to_owned()),
                        ..nothing
                    },
                    None => Said {
                        why: Some(format!("Akismet would be asked (mode {mode})")),
                        ..nothing
                    },
                }
            }
        };
        if said.action.is_none() && said.detail.is_null() && !lacks.is_empty() {
            let why = format!("the table has no source for {}", in_words(&lacks));
            said.detail = json!({ "skipped": why });
        }
        all.push((said, reads));
    }
    note(&mut all, facts);
    all.into_iter().map(|(said, _)| said).collect()
}

/// Whether a field has a source, or is given though the table has none for it.
fn has(protection: &Protection, facts: &Facts<'_>, field: Field) -> bool {
    let submission = facts.submission();
    protection.sources.iter().any(|(mapped, _)| *mapped == field)
        || *submission.get(field) != Value::Absent
        || field == Field::Fields && !submission.fields().is_empty()
}

fn uncovered(facts: &Facts<'_>) -> String {
    format!("the policy does not check submissions of type \"{}\"", facts.kind())
}

/// Why nothing would be looked up after these findings.
fn against(policy: &Policy, findings: &[Finding]) -> Option<String> {
    if findings.iter().any(|finding| finding.action == Action::Allow) {
        return Some("another check allows the submission".to_owned());
    }
    let verdict = policy.weigh(findings.to_vec()).verdict;
    (verdict >= Verdict::Spam).then(|| format!("the verdict is {} without it", verdict.name()))
}

/// What the captcha would do, without using the answer.
fn captcha_said(
    protection: &Protection,
    policy: &Policy,
    captcha: &CaptchaSetting,
    facts: &Facts<'_>,
    findings: &[Finding],
    allowed: bool,
) -> Said {
    let nothing = Said::nothing("captcha");
    let judgement = Judgement { allowed, ..policy.weigh(findings.to_vec()) };
    match policy.captcha_for(facts, &judgement) {
        Err(why) => return shown("captcha", Some(&captcha.failed(&why))),
        Ok(None) => {
            let why = if allowed {
                "another check allows the submission"
            } else {
                "it does not apply to the submission"
            };
            return Said { detail: json!({ "skipped": why }), ..nothing };
        }
        Ok(Some(_)) => {}
    }
    if captcha.options.when == When::Suspicious && !asks(&judgement) {
        let why = "no other finding asks to challenge";
        return Said { detail: json!({ "skipped": why }), ..nothing };
    }
    let asked = Asked {
        options: &captcha.options,
        relation: &protection.relation,
        protection: protection.id,
        facts,
        edited: false,
        trial: false,
    };
    let finding = match captcha::tried_dry(&asked) {
        Tried::Solved => return Said { why: Some("captcha solved".to_owned()), ..nothing },
        Tried::Untried => {
            let why = format!("{} would be asked", captcha.options.provider.name());
            return Said { why: Some(why), ..nothing };
        }
        Tried::Missing => captcha.finding("there is no answer to the captcha"),
        Tried::Wrong(why) => captcha.finding(&why),
        Tried::Unverified(why) => captcha.unverified(&why),
        Tried::Unusable(why) => captcha.failed(&why),
    };
    shown("captcha", Some(&finding))
}

fn shown(check: &'static str, finding: Option<&Finding>) -> Said {
    let Some(finding) = finding else { return Said::nothing(check) };
    Said {
        check,
        action: Some(finding.action),
        score: Some(finding.score),
        why: Some(finding.why.clone()),
        detail: finding.detail.clone(),
        microseconds: 0.0,
    }
}
