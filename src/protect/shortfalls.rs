//! What a policy asks for and a table does not have: rows that are judged all the same are judged otherwise than
//! the policy's settings make one think. Owns the words about it; to whom they are said is for protect(), the checks
//! of spamcheck.check_setting and health().

use spamcheck_engine::mapping::Mapping;
use spamcheck_engine::policy::{CheckSetting, Enabled, EnabledCheck, in_words};
use spamcheck_engine::verdict::Action;
use spamcheck_engine::{Facts, Field, FieldSet, Policy, Submission, Value};

use super::described::Described;
use crate::report::notice_with_hint;
use crate::settings;
use crate::spi::{self, Arg};
use crate::uncovered::{Uncovered, only_type};
use crate::{rights, rulebook};

/// One of them.
pub struct Shortfall {
    /// What is missing, and what follows.
    pub sentence: String,
    /// What to do about it.
    pub hint: String,
    /// Whether every row is judged by it: no table is meant to be like that.
    pub hits_all: bool,
}

/// Tells what the policy asks for that no column holds.
pub fn tell(policy: &str, mapping: &Mapping, described: &Described) {
    let Some(policy) = rulebook::policy(policy) else { return };
    let table = described.display();
    types(&policy, mapping, described);
    of(&policy, &policy.settings.name, mapping, &table).iter().for_each(Shortfall::tell);
}

/// Tells what a check that is switched on asks for, in all tables under its policy.
pub fn tell_of_check(policy: &str, setting: CheckSetting) {
    let Some(compiled) = rulebook::policy_of(setting) else { return };
    for (table, mapping) in tables() {
        if table.policy == policy {
            of(&compiled, policy, &mapping, &table.name).iter().for_each(Shortfall::tell);
        }
    }
}

/// What hits every row of some table.
pub fn that_hit_all() -> Vec<Shortfall> {
    let of_table = |(table, mapping): (Table, Mapping)| {
        let policy = rulebook::attempt_policy(&table.policy).ok().flatten();
        policy.map_or_else(Vec::new, |policy| of(&policy, &table.policy, &mapping, &table.name))
    };
    tables().into_iter().flat_map(of_table).filter(|one| one.hits_all).collect()
}

impl Shortfall {
    fn tell(&self) {
        notice_with_hint(&self.sentence, &self.hint);
    }
}

#[derive(serde::Deserialize)]
struct Table {
    name: String,
    policy: String,
    columns: serde_json::Value,
}

/// The protected tables with their mappings.
fn tables() -> Vec<(Table, Mapping)> {
    let tables: Vec<Table> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(jsonb_build_object(
                        'name', r.relation::regclass::text, 'policy', p.policy, 'columns', p.columns)
                        ORDER BY r.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._protection p
               JOIN spamcheck._protected_relation r ON r.id = p.id
               JOIN spamcheck.policy y ON y.name = p.policy AND y.mode <> 'off'",
            &[] as &[Arg<'_>],
        )
    })
    .unwrap_or_default();
    let read = |table: Table| {
        let mapping = Mapping::from_json(&table.columns).ok()?;
        Some((table, mapping))
    };
    tables.into_iter().filter_map(read).collect()
}

/// What the checks of a policy go by that a table has no source for.
fn of(policy: &Policy, name: &str, mapping: &Mapping, table: &str) -> Vec<Shortfall> {
    let mut all = required(policy, name, mapping, table);
    all.extend(checks(policy, name, mapping, table));
    all
}

/// What a row says itself: a table that has no column for it has no row with something bad in it, either, so
/// nobody misses a check of that. Forms have hidden fields or have none.
const ITS_OWN: FieldSet = FieldSet::of(&[
    Field::Body,
    Field::Title,
    Field::Author,
    Field::Email,
    Field::Url,
    Field::Honeypot,
    Field::Fields,
]);

