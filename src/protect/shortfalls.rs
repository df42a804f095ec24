//! What a policy asks for and a table does not have. Owns the NOTICEs about it: rows that are judged all the
//! same are judged otherwise than the policy's settings make one think.

use spamcheck_engine::mapping::Mapping;
use spamcheck_engine::policy::{Enabled, in_words};
use spamcheck_engine::{Field, FieldSet, Policy};

use super::described::Described;
use crate::report::{notice, notice_with_hint};
use crate::rulebook;
use crate::settings;
use crate::uncovered::Uncovered;

/// Tells what the policy asks for that no column holds.
pub fn tell(policy: &str, mapping: &Mapping, described: &Described) {
    let Some(policy) = rulebook::policy(policy) else { return };
    required(&policy, mapping, described);
    types(&policy, mapping, described);
    checks(&policy, mapping, described);
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

/// Says which enabled checks never hit, because what they go by has no source.
fn checks(policy: &Policy, mapping: &Mapping, described: &Described) {
    let has = |field: Field| mapping.sources.contains_key(&field) || settings::says(field);
    let idle = policy.enabled().into_iter().filter_map(|check| {
        let lacks = check.lacks(has);
        let lacks_more = lacks.iter().any(|set| !set.without(ITS_OWN).is_empty());
        // rate_limit goes by who sends, whatever the field.
        let missed = lacks_more || matches!(check, Enabled::Local { first: true, .. });
        (!lacks.is_empty() && missed).then(|| format!("{} ({})", check.name(), in_words(&lacks)))
    });
    let idle: Vec<String> = idle.collect();
    if !idle.is_empty() {
        notice_with_hint(
            &format!(
                "enabled checks of policy \"{}\" never hit in table {}, which has no source for what they go by: {}",
                policy.settings.name,
                described.display(),
                idle.join(", ")
            ),
            "Map the fields in argument \"columns\", those of an article in \"article\"; or switch the checks off.",
        );
    }
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

/// Says which fields the check `required` asks for that no column holds: rows without them are refused, or
/// whatever its action is, and that is all rows unless a setting brings them.
fn required(policy: &Policy, mapping: &Mapping, described: &Described) {
    let Some(check) = policy.checks().find(|check| check.name == "required") else { return };
    let reads = check.reads();
    let missing =
        reads.iter().filter(|field| *field != Field::Type && !mapping.sources.contains_key(field));
    let (by_setting, never): (Vec<Field>, Vec<Field>) =
        missing.partition(|field| settings::says(*field));
    let names =
        |fields: &[Field]| fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
    let (table, action) = (described.display(), check.action().name());
    if !never.is_empty() {
        notice(&format!(
            "check required of policy \"{}\" asks for {}, for which table {table} has no column: it hits every row of the \
             types that it is set for (action {action}) until you map the field or take it out of option fields",
            policy.settings.name,
            names(&never)
        ));
    }
    for field in by_setting {
        notice(&format!(
            "check required of policy \"{}\" asks for {}, for which table {table} has no column: it hits every row (action \
             {action}) for which the app has not set pg_spamcheck.{}",
            policy.settings.name,
            field.name(),
            field.name()
        ));
    }
}
