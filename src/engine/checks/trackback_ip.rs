//! Owns the check `trackback_ip`: whether a trackback comes from the machine that its homepage is on. It
//! must not resolve names: the worker does, and this says what the addresses mean.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

use super::{Beforehand, Check, Compiled, Example, Hit, LookupCheck, Seed};
use crate::addresses;
use crate::facts::Facts;
use crate::location::{Host, Location};
use crate::lookup::{LookupKind, Question};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::pattern;
use crate::patterns::Patterns;
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};

/// The check `trackback_ip` (Serendipity: check trackback/pingback IP).
pub struct TrackbackIp;

/// The types of submission that it is about.
pub(super) fn is_trackback(facts: &Facts<'_>) -> bool {
    matches!(facts.kind(), "trackback" | "pingback")
}

impl Check for TrackbackIp {
    fn name(&self) -> &'static str {
        "trackback_ip"
    }

    fn summary(&self) -> &'static str {
        "A trackback was not sent by the host of its homepage"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "exclude",
            kind: OptionKind::Texts,
            default: r#"["^http://identi\\.ca/notice/\\d+$"]"#,
            meaning: "Regular expressions, searched in the homepage: such trackbacks are not looked at",
        }]
    }

    fn purpose(&self) -> &'static str {
        "A blog sends its trackbacks and pingbacks itself, so the host of the `url` should have the \
         sender's `ip` among its addresses. The worker asks the name service after the commit; \
         until then the row is moderated, and gets its own status back when the addresses fit. \
         Blogs behind a proxy or a content network send from other addresses than they are \
         reached at: moderate rather than reject. A host that the name service cannot tell about \
         just now is asked for again, for some minutes, and then a person looks, whatever the \
         action. It looks at trackbacks and pingbacks only, and needs `url` and `ip`."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (type, url, ip, body) VALUES
       ('trackback', 'http://198.51.100.7/my-bread', '198.51.100.7', 'I bake it, too.'),
       ('trackback', 'http://198.51.100.7/my-bread', '203.0.113.5', 'I bake it better.')
RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
       body        |  status
-------------------+----------
 I bake it, too.   | approved
 I bake it better. | pending
(2 rows)

  check_name  |  outcome  |                        why
--------------+-----------+----------------------------------------------------
 trackback_ip | moderated | 198.51.100.7 is not 203.0.113.5, which has sent it
(1 row)
"#,
            ..Example::default()
        }
    }

    fn validate(&self, options: &OptionValues) -> Result<(), Refusal> {
        options.texts("exclude").iter().try_for_each(|entry| {
            pattern::validate(entry).map_err(|mut refusal| {
                refusal.message =
                    format!("option \"exclude\" of check trackback_ip: {}", refusal.message);
                refusal
            })
        })
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let exclude = options.texts("exclude");
        let exclude = Patterns::compile(&mut exclude.iter().map(String::as_str))?;
        Ok(Compiled::Lookup(LookupKind::TrackbackIp, Box::new(FromItsHost { exclude })))
    }
}

struct FromItsHost {
    exclude: Patterns,
}

impl LookupCheck for FromItsHost {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Type, Field::Url, Field::Ip])
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        // Without a type nothing is a trackback; one without a homepage is found for that.
        vec![FieldSet::of(&[Field::Type])]
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::of(&[Field::Url, Field::Ip])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Beforehand, String> {
        if !is_trackback(facts) {
            return Ok(Beforehand::Passes);
        }
        let Some(url) = facts.text(Field::Url) else {
            return Ok(Beforehand::Hits(Hit::new("it has no homepage", json!({ "url": null }))));
        };
        if self.exclude.find(url).map_err(|refusal| refusal.message)?.is_some() {
            return Ok(Beforehand::Passes);
        }
        let place = match Location::parse(url) {
            Ok(place) => place,
            Err(fault) => {
                let why = format!("its homepage is no address of a page: {fault}");
                return Ok(Beforehand::Hits(Hit::new(why, json!({ "url": url }))));
            }
        };
        let Some(sender) = facts.ip() else {
            return Err("the sender's address is not known".to_owned());
        };
        Ok(match place.host {
            Host::Name(_) => Beforehand::Ask,
            Host::Address(address) if addresses::same(address, sender) => Beforehand::Passes,
            Host::Address(address) => Beforehand::Hits(Hit::new(
                format!("{address} is not {sender}, which has sent it"),
                json!({ "host": address.to_string(), "sender": sender.to_string() }),
            )),
        })
    }

    fn question(&self, submission: &Json) -> Result<Question, String> {
        let text = |field: &str| submission[field].as_str().unwrap_or_default();
        let place = Location::parse(text("url"))
            .map_err(|fault| format!("its homepage is no address of a page: {fault}"))?;
        let sender: IpAddr = text("ip")
            .split('/')
            .next()
            .and_then(|ip| ip.parse().ok())
            .ok_or("the sender's address is not known")?;
        Ok(Question::Sender { host: place.host.to_string(), sender })
    }
}
