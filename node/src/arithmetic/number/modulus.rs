//! Residues modulo B^k - 1 and B^k + 1.

use std::iter::repeat;

use super::BASE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Minus,
    Plus,
}

/// B^size - 1 or B^size + 1, of at least one digit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus {
    pub(super) size: usize,
    pub(super) sign: Sign,
}

impl Modulus {
    /// The least residue of digits. It has `size` digits, including leading zeros, and one more only if it is
    /// B^size.
    pub(super) fn reduce(self, digits: &[u64]) -> Vec<u64> {
        let mut residue = vec![0; self.size];
        for (index, piece) in digits.chunks(self.size).enumerate() {
            let negative = self.sign == Sign::Plus && index % 2 == 1;
            self.add(&mut residue, piece, negative);
        }
        residue
    }

    /// Subtracts the least residue of digits from that of others.
    pub(super) fn subtract(self, residue: &mut Vec<u64>, digits: &[u64]) {
        for (index, piece) in digits.chunks(self.size).enumerate() {
            let negative = self.sign == Sign::Minus || index % 2 == 0;
            self.add(residue, piece, negative);
        }
    }

    /// Adds or subtracts digits, at most as many as the modulus has.
    fn add(self, residue: &mut Vec<u64>, digits: &[u64], negative: bool) {
        let mut carry = 0;
        let (base, sign) = (BASE as i64, if negative { -1 } else { 1 });
        let digits = digits.iter().copied().chain(repeat(0));
        for (sum, digit) in residue.iter_mut().take(self.size).zip(digits) {
            let whole = *sum as i64 + sign * digit as i64 + carry;
            carry = i64::from(whole >= base) - i64::from(whole < 0);
            *sum = (whole - carry * base) as u64;
        }
        // B^size, which a residue modulo B^size + 1 can be.
        carry += residue.drain(self.size..).sum::<u64>() as i64;
        self.wrap(residue, carry.into());
    }

    /// Adds the carry out of the top at the bottom.
    pub(super) fn wrap(self, digits: &mut Vec<u64>, mut carry: i128) {
        let zero = |digits: &[u64]| digits.iter().all(|&digit| digit == 0);
        while carry != 0 {
            if self.sign == Sign::Plus && carry == 1 && zero(digits) {
                digits.push(1);
                return;
            }
            if self.sign == Sign::Plus {
                carry = -carry;
            }
            for digit in &mut *digits {
                if carry == 0 {
                    break;
                }
                let sum = carry + i128::from(*digit);
                carry = sum.div_euclid(BASE.into());
                *digit = sum.rem_euclid(BASE.into()) as u64;
            }
        }
        if self.sign == Sign::Minus && digits.iter().all(|&digit| digit == BASE - 1) {
            digits.fill(0);
        }
    }
}
