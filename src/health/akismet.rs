//! Whether Akismet is asked, and what it says of the account.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Item, bad, ok};
use crate::shared::{Database, Lane};
use crate::{account, rights, settings, spi};

/// What the worker may take to tell what it knows.
const PATIENCE: Duration = Duration::from_millis(500);

/// The lane, and what Akismet has to say about the account.
pub fn akismet(entry: Option<&Database>, fault: Option<&str>) -> Vec<Item> {
    let lane = entry.map_or(Lane::Open, |e| e.lane());
    let alert = entry.map_or(0, |e| e.alert.load(Ordering::Acquire));
    let told = if lane == Lane::Open && alert == 0 {
        Json::Null
    } else {
        let question = json!({ "about": "lane" });
        account::try_ask(&question, PATIENCE, Duration::ZERO).unwrap_or_default()
    };
    let mut items = vec![match (lane, fault) {
        // It has not tried since the settings changed.
        (Lane::Open | Lane::Down, Some(fault)) => requests(Lane::BadSettings, fault),
        _ => requests(lane, told["reason"].as_str().unwrap_or_default()),
    }];
    if alert != 0 {
        items.push(notice(alert, &told["notice"]));
    }
    items
}

/// What Akismet has to say about the account.
fn notice(alert: u32, told: &Json) -> Item {
    let number = told["code"].as_str().map_or_else(|| alert.to_string(), str::to_owned);
    let message = told["message"].as_str().unwrap_or("the worker is too busy to say what");
    let state = if told["degraded"] == false { "warning" } else { "error" };
    let hint = match number.parse::<u32>() {
        Ok(number) => format!("See https://akismet.com/errors/{number} and the account's page."),
        Err(_) => "See the account's page at akismet.com.".to_owned(),
    };
    let hint = format!("{hint} SELECT spamcheck.akismet_usage() says how many calls were made.");
    bad("akismet_account", state, format!("Akismet says {number}: {message}"), hint)
}

fn requests(lane: Lane, reason: &str) -> Item {
    let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let asked = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck.check_setting s WHERE s.check_name = 'akismet' AND s.enabled LIMIT 1",
            &[],
        )
    });
    if asked.is_none() {
        return ok("akismet", "no policy asks Akismet");
    }
    let secrets = "Put {\"akismet\": \"KEY\"} into a file of mode 0600 that belongs to the server's user and name it in pg_spamcheck.secrets_file.";
    match lane {
        Lane::Open => ok("akismet", "nothing stands against lookups"),
        Lane::NoKey => bad("akismet", "error", "there is no key: lookups wait", secrets),
        Lane::BadSecrets => bad(
            "akismet",
            "error",
            format!("the secrets file cannot be used: lookups wait{why}"),
            secrets,
        ),
        Lane::BadSettings => bad(
            "akismet",
            "error",
            format!("Akismet cannot be asked with the settings as they are: lookups wait{why}"),
            format!(
                "Correct the setting that is named in postgresql.conf and SELECT pg_reload_conf(); the worker goes on by itself. pg_spamcheck.akismet_url is \"{}\".",
                settings::network().akismet_url
            ),
        ),
        Lane::InvalidKey => bad(
            "akismet",
            "error",
            format!("Akismet does not accept the key or the site: lookups wait{why}"),
            "Correct the key in the secrets file, which the worker reads again by itself, or option blog of check akismet. SELECT spamcheck.akismet_verify_key() tries at once.",
        ),
        Lane::Down => bad(
            "akismet",
            "warning",
            format!("Akismet does not answer as it should: lookups wait and are tried again{why}"),
            "See last_error in spamcheck.lookup; check pg_spamcheck.akismet_url and the network.",
        ),
    }
}
