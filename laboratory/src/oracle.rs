//! Checks whether a text contains the digits of n!, independently of the code that computed them.
//!
//! The value is never computed here. Known properties of n! are compared with the text:
//!
//! - its residues modulo three primes of 60 bits. A text that is wrong by chance, or by a fault of an
//!   arithmetic library, has the right residues once in 2¹⁸⁰ times;
//! - the number of trailing zeros (Legendre's formula), and the nine digits before them;
//! - the number of digits, and the first five of them, by the sum of the logarithms.
//!
//! All of it takes one loop over 1..n, with products of machine words.

use std::collections::BTreeMap;
use std::fmt;

/// The greatest primes below 2⁶⁰: none divides the factorial of a number that bullpen accepts.
const PRIMES: [u64; 3] = [(1 << 60) - 93, (1 << 60) - 107, (1 << 60) - 173];
/// As many digits fit in a word.
const CHUNK: usize = 18;
/// The last digits that are not zeros, so many of them.
const LAST: u64 = 1_000_000_000;
const LAST_DIGITS: usize = 9;
/// The sum of ten million logarithms is off by less, and five digits show as much.
const LOGARITHM_TOLERANCE: f64 = 1e-5;

/// The known properties of factorials, each computed once.
#[derive(Debug, Default)]
pub struct Oracle {
    known: BTreeMap<u64, Marks>,
}

/// What shows that a text is not the digits of a factorial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Something other than decimal digits, or a leading zero.
    NoNumber,
    /// The number of digits, or the first of them.
    Magnitude,
    /// The number of zeros at its end.
    Zeros,
    /// The last digits before those zeros.
    LastDigits,
    /// The remainder of its division by a prime.
    Residue,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::NoNumber => "it is no number in decimal digits",
            Flaw::Magnitude => "it has the wrong number of digits, or begins with wrong ones",
            Flaw::Zeros => "it ends with the wrong number of zeros",
            Flaw::LastDigits => "its last digits before the zeros are wrong",
            Flaw::Residue => "its remainder modulo a prime of 60 bits is wrong",
        })
    }
}

impl Oracle {
    /// What is wrong with the text of a finished job of these factorials: a line each, `10!=3628800`.
    pub fn complaint(&mut self, factorials: &[u64], text: &[u8]) -> Option<String> {
        let mut lines = text.split_inclusive(|&byte| byte == b'\n');
        for (index, &n) in factorials.iter().enumerate() {
            let line = lines.next().unwrap_or_default();
            let about = format!("line {} is not that of {n}!", index + 1);
            let value = line
                .strip_suffix(b"\n")
                .and_then(|line| line.strip_prefix(format!("{n}!=").as_bytes()));
            let Some(value) = value else {
                return Some(about);
            };
            if let Some(flaw) = self.flaw(n, value) {
                return Some(format!("{about}: {flaw}"));
            }
        }
        let more = lines.next().is_some();
        more.then(|| format!("it has more than {} lines", factorials.len()))
    }

    /// What is wrong with the digits of n!; nothing if they are right.
    pub fn flaw(&mut self, n: u64, digits: &[u8]) -> Option<Flaw> {
        self.known
            .entry(n)
            .or_insert_with(|| Marks::of(n))
            .flaw(digits)
    }
}

/// The known properties of a factorial.
#[derive(Debug)]
struct Marks {
    residues: [u64; PRIMES.len()],
    zeros: usize,
    last: u64,
    logarithm: f64,
}

impl Marks {
    fn of(n: u64) -> Marks {
        let mut residues = PRIMES.map(|_| 1);
        let (mut twos, mut fives, mut last) = (0, 0, 1);
        let mut logarithm = Sum::default();
        for factor in 1..=n {
            for (residue, prime) in residues.iter_mut().zip(PRIMES) {
                *residue = product(*residue, factor, prime);
            }
            let (rest, count) = without(factor >> factor.trailing_zeros(), 5);
            twos += u64::from(factor.trailing_zeros());
            fives += count;
            last = product(last, rest, LAST);
            logarithm.add((factor as f64).log10());
        }
        // Each five makes a zero with a two; the other twos are left.
        for _ in fives..twos {
            last = product(last, 2, LAST);
        }
        Marks {
            residues,
            zeros: usize::try_from(fives).unwrap_or(usize::MAX),
            last,
            logarithm: logarithm.total,
        }
    }

    fn flaw(&self, digits: &[u8]) -> Option<Flaw> {
        if digits.first().is_none_or(|&first| first == b'0')
            || !digits.iter().all(u8::is_ascii_digit)
        {
            return Some(Flaw::NoNumber);
        }
        if (logarithm(digits) - self.logarithm).abs() > LOGARITHM_TOLERANCE {
            return Some(Flaw::Magnitude);
        }
        let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0');
        if zeros.count() != self.zeros {
            return Some(Flaw::Zeros);
        }
        let rest = &digits[..digits.len() - self.zeros];
        let end = &rest[rest.len().saturating_sub(LAST_DIGITS)..];
        if word(end) != self.last {
            return Some(Flaw::LastDigits);
        }
        let is_right = |(prime, known): (u64, u64)| residue(digits, prime) == known;
        let all_right = PRIMES.into_iter().zip(self.residues).all(is_right);
        (!all_right).then_some(Flaw::Residue)
    }
}

/// A sum that compensates rounding errors (Kahan, 1965).
#[derive(Default)]
struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        let term = term - self.lost;
        let total = self.total + term;
        self.lost = (total - self.total) - term;
        self.total = total;
    }
}

/// The decimal logarithm of a number in digits, by the first of them.
fn logarithm(digits: &[u8]) -> f64 {
    let head = &digits[..digits.len().min(CHUNK)];
    (word(head) as f64).log10() + (digits.len() - head.len()) as f64
}

fn residue(digits: &[u8], prime: u64) -> u64 {
    digits.chunks(CHUNK).fold(0, |residue, chunk| {
        let shift = chunk.iter().fold(1, |shift, _| shift * 10);
        remainder(u128::from(residue) * shift + u128::from(word(chunk)), prime)
    })
}

/// A few digits as a word.
fn word(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |word, digit| word * 10 + u64::from(digit - b'0'))
}

fn product(a: u64, b: u64, modulus: u64) -> u64 {
    remainder(u128::from(a) * u128::from(b), modulus)
}

fn remainder(number: u128, modulus: u64) -> u64 {
    // It is less than the modulus, which fits.
    (number % u128::from(modulus)) as u64
}

/// A number without all factors of one prime, and how many there were.
fn without(mut number: u64, factor: u64) -> (u64, u64) {
    let mut count = 0;
    while number.is_multiple_of(factor) {
        number /= factor;
        count += 1;
    }
    (number, count)
}

#[cfg(test)]
mod tests;
