//! Answers that are right and wrong.

use std::collections::HashSet;

use super::*;

const NOW: i64 = 1_800_000_000;

/// A challenge; the same number gives the same one.
fn new(seed: u32, purpose: &Purpose) -> (Challenge, String) {
    let mut random = [0; RANDOM];
    for (n, byte) in random.iter_mut().enumerate() {
        *byte = hash(&[&seed.to_be_bytes(), &[n as u8]])[0];
    }
    let challenge = challenge(&key(), purpose, NOW + 600, &random);
    let letters = challenge.letters.clone();
    (challenge, letters)
}

fn key() -> Key {
    Key::new(b"secret")
}

fn right(answer: &str) -> Result<bool, String> {
    read(&key(), answer, &Purpose::ANY, NOW).map(|one| one.right)
}

#[test]
fn the_right_letters_in_any_case_are_right_and_others_are_not() {
    let (image, answer) = new(1, &Purpose::ANY);
    let with = |text: &str| right(&format!("{}:{text}", image.id)).unwrap();
    assert!(with(&answer) && with(&answer.to_lowercase()) && with(&format!(" {answer} ")));
    for wrong in ["", "AAAAA", &answer[1..], &format!("{answer}A"), "ÄÖÜ"] {
        assert!(!with(wrong), "{wrong}");
    }
    let (other, _) = new(2, &Purpose::ANY);
    assert!(!right(&format!("{}:{answer}", other.id)).unwrap());
}

#[test]
fn an_id_that_is_not_ours_or_too_old_is_no_try() {
    let (image, answer) = new(1, &Purpose::ANY);
    let mut forged = image.id.clone().into_bytes();
    forged[20] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    for wrong in [
        answer.clone(),
        format!(":{answer}"),
        format!("{}A:{answer}", image.id),
        format!("{forged}:{answer}"),
    ] {
        assert!(right(&wrong).is_err(), "{wrong}");
    }
    let text = format!("{}:{answer}", image.id);
    assert!(read(&key(), &text, &Purpose::ANY, NOW + 600).is_err());
    assert!(read(&Key::new(b"other"), &text, &Purpose::ANY, NOW).is_err());
}

#[test]
fn an_image_of_a_refusal_is_for_that_content() {
    let table = Purpose::for_table(&key(), "public.comments");
    let purpose = Purpose { content: Some([9; 16]), ..table };
    let (image, answer) = new(3, &purpose);
    let text = format!("{}:{answer}", image.id);
    assert!(read(&key(), &text, &purpose, NOW).unwrap().proof.of_refusal);
    let other = Purpose { content: Some([8; 16]), ..table };
    assert!(read(&key(), &text, &other, NOW).is_err());
    assert!(read(&key(), &text, &Purpose { relation: Some([1; 8]), ..purpose }, NOW).is_err());
}

#[test]
fn images_differ_and_are_told_apart() {
    let all: Vec<_> = (0..200).map(|seed| new(seed, &Purpose::ANY)).collect();
    let tried: HashSet<u64> = all
        .iter()
        .map(|(image, answer)| {
            read(&key(), &format!("{}:{answer}", image.id), &Purpose::ANY, NOW).unwrap().image
        })
        .collect();
    assert_eq!(tried.len(), 200);
    let letters: HashSet<char> = all.iter().flat_map(|(_, letters)| letters.chars()).collect();
    assert_eq!(letters, ALPHABET.iter().map(|letter| char::from(*letter)).collect());
    assert!(all.iter().all(|(_, letters)| letters.len() == LENGTH));
}
