//! Owns the check `akismet` as an entry of the catalogue. Its options, requests and answers are
//! the module `akismet`'s; it compiles to a lookup, never to a local check.

use super::{Check, Compiled, Example, Seed};
use crate::akismet::{OPTIONS, Options};
use crate::options::{OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::verdict::Action;

/// The check `akismet` (all three systems).
pub struct Akismet;

impl Check for Akismet {
    fn name(&self) -> &'static str {
        "akismet"
    }

    fn summary(&self) -> &'static str {
        "Akismet calls it spam"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity, Seed::ActionKit, Seed::GitLab]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        OPTIONS
    }

    fn purpose(&self) -> &'static str {
        "Akismet's service knows the spam of millions of sites. The worker asks it after the \
         commit, so no transaction waits for the network, unless `mode` is `wait`: then the \
         insert waits for at most `wait_ms`, and the answer can even reject. No row is sent \
         that a local check already calls spam, and no lookup is lost in an outage: it waits in \
         `spamcheck.lookup`. What leaves your database are the text, the fields that `send` \
         names and the homepage; say so in your privacy notice, or set `anonymize`. The key \
         goes into the file that `pg_spamcheck.secrets_file` names."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"options = '{"mode": "hold", "blog": "https://blog.example/"}'"#,
            sql: r#"INSERT INTO comments (author, ip, body) VALUES ('Ellen', '198.51.100.4', 'What a loaf!') RETURNING status;
SELECT kind, state, submission ->> 'body' AS body FROM spamcheck.lookup;"#,
            output: r#"
 status
---------
 pending
(1 row)

  kind   | state  |     body
---------+--------+--------------
 akismet | queued | What a loaf!
(1 row)
"#,
            ..Example::default()
        }
    }

    fn validate(&self, options: &OptionValues) -> Result<(), Refusal> {
        Options::parse(&options.to_json()).map(drop)
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        Options::parse(&options.to_json()).map(Compiled::Akismet)
    }
}
