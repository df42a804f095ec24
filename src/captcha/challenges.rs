//! Challenges: made for a refusal, bound to the content that was refused, or by captcha_new() for a form.
//! Nothing is stored about one: all that is needed to verify an answer is in it, signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgrx::{JsonB, PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::captcha::{LIFE, Options, Provider, Purpose, Style, altcha, image};
use spamcheck_engine::{Facts, Refusal};

use super::image::{Look, draw};
use super::keys;
use crate::arguments::preloaded;
use crate::submission::wall_clock;
use crate::{report, row, rulebook};

/// How an image looks where no policy says.
const WHITE: Look = Look { style: Style::Plain, background: [255; 3] };

/// A challenge for a table, or for one content that was refused there. An error says why there is none.
pub fn challenge(
    options: &Options,
    relation: Option<&str>,
    content: Option<&Facts<'_>>,
) -> Result<Json, String> {
    let look = Look { style: options.style, background: options.background };
    make(options.provider, look, relation, content)
}

fn make(
    provider: Provider,
    look: Look,
    relation: Option<&str>,
    content: Option<&Facts<'_>>,
) -> Result<Json, String> {
    let expires = wall_clock() / 1_000_000 + LIFE;
    let name = provider.name();
    if provider.is_service() {
        return Ok(json!({ "provider": name, "field": provider.form_field() }));
    }
    let key = keys::of(provider)?;
    let purpose = match (relation, content) {
        (Some(relation), Some(facts)) => Purpose::for_content(&key, relation, facts),
        (Some(relation), None) => Purpose::for_table(&key, relation),
        (None, _) => Purpose::ANY,
    };
    if provider == Provider::Altcha {
        let mut challenge = altcha::challenge(&key, &purpose, expires, &keys::random());
        challenge["provider"] = name.into();
        return Ok(challenge);
    }
    let challenge = image::challenge(&key, &purpose, expires, &keys::random());
    let png = draw(&challenge.letters, look)?;
    Ok(json!({ "provider": name, "id": challenge.id, "png": STANDARD.encode(png) }))
}

#[pg_extern(sql = false)]
fn captcha_new(provider: Option<&[u8]>, relation: Option<pg_sys::Oid>) -> JsonB {
    preloaded();
    let provider = provider.map(|name| {
        let name = row::from_server(name);
        Provider::from_name(&name).unwrap_or_else(|| {
            let names: Vec<&str> = Provider::ALL.iter().map(|one| one.name()).collect();
            report::refuse_value(
                Refusal::new(format!("there is no captcha provider {}", Refusal::quote(&name)))
                    .with_hint(format!("The providers are {}.", names.join(", "))),
            )
        })
    });
    let protection = relation.map(rulebook::protection_of);
    let options = protection.as_ref().and_then(|p| Some(p.policy.captcha()?.options.clone()));
    let look = options
        .as_ref()
        .map_or(WHITE, |options| Look { style: options.style, background: options.background });
    let provider =
        provider.or_else(|| options.map(|options| options.provider)).unwrap_or(Provider::Altcha);
    let relation = protection.as_ref().map(|protection| protection.relation.as_str());
    // In hexadecimal digits and base64, so it is the same in every encoding.
    JsonB(make(provider, look, relation, None).unwrap_or_else(|why| {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new("no captcha can be made").with_detail(sentence(&why)).with_hint(
                if provider == Provider::Altcha {
                    "Put {\"altcha\": \"A LONG RANDOM TEXT\"} into a file of mode 0600 that belongs to the server's user and name it in pg_spamcheck.secrets_file."
                } else {
                    "Call it again. If that does not help either, please report it."
                },
            ),
        )
    }))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().chain(chars).collect::<String>());
    format!("{}.", first.unwrap_or_default())
}
