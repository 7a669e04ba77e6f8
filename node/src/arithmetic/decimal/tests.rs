use malachite_base::num::arithmetic::traits::Factorial;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// How a number is converted in eight pieces.
#[derive(Clone, Copy)]
struct Cut {
    stretch: u64,
    doublings: u32,
    /// Bits that the pieces and the quotient begin with.
    guard: u64,
}

impl Cut {
    /// The cut for numbers of so many digits.
    fn of(digits: u64) -> Cut {
        let piece = digits.div_ceil(8).max(1);
        let doublings = (0..).find(|&doublings| piece >> doublings <= 40);
        let doublings = doublings.unwrap_or(0);
        Cut {
            stretch: digits.div_ceil(8 << doublings).max(1),
            doublings,
            guard: GUARD,
        }
    }
}

/// All steps one after the other; the digits with their leading zeros cut off.
fn convert(n: &Natural, cut: Cut) -> String {
    let width = cut.stretch << cut.doublings;
    let half = 4 * width;
    let one = power_of_five(width);
    let two = square(&one);
    let four = square(&two);
    let reciprocal = reciprocal(&four, half);
    let quotient = quotient_guarded(n, &reciprocal, &four, half, cut.guard);
    let halves = [
        first_half(&quotient, &reciprocal, half),
        second_half(n, &quotient, &reciprocal, &four, half),
    ];
    let mut text = Vec::new();
    for fraction in halves {
        let rest = rest(&fraction, &two, half, 2 * width);
        for (fraction, digits) in [(&fraction, half), (&rest, 2 * width)] {
            for skipped in [0, width] {
                let piece = Piece {
                    digits,
                    skipped,
                    stretch: cut.stretch,
                    doublings: cut.doublings,
                };
                text.extend(digits_guarded(fraction, &one, piece, cut.guard));
            }
        }
    }
    let text = String::from_utf8(text).expect("digits are ASCII");
    match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

fn ten_to(exponent: u64) -> Natural {
    Natural::from(10u32).pow(exponent)
}

#[track_caller]
fn check(n: &Natural, cut: Cut) {
    let expected = n.to_string();
    // With few bits almost every piece has to be made again.
    for guard in [GUARD, ERROR_BITS + 8, ERROR_BITS + 1] {
        let digits = convert(n, Cut { guard, ..cut });
        assert!(
            digits == expected,
            "{} digits, guard {guard}",
            expected.len()
        );
    }
}

#[test]
fn factorials_have_the_digits_that_division_gives() {
    for n in (0..=300).chain([1_000, 1_024, 3_125, 9_999, 20_000]) {
        let factorial = Natural::factorial(n);
        let text = factorial.to_string();
        check(&factorial, Cut::of(text.len() as u64 + 16));
        let without_zeros: Natural = text.trim_end_matches('0').parse().expect("a number");
        check(&without_zeros, Cut::of(text.len() as u64));
    }
}

#[test]
fn powers_of_ten_and_their_neighbours_have_the_right_digits() {
    for digits in [1, 7, 8, 100, 1_000, 2_400] {
        let cut = Cut::of(digits);
        let whole = 8 * (cut.stretch << cut.doublings);
        for exponent in (0..whole).step_by(1 + whole as usize / 60) {
            check(&ten_to(exponent), cut);
            check(&(ten_to(exponent) - Natural::from(1u32)), cut);
            check(&(ten_to(exponent) + Natural::from(1u32)), cut);
        }
        check(&(ten_to(whole) - Natural::from(1u32)), cut);
        check(&(ten_to(whole) - ten_to(whole / 2)), cut);
        check(&(ten_to(whole / 2) - Natural::from(1u32)), cut);
    }
}

#[test]
fn runs_of_zeros_and_nines_have_the_right_digits() {
    let mut rng = SmallRng::seed_from_u64(5);
    for _ in 0..300 {
        let mut text = String::new();
        while text.len() < 2_000 {
            let digit = ["0", "9", "1", "5", "73"][rng.random_range(0..5)];
            text.push_str(&digit.repeat(rng.random_range(1..400)));
        }
        check(&text.parse().expect("a number"), Cut::of(text.len() as u64));
    }
}

#[test]
fn random_numbers_have_the_right_digits() {
    let mut rng = SmallRng::seed_from_u64(10);
    for _ in 0..300 {
        let length = rng.random_range(1..5_000);
        let digits = (0..length).map(|_| char::from(b'0' + rng.random_range(0..10)));
        let text: String = digits.collect();
        check(&text.parse().expect("a number"), Cut::of(length));
    }
}

#[test]
fn a_quotient_is_exact_on_both_sides_of_an_integer() {
    for half in [1, 5, 40, 300] {
        let power = power_of_five(half);
        let reciprocal = reciprocal(&power, half);
        for quotient in [
            Natural::from(0u32),
            Natural::from(1u32),
            ten_to(half) / Natural::from(3u32),
        ] {
            let multiple = &quotient * ten_to(half);
            for guard in [1, 2, 8, GUARD] {
                let found = |n: &Natural| quotient_guarded(n, &reciprocal, &power, half, guard);
                assert_eq!(found(&multiple), quotient);
                let last = &multiple + ten_to(half) - Natural::from(1u32);
                assert_eq!(found(&last), quotient);
            }
        }
    }
}
