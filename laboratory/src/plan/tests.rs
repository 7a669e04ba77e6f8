use super::*;

/// The exponent of a prime in a number.
fn of_number(number: u64, prime: u64) -> u64 {
    let quotients = std::iter::successors(Some(number), |&left| Some(left / prime));
    let divided = quotients.take_while(|left| left.is_multiple_of(prime));
    divided.count() as u64
}

/// The exponent of a prime in n!, number by number.
fn counted(n: u64, prime: u64) -> u64 {
    (1..=n).map(|number| of_number(number, prime)).sum()
}

fn is_prime(number: u64) -> bool {
    number > 1 && (2..number).all(|divisor| !number.is_multiple_of(divisor))
}

fn plan(n: u64, method: Method) -> Plan {
    Plan::new(n, method, &mut Primes::default())
}

fn op(n: u64, kind: &str, level: u64, index: u64) -> Op {
    Op {
        n,
        kind: kind.into(),
        level,
        index,
    }
}

/// Of all leaves, what each multiplies, as the words have it.
fn factors(n: u64, method: Method) -> Vec<(usize, Vec<u64>)> {
    let mut primes = Primes::default();
    let plan = Plan::new(n, method, &mut primes);
    let leaf = |index| {
        let op = op(n, "multiply", 0, index);
        assert!(plan.contains(&op));
        let (bit, _) = plan.locate(&op).unwrap();
        let words = plan.words(&op, Told::default(), &primes.with_bit(n, bit));
        let words = words.split_once(": ").map_or(&*words, |(_, words)| words);
        let numbers = words.split(" × ").map(|number| number.replace(',', ""));
        let numbers = numbers.map(|number| number.parse().unwrap());
        (bit, numbers.collect())
    };
    (0..plan.levels()[0].width).map(leaf).collect()
}

#[test]
fn the_leaves_of_both_plans_multiply_n_factorial() {
    for n in (0..=130).chain([1_000, 1_024]) {
        for method in [Method::Tree, Method::Powers] {
            let factors = factors(n, method);
            assert!(factors.iter().all(|(_, numbers)| numbers.len() <= 4));
            for prime in (2..=n).filter(|&prime| is_prime(prime)) {
                let of = |&(bit, ref numbers): &(usize, Vec<u64>)| {
                    let exponents = numbers.iter().map(|&number| of_number(number, prime));
                    exponents.sum::<u64>() << bit
                };
                let tens = match (method, prime) {
                    (Method::Powers, 2 | 5) => counted(n, 5),
                    _ => 0,
                };
                let multiplied: u64 = tens + factors.iter().map(of).sum::<u64>();
                assert_eq!(multiplied, counted(n, prime), "{prime} in {n}!, {method:?}");
            }
        }
    }
}

#[test]
fn exponents_show_a_leaf_that_is_missing_of_any_plan_of_powers() {
    let mut primes = Primes::default();
    for n in [2, 10, 12, 100, 4_321, 100_000] {
        let plan = Plan::new(n, Method::Powers, &mut primes);
        let mut leaves = vec![true; plan.levels()[0].width as usize];
        assert_eq!(plan.unequal(&leaves, &primes), None, "{n}");
        let step = 1 + leaves.len() / 50;
        for index in (0..leaves.len()).step_by(step) {
            leaves[index] = false;
            let (prime, multiplied, needed) = plan.unequal(&leaves, &primes).unwrap();
            let (bit, _) = plan.locate(&op(n, "multiply", 0, index as u64)).unwrap();
            assert_eq!(multiplied + (1 << bit), needed, "{n}, {prime}");
            leaves[index] = true;
        }
    }
}

#[test]
fn a_plan_has_the_levels_that_others_have_computed() {
    let widths = |plan: &Plan, kind: &str| -> Vec<u64> {
        let levels = plan.levels().iter().filter(|level| level.kind == kind);
        levels.map(|level| level.width).collect()
    };
    let tree = plan(1_000, Method::Tree);
    assert_eq!(widths(&tree, "multiply"), [250, 63, 16, 4, 1]);
    assert!(widths(&tree, "step").is_empty());
    // 12! is 2^8 · 3^5 · 7 · 11 with two zeros: no prime has bit 1.
    let powers = plan(12, Method::Powers);
    assert_eq!(widths(&powers, "multiply"), [3]);
    assert_eq!(widths(&powers, "step"), [1; 3]);
    assert!(powers.contains(&op(12, "step", 1, 0)));
    assert!(powers.contains(&op(12, "part", 2, 1)));
    for beyond in [
        op(12, "multiply", 0, 3),
        op(12, "multiply", 1, 0),
        op(12, "step", 3, 0),
        op(12, "step", 0, 1),
        op(12, "part", 0, 2),
        op(12, "part", 3, 0),
        op(12, "decimal", 0, 0),
    ] {
        assert!(!powers.contains(&beyond), "{beyond}");
    }
    // 664,579 primes up to 10^7, of which those above its half have the lowest bit alone.
    let large = plan(10_000_000, Method::Powers);
    assert_eq!(large.trees.len(), 23);
    assert_eq!(widths(&large, "step").len(), 22);
    for n in [0, 1] {
        for method in [Method::Tree, Method::Powers] {
            assert_eq!(widths(&plan(n, method), "multiply"), [1]);
        }
    }
    assert!(plan(MAX_N + 1, Method::Powers).levels().is_empty());
}

#[test]
fn operations_are_called_by_what_they_do() {
    let mut primes = Primes::default();
    let mut called = |n: u64, method: Method, (kind, level, index): (&str, u64, u64), cut: u64| {
        let plan = Plan::new(n, method, &mut primes);
        let op = op(n, kind, level, index);
        let told = Told {
            cut,
            ..Told::default()
        };
        plan.words(&op, told, &plan.primes_of(&op, &primes))
    };
    let tree = |n, level, index| (n, Method::Tree, ("multiply", level, index), 0);
    let powers = |n, kind, level, index, cut| (n, Method::Powers, (kind, level, index), cut);
    for ((n, method, name, cut), words) in [
        (tree(10, 0, 0), "10 × 9 × 8 × 7"),
        (tree(10, 0, 2), "2 × 1"),
        (tree(10, 1, 0), "product of 3 (numbers 1 to 10)"),
        (tree(0, 0, 0), "1"),
        (tree(1_000, 0, 0), "1,000 × 999 × 998 × 997"),
        (tree(1_000, 2, 0), "product of 3 (numbers 957 to 1,000)"),
        (tree(1_000, 1, 62), "product of 4 (numbers 1 to 16)"),
        (powers(12, "multiply", 0, 0, 0), "P3: 2"),
        (powers(12, "multiply", 0, 2, 0), "P0: 3 × 7 × 11"),
        (powers(12, "step", 2, 0, 0), "F2 = P3 · (P3 · P2)"),
        (powers(12, "step", 1, 0, 0), "F1 = F2 · F2"),
        (powers(12, "step", 0, 0, 0), "F0 = F1 · (F1 · P0)"),
        (powers(12, "step", 0, 0, 1), "F0 from its parts"),
        (powers(12, "part", 0, 1, 1), "part 2 of F0"),
        (powers(0, "multiply", 0, 0, 0), "P0: 1"),
    ] {
        assert_eq!(called(n, method, name, cut), words);
    }
    let root = plan(1_000_000, Method::Powers);
    let root = root
        .levels
        .iter()
        .rfind(|level| level.kind == "multiply")
        .unwrap()
        .level;
    let words = called(1_000_000, Method::Powers, ("multiply", root, 1), 0);
    assert!(words == "P0: primes 2 to 999,983", "{words}");
}
