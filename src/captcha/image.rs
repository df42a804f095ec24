//! How the image of a captcha looks: the crate `captcha` draws the letters, bends and disturbs them, and the
//! result is painted in ink on the policy's background. Owns the look; which letters they are, and what an
//! answer proves, is the engine's. It must not be asked within a check that decides: it only shows.

use std::panic::catch_unwind;

use ::captcha::Captcha;
use ::captcha::filters::{Dots, Grid, Noise, Wave};
use spamcheck_engine::captcha::Style;

use super::keys;

/// Pixels. The widest letters are 49 wide and all are 39 high, so there is room for what waves move.
const WIDTH: u32 = 270;
const HEIGHT: u32 = 80;

/// Shades between background and ink: few make a small file, and soft edges need no more.
const SHADES: u8 = 15;

/// How an image looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// How it is drawn.
    pub style: Style,
    /// Its background: red, green, blue.
    pub background: [u8; 3],
}

/// Letters as a PNG. An error says why there is none.
pub fn draw(letters: &str, look: Look) -> Result<Vec<u8>, String> {
    let chances = Chances(keys::random());
    let painted = catch_unwind(|| {
        let image = drawn(letters, look.style, &chances)?;
        paint(&image, look.background, chances.ink(look.background))
    });
    painted.ok().flatten().ok_or_else(|| "the image could not be drawn".to_owned())
}

/// What is left to chance, but for noise and dots, of which the crate has its own.
struct Chances([u8; 12]);

impl Chances {
    /// A number between two, each place in the bytes for one purpose.
    fn between(&self, place: usize, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.0[place]) / 255.0
    }

    /// A colour that can be read on that background: at least three times as bright, or the background is,
    /// by the measure that WCAG 2.2 has (success criterion 1.4.3, large text).
    fn ink(&self, background: [u8; 3]) -> [u8; 3] {
        // At this brightness, black and white are equally far away.
        let (low, high) = if brightness(background) > 0.179 { (0.0, 45.0) } else { (210.0, 255.0) };
        [0, 1, 2].map(|channel| self.between(channel, low, high) as u8)
    }

    /// How a wave goes through the image: how often, and how many pixels far.
    fn wave(&self, place: usize) -> Wave {
        let far = self.between(place + 1, 5.0, 8.0);
        let far = if self.0[place + 2] < 128 { far } else { -far };
        Wave::new(self.between(place, 2.0, 3.5), far)
    }

    /// The pixels between two lines.
    fn gap(&self, place: usize) -> u32 {
        self.between(place, 17.0, 23.0) as u32
    }
}

/// Relative luminance, from 0 to 1 (WCAG 2.2).
fn brightness(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|channel| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The letters in black on white, as a PNG. None: the crate cannot draw one of them.
fn drawn(letters: &str, style: Style, chances: &Chances) -> Option<Vec<u8>> {
    let mut image = Captcha::new();
    for letter in letters.chars() {
        // It picks one of those that it is given.
        image.set_chars(&[letter]).add_char();
    }
    if image.chars_as_string() != letters {
        return None;
    }
    if style == Style::Scrambled {
        image
            .apply_filter(Noise::new(0.04))
            .apply_filter(Grid::new(chances.gap(3), chances.gap(4)))
            .apply_filter(chances.wave(5).horizontal())
            .apply_filter(chances.wave(8).vertical());
    }
    image.view(WIDTH, HEIGHT);
    if style == Style::Scrambled {
        image.apply_filter(Dots::new(6).min_radius(2).max_radius(4));
    }
    image.as_png()
}

/// The image in these colours.
fn paint(png: &[u8], paper: [u8; 3], ink: [u8; 3]) -> Option<Vec<u8>> {
    let image = lodepng::decode24(png).ok()?;
    let mixed = |grey: u8| {
        let part = f32::from((255 - grey).div_ceil(255 / SHADES)) / f32::from(SHADES);
        let mix = |n: usize| f32::from(paper[n]) + (f32::from(ink[n]) - f32::from(paper[n])) * part;
        [0, 1, 2].map(|channel| mix(channel).round() as u8)
    };
    let colours: Vec<[u8; 3]> = (0..=255).map(mixed).collect();
    let pixels: Vec<[u8; 3]> = image.buffer.iter().map(|p| colours[usize::from(p.g)]).collect();
    lodepng::encode24(&pixels, image.width, image.height).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spamcheck_engine::captcha::image::ALPHABET;

    fn chances(seed: u8) -> Chances {
        Chances(std::array::from_fn(|n| {
            seed.wrapping_mul(31).wrapping_add((n as u8).wrapping_mul(97))
        }))
    }

    /// Whether a pixel has ink, row by row.
    fn inked(letters: &str, style: Style, seed: u8) -> Vec<Vec<bool>> {
        let png = drawn(letters, style, &chances(seed)).unwrap();
        let image = lodepng::decode24(&png).unwrap();
        assert_eq!((image.width, image.height), (WIDTH as usize, HEIGHT as usize));
        image.buffer.chunks(image.width).map(|r| r.iter().map(|p| p.g < 128).collect()).collect()
    }

    #[test]
    fn every_letter_is_drawn_and_no_word_reaches_the_edge() {
        for letter in ALPHABET {
            let word = char::from(*letter).to_string().repeat(5);
            let rows = inked(&word, Style::Plain, *letter);
            let ink = rows.iter().flatten().filter(|ink| **ink).count();
            assert!(ink > 5 * 120, "{word}: {ink} pixels");
            let edge = |row: &Vec<bool>| row[..10].iter().chain(&row[260..]).any(|ink| *ink);
            assert!(!rows.iter().any(edge), "{word}");
            assert!(!rows[..16].iter().chain(&rows[64..]).flatten().any(|ink| *ink), "{word}");
        }
        assert!(drawn("ACE0H", Style::Plain, &chances(1)).is_none(), "it has no zero");
    }

    #[test]
    fn whatever_chance_says_a_scrambled_image_has_its_size() {
        for seed in (0..=255).step_by(5) {
            assert!(inked("MJMJM", Style::Scrambled, seed)[..8].iter().flatten().any(|ink| *ink));
        }
    }

    #[test]
    fn ink_can_be_read_on_every_background() {
        let contrast = |one: f64, other: f64| (one.max(other) + 0.05) / (one.min(other) + 0.05);
        for (red, green, blue) in (0..=255_u8).step_by(15).flat_map(|red| {
            let rest = (0..=255_u8).step_by(15);
            rest.clone().flat_map(move |green| rest.clone().map(move |blue| (red, green, blue)))
        }) {
            let paper = [red, green, blue];
            for ink in [Chances([0; 12]).ink(paper), Chances([255; 12]).ink(paper)] {
                let contrast = contrast(brightness(paper), brightness(ink));
                assert!(contrast >= 3.0, "{paper:?} {ink:?}: {contrast}");
            }
        }
    }

    #[test]
    fn the_paper_is_the_background_and_the_file_is_small() {
        let png = drawn("MMMMM", Style::Scrambled, &chances(7)).unwrap();
        let painted = paint(&png, [1, 2, 3], [250, 251, 252]).unwrap();
        let image = lodepng::decode24(&painted).unwrap();
        for colour in [[1, 2, 3], [250, 251, 252]] {
            assert!(image.buffer.iter().any(|p| [p.r, p.g, p.b] == colour));
        }
        assert!(painted.len() < 8_192, "{} bytes", painted.len());
    }
}
