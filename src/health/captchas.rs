//! Whether the captchas that policies ask for can be made and verified.

use std::sync::atomic::Ordering;

use spamcheck_engine::captcha::Provider;

use super::{Item, bad, ok};
use crate::shared::{Database, Service};
use crate::worker::siteverify;
use crate::{captcha, rights, secrets, spi};

pub fn captchas(entry: Option<&Database>, fault: Option<&str>) -> Item {
    let providers: Vec<String> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT coalesce(s.options ->> 'provider', 'altcha')), '[]')::text, 'UTF8')
               FROM spamcheck.check_setting s WHERE s.check_name = 'captcha' AND s.enabled",
            &[],
        )
    })
    .unwrap_or_default();
    if providers.is_empty() {
        return ok("captcha", "no policy asks for captchas");
    }
    let faults: Vec<_> =
        providers.iter().filter_map(|name| captcha_fault(name, entry, fault)).collect();
    let worst = faults.iter().find(|fault| fault.state == "error").or(faults.first());
    match worst {
        None => ok("captcha", format!("answers can be verified: {}", providers.join(", "))),
        Some(fault) => {
            let all: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
            let hint = fault.hint.clone().unwrap_or_default();
            bad("captcha", fault.state, all.join("; "), hint)
        }
    }
}

/// A key that can be guessed.
fn short(name: &str) -> Item {
    let least = captcha::SHORTEST;
    bad(
        "captcha",
        "warning",
        format!(
            "{name}: the secret \"altcha\" has fewer than {least} characters; whoever finds it by trying can sign challenges that he has solved"
        ),
        format!(
            "Put a random text of {least} characters or more into the secrets file, such as the command \"openssl rand -hex 32\" prints. Challenges that were not answered yet end with the old one."
        ),
    )
}

/// What stands against a captcha's provider.
fn captcha_fault(name: &str, entry: Option<&Database>, fault: Option<&str>) -> Option<Item> {
    let provider = Provider::from_name(name)?;
    let missing = |why: &str| {
        bad(
            "captcha",
            "error",
            why,
            format!(
                "Put {{\"{name}\": \"SECRET\"}} into a file of mode 0600 that belongs to the server's user and name it in pg_spamcheck.secrets_file."
            ),
        )
    };
    if !provider.is_service() {
        // Images do without it.
        let fault = captcha::altcha_key().err().filter(|_| provider == Provider::Altcha);
        return fault
            .map(|why| {
                missing(&format!("altcha: {why}; on_error of the policy decides about submissions"))
            })
            .or_else(|| captcha::is_short().then(|| short(name)));
    }
    match secrets::secret(name) {
        Ok(Some(_)) => {}
        Ok(None) => {
            return Some(missing(&format!(
                "{name}: the secrets file has no secret for it; submissions are moderated"
            )));
        }
        Err(fault) => {
            return Some(missing(&format!(
                "{name}: the secrets file cannot be used ({}); submissions are moderated",
                fault.trim_end_matches('.')
            )));
        }
    }
    if let Some(fault) = fault {
        return Some(bad(
            "captcha",
            "error",
            format!("{name} cannot be asked ({fault}); submissions are moderated"),
            super::RELOAD,
        ));
    }
    let place = siteverify::place(provider);
    match entry.map_or(Service::Fine, |e| Service::of(e.services[place].load(Ordering::Acquire))) {
        Service::Fine => None,
        Service::Refuses => Some(bad(
            "captcha",
            "error",
            format!("{name} does not accept our secret; submissions are moderated"),
            "Correct it in the secrets file; the server's log has the code that the service gave.",
        )),
        Service::Down => Some(bad(
            "captcha",
            "warning",
            format!("{name} does not answer as it should; submissions are moderated"),
            format!("The server's log says why; check pg_spamcheck.{name}_url and the network."),
        )),
    }
}
