//! The factorials that `compute` and `submit` are asked for.

use protocol::config::MAX_MAX_N;

use crate::commands::failure::{Fatal, USAGE};

/// Most factorials of one job.
pub(crate) const MOST: usize = 1_000;
/// How many bad operands an error spells out.
const SHOWN: usize = 10;

/// Operands that cannot be computed. Displays as one sentence that names them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperandsError {
    /// More than one job may hold.
    #[error("{0} factorials are too many: at most {MOST} can be computed at a time; split them up")]
    TooMany(usize),
    /// Some are no factorials, or too large.
    #[error("{0}")]
    Bad(String),
}

impl Fatal for OperandsError {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

/// Reads `N!` or `N`, each up to `max_n`.
///
/// # Errors
///
/// All operands that are bad, not the first one only.
pub(crate) fn parse(operands: &[String], max_n: u32) -> Result<Vec<u32>, OperandsError> {
    if operands.len() > MOST {
        return Err(OperandsError::TooMany(operands.len()));
    }
    let mut numbers = Vec::with_capacity(operands.len());
    let (mut malformed, mut too_large) = (Vec::new(), Vec::new());
    for operand in operands {
        let digits = operand.strip_suffix('!').unwrap_or(operand);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            malformed.push(operand);
            continue;
        }
        // All digits, so what does not parse is too large.
        match digits.parse() {
            Ok(n) if n <= max_n => numbers.push(n),
            _ => too_large.push(operand),
        }
    }
    let mut complaints = Vec::new();
    if !malformed.is_empty() {
        let named = name(&malformed);
        complaints.push(format!("expected N! or N, such as 10!, not {named}"));
    }
    if !too_large.is_empty() {
        let named = name(&too_large);
        let advice = if max_n < MAX_MAX_N {
            ", which --max-n can raise"
        } else {
            ""
        };
        complaints.push(format!("{named} is over the limit of {max_n}{advice}"));
    }
    if complaints.is_empty() {
        Ok(numbers)
    } else {
        Err(OperandsError::Bad(complaints.join("; ")))
    }
}

/// The text of a job that asks for these.
pub(crate) fn job_text(numbers: &[u32]) -> String {
    numbers.iter().map(|n| format!("{n}!\n")).collect()
}

fn name(operands: &[&String]) -> String {
    let mut named: Vec<String> = operands
        .iter()
        .take(SHOWN)
        .map(|operand| format!("{operand:?}"))
        .collect();
    if operands.len() > SHOWN {
        named.push(format!("{} more", operands.len() - SHOWN));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(operands: &[&str]) -> Result<Vec<u32>, OperandsError> {
        let operands: Vec<String> = operands.iter().map(ToString::to_string).collect();
        parse(&operands, 1_000)
    }

    #[test]
    fn the_exclamation_mark_may_be_left_out_and_order_is_kept() {
        assert_eq!(
            parsed(&["10!", "0", "1!", "1000"]).unwrap(),
            [10, 0, 1, 1000]
        );
    }

    #[test]
    fn every_bad_operand_is_named() {
        let error = parsed(&["abc", "10", "-1", "1001!", "99999999999999999999!", "1e5"])
            .unwrap_err()
            .to_string();
        for bad in [
            "\"abc\"",
            "\"-1\"",
            "\"1001!\"",
            "\"99999999999999999999!\"",
            "\"1e5\"",
        ] {
            assert!(error.contains(bad), "{bad} is missing: {error}");
        }
        assert!(!error.contains("\"10\""), "{error}");
    }

    #[test]
    fn what_only_looks_like_a_number_is_refused() {
        for bad in ["", "!", "10!!", "+5", " 5", "5 !", "１０"] {
            parsed(&[bad]).unwrap_err();
        }
    }

    #[test]
    fn a_thousand_are_accepted_and_one_more_is_not() {
        parsed(&["1"; MOST]).unwrap();
        assert_eq!(
            parsed(&["1"; MOST + 1]).unwrap_err(),
            OperandsError::TooMany(MOST + 1)
        );
    }
}
