use malachite_base::num::arithmetic::traits::Factorial;
use malachite_nz::natural::Natural;
use proptest::collection::vec;
use proptest::prelude::*;

use super::multiply::SHORT;
use protocol::plan::PARTS;

use super::primes::{exponent, tens};
use super::*;

/// n! by the plan: trees of products of four, and the chain.
fn factorial(n: u32, primes: &mut Primes) -> Number {
    let primes = primes.up_to(n);
    let bits = (0..).take_while(|&bit| primes.count(bit) > 0 || bit < 32);
    bits.collect::<Vec<_>>()
        .into_iter()
        .rev()
        .fold(Number::one(), |factor, bit| {
            let leaves = primes.count(bit).div_ceil(4) as u32;
            let mut row: Vec<Number> = primes.leaves(bit, 0..leaves).collect();
            while row.len() > 1 {
                row = row.chunks(4).map(product).collect();
            }
            step(&factor, row.pop().as_ref())
        })
}

fn text(number: &Number) -> String {
    let mut digits = number.0.iter().rev();
    let first = digits.next().map_or(String::new(), u64::to_string);
    digits.fold(first, |text, digit| format!("{text}{digit:016}"))
}

fn natural(digits: &[u64]) -> Natural {
    fn whole(digits: &[u64], powers: &[Natural]) -> Natural {
        match digits {
            [] => Natural::from(0u32),
            [digit] => Natural::from(*digit),
            _ => {
                let level = digits.len().next_power_of_two().ilog2() as usize - 1;
                let (low, high) = digits.split_at(1 << level);
                whole(low, powers) + whole(high, powers) * &powers[level]
            }
        }
    }
    let squares = std::iter::successors(Some(Natural::from(BASE)), |power| Some(power * power));
    let levels = digits.len().next_power_of_two().ilog2() as usize;
    whole(digits, &squares.take(levels).collect::<Vec<_>>())
}

fn check(a: &Number, b: &Number) {
    let product = a.times(b);
    assert_eq!(natural(&product.0), natural(&a.0) * natural(&b.0));
    assert_eq!(
        Number::from_bytes(&product.clone().into_bytes()),
        Some(product)
    );
}

fn check_parts(factor: &Number, primes: Option<&Number>) {
    let whole = step(factor, primes);
    let parts: Vec<Bytes> = (0..PARTS as u8)
        .map(|index| part(factor, primes, index))
        .collect();
    let lengths = (factor.0.len(), primes.map(|primes| primes.0.len()));
    assert!(join(&parts) == whole, "{lengths:?}");
}

/// Digits that are often the least and the greatest ones.
fn number(most: usize) -> impl Strategy<Value = Number> {
    let digit = prop_oneof![
        2 => 0..BASE,
        1 => Just(0),
        1 => Just(BASE - 1),
        1 => 0..100u64,
    ];
    let digits = prop_oneof![
        4 => vec(digit, 0..most),
        1 => vec(Just(BASE - 1), 0..most),
        1 => (0..most).prop_map(|zeros| { let mut digits = vec![0; zeros]; digits.push(1); digits }),
    ];
    digits.prop_map(Number::from_digits)
}

