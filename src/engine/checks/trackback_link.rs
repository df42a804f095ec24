//! Owns the check `trackback_link`: whether the page that sent a trackback links to the article. It must
//! not fetch pages: the worker does, and `linking` says what is in them.

use serde_json::{Value as Json, json};

use super::trackback_ip::is_trackback;
use super::{Beforehand, Check, Compiled, Example, Hit, LookupCheck, Seed};
use crate::facts::Facts;
use crate::linking::Target;
use crate::location::Location;
use crate::lookup::{LookupKind, Question};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};

/// The check `trackback_link` (Serendipity: check trackback URLs).
pub struct TrackbackLink;

impl Check for TrackbackLink {
    fn name(&self) -> &'static str {
        "trackback_link"
    }

    fn summary(&self) -> &'static str {
        "The page that a trackback comes from does not link to the article"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "must_contain",
            kind: OptionKind::OneOf(&["permalink", "site"]),
            default: r#""permalink""#,
            meaning: "What the page has to link to: the article (permalink), or any page of the site",
        }]
    }

    fn purpose(&self) -> &'static str {
        "Whoever sends a trackback or pingback has written about your article, so the page at the \
         `url` has a link to its `permalink`. The worker reads the page after the commit, 512 kB \
         of it at most; until then the row is moderated, and gets its own status back when the \
         link is there. `http` and `https`, with and without `www.`, with and without a slash at \
         the end, with any fragment: it is the same page; the rest of the path and the query \
         count to the letter. A permalink that is a path alone is looked for on any host. Links \
         in comments and scripts do not count, nor does an address that is merely written. A \
         page that does not answer is tried again, for some minutes, and then a person looks: a \
         failure never rejects. Only the open internet is visited (`pg_spamcheck.allow_private_hosts`). \
         It looks at trackbacks and pingbacks only, and needs `url` and `permalink`."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (type, url, body) VALUES ('trackback', 'ftp://other.example/rye', 'I bake it, too.')
RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
      body       | status
-----------------+---------
 I bake it, too. | pending
(1 row)

   check_name   |  outcome  |                                       why
----------------+-----------+----------------------------------------------------------------------------------
 trackback_link | moderated | its homepage is no address of a page: it does not begin with http:// or https://
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let site = options.text("must_contain") == Some("site");
        Ok(Compiled::Lookup(LookupKind::TrackbackLink, Box::new(LinksBack { site })))
    }
}

struct LinksBack {
    site: bool,
}

impl LinksBack {
    fn target(&self, permalink: Option<&str>) -> Result<Target, String> {
        let permalink = permalink.ok_or("the article's permalink is not known")?;
        let target = if self.site { Target::site(permalink) } else { Target::article(permalink) };
        target.map_err(|fault| format!("the article's permalink is no address of a page: {fault}"))
    }
}

impl LookupCheck for LinksBack {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Type, Field::Url, Field::Permalink])
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        // Without a type nothing is a trackback; one without a homepage is found for that.
        vec![FieldSet::of(&[Field::Type])]
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::of(&[Field::Url])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Beforehand, String> {
        if !is_trackback(facts) {
            return Ok(Beforehand::Passes);
        }
        let Some(url) = facts.text(Field::Url) else {
            return Ok(Beforehand::Hits(Hit::new("it has no homepage", json!({ "url": null }))));
        };
        if let Err(fault) = Location::parse(url) {
            let why = format!("its homepage is no address of a page: {fault}");
            return Ok(Beforehand::Hits(Hit::new(why, json!({ "url": url }))));
        }
        self.target(facts.text(Field::Permalink)).map(|_| Beforehand::Ask)
    }

    fn question(&self, submission: &Json) -> Result<Question, String> {
        let page = Location::parse(submission["url"].as_str().unwrap_or_default())
            .map_err(|fault| format!("its homepage is no address of a page: {fault}"))?;
        let target = self.target(submission["permalink"].as_str())?;
        Ok(Question::Link { page, target })
    }
}
