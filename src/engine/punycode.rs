//! Owns punycode both ways: the ASCII form of host labels in other scripts. It must not know
//! hosts or lists.

/// The parameters of RFC 3492, section 5.
const BASE: u32 = 36;
const TMIN: u32 = 1;
const TMAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;

/// The text that a label stands for, given without its `xn--` (RFC 3492, section 6.2); `None` if it
/// is not punycode.
#[must_use]
pub fn decode(label: &str) -> Option<String> {
    let (plain, digits) = label.rsplit_once('-').unwrap_or(("", label));
    if !label.is_ascii() || digits.is_empty() {
        return None;
    }
    let mut text: Vec<char> = plain.chars().collect();
    let (mut code, mut place, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = digits.bytes().peekable();
    while digits.peek().is_some() {
        let (before, mut weight) = (place, 1_u32);
        for step in (BASE..).step_by(BASE as usize) {
            let digit = match digits.next()? {
                letter @ (b'a'..=b'z' | b'A'..=b'Z') => letter.to_ascii_lowercase() - b'a',
                number @ b'0'..=b'9' => number - b'0' + 26,
                _ => return None,
            };
            let digit = u32::from(digit);
            place = place.checked_add(digit.checked_mul(weight)?)?;
            let threshold = step.saturating_sub(bias).clamp(TMIN, TMAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
        }
        let length = u32::try_from(text.len()).ok()? + 1;
        bias = adapt(place - before, length, before == 0);
        code = code.checked_add(place / length)?;
        place %= length;
        text.insert(place as usize, char::from_u32(code)?);
        place += 1;
    }
    Some(text.into_iter().collect())
}

/// A label in other scripts without its `xn--` (RFC 3492, section 6.3); `None` if it is too long.
#[must_use]
pub fn encode(label: &str) -> Option<String> {
    let mut text: String = label.chars().filter(char::is_ascii).collect();
    let length = u32::try_from(label.chars().count()).ok()?;
    let plain = u32::try_from(text.len()).ok()?;
    if plain > 0 {
        text.push('-');
    }
    let (mut done, mut code, mut delta, mut bias) = (plain, 128_u32, 0_u32, 72_u32);
    while done < length {
        let next = label.chars().map(u32::from).filter(|letter| *letter >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(done + 1)?)?;
        code = next;
        for letter in label.chars().map(u32::from) {
            if letter < code {
                delta = delta.checked_add(1)?;
            }
            if letter == code {
                let mut rest = delta;
                for step in (BASE..).step_by(BASE as usize) {
                    let threshold = step.saturating_sub(bias).clamp(TMIN, TMAX);
                    if rest < threshold {
                        break;
                    }
                    text.push(digit(threshold + (rest - threshold) % (BASE - threshold))?);
                    rest = (rest - threshold) / (BASE - threshold);
                }
                text.push(digit(rest)?);
                bias = adapt(delta, done + 1, done == plain);
                (delta, done) = (0, done + 1);
            }
        }
        (delta, code) = (delta.checked_add(1)?, code.checked_add(1)?);
    }
    (text.len() <= 59).then_some(text)
}

/// 0 to 25 are letters, 26 to 35 digits.
fn digit(value: u32) -> Option<char> {
    char::from_digit(if value < 26 { value + 10 } else { value - 26 }, 36)
}

fn adapt(delta: u32, length: u32, first: bool) -> u32 {
    let mut delta = delta / if first { DAMP } else { 2 };
    delta += delta / length;
    let mut steps = 0;
    while delta > (BASE - TMIN) * TMAX / 2 {
        delta /= BASE - TMIN;
        steps += BASE;
    }
    steps + (BASE - TMIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_samples_of_the_rfc_and_of_real_hosts() {
        for (label, text) in [
            ("egbpdaj6bu4bxfgehfvwxn", "ليهمابتكلموشعربي؟"),
            ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("Proprostnemluvesky-uyb24dma41a", "Pročprostěnemluvíčesky"),
            ("MajiKoi5-783gue6qz075azm5e", "MajiでKoiする5秒前"),
            ("e1afmkfd", "пример"),
            ("p1ai", "рф"),
            ("bcher-kva", "bücher"),
            ("strae-oqa", "straße"),
            ("fiqs8s", "中国"),
        ] {
            assert_eq!(decode(label).as_deref(), Some(text), "{label}");
            assert_eq!(encode(text).as_deref(), Some(label), "{text}");
        }
    }

    #[test]
    fn what_is_not_punycode_is_told() {
        for label in ["", "abc-", "ü", "a!", "99999999", "b"] {
            assert_eq!(decode(label), None, "{label}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(label in "[a-z0-9-]{0,40}|\\PC{0,20}") {
            let _ = decode(&label);
        }

        #[test]
        fn what_is_encoded_reads_back(label in "\\PC{1,12}é") {
            if let Some(encoded) = encode(&label) {
                prop_assert_eq!(decode(&encoded), Some(label));
            }
        }
    }
}
