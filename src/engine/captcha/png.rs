//! Owns the writing of a PNG of four colours, two bits a pixel (RFC 2083). An image of a captcha has less
//! than four kilobytes that way without being compressed, which every decoder reads. It must not know what
//! is drawn.

/// A picture of four colours.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Red, green and blue of each colour.
    pub(super) colours: [[u8; 3]; 4],
    /// A colour for each pixel, row by row.
    pub(super) pixels: Vec<u8>,
}

impl Picture {
    /// The bytes of the file.
    pub(super) fn png(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend_from_slice(&(self.width as u32).to_be_bytes());
        header.extend_from_slice(&(self.height as u32).to_be_bytes());
        // Two bits a pixel, of a palette; the only compression and filtering there are; not interlaced.
        header.extend_from_slice(&[2, 3, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, *b"IHDR", &header);
        chunk(&mut file, *b"PLTE", self.colours.as_flattened());
        chunk(&mut file, *b"IDAT", &stored(&self.rows()));
        chunk(&mut file, *b"IEND", &[]);
        file
    }

    /// Each row with its filter, which is none, and four pixels a byte.
    fn rows(&self) -> Vec<u8> {
        let row = |pixels: &[u8]| {
            let byte = |four: &[u8]| {
                let bits = four.iter().zip([6, 4, 2, 0]);
                bits.fold(0, |all, (pixel, place)| all | ((pixel & 3) << place))
            };
            let bytes = pixels.chunks(4).map(byte);
            std::iter::once(0).chain(bytes).collect::<Vec<u8>>()
        };
        self.pixels.chunks(self.width).flat_map(row).collect()
    }
}

/// A chunk: length, type, data and checksum.
fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    file.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend_from_slice(&kind);
    file.extend_from_slice(data);
    let sum = crc(&file[start..]);
    file.extend_from_slice(&sum.to_be_bytes());
}

/// A zlib stream of stored blocks (RFC 1950 and 1951).
fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        stream.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    stream.extend_from_slice(&adler(data).to_be_bytes());
    stream
}

fn crc(data: &[u8]) -> u32 {
    let bit = |sum: u32| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !data.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}

fn adler(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standards() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(crc(b"IEND"), 0xae42_6082);
    }

    #[test]
    fn four_pixels_make_a_byte_and_a_row_is_filled_up() {
        let picture = Picture {
            width: 5,
            height: 2,
            colours: [[0; 3]; 4],
            pixels: vec![0, 1, 2, 3, 1, 3, 3, 3, 3, 0],
        };
        assert_eq!(picture.rows(), [0, 0b0001_1011, 0b0100_0000, 0, 0xff, 0]);
    }
}
