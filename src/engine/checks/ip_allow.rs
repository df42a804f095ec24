//! Owns the check `ip_allow`: addresses that may post whatever they like. It must not know what
//! other checks find.

use std::rc::Rc;

use serde_json::json;

use super::{Check, Compiled, Hit, LocalCheck, Seed, named_lists};
use crate::facts::Facts;
use crate::lists::List;
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
            kind: OptionKind::Lists,
            default: "[\"ip_allow\"]",
            meaning: "Lists of kind ip: addresses and networks that are allowed",
        }]
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
    let networks = |list: Rc<List>| matches!(*list, List::Networks(_)).then_some(list);
    let lists = named_lists((check, "lists"), options, backing, "ip", networks)?;
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
