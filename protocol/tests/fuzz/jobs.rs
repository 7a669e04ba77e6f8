//! Job files, and their names, that nobody thought of.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::decimal::Decimal;
use protocol::file::Content;
use protocol::job::{self, MAX_FACTORIALS, MAX_JOB_BYTES};

/// Longest reason that helps anybody.
const LONGEST_REASON: usize = 600;

/// A line that is part of a job, or nearly.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..3_000_u32).prop_map(|n| format!("{n}!")),
        4 => (0..3_000_u32).prop_map(|n| format!(" {n}\t")),
        1 => Just("# a comment".to_owned()),
        1 => Just(String::new()),
        1 => "[0-9!#+e. \u{feff}-]{0,12}",
        1 => "\\PC{0,60}",
        1 => any::<String>(),
    ]
}

/// The same rules, said another way: what a line adds to the job.
fn expected(line: &str, max_n: u32) -> Result<Option<u32>, ()> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let digits: String = line.strip_suffix('!').unwrap_or(line).to_owned();
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    let significant = digits.trim_start_matches('0');
    let value = match significant {
        _ if !plain => return Err(()),
        "" => 0,
        many if many.len() > 10 => return Err(()),
        some => some
            .bytes()
            .fold(0_u64, |n, d| n * 10 + u64::from(d - b'0')),
    };
    u32::try_from(value)
        .ok()
        .filter(|&n| n <= max_n)
        .map(Some)
        .ok_or(())
}

fn well_told(reasons: &[String]) -> Result<(), TestCaseError> {
    prop_assert!(!reasons.is_empty());
    for reason in reasons {
        prop_assert!(reason.len() <= LONGEST_REASON, "{} bytes", reason.len());
        prop_assert!(!reason.chars().any(char::is_control), "{reason:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_a_job_or_are_told_why_not(
        content in vec(any::<u8>(), 0..2_000),
        max_n in any::<u32>(),
    ) {
        match job::parse(&content, max_n) {
            Ok(numbers) => prop_assert!(!numbers.is_empty()),
            Err(reasons) => well_told(&reasons)?,
        }
    }

    #[test]
    fn a_job_is_what_its_lines_say(
        lines in vec(line(), 0..60),
        max_n in 0..2_500_u32,
        ending in prop_oneof![Just("\n"), Just("\r\n")],
        mark in any::<bool>(),
    ) {
        let mut text = if mark { "\u{feff}".to_owned() } else { String::new() };
        text += &lines.join(ending);
        let unmarked = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let found: Vec<_> = unmarked.lines().map(|line| expected(line, max_n)).collect();
        let bad = found.iter().filter(|line| line.is_err()).count();
        let numbers: Vec<u32> = found.iter().flatten().flatten().copied().collect();
        match job::parse(text.as_bytes(), max_n) {
            Ok(parsed) => {
                prop_assert_eq!(bad, 0);
                prop_assert_eq!(parsed, numbers);
            }
            Err(reasons) => {
                well_told(&reasons)?;
                let empty = bad == 0 && numbers.is_empty();
                prop_assert_eq!(reasons.len(), bad + usize::from(empty), "{:?}", reasons);
            }
        }
    }

    #[test]
    fn the_limits_of_a_job_are_exact(count in 990..1_010_usize, size in MAX_JOB_BYTES - 5..MAX_JOB_BYTES + 5) {
        let mut content = b"1\n".repeat(count);
        content.resize(size, b' ');
        let fits = count <= MAX_FACTORIALS && size <= MAX_JOB_BYTES;
        prop_assert_eq!(job::parse(&content, 1).is_ok(), fits);
    }

    #[test]
    fn any_file_name_makes_a_name_that_can_be_a_file(name in vec(1_u8.., 1..260)) {
        let name = job::name_of(&name).unwrap_or_else(|(name, _)| name);
        prop_assert!(name.len() <= job::MAX_NAME_BYTES);
        prop_assert!(!name.chars().any(char::is_control));
    }

    #[test]
    fn a_text_answers_its_job_and_no_other(
        factorials in vec(0..50_u32, 1..6),
        other in vec(0..50_u32, 1..6),
        digits in vec(1..10_000_000_000_000_000_u64, 1..5),
        zeros in 0..40_u64,
    ) {
        let value: Vec<u8> = digits.into_iter().flat_map(u64::to_le_bytes).collect();
        let value = Decimal::new(value.into(), zeros);
        let text = job::result_text(factorials.iter().map(|&n| (n, value.clone())));
        let text: Vec<u8> = text.iter().flat_map(Content::pieces).flatten().collect();
        prop_assert!(job::answers(&text, &factorials));
        prop_assert_eq!(job::answers(&text, &other), factorials == other);
        prop_assert!(!job::answers(&text[..text.len() - 1], &factorials), "it is cut");
    }

    #[test]
    fn any_text_can_be_held_against_a_job(text in vec(any::<u8>(), 0..300), limit in 0..100_usize) {
        let _ = job::answers(&text, &[4, 5]);
        let _ = job::log_line(4, &Content::Text(text.into()), limit, "job");
    }
}
