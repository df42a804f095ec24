//! Owns captchas that are images: what they say, how they are drawn, and whether an answer is right.
//! Nothing is stored about one: its id carries a keyed hash of the right answer, which only the key can
//! make. It must not know which were answered before; that a wrong answer is the last one to an image is
//! for whoever keeps the book.

mod glyphs;

use std::f32::consts::TAU;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keyed::{hash, same};
use super::png::Picture;
use super::{Key, Proof, Purpose, Style};
use glyphs::{ALPHABET, SIZE, strokes};

/// Characters of an answer.
const LENGTH: usize = 5;
const WIDTH: usize = 200;
const HEIGHT: usize = 72;

/// Parts of an id, in bytes: nonce, expiry, table, content, hash of the answer, hash of it all.
const NONCE: usize = 12;
const SIGNED: usize = NONCE + 8 + 8 + 16;
const TAG: usize = 16;

/// An image and what an answer to it has to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What the answer begins with: `id:answer`.
    pub id: String,
    /// The image, a PNG.
    pub png: Vec<u8>,
}

/// How an image looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// How it is drawn.
    pub style: Style,
    /// Its background: red, green, blue.
    pub background: [u8; 3],
}

/// An answer, read but not yet counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Tells the image from others; an image that was tried and not solved is not to be tried again.
    pub image: u64,
    /// Whether the answer is right.
    pub right: bool,
    /// What it proves then.
    pub proof: Proof,
}

/// A new image. `random` gives 32 random bits a call.
pub fn draw(
    key: &Key,
    purpose: &Purpose,
    expires: i64,
    look: Look,
    random: &mut dyn FnMut() -> u32,
) -> Image {
    let answer: Vec<u8> = (0..LENGTH).map(|_| pick(ALPHABET, random)).collect();
    let mut id = Vec::with_capacity(SIGNED + 2 * TAG);
    (0..NONCE / 4).for_each(|_| id.extend_from_slice(&random().to_be_bytes()));
    id.extend_from_slice(&expires.to_be_bytes());
    id.extend_from_slice(&purpose.relation.unwrap_or_default());
    id.extend_from_slice(&purpose.content.unwrap_or_default());
    let solution = tag(key, b"spamcheck answer\0", &[&id, &answer]);
    id.extend_from_slice(&solution);
    let whole = tag(key, b"spamcheck image\0", &[&id]);
    id.extend_from_slice(&whole);
    let png = Canvas::new(look, random).write(&answer, random).png();
    Image { id: URL_SAFE_NO_PAD.encode(id), png }
}

/// Reads an answer, `id:answer`; letters of either case.
///
/// # Errors
/// A sentence, when it is no answer to an image of ours that could still be answered so.
pub fn read(key: &Key, answer: &str, submission: &Purpose, now: i64) -> Result<Try, String> {
    let form = || "the answer is not of the form id:answer".to_owned();
    let (id, answer) = answer.trim().split_once(':').ok_or_else(form)?;
    let id = URL_SAFE_NO_PAD.decode(id).map_err(|_| form())?;
    if id.len() != SIGNED + 2 * TAG {
        return Err(form());
    }
    let (signed, whole) = id.split_at(SIGNED + TAG);
    if !same(whole, &tag(key, b"spamcheck image\0", &[signed])) {
        return Err("the image is not one of ours".to_owned());
    }
    let (head, solution) = signed.split_at(SIGNED);
    let (nonce, rest) = head.split_at(NONCE);
    let (expires, rest) = rest.split_at(8);
    let (relation, content) = rest.split_at(8);
    let expires = expires.try_into().map_or(0, i64::from_be_bytes);
    if expires <= now {
        return Err("the image has expired".to_owned());
    }
    let given = Purpose {
        relation: relation.try_into().ok().filter(|tag| *tag != [0; 8]),
        content: content.try_into().ok().filter(|tag| *tag != [0; 16]),
    };
    let of_refusal = given.fits(submission)?;
    let answer = answer.trim().to_ascii_uppercase();
    let right = same(solution, &tag(key, b"spamcheck answer\0", &[head, answer.as_bytes()]));
    let image = nonce.iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte));
    let proof = Proof { challenge: hash(&[b"image\0", &id]), expires, of_refusal };
    Ok(Try { image, right, proof })
}

fn tag(key: &Key, label: &[u8], parts: &[&[u8]]) -> [u8; TAG] {
    let parts: Vec<&[u8]> = std::iter::once(label).chain(parts.iter().copied()).collect();
    let mut tag = [0; TAG];
    tag.copy_from_slice(&key.sign(&parts)[..TAG]);
    tag
}

fn pick(all: &[u8], random: &mut dyn FnMut() -> u32) -> u8 {
    all[random() as usize % all.len()]
}

/// A number between two.
fn between(low: f32, high: f32, random: &mut dyn FnMut() -> u32) -> f32 {
    low + (high - low) * (random() >> 8) as f32 / (1 << 24) as f32
}

/// What is drawn on: how much ink each pixel has.
struct Canvas {
    look: Look,
    ink: Vec<f32>,
    colour: [u8; 3],
    /// How the lines bend: strength, frequency and start for x and for y.
    wave: [(f32, f32, f32); 2],
}

