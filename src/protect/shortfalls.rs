//! What a policy asks for and a table does not have. Owns the NOTICEs about it: rows that are judged all the
//! same are judged otherwise than the policy's settings make one think.

use spamcheck_engine::mapping::Mapping;
use spamcheck_engine::{Field, Policy};

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
        missing.partition(|field| settings::FIELD_SETTINGS.iter().any(|(f, _)| f == field));
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
