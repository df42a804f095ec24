//! What happens to the lookups of a whole table: a column has another name or is gone, the table gets
//! another policy, or is protected no more. Owns the sentences that say how many they are; each row's own are the
//! other files'.

use spamcheck_engine::LookupKind;

use crate::spi::{self, Arg};
use crate::{key, report, rights, rulebook};

/// A column of a protected table was renamed: what is stored about its rows by column name follows.
pub fn rename_column(protection: i32, old: &str, new: &str) {
    let columns = ["row_key", "_fingerprint", "_status", "_former"];
    key::rename_column("lookup", "_protection", &columns, protection, [old, new]);
}

/// A column of the table was dropped.
pub fn drop_column(protection: i32, name: &str) {
    key::drop_column("lookup", "_protection", protection, name);
}

fn in_words(lookups: i64) -> String {
    if lookups == 1 { "1 lookup".to_owned() } else { format!("{lookups} lookups") }
}

/// A table is not protected any more: nobody will settle its lookups.
pub fn drop_all(protection: i32, table: &str) {
    let (all, held): (i64, i64) = spi::json_now(
        "SELECT convert_to(json_build_array(count(*), count(*) FILTER (WHERE l._held))::text, 'UTF8')
           FROM spamcheck.lookup l WHERE l._protection = $1",
        &[Arg::Int(protection)],
    )
    .unwrap_or_default();
    if all == 0 {
        return;
    }
    spi::write("DELETE FROM spamcheck.lookup l WHERE l._protection = $1", &[Arg::Int(protection)]);
    let lookups = in_words(all);
    let rows = match held {
        0 => String::new(),
        1 => "; 1 row that waited for the answer keeps the status of a moderated one".to_owned(),
        n => format!("; {n} rows that waited for the answers keep the status of moderated ones"),
    };
    report::notice(&format!("{lookups} of table {table} will not be made{rows}"));
}

/// A table has this policy now: it says whether its lookups are made, and what follows from the answers.
pub fn put_under(protection: i32, policy: &str, table: &str) {
    let moved = rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.lookup l SET policy = convert_from($2, 'UTF8')
              WHERE l._protection = $1 AND l.policy <> convert_from($2, 'UTF8')
             RETURNING convert_to(l.kind, 'UTF8')",
            &[Arg::Int(protection), Arg::Text(policy)],
        )
    });
    if moved.is_empty() {
        return;
    }
    let compiled = rulebook::policy(policy);
    // What Akismet is told goes with what it is asked.
    let kind_of = |kind: &str| LookupKind::from_name(kind).unwrap_or(LookupKind::Akismet);
    for kind in LookupKind::ALL.iter().copied() {
        let count = moved.iter().flatten().filter(|moved| kind_of(moved) == kind).count() as i64;
        let asks = compiled.as_ref().is_some_and(|policy| match kind {
            LookupKind::Akismet => policy.akismet().is_some(),
            kind => policy.lookup(kind).is_some(),
        });
        if count > 0 && !asks {
            let lookups = in_words(count);
            let until = match kind {
                LookupKind::Akismet => "asks Akismet, or its give_up_after is over".to_owned(),
                kind => format!("enables check {}", kind.name()),
            };
            report::notice(&format!(
                "{lookups} of table {table} will wait until policy \"{policy}\" {until}"
            ));
        }
    }
}
