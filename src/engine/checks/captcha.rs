//! Owns the check `captcha` as an entry of the catalogue. What challenges say and answers prove is the
//! module `captcha`'s; it compiles to options, since whether an answer was used before only a server knows.

use super::{Check, Compiled, Example, Seed};
use crate::captcha::Options;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::verdict::Action;

/// The check `captcha` (all three systems).
pub struct Captcha;

impl Check for Captcha {
    fn name(&self) -> &'static str {
        "captcha"
    }

    fn summary(&self) -> &'static str {
        "No valid answer to a captcha"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity, Seed::ActionKit, Seed::GitLab]
    }

    fn action(&self) -> Action {
        Action::Challenge
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "provider",
                kind: OptionKind::OneOf(&["altcha", "image", "recaptcha", "hcaptcha", "turnstile"]),
                default: "\"altcha\"",
                meaning: "Whose captcha: a proof of work or an image of our own, or a service that the \
                          worker asks",
            },
            OptionSpec {
                name: "when",
                kind: OptionKind::OneOf(&["always", "suspicious"]),
                default: "\"always\"",
                meaning: "\"suspicious\": only where another finding asks to challenge",
            },
            OptionSpec {
                name: "after_days",
                kind: OptionKind::Integer { min: 0, max: 36_500 },
                default: "null",
                meaning: "Only under articles older than this; 0: under every one",
            },
            OptionSpec {
                name: "types",
                kind: OptionKind::Texts,
                default: "[\"comment\"]",
                meaning: "The types of submission that need an answer; null: all",
            },
            OptionSpec {
                name: "pages",
                kind: OptionKind::Texts,
                default: "null",
                meaning: "The pages, by the field `page`, whose submissions need an answer; null: all",
            },
            OptionSpec {
                name: "style",
                kind: OptionKind::OneOf(&["plain", "scrambled"]),
                default: "\"plain\"",
                meaning: "How an image is drawn; scrambled is bent, with lines and noise over it",
            },
            OptionSpec {
                name: "background",
                kind: OptionKind::Text,
                default: "\"255,255,255\"",
                meaning: "An image's background: red, green, blue, each from 0 to 255",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "A submission without a valid answer is refused with a challenge that the app shows to the \
         visitor, and taken when it comes again with the answer, in the field `captcha` or the setting \
         `pg_spamcheck.captcha`. Then other findings that ask to challenge do not stand in its way either; \
         those that moderate or reject do. An answer counts once, and one to the challenge of a refusal \
         counts for that content only. Where nobody can be asked to solve it (the check does not apply, \
         there is no key), what other checks would challenge is moderated. Edits are asked about with \
         `when` `suspicious` only. [captchas.md](captchas.md) has the whole way through the web."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"options = '{"provider": "image"}'"#,
            sql: "INSERT INTO comments (author, body) VALUES ('Ellen', 'What a loaf!');",
            fails: true,
            output: r#"
ERROR:  Please solve the captcha and send this again.
DETAIL:  {"challenge":{"id":"…","png":"…","provider":"image"},"code":"spamcheck_captcha","relation":"public.comments"}
HINT:  The DETAIL has the challenge. SET LOCAL pg_spamcheck.captcha to its answer and repeat the statement.
"#,
        }
    }

    fn validate(&self, options: &OptionValues) -> Result<(), Refusal> {
        Options::read(options).map(drop)
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let options = Options::read(options)?;
        Ok(if options.never() { Compiled::Nothing } else { Compiled::Captcha(options) })
    }
}
