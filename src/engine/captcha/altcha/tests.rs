//! The vectors of ALTCHA's own library, and what forgers try.

use serde_json::{Value as Json, json};

use super::super::keyed::{hash, hex, unhex};
use super::*;

const NOW: i64 = 1_800_000_000;
const LATER: i64 = 4_102_444_800;

fn key(text: &str) -> Key {
    Key::new(text.as_bytes())
}

fn answer(payload: &Json) -> String {
    STANDARD.encode(payload.to_string())
}

fn verified(payload: &Json) -> Result<Proof, String> {
    verify_with(&key("secret"), &key("keysecret"), &answer(payload), &Purpose::ANY, NOW)
}

/// Challenge and signature are those of altcha 2.0.0 (PyPI, v1 API).
fn first() -> Json {
    json!({
        "algorithm": "SHA-256",
        "challenge": "697d7c8e1eaefd6d0388e94dfb640e4d049b1d34609c142f8303b8899362b9eb",
        "number": 4242,
        "salt": "0123456789abcdef01234567?expires=4102444800&",
        "signature": "47342cce7881d19a99f7b7a4492a6eaa6eced788f2bba8cb4169a6d96b2503eb",
        "took": 12
    })
}

/// The same library's v2.
fn second(algorithm: &str) -> Json {
    let (cost, derived, known, signature) = match algorithm {
        "SHA-256" => (
            10,
            "0a98b8ad28be2f9af37b0ab54f4aa1c831151b6ecbf5003d07f534544dbb00ea",
            "e89582596b0b0d405b49bb431eed5b75d6c531db1942ebfcd5bdcef9e96c20f1",
            "32548b68642922e67f6cb51e79a42faaf26024db8702e15b2c20c9dd08c256e1",
        ),
        _ => (
            1000,
            "dde66f066b8903c86865a9489e4811a9580e5dcb5906adc76a78c5fd95f001d7",
            "ba9871799f58f992a0a5fb36cbf9859e03ffdf0b54a4201677cf3d5cc41b5edb",
            "81fa7b3e6c5239047f582c666bd4d90e10f96b028611558bc695ce40c4bbcaf9",
        ),
    };
    json!({
        "challenge": {
            "parameters": {
                "algorithm": algorithm, "cost": cost, "expiresAt": LATER, "keyLength": 32,
                "keyPrefix": &derived[..32], "keySignature": known,
                "nonce": "00112233445566778899aabbccddeeff",
                "salt": "ffeeddccbbaa99887766554433221100"
            },
            "signature": signature
        },
        "solution": { "counter": 77, "derivedKey": derived, "time": 5 }
    })
}

/// The parameters changed and signed again, as by whoever has the key.
fn signed_again(mut payload: Json, change: impl FnOnce(&mut Json)) -> Json {
    let challenge = &mut payload["challenge"];
    change(&mut challenge["parameters"]);
    let signed = v2::canonical(&challenge["parameters"]);
    challenge["signature"] = hex(&key("secret").sign(&[signed.as_bytes()])).into();
    payload
}

fn without_key_signature(payload: Json) -> Json {
    signed_again(payload, |parameters| {
        parameters.as_object_mut().unwrap().remove("keySignature");
    })
}

#[test]
fn the_vectors_of_altcha_verify() {
    assert_eq!(verified(&first()).unwrap().expires, LATER);
    for algorithm in ["PBKDF2/SHA-256", "SHA-256"] {
        let payload = second(algorithm);
        assert!(!verified(&payload).unwrap().of_refusal, "by the derived key's signature");
        // Without it, the key is derived again.
        assert!(verified(&without_key_signature(payload)).is_ok(), "{algorithm}");
    }
    let canonical = r#"{"algorithm":"PBKDF2/SHA-256","cost":1000,"expiresAt":4102444800,"keyLength":32,"keyPrefix":"dde66f066b8903c86865a9489e4811a9","keySignature":"ba9871799f58f992a0a5fb36cbf9859e03ffdf0b54a4201677cf3d5cc41b5edb","nonce":"00112233445566778899aabbccddeeff","salt":"ffeeddccbbaa99887766554433221100"}"#;
    assert_eq!(v2::canonical(&second("PBKDF2/SHA-256")["challenge"]["parameters"]), canonical);
}