/// Which enabled checks never hit, because what they go by has no source.
fn checks(policy: &Policy, name: &str, mapping: &Mapping, table: &str) -> Option<Shortfall> {
    let has = |field: Field| mapping.sources.contains_key(&field) || settings::says(field);
    let idle = policy.enabled().into_iter().filter_map(|check| {
        let lacks = check.lacks(has);
        let lacks_more = lacks.iter().any(|set| !set.without(ITS_OWN).is_empty());
        // rate_limit goes by who sends, whatever the field.
        let missed = lacks_more || matches!(check, Enabled::Local { first: true, .. });
        (!lacks.is_empty() && missed).then(|| format!("{} ({})", check.name(), in_words(&lacks)))
    });
    let idle: Vec<String> = idle.collect();
    (!idle.is_empty()).then(|| Shortfall {
        sentence: format!(
            "enabled checks of policy \"{name}\" never hit in table {table}, which has no source for what they go by: {}",
            idle.join(", ")
        ),
        hint: "Map the fields in argument \"columns\" of spamcheck.protect(), those of an article in \"article\"; or switch the checks off.".to_owned(),
        hits_all: false,
    })
}

/// Says that no row is judged, where the policy does not check the type that they all have.
fn types(policy: &Policy, mapping: &Mapping, described: &Described) {
    let settings = &policy.settings;
    let Some(types) = &settings.types else { return };
    let source = mapping.sources.get(&Field::Type);
    if let Some(found) = Uncovered::find(described.display(), &settings.name, types, source) {
        notice_with_hint(&found.sentence(), &found.hint());
    }
}

/// Whether rows of one type are asked about: a table of trackbacks need not have an author.
fn is_asked_about(required: &EnabledCheck, policy: &str, kind: &str) -> bool {
    let mut empty = Submission::default();
    empty.set(Field::Type, Value::Text(kind.into()));
    let facts = Facts::new(&empty, usize::MAX, 0);
    let policy = rulebook::attempt_policy(policy).ok().flatten();
    required.ask(&facts).is_some() && policy.is_none_or(|policy| policy.covers(facts.kind()))
}

/// Which fields the check `required` asks for that no column holds: rows without them are refused, or
/// whatever its action is, and that is all rows unless a setting brings them.
fn required(policy: &Policy, name: &str, mapping: &Mapping, table: &str) -> Vec<Shortfall> {
    let Some(check) = policy.checks().find(|check| check.name == "required") else {
        return Vec::new();
    };
    let kind = only_type(mapping.sources.get(&Field::Type));
    if kind.is_some_and(|kind| !is_asked_about(check, name, kind)) {
        return Vec::new();
    }
    let reads = check.reads();
    let missing =
        reads.iter().filter(|field| *field != Field::Type && !mapping.sources.contains_key(field));
    let (by_setting, never): (Vec<Field>, Vec<Field>) =
        missing.partition(|field| settings::says(*field));
    let names =
        |fields: &[Field]| fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
    let asks = |fields: &[Field]| {
        format!(
            "check required of policy \"{name}\" asks for {}, for which table {table} has no source: it hits every row",
            names(fields)
        )
    };
    let action = check.action().name();
    let mut all = Vec::new();
    if !never.is_empty() {
        all.push(Shortfall {
            sentence: format!("{} of the types that it is set for (action {action})", asks(&never)),
            hint: "Map the fields in argument \"columns\" of spamcheck.protect(), or take them out of option \"fields\".".to_owned(),
            hits_all: check.action() != Action::Log,
        });
    }
    all.extend(by_setting.into_iter().map(|field| Shortfall {
        sentence: format!(
            "{} (action {action}) for which the app has not set pg_spamcheck.{}",
            asks(&[field]),
            field.name()
        ),
        hint: format!(
            "Have the app set pg_spamcheck.{}, map the field, or take it out of option \"fields\".",
            field.name()
        ),
        hits_all: false,
    }));
    all
}
