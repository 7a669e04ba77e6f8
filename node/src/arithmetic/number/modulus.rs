//! Residues modulo B^k - 1 and B^k + 1.

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
    /// The least residue of a sum of at most 100 terms, each times 1 or -1 and at most four times as long as
    /// the modulus. It has `size` digits, zeros at the top too, and one more only if it is B^size.
    pub(super) fn sum(self, terms: &[(i64, &[u64])]) -> Vec<u64> {
        let mut sums = vec![0; self.size];
        for &(factor, digits) in terms {
            let mut factor = factor;
            for piece in digits.chunks(self.size) {
                for (sum, &digit) in sums.iter_mut().zip(piece) {
                    *sum += factor * digit as i64;
                }
                factor *= self.wrapped();
            }
        }
        let mut carry = 0;
        let mut digits: Vec<u64> = sums
            .into_iter()
            .map(|sum| {
                let sum = sum + carry;
                carry = sum.div_euclid(BASE as i64);
                sum.rem_euclid(BASE as i64) as u64
            })
            .collect();
        self.wrap(&mut digits, carry.into());
        digits
    }

    /// What B^size is.
    pub(super) fn wrapped(self) -> i64 {
        match self.sign {
            Sign::Minus => 1,
            Sign::Plus => -1,
        }
    }

    /// Adds what was carried out of the top at the bottom.
    pub(super) fn wrap(self, digits: &mut Vec<u64>, mut carry: i128) {
        let zero = |digits: &[u64]| digits.iter().all(|&digit| digit == 0);
        while carry != 0 {
            if self.sign == Sign::Plus && carry == 1 && zero(digits) {
                digits.push(1);
                return;
            }
            carry *= i128::from(self.wrapped());
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
