//! n! in one process and one thread by the plan of the cluster, in decimal: CPU and wall time of all of
//! it, and of single products. `cargo bench -p node --bench factorial -- 1000000` checks the digits too, up to
//! two million.

#![allow(dead_code, reason = "the arithmetic is used without the node")]
#![allow(unreachable_pub, reason = "as in the node")]

#[path = "../src/arithmetic"]
mod arithmetic {
    pub(crate) mod number;
}

use std::hint::black_box;
use std::time::{Duration, Instant};

use arithmetic::number::{self, BASE, Number, Primes};
use malachite_base::num::arithmetic::traits::Factorial;
use malachite_nz::natural::Natural;
use nix::sys::resource::{UsageWho, getrusage};

/// Checked by the digits of the library up to here; above, that takes too long.
const CHECKED: u32 = 2_000_000;

/// Leaves that a worker is asked for at a time.
const RUN: usize = 256;

fn main() {
    let arguments: Vec<u32> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let ns = if arguments.is_empty() {
        vec![100_000, 1_000_000, 10_000_000]
    } else {
        arguments
    };
    for n in ns {
        let mut leaves = Duration::ZERO;
        let (factorial, wall, cpu) = measure(|| factorial(n, &mut leaves));
        println!(
            "{n}!: wall {} ms, CPU {} ms, of these the leaves {} ms",
            wall.as_millis(),
            cpu.as_millis(),
            leaves.as_millis()
        );
        if n <= CHECKED {
            check(n, &factorial);
        }
        let (_, wall, cpu) = measure(|| {
            black_box(number::join(
                &[0, 1].map(|index| number::part(&factorial, None, index, 2)),
            ))
        });
        println!(
            "its square in two parts: wall {} ms, CPU {} ms",
            wall.as_millis(),
            cpu.as_millis()
        );
    }
    for length in [
        10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 1000, 10_000, 100_000, 1_000_000,
        4_000_000,
    ] {
        let mut values = [1, 2].map(|seed| pattern(length, seed));
        let rounds = (2_000_000 / length).max(1);
        let (_, wall, cpu) = measure(|| {
            for _ in 0..rounds {
                black_box(number::product(black_box(&values)));
            }
        });
        let each = |time: Duration| time.as_secs_f64() * 1e6 / rounds as f64;
        println!(
            "{length} digits by {length}: wall {:.2} us, CPU {:.2} us",
            each(wall),
            each(cpu)
        );
        values.reverse();
    }
}

fn factorial(n: u32, in_leaves: &mut Duration) -> Number {
    let begun = Instant::now();
    let mut primes = Primes::default();
    let primes = primes.up_to(n);
    *in_leaves += begun.elapsed();
    (0..u32::BITS).rev().fold(Number::one(), |factor, bit| {
        let begun = Instant::now();
        let leaves = primes.count(bit).div_ceil(4) as u32;
        let runs = (0..leaves).step_by(RUN);
        let mut row: Vec<Number> = runs
            .flat_map(|start| primes.leaves(bit, start..leaves.min(start + RUN as u32)))
            .collect();
        *in_leaves += begun.elapsed();
        while row.len() > 1 {
            row = row.chunks(4).map(number::product).collect();
        }
        number::step(&factor, row.pop().as_ref())
    })
}

fn check(n: u32, factorial: &Number) {
    let bytes = factorial.clone().into_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    let mut text: String = words
        .iter()
        .rev()
        .map(|word| format!("{:016}", u64::from_le_bytes(*word)))
        .collect();
    text.extend(std::iter::repeat_n('0', number::tens(n) as usize));
    let expected = Natural::factorial(n.into()).to_string();
    assert!(text.trim_start_matches('0') == expected, "{n}! is wrong");
}

fn pattern(length: usize, seed: u64) -> Number {
    let digits =
        (1..=length as u64).map(|index| (index * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % BASE);
    Number::from_bytes(&digits.flat_map(u64::to_le_bytes).collect::<Vec<u8>>()).unwrap_or_default()
}

fn measure<T>(run: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let (begun, before) = (Instant::now(), cpu_time());
    let value = run();
    (value, begun.elapsed(), cpu_time().saturating_sub(before))
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells the usage");
    let time = |value: nix::sys::time::TimeVal| {
        Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}
