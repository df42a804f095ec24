//! Answers that are right and wrong, and pictures.

use std::collections::HashSet;

use super::*;

const NOW: i64 = 1_800_000_000;
const WHITE: Look = Look { style: Style::Plain, background: [255; 3] };

/// Numbers that anybody can foresee (an LCG of Numerical Recipes).
fn random(seed: u32) -> impl FnMut() -> u32 {
    let mut state = u64::from(seed);
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    }
}

/// An image and its right answer: the first characters that are drawn.
fn drawn(seed: u32, purpose: &Purpose) -> (Image, String) {
    let mut numbers = random(seed);
    let answer: Vec<u8> = (0..LENGTH).map(|_| pick(ALPHABET, &mut numbers)).collect();
    let image = draw(&key(), purpose, NOW + 600, WHITE, &mut random(seed));
    (image, String::from_utf8(answer).unwrap())
}

fn key() -> Key {
    Key::new(b"secret")
}

fn right(answer: &str) -> Result<bool, String> {
    read(&key(), answer, &Purpose::ANY, NOW).map(|one| one.right)
}

#[test]
fn the_right_letters_in_any_case_are_right_and_others_are_not() {
    let (image, answer) = drawn(1, &Purpose::ANY);
    let with = |text: &str| right(&format!("{}:{text}", image.id)).unwrap();
    assert!(with(&answer) && with(&answer.to_lowercase()) && with(&format!(" {answer} ")));
    for wrong in ["", "AAAAA", &answer[1..], &format!("{answer}A"), "ÄÖÜ"] {
        assert!(!with(wrong), "{wrong}");
    }
    let (other, _) = drawn(2, &Purpose::ANY);
    assert!(!right(&format!("{}:{answer}", other.id)).unwrap());
}

#[test]
fn an_id_that_is_not_ours_or_too_old_is_no_try() {
    let (image, answer) = drawn(1, &Purpose::ANY);
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
    let (image, answer) = drawn(3, &purpose);
    let text = format!("{}:{answer}", image.id);
    assert!(read(&key(), &text, &purpose, NOW).unwrap().proof.of_refusal);
    let other = Purpose { content: Some([8; 16]), ..table };
    assert!(read(&key(), &text, &other, NOW).is_err());
    assert!(read(&key(), &text, &Purpose { relation: Some([1; 8]), ..purpose }, NOW).is_err());
}

#[test]
fn images_differ_and_are_told_apart() {
    let all: Vec<_> = (0..200).map(|seed| drawn(seed, &Purpose::ANY)).collect();
    let tried: HashSet<u64> = all
        .iter()
        .map(|(image, answer)| {
            read(&key(), &format!("{}:{answer}", image.id), &Purpose::ANY, NOW).unwrap().image
        })
        .collect();
    assert_eq!(tried.len(), 200);
    let pictures: HashSet<&[u8]> = all.iter().map(|(image, _)| image.png.as_slice()).collect();
    assert_eq!(pictures.len(), 200);
    assert!(all.iter().all(|(image, _)| image.png.len() < 4_096), "{}", all[0].0.png.len());
}

/// The picture's share of pixels with ink.
fn inked(style: Style, answer: &[u8]) -> f32 {
    let look = Look { style, background: [250, 240, 230] };
    let mut numbers = random(5);
    let picture = Canvas::new(look, &mut numbers).write(answer, &mut numbers);
    assert_eq!(picture.colours[0], [250, 240, 230]);
    assert_eq!(picture.pixels.len(), WIDTH * HEIGHT);
    let ink = picture.pixels.iter().filter(|pixel| **pixel > 1).count();
    ink as f32 / picture.pixels.len() as f32
}

#[test]
fn every_character_is_drawn_and_a_scrambled_image_has_more_in_it() {
    for character in ALPHABET {
        let share = inked(Style::Plain, &[*character]);
        assert!(share > 0.01 && share < 0.05, "{}: {share}", char::from(*character));
    }
    assert_eq!(inked(Style::Plain, b""), 0.0);
    assert!(inked(Style::Scrambled, b"") > 0.02);
}

#[test]
fn ink_is_seen_on_every_background() {
    for grey in [0, 60, 127, 128, 200, 255] {
        let look = Look { style: Style::Plain, background: [grey; 3] };
        let canvas = Canvas::new(look, &mut random(1));
        let far = canvas.colour.iter().all(|channel| channel.abs_diff(grey) >= 37);
        assert!(far, "{grey}: {:?}", canvas.colour);
    }
}
