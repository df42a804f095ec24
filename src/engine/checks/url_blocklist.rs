//! Owns the check `url_blocklist`: addresses on the web that lead to hosts on a list. It must not
//! know how links are found or how hosts are compared.

use std::rc::Rc;

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed, named_lists};
use crate::facts::Facts;
use crate::hosts;
use crate::links::{self, Link};
use crate::lists::{List, ListKind};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// The fields that can be scanned: `url` and `referrer` are one address, the others texts with
/// links in them.
const FIELDS: &[&str] = &["url", "body", "title", "author", "referrer", "fields"];

/// The check `url_blocklist` (Serendipity's URL filtering by the blacklist of blogg.de).
pub struct UrlBlocklist;

impl Check for UrlBlocklist {
    fn name(&self) -> &'static str {
        "url_blocklist"
    }

    fn summary(&self) -> &'static str {
        "The homepage or a link leads to a host on a block list"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "lists",
                kind: OptionKind::Lists(ListKind::Domain),
                default: "[\"url_block\"]",
                meaning: "Lists of kind domain: each entry stands for itself and its subdomains",
            },
            OptionSpec {
                name: "scan",
                kind: OptionKind::Fields(FIELDS),
                default: "[\"url\",\"body\"]",
                meaning: "Where addresses are looked for: url and referrer are one, the others \
                          have links in them",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "Domains to which nothing good leads. An entry stands for itself and all that ends in \
         it: `bad.example` also finds `shop.bad.example`, and never `notbad.example`. It looks \
         at the homepage and at the links in the body. A long list can be kept up to date from \
         a `source_url`, as Serendipity did with the list of blogg.de. An entry of such a list that you \
         do not want gets an `expires_at` that is over: deleted, it would come back."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'bad.example');

INSERT INTO comments (url, body) VALUES ('https://notbad.example/', 'Nice.'), (NULL, 'More at http://shop.bad.example/x')
RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
               body                |  status
-----------------------------------+----------
 Nice.                             | approved
 More at http://shop.bad.example/x | spam
(2 rows)

  check_name   |  outcome   |                                 why
---------------+------------+----------------------------------------------------------------------
 url_blocklist | suppressed | body leads to shop.bad.example, and bad.example is on list url_block
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
        let lists = named_lists((self.name(), "lists"), options, backing, ListKind::Domain)?;
        let fields = options.fields("scan");
        if lists.is_empty() || fields.is_empty() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(OnDomains { lists, fields }))
    }
}

struct OnDomains {
    lists: Vec<(String, Rc<List>)>,
    fields: Vec<Field>,
}

impl OnDomains {
    /// What an address in a field leads to, if that is on a list. A full stop of Chinese or Japanese
    /// may divide labels or end a sentence: each gives a host.
    fn look_up(&self, url: &str, field: &str) -> Option<Hit> {
        let sentence = url.find(['\u{3002}', '\u{FF61}']).map(|end| &url[..end]);
        self.look_up_host(url, field).or_else(|| self.look_up_host(sentence?, field))
    }

    fn look_up_host(&self, url: &str, field: &str) -> Option<Hit> {
        let host = hosts::of_url(url)?;
        self.lists.iter().find_map(|(list, entries)| {
            let List::Domains(domains) = &**entries else { return None };
            let entry = domains.find(&host)?;
            let why = if entry == host {
                format!("{field} leads to {host}, which is on list {list}")
            } else {
                format!("{field} leads to {host}, and {entry} is on list {list}")
            };
            Some(Hit::new(why, json!({"list": list, "entry": entry, "host": host, "field": field})))
        })
    }

    /// What the links of a text lead to, as they were written: the normal form of words makes one host
    /// of two.
    fn look_up_links(&self, text: &str, links: &[Link], field: &str) -> Option<Hit> {
        if text.is_ascii() {
            return links.iter().find_map(|link| self.look_up(&link.address(text), field));
        }
        let written = links::separated(text);
        let mut links = links::as_written(&written, links).into_iter();
        links.find_map(|link| self.look_up(&link.address(&written), field))
    }

    fn scan(&self, facts: &Facts<'_>, field: Field) -> Option<Hit> {
        let hit = match field {
            // Of an array each element has a line.
            Field::Url | Field::Referrer => {
                let text = facts.text(field)?;
                let mut lines = text.lines().filter(|line| line.len() < text.len());
                self.look_up(text, field.name())
                    .or_else(|| lines.find_map(|line| self.look_up(line, field.name())))
            }
            Field::Body => self.look_up_links(facts.text(field)?, facts.links(), field.name()),
            _ => {
                return facts.texts(field).find_map(|named| {
                    let links = links::find(&links::searched(named.text));
                    let hit = self.look_up_links(named.text, &links, &named.name())?;
                    Some(hit.truncated(named.truncated))
                });
            }
        };
        hit.map(|hit| hit.truncated(facts.truncated(field)))
    }
}

impl LocalCheck for OnDomains {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&self.fields)
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        Ok(self.fields.iter().find_map(|field| self.scan(facts, *field)))
    }
}
