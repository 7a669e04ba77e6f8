//! The conversion of n! to decimal digits.
//!
//! Products lack the factors of two and five that n! has, see [`LeftOut`]: fives with as many twos
//! are zeros at the end, which nobody has to compute, and the other twos are a shift. N is n!
//! without these zeros.
//!
//! Small factorials are converted by one operation. For large ones that would be the longest
//! operation by far, so it is split: the digits are cut into eight pieces of one width, w digits.
//!
//! ```text
//! power 0 ──▶ power 1 ──▶ power 2 ──▶ reciprocal          beside the product tree
//!   5^w         5^2w        5^4w         of 10^4w
//!
//!  N ──▶ quotient ──▶ fraction 0.0 ──▶ digits 0, 1
//!  │     by 10^4w         └─▶ fraction 1.0 ──▶ digits 2, 3
//!  └──────────┴─────▶ fraction 0.1 ──▶ digits 4, 5
//!                         └─▶ fraction 1.1 ──▶ digits 6, 7
//! ```
//!
//! The fractions of level 0 are the two halves of N as multiples of 10^-4w, those of level 1 what is
//! left of them after two pieces. How wide a piece is is known from n alone.

use super::{Kind, Operands, OperationId, Plan};

/// Number of pieces.
const PIECES: u32 = 8;

/// Levels of powers: of one piece, two, and half of all.
const POWERS: u8 = 3;

/// Most digits of a stretch, the part of a piece that is not split any further.
const MAX_STRETCH: u64 = 800;

/// Operations of a split conversion, each after those that it needs.
const SPLIT: [(Kind, u8, u32); 17] = [
    (Kind::Power, 0, 0),
    (Kind::Power, 1, 0),
    (Kind::Power, 2, 0),
    (Kind::Reciprocal, 0, 0),
    (Kind::Quotient, 0, 0),
    (Kind::Fraction, 0, 0),
    (Kind::Fraction, 0, 1),
    (Kind::Fraction, 1, 0),
    (Kind::Fraction, 1, 1),
    (Kind::Digits, 0, 0),
    (Kind::Digits, 0, 1),
    (Kind::Digits, 0, 2),
    (Kind::Digits, 0, 3),
    (Kind::Digits, 0, 4),
    (Kind::Digits, 0, 5),
    (Kind::Digits, 0, 6),
    (Kind::Digits, 0, 7),
];

/// The conversion by a single operation.
const WHOLE: [(Kind, u8, u32); 1] = [(Kind::Decimal, 0, 0)];

/// Factors of n! that are left out of all products, which makes these a twelfth shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeftOut {
    /// Factors of two; at least as many as of five.
    pub twos: u64,
    /// Factors of five, and so the zeros at the end of n!.
    pub fives: u64,
}

impl LeftOut {
    /// What is left out of the product of 1 to n, by Legendre.
    pub fn of(n: u32) -> LeftOut {
        let count = |prime: u32| {
            let powers = std::iter::successors(Some(n / prime), |&n| Some(n / prime));
            let multiples = powers.take_while(|&multiples| multiples > 0);
            multiples.map(u64::from).sum()
        };
        LeftOut {
            twos: count(2),
            fives: count(5),
        }
    }

    /// N is the product times two to this.
    pub fn shift(self) -> u64 {
        self.twos - self.fives
    }
}

/// How the digits of N are cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cut {
    /// Digits of a stretch.
    pub stretch: u64,
    /// A piece is 2^doublings stretches.
    pub doublings: u32,
    /// What the product lacks.
    pub left_out: LeftOut,
}

impl Cut {
    /// The cut for n!: a little wider than the digits, so that the first piece begins with zeros.
    pub fn of(n: u32) -> Cut {
        let left_out = LeftOut::of(n);
        let digits = most_digits(n) - left_out.fives;
        let piece = digits.div_ceil(u64::from(PIECES));
        let mut doublings = 0;
        while piece.div_ceil(1 << doublings) > MAX_STRETCH {
            doublings += 1;
        }
        Cut {
            stretch: piece.div_ceil(1 << doublings),
            doublings,
            left_out,
        }
    }

    /// Digits of a piece.
    pub fn piece(self) -> u64 {
        self.stretch << self.doublings
    }

    /// Digits of half of the pieces.
    pub fn half(self) -> u64 {
        self.piece() * u64::from(PIECES / 2)
    }

    /// How many zeros come after the digits of piece `index`: those of n!, after the last one.
    pub fn zeros_after(self, index: u32) -> u64 {
        if index == PIECES - 1 {
            self.left_out.fives
        } else {
            0
        }
    }
}

impl Kind {
    /// Whether it is made of n!, in however many steps.
    pub(crate) fn is_made_of_product(self) -> bool {
        !matches!(self, Kind::Multiply | Kind::Power | Kind::Reciprocal)
    }
}