impl Canvas {
    fn new(look: Look, random: &mut dyn FnMut() -> u32) -> Self {
        let [red, green, blue] = look.background.map(f32::from);
        // As bright as the eye sees it (ITU-R BT.601).
        let bright = 0.299 * red + 0.587 * green + 0.114 * blue;
        let (low, high) = if bright > 127.5 { (0.0, 90.0) } else { (170.0, 255.0) };
        let colour = [(); 3].map(|()| between(low, high, random) as u8);
        let strength = if look.style == Style::Scrambled { 2.5 } else { 0.0 };
        let mut wave = || (strength, between(0.06, 0.11, random), between(0.0, TAU, random));
        let wave = [wave(), wave()];
        Self { look, ink: vec![0.0; WIDTH * HEIGHT], colour, wave }
    }

    fn write(mut self, answer: &[u8], random: &mut dyn FnMut() -> u32) -> Picture {
        let scrambled = self.look.style == Style::Scrambled;
        let (turn, lift) = if scrambled { (0.35, 7.0) } else { (0.06, 2.0) };
        for (place, character) in answer.iter().enumerate() {
            let size = 6.6 * if scrambled { between(0.85, 1.1, random) } else { 1.0 };
            let (sin, cos) = between(-turn, turn, random).sin_cos();
            let middle = (
                22.0 + 39.0 * place as f32 + between(-lift / 2.0, lift / 2.0, random),
                HEIGHT as f32 / 2.0 + between(-lift, lift, random),
            );
            for stroke in strokes(*character) {
                let points: Vec<(f32, f32)> = stroke
                    .iter()
                    .map(|(x, y)| ((x - SIZE.0 / 2.0) * size, (y - SIZE.1 / 2.0) * size))
                    .map(|(x, y)| (middle.0 + x * cos - y * sin, middle.1 + x * sin + y * cos))
                    .collect();
                points.windows(2).for_each(|ends| self.line(ends[0], ends[1], 2.2));
            }
        }
        if scrambled {
            self.scatter(random);
        }
        self.picture()
    }

    /// Pixels scattered over it all, and lines through it.
    fn scatter(&mut self, random: &mut dyn FnMut() -> u32) {
        for _ in 0..3 {
            let height = HEIGHT as f32;
            let from = (between(0.0, 30.0, random), between(8.0, height - 8.0, random));
            let to =
                (WIDTH as f32 - between(0.0, 30.0, random), between(8.0, height - 8.0, random));
            self.line(from, to, 0.8);
        }
        for pixel in &mut self.ink {
            let chance = random() % 100;
            if chance < 4 {
                *pixel = 1.0 - *pixel;
            } else if chance < 9 {
                *pixel = (*pixel + between(0.2, 0.6, random)).min(1.0);
            }
        }
    }

    fn bend(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let [(by, often, start), (by_too, often_too, start_too)] = self.wave;
        (x + by * (y * often + start).sin(), y + 1.5 * by_too * (x * often_too + start_too).sin())
    }

    /// A bent line, in pieces.
    fn line(&mut self, from: (f32, f32), to: (f32, f32), radius: f32) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let pieces = (length / 6.0).ceil().clamp(1.0, 64.0);
        let point = |n: f32| {
            let along = n / pieces;
            (from.0 + (to.0 - from.0) * along, from.1 + (to.1 - from.1) * along)
        };
        for n in 0..pieces as usize {
            let (one, other) = (self.bend(point(n as f32)), self.bend(point(n as f32 + 1.0)));
            self.piece(one, other, radius);
        }
    }

    /// A straight line with soft edges.
    fn piece(&mut self, from: (f32, f32), to: (f32, f32), radius: f32) {
        let reach = radius + 1.0;
        let range = |a: f32, b: f32, most: usize| {
            let low = (a.min(b) - reach).floor().clamp(0.0, most as f32) as usize;
            let high = (a.max(b) + reach).ceil().clamp(0.0, most as f32) as usize;
            low..high
        };
        let along = (to.0 - from.0, to.1 - from.1);
        let square = (along.0 * along.0 + along.1 * along.1).max(1e-6);
        for y in range(from.1, to.1, HEIGHT) {
            for x in range(from.0, to.0, WIDTH) {
                let here = (x as f32 + 0.5 - from.0, y as f32 + 0.5 - from.1);
                let part = ((here.0 * along.0 + here.1 * along.1) / square).clamp(0.0, 1.0);
                let distance = (here.0 - part * along.0).hypot(here.1 - part * along.1);
                let ink = (radius + 0.5 - distance).clamp(0.0, 1.0);
                let pixel = &mut self.ink[y * WIDTH + x];
                *pixel = pixel.max(ink);
            }
        }
    }

    fn picture(&self) -> Picture {
        let mix = |part: f32| {
            let mut colour = self.look.background;
            for (channel, ink) in colour.iter_mut().zip(self.colour) {
                let (paper, ink) = (f32::from(*channel), f32::from(ink));
                *channel = (paper + (ink - paper) * part).round() as u8;
            }
            colour
        };
        Picture {
            width: WIDTH,
            height: HEIGHT,
            colours: [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0].map(mix),
            pixels: self.ink.iter().map(|ink| (ink * 3.0).round() as u8).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
