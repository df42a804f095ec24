//! Owns which columns are never guessed: those named like passwords, tokens, keys and hashes. Data
//! and one look-up; which words a name is made of is told.

/// Words that mark a column as a secret, whole.
pub(super) const SECRET_WORDS: &[&str] = &[
    "key",
    "keys",
    "pass",
    "pwd",
    "pw",
    "pin",
    "otp",
    "totp",
    "sid",
    "sig",
    "signature",
    "digest",
    "checksum",
    "crypt",
    "md5",
    "sha",
    "sha1",
    "csrf",
    "xsrf",
    "nonce",
    "salt",
    "credential",
    "credentials",
    "auth",
    "cookie",
    "cookies",
    "fingerprint",
    "pgp",
    "gpg",
    "jwt",
    "mfa",
    "iv",
    "cvv",
    "iban",
    "ssn",
];

/// Parts of a name that mark a column as a secret wherever they stand.
const SECRET_PARTS: &[&str] = &[
    "passw",
    "passphrase",
    "passwd",
    "token",
    "secret",
    "hash",
    "apikey",
    "session",
    "encrypted",
    "cipher",
    "private_key",
    "privatekey",
    "salted",
    "kennwort",
    "passwort",
    "contrase",
    "motdepasse",
    "mot_de_passe",
];

/// Whether a column's name says that what is in it is a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    is_secret(name, &super::tokens::words(name, &super::vocabulary::is_word))
}

/// Whether a column is named like a password, a token, a key or a hash. Such a column is never
/// guessed (interface, section 4): its text would be logged and sent.
pub(super) fn is_secret(name: &str, words: &[String]) -> bool {
    let name = name.to_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
        || name.ends_with("key")
        || words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tokens;
    use crate::mapping::vocabulary::is_word;

    #[test]
    fn secrets_are_told_by_their_names() {
        for name in [
            "password",
            "user_password",
            "passwd",
            "Passwort",
            "pwd",
            "author_pass",
            "api_key",
            "apikey",
            "APIKey",
            "access_token",
            "token",
            "emailhash",
            "email_hash",
            "author_digest",
            "salt",
            "session_id",
            "comment_secret",
            "signature",
            "pgp_message",
            "mdkey",
            "comment_randkey",
            "encrypted_body",
            "auth_text",
            "commentHash",
            "captcha_token",
        ] {
            assert!(is_secret(name, &tokens::words(name, &is_word)), "{name}");
        }
        for name in
            ["author", "authority", "keywords", "body", "passage", "created_at", "monkey_id"]
        {
            assert!(!is_secret(name, &tokens::words(name, &is_word)), "{name}");
        }
    }
}