#[test]
fn no_change_of_a_payload_goes_through() {
    let changes: [(&str, Json); 9] = [
        ("/number", json!(4243)),
        ("/number", json!(-1)),
        ("/number", json!(4242.5)),
        ("/number", json!("4242")),
        ("/algorithm", json!("SHA-1")),
        ("/algorithm", json!("SHA-512")),
        ("/salt", json!("0123456789abcdef01234567?expires=4102444801&")),
        ("/signature", json!("47342cce7881d19a99f7b7a4492a6eaa6eced788f2bba8cb4169a6d96b2503ec")),
        ("/signature", json!("")),
    ];
    for (place, value) in changes {
        let mut payload = first();
        *payload.pointer_mut(place).unwrap() = value.clone();
        assert!(verified(&payload).is_err(), "{place} {value}");
    }
    for (place, value) in [
        ("/solution/derivedKey", json!("dde66f066b8903c86865a9489e4811a9")),
        ("/challenge/parameters/cost", json!(1)),
        ("/challenge/parameters/expiresAt", json!(LATER + 1)),
        ("/challenge/parameters/keySignature", Json::Null),
        ("/challenge/parameters/data", json!({})),
        ("/challenge/signature", json!("00")),
    ] {
        let mut payload = second("PBKDF2/SHA-256");
        payload["challenge"]["parameters"]["data"] = Json::Null;
        *payload.pointer_mut(place).unwrap() = value.clone();
        assert!(verified(&payload).is_err(), "{place} {value}");
    }
}

#[test]
fn digits_do_not_move_from_the_salt_to_the_number() {
    // Signed with the right key, but the salt's end is open: 1 and 23 could be 12 and 3.
    let salt = "0123456789abcdef01234567?expires=4102444800&k=1";
    let challenge = hex(&hash(&[salt.as_bytes(), b"23"]));
    let signature = hex(&key("secret").sign(&[challenge.as_bytes()]));
    for (salt, number) in [(salt.to_owned(), 23), (format!("{salt}2"), 3)] {
        let payload = json!({ "algorithm": "SHA-256", "challenge": challenge, "number": number,
                              "salt": salt, "signature": signature });
        assert_eq!(verified(&payload).unwrap_err(), "the salt does not end with an ampersand");
    }
}

#[test]
fn what_expires_is_said_once_and_kept() {
    let solved = |salt: &str| {
        let challenge = hex(&hash(&[salt.as_bytes(), b"1"]));
        let signature = hex(&key("secret").sign(&[challenge.as_bytes()]));
        verified(&json!({ "algorithm": "SHA-256", "challenge": challenge, "number": 1,
                          "salt": salt, "signature": signature }))
    };
    assert!(solved(&format!("ab?expires={}&", NOW + 1)).is_ok());
    for salt in [
        format!("ab?expires={NOW}&"),
        "ab?&".to_owned(),
        "ab&".to_owned(),
        format!("ab?expires={}&expires={}&", NOW + 1, NOW + 1),
        "ab?expires=never&".to_owned(),
    ] {
        assert!(solved(&salt).is_err(), "{salt}");
    }
    let old = signed_again(second("SHA-256"), |parameters| parameters["expiresAt"] = NOW.into());
    assert_eq!(verified(&old).unwrap_err(), "the challenge has expired");
    let endless = signed_again(second("SHA-256"), |parameters| {
        parameters.as_object_mut().unwrap().remove("expiresAt");
    });
    assert!(verified(&endless).is_err());
}

/// PyPI's altcha 2.0.0 takes this: counter 0 with its own key, which has not the prefix.
#[test]
fn a_key_that_no_work_went_into_is_not_taken() {
    let mut payload = without_key_signature(second("SHA-256"));
    let password = [unhex("00112233445566778899aabbccddeeff").unwrap(), vec![0; 4]].concat();
    let salt = unhex("ffeeddccbbaa99887766554433221100").unwrap();
    let key = (1..10).fold(hash(&[&salt, &password]), |key, _| hash(&[&key]));
    payload["solution"] = json!({ "counter": 0, "derivedKey": hex(&key) });
    assert_eq!(verified(&payload).unwrap_err(), "the derived key does not begin with the prefix");
    // Nor is one for which no prefix was asked.
    let open = signed_again(payload, |parameters| parameters["keyPrefix"] = "".into());
    assert!(verified(&open).is_err());
}