fn pattern(length: usize, seed: u64) -> Number {
    let digits =
        (1..=length as u64).map(|index| (index * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % BASE);
    Number::from_digits(digits.collect())
}

fn nines(length: usize) -> Number {
    Number(vec![BASE - 1; length])
}

#[test]
fn factorials_are_those_of_malachite() {
    let mut primes = Primes::default();
    let ns = (0..=3000).chain([4999, 10_007, 65_536, 99_999, 131_071, 200_000]);
    for n in ns {
        let digits = text(&factorial(n, &mut primes)) + &"0".repeat(tens(n) as usize);
        assert!(digits == Natural::factorial(n.into()).to_string(), "{n}!");
    }
}

#[test]
fn leaves_are_the_same_in_runs_of_any_length() {
    let n = 20_000;
    let mut primes = Primes::default();
    let primes = primes.up_to(n);
    for bit in 0..16 {
        let list: Vec<u32> = primal::Primes::all()
            .map(|prime| prime as u32)
            .take_while(|&prime| prime <= n)
            .filter(|&prime| exponent(n, prime) >> bit & 1 == 1)
            .collect();
        assert_eq!(primes.count(bit), list.len());
        let expected: Vec<Number> = list
            .chunks(4)
            .map(|chunk| product_of_primes(chunk.iter().copied()))
            .collect();
        for length in [1, 3, 256] {
            let starts = (0..expected.len() as u32).step_by(length as usize);
            let found: Vec<Number> = starts
                .flat_map(|start| {
                    primes.leaves(bit, start..(start + length).min(expected.len() as u32))
                })
                .collect();
            assert_eq!(found, expected);
        }
    }
    assert_eq!(
        primes.leaves(0, 1 << 30..(1 << 30) + 2).collect::<Vec<_>>(),
        [Number::one(), Number::one()]
    );
}

#[test]
fn products_around_each_threshold_are_those_of_malachite() {
    for length in (1..=2 * SHORT).chain([100, 255, 256, 257]) {
        for other in [1, 2, SHORT - 1, SHORT, SHORT + 1, length] {
            check(&pattern(length, 3), &pattern(other, 5));
            check(&nines(length), &nines(other));
        }
        let same = nines(length);
        check(&same, &same);
    }
}

#[test]
fn products_around_the_sizes_of_transforms_are_those_of_malachite() {
    for size in [128, 256, 384, 512, 640, 768, 1024, 1280, 1536, 2048] {
        for length in size - 2..=size + 2 {
            for short in [SHORT + 1, length / 3, length / 2] {
                check(&pattern(short, 3), &pattern(length - short, 5));
                check(&nines(short), &nines(length - short));
            }
        }
    }
}

#[test]
fn a_range_of_four_fits_its_product() {
    assert_eq!(
        text(&product_of_range(u32::MAX - 3..=u32::MAX)),
        "340282366128656838966367273861414649880"
    );
    assert_eq!(product_of_range(RangeInclusive::new(5, 4)), Number::one());
    assert_eq!(product_of_range(0..=3), Number::default());
}

#[test]
fn bytes_that_are_no_number_are_refused() {
    assert_eq!(Number::from_bytes(&[]), Some(Number::default()));
    assert_eq!(Number::from_bytes(&[1; 7]), None);
    assert_eq!(Number::from_bytes(&[0; 8]), None);
    assert_eq!(Number::from_bytes(&BASE.to_le_bytes()), None);
    assert_eq!(
        Number::from_bytes(&(BASE - 1).to_le_bytes()),
        Some(Number(vec![BASE - 1]))
    );
}

#[test]
fn parts_that_do_not_belong_together_come_to_nothing() {
    let parts = [0, 1].map(|index| part(&nines(9), None, index));
    let other = part(&nines(200), None, 1);
    for wrong in [
        vec![],
        vec![parts[0].clone()],
        vec![parts[1].clone(), parts[0].clone()],
        vec![parts[0].clone(), parts[0].clone()],
        vec![parts[0].clone(), parts[1].clone(), parts[1].clone()],
        vec![parts[0].clone(), other],
        vec![parts[0].slice(1..), parts[1].clone()],
        vec![Bytes::new(), Bytes::new()],
        [[255; 8], [254; 8]].map(Bytes::from_owner).to_vec(),
        [0u64, 1]
            .map(|label| Bytes::from_owner(label.to_le_bytes()))
            .to_vec(),
    ] {
        assert_eq!(join(&wrong), Number::default());
    }
    assert_eq!(part(&nines(9), None, PARTS as u8), Bytes::new());
}

#[test]
fn joined_parts_are_the_step_for_all_lengths() {
    for length in (1..40).chain([64, 100, 127, 128, 129, 200]) {
        for other in [1, 2, length, 3 * length] {
            check_parts(&pattern(length, 7), Some(&pattern(other, 11)));
            check_parts(&nines(length), Some(&nines(other)));
        }
        check_parts(&nines(length), None);
    }
}

proptest! {
    #[test]
    fn products_of_any_digits_are_those_of_malachite(a in number(300), b in number(300)) {
        check(&a, &b);
        check(&a, &a);
    }

    #[test]
    fn joined_parts_are_the_step(factor in number(150), primes in number(150)) {
        check_parts(&factor, Some(&primes));
        check_parts(&factor, None);
    }

    #[test]
    fn division_by_the_base_is_exact(value: u128) {
        prop_assert_eq!(divide(value), (value / u128::from(BASE), (value % u128::from(BASE)) as u64));
    }

    #[test]
    fn any_bytes_are_read_or_refused(parts in vec(vec(any::<u8>(), 0..40), 0..5)) {
        let parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
        for part in &parts {
            let number = Number::from_bytes(part);
            prop_assert!(number.is_none_or(|number| number.into_bytes() == *part));
        }
        join(&parts);
    }
}
