//! The text of a product.
//!
//! A product is a number in base 10^16: digits of 8 bytes each, little-endian, the lowest first, and none of
//! them zero at the top. So its text is each digit, printed, and nothing has to be converted.

use std::ops::Range;

use bytes::Bytes;

/// Decimal digits that a digit of a product has.
const WIDTH: usize = 16;
/// Bytes of a digit.
const SIZE: usize = 8;
/// Digits of a product that are printed into one piece of a text, of 64 KiB.
const PIECE: usize = 4096;

/// A product as decimal digits, and zeros after them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    value: Bytes,
    zeros: u64,
}

impl Decimal {
    /// A product with so many zeros after its digits. Bytes that are none give digits all the same, if not
    /// the right ones: who made them told something wrong, and a text is looked at by its reader.
    pub fn new(value: Bytes, zeros: u64) -> Decimal {
        Decimal { value, zeros }
    }

    /// How many digits the text has.
    pub fn digits(&self) -> u64 {
        let Some(top) = self.digit(self.count().wrapping_sub(1)) else {
            return 1;
        };
        let below = (self.count() - 1) * WIDTH;
        below as u64 + u64::from(top.checked_ilog10().unwrap_or(0)) + 1 + self.zeros
    }

    /// The text, piece by piece.
    pub fn pieces(&self) -> impl Iterator<Item = Bytes> + '_ {
        let count = self.count();
        let zero = (count == 0).then(|| Bytes::from_static(b"0"));
        let printed = (0..count.div_ceil(PIECE)).map(move |piece| {
            let end = count - piece * PIECE;
            Bytes::from(self.print(end.saturating_sub(PIECE)..end))
        });
        let most = (PIECE * WIDTH) as u64;
        let zeros = if count == 0 { 0 } else { self.zeros };
        let zeros = (0..zeros.div_ceil(most))
            .map(move |piece| Bytes::from(vec![b'0'; (zeros - piece * most).min(most) as usize]));
        zero.into_iter().chain(printed).chain(zeros)
    }

    /// The last digits of the text, `most` of them if it has so many.
    pub fn last(&self, most: usize) -> Vec<u8> {
        let zeros = usize::try_from(self.zeros).unwrap_or(most).min(most);
        let mut last = self.print(0..self.count().min(most.div_ceil(WIDTH)));
        last.resize(last.len() + zeros, b'0');
        last.split_off(last.len().saturating_sub(most))
    }

    fn count(&self) -> usize {
        self.value.len().div_ceil(SIZE)
    }

    fn digit(&self, index: usize) -> Option<u64> {
        let rest = self.value.get(index.checked_mul(SIZE)?..)?;
        let mut bytes = [0; SIZE];
        let length = rest.len().min(SIZE);
        bytes[..length].copy_from_slice(&rest[..length]);
        (length > 0).then(|| u64::from_le_bytes(bytes))
    }

    /// Prints digits, the highest first; without zeros in front if the top is among them.
    fn print(&self, digits: Range<usize>) -> Vec<u8> {
        let mut text = Vec::with_capacity(digits.len() * WIDTH);
        let is_top = digits.end == self.count();
        for index in digits.rev() {
            text.extend_from_slice(&printed(self.digit(index).unwrap_or(0)));
        }
        if is_top {
            let zeros = text.iter().take_while(|&&digit| digit == b'0').count();
            text.drain(..zeros);
        }
        text
    }
}

/// The decimal digits of a number below 10^16, with zeros in front.
fn printed(digit: u64) -> [u8; WIDTH] {
    const HALF: u64 = 100_000_000;
    let mut text = [0; WIDTH];
    text[..WIDTH / 2].copy_from_slice(&printed_half(digit / HALF % HALF));
    text[WIDTH / 2..].copy_from_slice(&printed_half(digit % HALF));
    text
}

/// The eight digits of a number below 10^8, four, two and one at a time in one word, after Paul Khuong, "How
/// to print integers really fast" (2017).
fn printed_half(half: u64) -> [u8; WIDTH / 2] {
    let fours = (half / 10_000) | ((half % 10_000) << 32);
    let upper = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = upper | ((fours - 100 * upper) << 16);
    let upper = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = upper | ((twos - 10 * upper) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(digits: &[u64], zeros: u64) -> Decimal {
        let bytes: Vec<u8> = digits
            .iter()
            .flat_map(|digit| digit.to_le_bytes())
            .collect();
        Decimal::new(bytes.into(), zeros)
    }

    fn text(decimal: &Decimal) -> String {
        String::from_utf8(decimal.pieces().flatten().collect()).expect("digits are ASCII")
    }

    #[test]
    fn the_text_is_each_digit_and_the_zeros() {
        assert_eq!(text(&decimal(&[], 3)), "0");
        assert_eq!(text(&decimal(&[36_288], 2)), "3628800");
        assert_eq!(text(&decimal(&[7, 0, 12], 1)), format!("12{:032}0", 7));
        let large = vec![1_234_567_890_123_456; 2 * PIECE + 1];
        let expected = "1234567890123456".repeat(large.len());
        assert_eq!(text(&decimal(&large, 0)), expected);
        assert_eq!(
            decimal(&large, 100_000).pieces().flatten().count() as u64,
            decimal(&large, 100_000).digits()
        );
    }

    #[test]
    fn bytes_that_are_no_product_are_printed_without_a_panic() {
        for bytes in [&[0xff; 16][..], &[0; 24], &[1, 2, 3], &[0xff; 9]] {
            let decimal = Decimal::new(Bytes::copy_from_slice(bytes), 2);
            assert!(
                decimal
                    .pieces()
                    .flatten()
                    .all(|digit| digit.is_ascii_digit())
            );
            assert!(decimal.digits() > 0 && decimal.last(20).len() <= 20);
        }
    }

    proptest! {
        #[test]
        fn any_digits_are_printed_as_the_standard_library_does(digits in prop::collection::vec(0..10u64.pow(16), 1..9), zeros in 0u64..50, most in 1usize..60) {
            prop_assume!(digits.last() != Some(&0));
            let mut expected = digits.last().map(u64::to_string).unwrap_or_default();
            for digit in digits.iter().rev().skip(1) {
                expected += &format!("{digit:016}");
            }
            expected += &"0".repeat(zeros as usize);
            let decimal = decimal(&digits, zeros);
            prop_assert_eq!(&text(&decimal), &expected);
            prop_assert_eq!(decimal.digits(), expected.len() as u64);
            let most = most.min(expected.len());
            prop_assert_eq!(decimal.last(most), &expected.as_bytes()[expected.len() - most..]);
        }
    }
}