#[test]
fn only_a_solved_challenge_of_bearable_cost_is_derived() {
    let slow = without_key_signature(second("SHA-256"));
    for (name, value) in [
        ("cost", json!(20_001)),
        ("cost", json!(0)),
        ("cost", json!(u64::MAX)),
        ("cost", json!("10")),
        ("keyLength", json!(33)),
        ("keyLength", json!(0)),
        ("algorithm", json!("ARGON2ID")),
        ("algorithm", json!("SHA-512")),
        ("nonce", json!("xy")),
    ] {
        let payload = signed_again(slow.clone(), |parameters| parameters[name] = value.clone());
        assert!(verified(&payload).is_err(), "{name} {value}");
    }
    for counter in [json!(78), json!(u64::from(u32::MAX) + 1), json!(-1), json!(77.5)] {
        let mut payload = slow.clone();
        payload["solution"]["counter"] = counter.clone();
        assert!(verified(&payload).is_err(), "{counter}");
    }
}

#[test]
fn junk_is_refused_whatever_its_form() {
    let text = answer(&first());
    let wrong = [
        String::new(),
        "not base64".to_owned(),
        format!("{text}="),
        text.trim_end_matches('=').replace('A', "-"),
        STANDARD.encode("[]"),
        STANDARD.encode("{}"),
        STANDARD.encode([0xff, 0xfe]),
        STANDARD.encode(first().to_string() + "{}"),
        STANDARD.encode(first().to_string().replacen('{', r#"{"number":1,"#, 1)),
        STANDARD.encode(" ".repeat(LONGEST_ANSWER) + &first().to_string()),
    ];
    for answer in wrong {
        assert!(verify(&key("secret"), &answer, &Purpose::ANY, NOW).is_err(), "{answer}");
    }
    assert!(verify(&key("other"), &text, &Purpose::ANY, NOW).is_err());
    assert!(verify(&key("secret"), &format!(" {text}\n"), &Purpose::ANY, NOW).is_ok());
}

#[test]
fn one_challenge_has_one_name_however_its_digits_are_written() {
    let mut shouted = first();
    shouted["signature"] = first()["signature"].as_str().unwrap().to_uppercase().into();
    assert_eq!(verified(&first()).unwrap().challenge, verified(&shouted).unwrap().challenge);
    assert_ne!(
        verified(&first()).unwrap().challenge,
        verified(&second("SHA-256")).unwrap().challenge
    );
}

fn solve(challenge: &Json) -> Json {
    let salt = challenge["salt"].as_str().unwrap();
    let wanted = challenge["challenge"].as_str().unwrap();
    let most = challenge["maxnumber"].as_u64().unwrap();
    let number =
        (0..=most).find(|n| hex(&hash(&[salt.as_bytes(), n.to_string().as_bytes()])) == wanted);
    json!({ "algorithm": challenge["algorithm"], "challenge": wanted, "number": number.unwrap(),
            "salt": salt, "signature": challenge["signature"] })
}

#[test]
fn our_own_challenge_is_good_for_its_purpose_alone() {
    let key = key("secret");
    let for_table = |name: &str| Purpose::for_table(&key, name);
    let with = |content: u8, table: Purpose| Purpose { content: Some([content; 16]), ..table };
    let submission = with(1, for_table("public.comments"));
    let answered = |purpose: &Purpose| {
        let solved = solve(&challenge(&key, purpose, NOW + 60, &[7; RANDOM]));
        verify(&key, &answer(&solved), &submission, NOW)
    };
    assert!(!answered(&Purpose::ANY).unwrap().of_refusal);
    assert!(!answered(&for_table("public.comments")).unwrap().of_refusal);
    assert!(answered(&submission).unwrap().of_refusal);
    assert_eq!(
        answered(&for_table("public.notes")).unwrap_err(),
        "the answer is for another table"
    );
    assert_eq!(
        answered(&with(2, for_table("public.comments"))).unwrap_err(),
        "the answer is for another content"
    );
    let other = challenge(&key, &with(2, for_table("public.comments")), NOW + 60, &[7; RANDOM]);
    assert_eq!(other["v2"]["parameters"]["data"]["spamcheck_content"], "02".repeat(16));
}
