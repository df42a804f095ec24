//! Owns captchas as far as they need no server: what a challenge says, what an answer proves, how the
//! check `captcha` is set. It must not know where keys come from, nor what was answered before: that an
//! answer counts once is for whoever keeps the book.

pub mod altcha;
pub mod image;
mod keyed;
mod purpose;
pub mod siteverify;

use crate::facts::{self, Facts};
use crate::options::OptionValues;
use crate::refusal::Refusal;
use crate::submission::Field;
use crate::text;
use crate::verdict::words;

pub use keyed::Key;
pub use purpose::Purpose;

/// How long a challenge may be answered, in seconds: what ALTCHA's own documentation proposes.
pub const LIFE: i64 = 20 * 60;

/// Bytes of an answer that are looked at; a Turnstile token has 2,048 at most.
pub const LONGEST_ANSWER: usize = 4_096;

const DAY: i64 = 86_400_000_000;

/// Who makes the challenge and knows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Proof of work, verified here.
    Altcha,
    /// An image of letters, made and verified here.
    Image,
    /// Google's service, v2 and v3.
    Recaptcha,
    /// The service of hcaptcha.com.
    Hcaptcha,
    /// Cloudflare's service.
    Turnstile,
}

words!(Provider: Altcha = "altcha", Image = "image", Recaptcha = "recaptcha", Hcaptcha = "hcaptcha",
       Turnstile = "turnstile");

impl Provider {
    /// Whether a service has to be asked.
    #[must_use]
    pub const fn is_service(self) -> bool {
        matches!(self, Self::Recaptcha | Self::Hcaptcha | Self::Turnstile)
    }

    /// The form field that the provider's own widget fills; an image has none.
    #[must_use]
    pub const fn form_field(self) -> Option<&'static str> {
        match self {
            Self::Altcha => Some("altcha"),
            Self::Image => None,
            Self::Recaptcha => Some("g-recaptcha-response"),
            Self::Hcaptcha => Some("h-captcha-response"),
            Self::Turnstile => Some("cf-turnstile-response"),
        }
    }
}

/// When a submission needs an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Whenever the check applies.
    Always,
    /// Only where another finding asks to challenge.
    Suspicious,
}

words!(When: Always = "always", Suspicious = "suspicious");

/// How an image is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Letters in a row.
    Plain,
    /// Bent, with lines, dots and noise over them (Serendipity's scrambled captchas).
    Scrambled,
}

words!(Style: Plain = "plain", Scrambled = "scrambled");

/// The options of the check `captcha`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Whose captcha.
    pub provider: Provider,
    /// When it is asked for.
    pub when: When,
    /// Only under articles older than so many days; 0: under every one.
    after_days: Option<i64>,
    /// Only submissions of these types, case-folded.
    types: Option<Vec<String>>,
    /// Only on these pages, in normal form.
    pages: Option<Vec<String>>,
    /// How an image is drawn.
    pub style: Style,
    /// An image's background: red, green, blue.
    pub background: [u8; 3],
}

/// The background where none is asked for.
const WHITE: [u8; 3] = [255; 3];

impl Options {
    /// Reads the options of the check, whose kinds were checked.
    ///
    /// # Errors
    /// Names the option, what it got and what it takes.
    pub fn read(options: &OptionValues) -> Result<Self, Refusal> {
        let word = |name: &str| options.text(name).unwrap_or_default().to_owned();
        let provider = Provider::from_name(&word("provider")).unwrap_or(Provider::Altcha);
        let colour = word("background");
        let background =
            if options.is_off("background") { Some(WHITE) } else { colour_of(&colour) };
        let background = background.ok_or_else(|| {
            Refusal::new(format!(
                "option \"background\" of check captcha takes \"red,green,blue\", each from 0 to 255, \
                 not {}",
                Refusal::quote(&colour)
            ))
            .with_hint(
                "Write for example \"200,220,255\" for light blue, or leave it out for white.",
            )
        })?;
        let style = Style::from_name(&word("style")).unwrap_or(Style::Plain);
        let drawn = [
            ("style", style != Style::Plain, word("style")),
            ("background", background != WHITE, colour),
        ];
        if let Some((name, _, value)) =
            drawn.iter().find(|drawn| drawn.1 && provider != Provider::Image)
        {
            return Err(Refusal::new(format!(
                "option \"{name}\" of check captcha is for provider \"image\" only, and the provider \
                 is \"{}\"",
                provider.name()
            ))
            .with_detail(format!("It was given as {}.", Refusal::quote(value)))
            .with_hint("Leave it out, or set \"provider\" to \"image\"."));
        }
        let folded = |name: &str, fold: fn(&str) -> String| {
            let all = || options.texts(name).iter().map(|text| fold(text)).collect();
            (!options.is_off(name)).then(all)
        };
        Ok(Self {
            provider,
            when: When::from_name(&word("when")).unwrap_or(When::Always),
            after_days: options.integer("after_days"),
            types: folded("types", |kind| facts::kind(kind).into_owned()),
            pages: folded("pages", |page| text::normalise(page.trim()).into_owned()),
            style,
            background,
        })
    }

    /// Whether it could ever apply.
    #[must_use]
    pub fn never(&self) -> bool {
        [&self.types, &self.pages].into_iter().flatten().any(Vec::is_empty)
    }

    /// The fields that tell whether it applies, and the answer.
    #[must_use]
    pub fn reads(&self) -> Vec<Field> {
        let age = self.after_days.map(|_| Field::ArticleCreatedAt);
        let page = self.pages.as_ref().map(|_| Field::Page);
        [Some(Field::Captcha), Some(Field::Type), age, page].into_iter().flatten().collect()
    }

    /// Whether it applies to a submission. An article of unknown age is not old (Serendipity compares
    /// strictly, and so do we: exactly `after_days` old is not older).
    ///
    /// # Errors
    /// A sentence, when a field could not be read.
    pub fn apply(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let failures = facts.failure_count();
        let holds = |all: &Option<Vec<String>>, one: &str| {
            all.as_ref().is_none_or(|all| all.iter().any(|each| each == one))
        };
        let page = || facts.normalised(Field::Page).unwrap_or_default().trim();
        let applies = holds(&self.types, facts.kind())
            && (self.pages.is_none() || holds(&self.pages, page()))
            && self.is_old(facts);
        facts.failures_since(failures).map_or(Ok(applies), Err)
    }

    fn is_old(&self, facts: &Facts<'_>) -> bool {
        let Some(days) = self.after_days.filter(|days| *days > 0) else { return true };
        if facts.text(Field::ArticleCreatedAt).is_some_and(|t| t.trim() == "-infinity") {
            return true;
        }
        let written = facts.time(Field::ArticleCreatedAt);
        written.is_some_and(|written| facts.now().saturating_sub(written) > days * DAY)
    }
}

/// `red,green,blue`, as Serendipity's `captcha_color` has it.
fn colour_of(text: &str) -> Option<[u8; 3]> {
    let mut parts = text.split(',');
    let mut part = || {
        let part = parts.next()?.trim();
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    };
    let colour = [part()?, part()?, part()?];
    parts.next().is_none().then_some(colour)
}

/// What a valid answer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Tells one challenge from all others: an answer to it counts once.
    pub challenge: [u8; 32],
    /// When the challenge expires, in seconds since the Unix epoch.
    pub expires: i64,
    /// Whether the challenge came from the refusal of this very content.
    pub of_refusal: bool,
}

#[cfg(test)]
mod tests;
