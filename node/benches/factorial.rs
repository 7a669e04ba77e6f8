//! n! in one process and one thread by the plan of the cluster, in decimal: CPU and wall time of all of
//! it, and of single products. `cargo bench -p node --bench factorial -- 1000000` checks the digits too, up to
//! two million.

#![allow(
    dead_code,
    unused_imports,
    reason = "the node uses more of the arithmetic"
)]
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
use protocol::plan::{Method, Shape};

/// Checked by the digits of the library up to here; above, that takes too long.
const CHECKED: u32 = 2_000_000;

/// Leaves that a worker is asked for at a time.
const RUN: usize = 256;

fn main() {
    let arguments = std::env::args().filter_map(|argument| argument.parse().ok());
    let mut ns: Vec<u32> = arguments.collect();
    if ns.is_empty() {
        ns = vec![100_000, 1_000_000, 10_000_000];
    }
    let mut lengths: Vec<usize> = vec![10, 20, 40, 60, 80, 100, 200, 400, 1000];
    lengths.extend([10_000, 100_000, 1_000_000, 4_000_000]);
    if ns.contains(&0) {
        lengths = ns
            .iter()
            .map(|&length| length as usize)
            .filter(|&length| length > 0)
            .collect();
        ns.clear();
    }
    for n in ns {
        run(n);
    }
    for length in lengths {
        let values = [1, 2].map(|seed| pattern(length, seed));
        let rounds = (2_000_000 / length).max(1);
        measure(&format!("{length} digits by {length}"), rounds, || {
            number::product(black_box(&values))
        });
    }
}

fn run(n: u32) {
    let mut primes = Primes::default();
    measure(&format!("{n}!, primes"), 1, || {
        primes = Primes::default();
        primes.up_to(n);
    });
    let primes = primes.up_to(n);
    let row = |bit: u32| -> Vec<Number> {
        let runs = (0..u32::MAX).step_by(RUN);
        let leaves = runs.flat_map(|start| primes.leaves(bit, start..start + RUN as u32));
        // A leaf that is beyond the last has no primes.
        leaves.take_while(|leaf| *leaf != Number::one()).collect()
    };
    let mut rows: Vec<_> = measure(&format!("{n}!, leaves"), 1, || {
        (0..u32::BITS).map(row).collect()
    });
    let trees: Vec<Option<Number>> = measure(&format!("{n}!, trees"), 1, || {
        std::mem::take(&mut rows).into_iter().map(tree).collect()
    });
    let mut last = Number::one();
    let factorial = measure(&format!("{n}!, chain"), 1, || {
        trees.iter().rev().fold(Number::one(), |factor, primes| {
            let product = number::step(&factor, primes.as_ref());
            last = factor;
            product
        })
    });
    if n <= CHECKED {
        check(n, &factorial);
    }
    let primes = trees.first().and_then(Option::as_ref);
    measure("its last step", 1, || number::step(&last, primes));
    let parts =
        [0, 1].map(|index| measure("a part of that", 1, || number::part(&last, primes, index)));
    let joined = measure("the parts joined", 1, || number::join(&parts));
    assert!(joined == factorial);
}

fn tree(mut row: Vec<Number>) -> Option<Number> {
    while row.len() > 1 {
        row = row.chunks(4).map(number::product).collect();
    }
    row.pop()
}

fn check(n: u32, factorial: &Number) {
    let bytes = factorial.clone().into_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    let mut text: String = words
        .iter()
        .rev()
        .map(|word| format!("{:016}", u64::from_le_bytes(*word)))
        .collect();
    let powers = Shape {
        method: Method::Powers,
        ..Shape::default()
    };
    text += &"0".repeat(powers.plan(n).zeros() as usize);
    let expected = Natural::factorial(n.into()).to_string();
    assert!(text.trim_start_matches('0') == expected, "{n}! is wrong");
}

fn pattern(length: usize, seed: u64) -> Number {
    let digits =
        (1..=length as u64).map(|index| (index * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % BASE);
    Number::from_bytes(&digits.flat_map(u64::to_le_bytes).collect::<Vec<u8>>()).unwrap_or_default()
}

/// Prints what one of several runs takes.
fn measure<T>(name: &str, rounds: usize, mut run: impl FnMut() -> T) -> T {
    let (begun, before) = (Instant::now(), cpu_time());
    for _ in 1..rounds {
        black_box(run());
    }
    let value = run();
    let (wall, cpu) = (begun.elapsed(), cpu_time().saturating_sub(before));
    let each = |time: Duration| time.as_secs_f64() * 1e3 / rounds as f64;
    println!(
        "{name:30} CPU {:10.4} ms, wall {:10.4} ms",
        each(cpu),
        each(wall)
    );
    value
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells the usage");
    let time = |value: nix::sys::time::TimeVal| {
        Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}
