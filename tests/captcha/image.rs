//! Images: what is drawn, and that guessing ends with the first guess. Whether the right letters are right
//! no test can read from outside; the engine's own do, and src/captcha/image.rs has what is drawn letter by letter.

use support::captcha::picture;

use crate::site::World;

fn wrong(id: &str) -> String {
    // Letters of an image, so one in two million of these is right.
    format!("{id}:ACEFH")
}

#[test]
fn an_image_is_a_png_on_the_background_that_was_asked_for() {
    let mut site = World::shared().site(r#"{"provider": "image", "background": "200,230,255"}"#);
    let challenge = site.challenge("A fine day");
    assert_eq!(challenge["provider"], "image");
    let image = picture(challenge["png"].as_str().expect("base64"));
    assert_eq!(image.pixels.len(), (image.width * image.height) as usize);
    let background = image.pixels.iter().filter(|pixel| **pixel == [200, 230, 255]).count();
    let share = background as f32 / image.pixels.len() as f32;
    assert!(share > 0.6 && share < 0.97, "{share}");
    let dark = image.pixels.iter().filter(|p| p.iter().all(|channel| *channel < 60)).count();
    assert!(dark > 500, "{dark} pixels to be read");
}

#[test]
fn letters_are_light_on_dark_and_all_of_them_within_the_image() {
    let mut site = World::shared().site(r#"{"provider": "image", "background": "0,0,40"}"#);
    let images = site.get(
        "SELECT spamcheck.captcha_new(NULL, 'comments') ->> 'png' FROM generate_series(1, 40)",
    );
    let images: Vec<_> = images.split(',').map(picture).collect();
    assert_eq!(images.len(), 40);
    for image in &images {
        let light = image.pixels.iter().filter(|p| p.iter().all(|channel| *channel > 180)).count();
        assert!(light > 500, "{light} pixels to be read");
        let width = image.width as usize;
        let inside = |n: usize| (4..width - 4).contains(&(n % width)) && n / width >= 4;
        let edge = image.pixels.iter().enumerate().filter(|(n, _)| !inside(*n));
        assert!(edge.clone().count() > 0 && edge.into_iter().all(|(_, p)| *p == [0, 0, 40]));
    }
    assert!(images.windows(2).all(|two| two[0].pixels != two[1].pixels));
}

#[test]
fn a_scrambled_image_has_lines_and_noise_over_it() {
    let mut site = World::shared().site(r#"{"provider": "image"}"#);
    let mut edge = |options: &str| {
        site.captcha(options);
        let challenge = site.challenge("A fine day");
        let image = picture(challenge["png"].as_str().expect("base64"));
        // Where no letter reaches.
        let edge = image.pixels[..(image.width * 4) as usize].iter();
        edge.filter(|pixel| **pixel != [255; 3]).count()
    };
    assert_eq!(edge(r#"{"provider": "image"}"#), 0);
    assert!(edge(r#"{"provider": "image", "style": "scrambled"}"#) > 50);
}

#[test]
fn a_wrong_answer_is_the_last_one_to_its_image() {
    let mut site = World::shared().site(r#"{"provider": "image"}"#);
    let challenge = site.challenge("A fine day");
    let id = challenge["id"].as_str().expect("an id").to_owned();
    let mut why = |answer: &str| {
        let refused = site.comment("A fine day", Some(answer)).expect_err("it is refused");
        assert_ne!(refused.challenge()["id"], id.as_str(), "there is another image");
        site.log().concat().trim_start_matches("captcha challenge challenged: ").to_owned()
    };
    assert_eq!(why(&wrong(&id)), "these are not the letters of the image");
    // Although that was rolled back.
    assert_eq!(why(&wrong(&id)), "the image was tried before");
    assert_eq!(why(&format!("{id}:HFTC9")), "the image was tried before");
    for junk in ["ACEFH", ":", "x:ACEFH", &format!("{}A:ACEFH", id)] {
        assert_eq!(why(junk), "the answer is not of the form id:answer", "{junk}");
    }
}

#[test]
fn an_image_of_a_refusal_is_for_that_content() {
    let mut site = World::shared().site(r#"{"provider": "image"}"#);
    let challenge = site.challenge("A fine day");
    let id = challenge["id"].as_str().expect("an id");
    site.comment("Another day", Some(&wrong(id))).expect_err("it is refused");
    assert_eq!(site.log(), ["captcha challenge challenged: the answer is for another content"]);
    // That was no guess.
    site.comment("A fine day", Some(&wrong(id))).expect_err("it is refused");
    assert_eq!(
        site.log(),
        ["captcha challenge challenged: these are not the letters of the image"]
    );
}
