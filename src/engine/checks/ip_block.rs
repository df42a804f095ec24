//! Owns the check `ip_block`: addresses known to send spam. It must not know what other checks
//! find.

use super::{Check, Compiled, Example, Seed, ip_allow};
use crate::lists::ListKind;
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
            kind: OptionKind::Lists(ListKind::Ip),
            default: "[\"ip_block\"]",
            meaning: "Lists of kind ip: addresses and networks that are blocked",
        }]
    }

    fn purpose(&self) -> &'static str {
        "Addresses and networks that only ever sent spam. Addresses change hands, so give \
         entries an end with `expires_at`, and prefer a network to fifty addresses. IPv6 \
         networks work alike."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO spamcheck.list_entry (list, value, expires_at) VALUES ('ip_block', '203.0.113.0/24', now() + interval '30 days');

INSERT INTO comments (ip, body) VALUES ('203.0.113.7', 'Great site!'), ('198.51.100.4', 'Great bread!') RETURNING ip, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
      ip      |  status
--------------+----------
 203.0.113.7  | spam
 198.51.100.4 | approved
(2 rows)

 check_name |  outcome   |                                why
------------+------------+-------------------------------------------------------------------
 ip_block   | suppressed | address 203.0.113.7 is in network 203.0.113.0/24 on list ip_block
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
        ip_allow::compile(self.name(), options, backing)
    }
}