impl Plan {
    /// How the digits are cut, where the conversion is split.
    pub fn cut(&self) -> Cut {
        Cut::of(self.n)
    }

    /// The operations of the conversion, each after those that it needs.
    pub fn conversion(&self) -> impl Iterator<Item = OperationId> + use<> {
        let names: &'static [(Kind, u8, u32)] = if self.is_split { &SPLIT } else { &WHOLE };
        let n = self.n;
        let name = move |&(kind, level, index)| OperationId {
            n,
            kind,
            level,
            index,
        };
        names.iter().map(name)
    }

    /// The operations that yield the digits, in their order.
    pub fn digits(&self) -> impl Iterator<Item = OperationId> + use<> {
        self.conversion()
            .filter(|id| matches!(id.kind, Kind::Decimal | Kind::Digits))
    }

    /// The operations that need the product of `id`; none needs the digits.
    pub fn needed_by(&self, id: OperationId) -> Vec<OperationId> {
        match self.parent(id) {
            Some(parent) => vec![parent],
            None => {
                let needs = |other: &OperationId| self.conversion_operands(*other).contains(&id);
                self.conversion().filter(needs).collect()
            }
        }
    }

    pub(super) fn conversion_operands(&self, id: OperationId) -> Vec<OperationId> {
        let name = |kind, level, index| OperationId {
            n: self.n,
            kind,
            level,
            index,
        };
        let power = |level| name(Kind::Power, level, 0);
        let reciprocal = name(Kind::Reciprocal, 0, 0);
        let quotient = name(Kind::Quotient, 0, 0);
        match (id.kind, id.level, id.index) {
            (Kind::Multiply, ..) | (Kind::Power, 0, _) => vec![],
            (Kind::Decimal, ..) => vec![self.root()],
            (Kind::Power, level, _) => vec![power(level - 1)],
            (Kind::Reciprocal, ..) => vec![power(POWERS - 1)],
            (Kind::Quotient, ..) => vec![self.root(), reciprocal, power(POWERS - 1)],
            (Kind::Fraction, 0, 0) => vec![quotient, reciprocal],
            (Kind::Fraction, 0, _) => vec![self.root(), quotient, reciprocal, power(POWERS - 1)],
            (Kind::Fraction, _, half) => vec![name(Kind::Fraction, 0, half), power(1)],
            (Kind::Digits, _, index) => {
                let (half, place) = (index / (PIECES / 2), index % (PIECES / 2));
                let fraction = name(Kind::Fraction, (place / 2) as u8, half);
                if place % 2 == 0 {
                    vec![fraction]
                } else {
                    vec![fraction, power(0)]
                }
            }
        }
    }

    pub(super) fn operands_of_conversion(&self, id: OperationId) -> Operands {
        Operands::Products(self.conversion_operands(id))
    }
}

/// At least the number of digits of n!, and at most three more.
pub fn most_digits(n: u32) -> u64 {
    // Stirling's upper bound. The digits that are added outweigh by far what rounding may take away.
    let x = f64::from(n.max(1));
    let logarithm = x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x);
    (logarithm / std::f64::consts::LN_10) as u64 + 3
}

#[cfg(test)]
mod tests {
    use malachite_base::num::arithmetic::traits::Factorial;
    use malachite_nz::natural::Natural;

    use super::*;
    use crate::plan::Shape;

    #[test]
    fn the_pieces_hold_all_digits_and_few_more() {
        for n in (0..400).chain([1_000, 9_999, 20_000, 50_000]) {
            let digits = Natural::factorial(u64::from(n)).to_string();
            let cut = Cut::of(n);
            let most = most_digits(n);
            let length = digits.len() as u64;
            assert!((length..=length + 3).contains(&most), "{n}!: {most}");
            let end = digits.trim_end_matches('0');
            let zeros = length - end.len() as u64;
            assert_eq!(cut.left_out.fives, zeros, "{n}!");
            assert!(2 * cut.half() + zeros >= most && cut.stretch <= MAX_STRETCH);
            assert!(2 * cut.half() + zeros < most + (8 << cut.doublings));
        }
    }

    #[test]
    fn no_operation_needs_more_than_four_or_what_comes_later() {
        let shape = Shape {
            split_from: Some(0),
            ..Shape::SINGLE
        };
        let plan = shape.plan(1_000);
        let mut known = vec![plan.root()];
        for id in plan.conversion() {
            assert!(plan.contains(id));
            let operands = plan.operands(id);
            assert!(operands.products().len() <= 4);
            for operand in operands.products() {
                assert!(known.contains(operand), "{id:?} needs {operand:?}");
                assert!(plan.needed_by(*operand).contains(&id));
            }
            known.push(id);
        }
        let last = |id: &OperationId| plan.needed_by(*id).is_empty();
        assert!(known.into_iter().filter(last).eq(plan.digits()));
    }
}
