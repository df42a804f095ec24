//! Owns the check `ip_block`: addresses known to send spam. It must not know what other checks
//! find.

use super::{Check, Compiled, Seed, ip_allow};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::verdict::Action;

/// The check `ip_block` (`ActionKit`'s IP block list).
pub struct IpBlock;

impl Check for IpBlock {
    fn name(&self) -> &'static str {
        "ip_block"
    }

    fn summary(&self) -> &'static str {
        "The sender's address is on a block list"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::ActionKit]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "lists",
            kind: OptionKind::Lists,
            default: "[\"ip_block\"]",
            meaning: "Lists of kind ip: addresses and networks that are blocked",
        }]
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        ip_allow::compile(self.name(), options, backing)
    }
}
