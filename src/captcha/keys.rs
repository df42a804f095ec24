//! What challenges are signed with, and the randomness in them. Owns where keys come from; none of them is
//! ever in an error.

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::Refusal;
use spamcheck_engine::captcha::Key;

use crate::{report, secrets, shared};

/// ALTCHA's key: the secret "altcha".
pub fn altcha() -> Result<Key, String> {
    match secrets::secret("altcha") {
        Ok(Some(secret)) => Ok(Key::new(secret.as_bytes())),
        Ok(None) => Err("the secrets file has no \"altcha\" to sign challenges with".to_owned()),
        Err(fault) => Err(format!("the secrets file cannot be used: {}", lower_first(&fault))),
    }
}

/// Characters that the secret "altcha" should have at least: a shorter one is weaker than the hash (RFC 2104,
/// section 3), and one of a few letters is found by trying.
pub const SHORTEST: usize = 32;

/// Whether challenges are signed with a secret that is shorter than [`SHORTEST`].
pub fn is_short() -> bool {
    let secret = secrets::secret("altcha").ok().flatten();
    secret.is_some_and(|secret| secret.trim().len() < SHORTEST)
}

/// The key of images: ALTCHA's where there is one, so that servers that share it take each other's. Else
/// one that the server made up when it started.
pub fn image() -> Key {
    altcha()
        .unwrap_or_else(|_| Key::new(shared::shared().map_or(&[0; 32], |shared| &shared.image_key)))
}

/// The key that a provider's challenges are bound to a content with.
pub fn of(provider: spamcheck_engine::captcha::Provider) -> Result<Key, String> {
    match provider {
        spamcheck_engine::captcha::Provider::Altcha => altcha(),
        _ => Ok(image()),
    }
}

fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Random bytes that nobody can foresee.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: writes that many bytes.
    if !unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), N) } {
        report::refuse(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            Refusal::new("the server has no random numbers for a captcha"),
        );
    }
    bytes
}
