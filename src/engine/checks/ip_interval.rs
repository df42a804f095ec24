//! Owns the check `ip_interval`: rows that follow each other too fast from one address. It must not
//! know how earlier rows are remembered.

use std::net::IpAddr;

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::surroundings::{Memory, Trace, TraceKind};

/// The check `ip_interval` (Serendipity: IP block interval).
pub struct IpInterval;

impl Check for IpInterval {
    fn name(&self) -> &'static str {
        "ip_interval"
    }

    fn summary(&self) -> &'static str {
        "Another row came from this IP address a short time ago"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "interval",
            kind: OptionKind::Interval,
            default: "\"2 minutes\"",
            meaning: "An earlier row from this address less than this ago is a hit; exactly this \
                      is none. Edits are no rows of their own",
        }]
    }

    fn purpose(&self) -> &'static str {
        "One address need not write twice within a moment. Rows that were accepted or moderated \
         count, refused ones do not; one whose `created_at` is earlier than its arrival came then, \
         so an import of old rows is no flood. Mind that offices, schools and mobile networks share \
         addresses: `moderate` is kinder than `reject`. It remembers earlier rows as \
         `duplicate` does, and a row waits for one from the same address that is not committed yet: \
         a long transaction holds up everybody behind its address, and two that insert rows from the \
         same addresses in opposite order are a deadlock (error 40P01; try again, or sort the rows by \
         address)."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (ip, body) VALUES ('198.51.100.20', 'Nice.') RETURNING status;
INSERT INTO comments (ip, body) VALUES ('198.51.100.20', 'And nice again.'), ('198.51.100.21', 'Nice.') RETURNING ip, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
  status
----------
 approved
(1 row)

      ip       |  status
---------------+----------
 198.51.100.20 | pending
 198.51.100.21 | approved
(2 rows)

 check_name  |  outcome  |                             why
-------------+-----------+-------------------------------------------------------------
 ip_interval | moderated | another row came from 198.51.100.20 less than 2 minutes ago
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        Ok(match length(self.name(), "interval", options, backing)? {
            None | Some((_, 0)) => Compiled::Nothing,
            Some((text, interval)) => Compiled::local(Interval { text, interval }),
        })
    }
}

/// An interval of the options: as it was given, and in microseconds; None: it is off.
pub(super) fn length(
    check: &str,
    option: &str,
    options: &OptionValues,
    backing: &mut dyn Backing,
) -> Result<Option<(String, i64)>, Refusal> {
    let Some(text) = options.text(option) else { return Ok(None) };
    let refusal = |why: String| {
        Refusal::new(format!("option \"{option}\" of check {check}: {why}"))
            .with_hint("It takes an interval as text, such as \"2 minutes\".")
    };
    let length = backing.interval(text).map_err(refusal)?;
    if length < 0 {
        return Err(refusal(format!("{} lies in the past", Refusal::quote(text))));
    }
    Ok(Some((text.to_owned(), length)))
}

struct Interval {
    text: String,
    /// In microseconds.
    interval: i64,
}

impl LocalCheck for Interval {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Ip, Field::Type])
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::of(&[Field::Ip])
    }

    fn remembers(&self) -> Vec<Memory> {
        vec![Memory { kind: TraceKind::Ip, within: Some(self.interval) }]
    }

    fn leave_traces(&self, facts: &Facts<'_>) -> Result<(), String> {
        self.earlier(facts, 0).map(drop)
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        // Trackbacks come from the blogs that send them, several at a time (Serendipity asks of comments
        // only); to those who comment from there they are earlier rows.
        if matches!(facts.kind(), "trackback" | "pingback") {
            self.leave_traces(facts)?;
            return Ok(None);
        }
        Ok(self.earlier(facts, 1)?.map(|ip| self.hit(ip)))
    }
}

impl Interval {
    /// The address, if so many rows came from it before, of whatever type they were.
    fn earlier(&self, facts: &Facts<'_>, wanted: u32) -> Result<Option<IpAddr>, String> {
        let Some(ip) = facts.ip() else { return Ok(None) };
        let value = ip.to_string();
        let since = Some(facts.now().saturating_sub(self.interval));
        let trace = Trace { kind: TraceKind::Ip, value: &value, since };
        let found = facts.surroundings().earlier(trace, wanted, &mut |row| {
            // Remembered by a hash, and an edit may have changed it.
            row.facts.ip() == Some(ip)
        })?;
        Ok((found > 0).then_some(ip))
    }

    fn hit(&self, ip: IpAddr) -> Hit {
        Hit::new(
            format!("another row came from {ip} less than {} ago", self.text),
            json!({"ip": ip.to_string(), "interval": self.text}),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::checks::remembered::{Table, judged, refused};

    const MINUTE: i64 = 60_000_000;

    fn hits(options: &Json, earlier: &[(i64, Json)], ip: &str) -> bool {
        let mut table = Table::default();
        for (ago, submission) in earlier {
            table.add(-ago, submission.clone());
        }
        judged("ip_interval", options, &table, &json!({ "ip": ip })).is_some()
    }

    #[test]
    fn trackbacks_are_not_asked_about() {
        let mut table = Table::default();
        table.add(-1, json!({"ip": "192.0.2.1"}));
        for (kind, hit) in [("trackback", false), ("PINGBACK", false), ("petition", true)] {
            let submission = json!({"ip": "192.0.2.1", "type": kind});
            assert_eq!(
                judged("ip_interval", &json!({}), &table, &submission).is_some(),
                hit,
                "{kind}"
            );
        }
    }

    #[test]
    fn a_trackback_is_an_earlier_row_to_a_comment() {
        let earlier = [(1, json!({"ip": "192.0.2.1", "type": "trackback"}))];
        assert!(hits(&json!({}), &earlier, "192.0.2.1"));
    }

    #[test]
    fn less_than_the_interval_hits_and_exactly_the_interval_passes() {
        let from = |ago| [(ago, json!({"ip": "192.0.2.1"}))];
        assert!(hits(&json!({}), &from(0), "192.0.2.1"));
        assert!(hits(&json!({}), &from(2 * MINUTE - 1), "192.0.2.1"));
        assert!(!hits(&json!({}), &from(2 * MINUTE), "192.0.2.1"));
        assert!(!hits(&json!({}), &from(1), "192.0.2.2"));
        assert!(hits(&json!({"interval": "1 hour"}), &from(59 * MINUTE), "192.0.2.1"));
    }

    #[test]
    fn one_address_is_one_however_it_is_written() {
        let earlier = [(1, json!({"ip": "2001:DB8::0:1"}))];
        assert!(hits(&json!({}), &earlier, "2001:db8::1"));
        assert!(hits(&json!({}), &[(1, json!({"ip": "192.0.2.1"}))], "::ffff:192.0.2.1"));
    }

    #[test]
    fn without_an_address_nothing_is_asked() {
        let mut table = Table::default();
        table.add(-1, json!({}));
        assert!(judged("ip_interval", &json!({}), &table, &json!({"ip": "unknown"})).is_none());
        assert_eq!(table.asked(), 0);
    }

    #[test]
    fn null_and_zero_switch_it_off_and_nonsense_is_refused() {
        let earlier = [(1, json!({"ip": "192.0.2.1"}))];
        assert!(!hits(&json!({"interval": null}), &earlier, "192.0.2.1"));
        assert!(!hits(&json!({"interval": "0 seconds"}), &earlier, "192.0.2.1"));
        assert!(refused("ip_interval", &json!({"interval": "soon"})).contains("\"interval\""));
        assert!(refused("ip_interval", &json!({"interval": "-1 minutes"})).contains("in the past"));
    }
}
