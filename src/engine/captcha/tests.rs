//! Options of the check, and what it applies to.

use serde_json::{Value as Json, json};

use super::*;
use crate::checks;
use crate::submission::Submission;

fn options(given: &Json) -> Result<Options, Refusal> {
    let check = checks::find("captcha").unwrap();
    OptionValues::read("captcha", check.options(), given).and_then(|values| Options::read(&values))
}

fn applies(given: &Json, submission: &Json) -> bool {
    let submission = Submission::from_json(submission).unwrap();
    let now = time_of("2026-06-30 12:00:00");
    options(given).unwrap().apply(&Facts::new(&submission, 65_536, now)).unwrap()
}

fn time_of(text: &str) -> i64 {
    crate::time::parse(text).unwrap()
}

#[test]
fn the_defaults_are_those_of_the_interface() {
    let read = options(&json!({})).unwrap();
    assert_eq!((read.provider, read.when), (Provider::Altcha, When::Always));
    assert_eq!((read.style, read.background), (Style::Plain, [255; 3]));
    assert!(applies(&json!({}), &json!({})));
    assert!(applies(&json!({}), &json!({"type": "Normal"})));
    assert!(!applies(&json!({}), &json!({"type": "trackback"})));
    assert!(applies(&json!({"types": null}), &json!({"type": "issue"})));
}

#[test]
fn only_old_articles_are_old() {
    let week = json!({"after_days": 7});
    let written = |time: &str| applies(&week, &json!({"article_created_at": time}));
    assert!(written("2026-06-23 11:59:59"));
    assert!(!written("2026-06-23 12:00:00"), "strictly older");
    assert!(!written("2027-01-01") && !written("once upon a time"));
    assert!(written("-infinity"));
    assert!(!applies(&week, &json!({})), "of unknown age");
    // 0 is every one, null is no limit.
    assert!(applies(&json!({"after_days": 0}), &json!({})));
    assert!(applies(&json!({"after_days": null}), &json!({})));
}

#[test]
fn pages_are_compared_in_normal_form() {
    let pages = json!({"pages": ["Guest Book", "contact"]});
    assert!(applies(&pages, &json!({"page": " GUEST book"})));
    assert!(!applies(&pages, &json!({"page": "guest"})) && !applies(&pages, &json!({})));
    assert!(options(&json!({"pages": []})).unwrap().never());
    assert!(options(&json!({"types": []})).unwrap().never());
    assert!(!options(&pages).unwrap().never());
}

#[test]
fn what_is_for_images_is_refused_elsewhere() {
    let image = |more: Json| {
        let mut given = json!({"provider": "image"});
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options(&given)
    };
    let read = image(json!({"style": "scrambled", "background": "0, 128,255"})).unwrap();
    assert_eq!((read.style, read.background), (Style::Scrambled, [0, 128, 255]));
    assert_eq!(image(json!({"background": null})).unwrap().background, [255; 3]);
    for wrong in ["", "1,2", "1,2,3,4", "1,2,256", "-1,2,3", "#ffffff", "+1,2,3", "1,,3"] {
        let refusal = image(json!({"background": wrong})).unwrap_err();
        assert!(
            refusal.message.contains("background") && refusal.message.contains(wrong),
            "{wrong}"
        );
    }
    for given in
        [json!({"style": "scrambled"}), json!({"provider": "recaptcha", "background": "0,0,0"})]
    {
        assert!(
            options(&given).unwrap_err().message.contains("provider \"image\" only"),
            "{given}"
        );
    }
    // The defaults may stand there for everybody.
    assert!(options(&json!({"style": "plain", "background": "255,255,255"})).is_ok());
}

#[test]
fn content_is_what_people_read() {
    let key = Key::new(b"secret");
    let of = |submission: &Json| {
        let submission = Submission::from_json(submission).unwrap();
        Purpose::for_content(&key, "public.comments", &Facts::new(&submission, 65_536, 0)).content
    };
    let one = of(&json!({"body": "Hello\r\nworld", "author": "Ann", "captcha": "x"}));
    assert_eq!(one, of(&json!({"body": " Hello\nworld ", "author": "Ann", "ip": "192.0.2.1"})));
    for other in [
        json!({"body": "Hello, world", "author": "Ann"}),
        json!({"body": "Hello world", "author": "Bob"}),
        json!({"body": "Hello world", "title": "Ann"}),
        json!({"body": "Hello world", "author": "Ann", "url": "https://x.example"}),
        json!({"body": "Hello world", "author": "Ann", "fields": {"more": "text"}}),
    ] {
        assert_ne!(one, of(&other), "{other}");
    }
    let with =
        |answer: &str| of(&json!({"body": "x", "captcha": answer, "fields": {"altcha": answer}}));
    assert_eq!(with("first"), with("second"), "an answer is no content");
}

#[test]
fn a_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", Key::new(b"secret")), "Key(…)");
}
