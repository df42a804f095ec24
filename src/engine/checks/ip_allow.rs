//! Owns the check `ip_allow`: addresses that may post whatever they like. It must not know what
//! other checks find.

use std::rc::Rc;

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed, named_lists};
use crate::facts::Facts;
use crate::lists::{List, ListKind};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// The check `ip_allow` (`ActionKit`'s IP allow list).
pub struct IpAllow;

impl Check for IpAllow {
    fn name(&self) -> &'static str {
        "ip_allow"
    }

    fn summary(&self) -> &'static str {
        "The sender's address is on an allow list"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::ActionKit]
    }

    fn action(&self) -> Action {
        Action::Allow
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "lists",
            kind: OptionKind::Lists(ListKind::Ip),
            default: "[\"ip_allow\"]",
            meaning: "Lists of kind ip: addresses and networks that are allowed",
        }]
    }

    fn purpose(&self) -> &'static str {
        "Addresses and networks from which everything is welcome: your own office, or the \
         machine of an app that hands in what people wrote elsewhere. Put it there before you \
         set a check to reject, and remember that behind one address there may be many people."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO spamcheck.list_entry (list, value, note) VALUES ('ip_allow', '192.0.2.0/24', 'our office');
UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'default' AND check_name = 'links';
UPDATE spamcheck.check_setting SET options = '{"over": 0}' WHERE policy = 'default' AND check_name = 'links';

INSERT INTO comments (ip, body) VALUES ('192.0.2.17', 'Read on at https://blog.example/rye') RETURNING status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 2;"#,
            output: r#"
  status
----------
 approved
(1 row)

 check_name | outcome |                              why
------------+---------+----------------------------------------------------------------
 links      | allowed | 1 link in the body, more than 0
 ip_allow   | allowed | address 192.0.2.17 is in network 192.0.2.0/24 on list ip_allow
(2 rows)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        compile(self.name(), options, backing)
    }
}

/// Compiles a check that looks the sender's address up in lists.
pub(super) fn compile(
    check: &str,
    options: &OptionValues,
    backing: &mut dyn Backing,
) -> Result<Compiled, Refusal> {
    let lists = named_lists((check, "lists"), options, backing, ListKind::Ip)?;
    if lists.is_empty() {
        return Ok(Compiled::Nothing);
    }
    Ok(Compiled::local(OnNetworks { lists }))
}

struct OnNetworks {
    lists: Vec<(String, Rc<List>)>,
}

impl LocalCheck for OnNetworks {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Ip])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let Some(address) = facts.ip() else { return Ok(None) };
        Ok(self.lists.iter().find_map(|(name, list)| {
            let List::Networks(networks) = &**list else { return None };
            let entry = networks.find(address)?;
            let why = if entry == address.to_string() {
                format!("address {address} is on list {name}")
            } else {
                format!("address {address} is in network {entry} on list {name}")
            };
            Some(Hit::new(why, json!({"list": name, "entry": entry, "ip": address.to_string()})))
        }))
    }
}
