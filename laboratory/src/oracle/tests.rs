use super::*;

/// n! as one learns it at school: digit by digit, multiplied by one number after the other.
fn at_school(n: u64) -> Vec<u8> {
    let mut digits = vec![1];
    for factor in 1..=n {
        let mut carry = 0;
        for digit in &mut digits {
            carry += *digit * factor;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    let digits = digits.iter().rev();
    digits.map(|&digit| b"0123456789"[digit as usize]).collect()
}

fn flaw(n: u64, digits: &[u8]) -> Option<Flaw> {
    Oracle::default().flaw(n, digits)
}

#[test]
fn every_right_value_is_right() {
    let mut oracle = Oracle::default();
    for n in (0..130).chain([624, 625, 1_000]) {
        assert_eq!(oracle.flaw(n, &at_school(n)), None, "{n}!");
    }
}

#[test]
fn one_wrong_digit_anywhere_is_seen() {
    let (right, mut oracle) = (at_school(300), Oracle::default());
    for place in 0..right.len() {
        for digit in b"0123456789" {
            let mut wrong = right.clone();
            wrong[place] = *digit;
            let flaw = oracle.flaw(300, &wrong);
            assert_eq!(flaw.is_some(), wrong != right, "{place}");
        }
    }
}

#[test]
fn each_kind_of_flaw_is_named() {
    let right = at_school(1_000);
    let zeros = right
        .iter()
        .rev()
        .take_while(|&&digit| digit == b'0')
        .count();
    let spoiled = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        assert_ne!(wrong, right);
        flaw(1_000, &wrong)
    };
    assert_eq!(flaw(1_000, b""), Some(Flaw::NoNumber));
    assert_eq!(spoiled(&|text| text.insert(0, b'0')), Some(Flaw::NoNumber));
    assert_eq!(spoiled(&|text| text[70] = b' '), Some(Flaw::NoNumber));
    assert_eq!(spoiled(&|text| text.push(b'0')), Some(Flaw::Magnitude));
    assert_eq!(spoiled(&|text| text.swap(2, 3)), Some(Flaw::Magnitude));
    let last = right.len() - zeros - 1;
    assert_eq!(
        spoiled(&|text| text.swap(last, last + 1)),
        Some(Flaw::Zeros)
    );
    assert_eq!(
        spoiled(&|text| text.swap(last - 4, last - 5)),
        Some(Flaw::LastDigits)
    );
    assert_eq!(
        spoiled(&|text| text.swap(1_000, 1_003)),
        Some(Flaw::Residue)
    );
    // Two pieces in each other's place, as a step might join its parts.
    let pieces = |text: &mut Vec<u8>| {
        let (left, right) = text[500..1_012].split_at_mut(256);
        left.swap_with_slice(right);
    };
    assert_eq!(spoiled(&pieces), Some(Flaw::Residue));
    // The value of a neighbour.
    for n in [999, 1_001] {
        assert!(flaw(n, &right).is_some(), "{n}");
    }
}

#[test]
fn a_text_has_a_line_for_each_factorial_in_order_and_no_more() {
    let mut oracle = Oracle::default();
    let mut complaint = |text: &str| oracle.complaint(&[10, 0, 10], text.as_bytes());
    assert_eq!(complaint("10!=3628800\n0!=1\n10!=3628800\n"), None);
    let wrong = [
        ("", "line 1 is not that of 10!"),
        (
            "0!=1\n10!=3628800\n10!=3628800\n",
            "line 1 is not that of 10!",
        ),
        (
            "10!=3628800\n0!=1\n10!=3628800",
            "line 3 is not that of 10!",
        ),
        ("10!=3628800\n0!=1\n", "line 3 is not that of 10!"),
        (
            "10!=3628800\n0!=1\n10!=3628800\n\n",
            "it has more than 3 lines",
        ),
        (
            "10!=3628800\n0!=2\n10!=3628800\n",
            "line 2 is not that of 0!: it has the wrong number of digits, or begins with wrong ones",
        ),
    ];
    for (text, said) in wrong {
        assert_eq!(complaint(text).as_deref(), Some(said), "{text:?}");
    }
}
