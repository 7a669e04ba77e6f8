//! What a job file requests, and why it may be rejected, by the rules of the README: implemented independently
//! of the crates that made the run, so that their faults show.

use std::collections::BTreeSet;
use std::f64::consts::{LN_10, PI};

use sha2::{Digest, Sha256};

/// Largest job file, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
const MAX_NUMBERS: usize = 1_000;
/// Maximum number of bad lines of a file that are listed.
const MAX_NAMED: usize = 100;
/// Characters of a bad line that are quoted.
const QUOTED: usize = 40;

/// What a cluster accepts, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Largest N.
    pub max_n: Option<u64>,
    /// Most digits of the values of one job together, each value counted once.
    pub max_digits: Option<u64>,
    /// Most bytes of the text of one job's results.
    pub max_text: Option<u64>,
}

/// A reason in the text of a failed job, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A line is not a factorial, or its N is over the limit.
    Line {
        number: usize,
        quoted: String,
        limit: Option<u64>,
    },
    MoreBadLines,
    Empty,
    NoFactorial,
    TooLong,
    NotUtf8,
    TooMany(usize),
    /// Its results would be too large, in digits or in bytes.
    TooManyDigits {
        told: u64,
        limit: u64,
    },
    TooMuchText {
        told: u64,
        limit: u64,
    },
    /// Its content was not read, since its name is invalid.
    FileName,
    /// Its content was not read, since it is not a file, has several names, or is held by somebody.
    NotAFile(String),
    CannotBeRead,
    /// Workers died of an operation of n!.
    Deadly {
        n: u64,
        count: u64,
    },
    /// Nodes died of the job.
    Fatal,
    /// The system can never make a call that it needs.
    System,
    /// A reason that bullpen never gives.
    Unknown,
}

impl Reason {
    /// The meaning of a line of a text.
    pub(crate) fn of(line: &str) -> Reason {
        Reason::of_line(line)
            .or_else(|| Reason::of_size(line))
            .or_else(|| Reason::of_death(line))
            .unwrap_or_else(|| Reason::of_file(line))
    }

    /// Whether it is about the content.
    pub(crate) fn is_about_content(&self) -> bool {
        matches!(
            self,
            Reason::Line { .. }
                | Reason::MoreBadLines
                | Reason::Empty
                | Reason::NoFactorial
                | Reason::TooLong
                | Reason::NotUtf8
                | Reason::TooMany(_)
        )
    }

    fn of_line(line: &str) -> Option<Reason> {
        let (number, rest) = line.strip_prefix("line ")?.split_once(": ")?;
        let (quoted, what) = rest.strip_prefix('"')?.rsplit_once("\": ")?;
        let limit = match what.strip_prefix("N is larger than the limit of ") {
            Some(rest) => Some(first_number(rest)?),
            None if what.starts_with("expected N or N!") => None,
            None => return None,
        };
        let (number, quoted) = (number.parse().ok()?, quoted.to_owned());
        Some(Reason::Line {
            number,
            quoted,
            limit,
        })
    }

    fn of_size(line: &str) -> Option<Reason> {
        let pair = |before: &str, between: &str| {
            let (told, rest) = line.strip_prefix(before)?.split_once(between)?;
            Some((told.parse().ok()?, first_number(rest)?))
        };
        let digits = pair(
            "the results would have some ",
            " digits together, more than the ",
        );
        let text = pair(
            "the text of its results would have some ",
            " bytes, more than the ",
        );
        let digits = digits.map(|(told, limit)| Reason::TooManyDigits { told, limit });
        digits.or(text.map(|(told, limit)| Reason::TooMuchText { told, limit }))
    }

    fn of_death(line: &str) -> Option<Reason> {
        if let Some((n, rest)) = line.split_once("!: ")
            && rest.contains(" workers died one after the other")
        {
            let (n, count) = (n.parse().ok()?, first_number(rest)?);
            return Some(Reason::Deadly { n, count });
        }
        let is_fatal = first_number(line).is_some()
            && line.contains(" nodes died for want of memory, or aborted, while it was computed");
        is_fatal.then_some(Reason::Fatal)
    }

    fn of_file(line: &str) -> Reason {
        let begins = |with: &str| line.starts_with(with);
        if let Some(kind) = line.strip_prefix("it is ")
            && let Some(kind) = kind.strip_suffix(": only regular files are read")
        {
            Reason::NotAFile(kind.to_owned())
        } else if begins("the file name ") && line.ends_with(": rename the file and drop it again")
        {
            Reason::FileName
        } else if begins("it cannot be read: ") {
            Reason::CannotBeRead
        } else if begins("the file is larger than ") {
            Reason::TooLong
        } else if begins("the file is not UTF-8 text") {
            Reason::NotUtf8
        } else if begins("the file is empty") {
            Reason::Empty
        } else if begins("no factorial in the file") {
            Reason::NoFactorial
        } else if begins("there are more bad lines") {
            Reason::MoreBadLines
        } else if line.contains(" factorials in one file: at most ") {
            let count = first_number(line).and_then(|count| count.try_into().ok());
            count.map_or(Reason::Unknown, Reason::TooMany)
        } else if line.contains("(os error ") {
            Reason::System
        } else {
            Reason::Unknown
        }
    }
}

fn first_number(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// The N of each line, none above the limit; or what is wrong with the content.
pub(crate) fn read(content: &[u8], max_n: u64) -> Result<Vec<u64>, Vec<Reason>> {
    if content.len() > MAX_BYTES {
        return Err(vec![Reason::TooLong]);
    }
    let Ok(text) = std::str::from_utf8(content) else {
        return Err(vec![Reason::NotUtf8]);
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(str::trim).zip(1..);
    let meant = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let (mut numbers, mut reasons) = (Vec::new(), Vec::new());
    for (line, number) in meant {
        match factorial(line, max_n) {
            Ok(n) => numbers.push(n),
            Err(_) if reasons.len() == MAX_NAMED => {
                reasons.push(Reason::MoreBadLines);
                return Err(reasons);
            }
            Err(limit) => reasons.push(Reason::Line {
                number,
                quoted: quoted(line),
                limit,
            }),
        }
    }
    if content.is_empty() {
        reasons.push(Reason::Empty);
    } else if reasons.is_empty() && numbers.is_empty() {
        reasons.push(Reason::NoFactorial);
    }
    if numbers.len() > MAX_NUMBERS {
        reasons.push(Reason::TooMany(numbers.len()));
    }
    if reasons.is_empty() {
        Ok(numbers)
    } else {
        Err(reasons)
    }
}

/// The N of a line; otherwise the limit that it exceeds, or nothing if it is not a number.
fn factorial(line: &str, max_n: u64) -> Result<u64, Option<u64>> {
    let digits = line.strip_suffix('!').unwrap_or(line);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(None);
    }
    let n = digits.parse().unwrap_or(u64::MAX);
    if n <= max_n { Ok(n) } else { Err(Some(max_n)) }
}

fn quoted(line: &str) -> String {
    let mut quoted: String = line
        .chars()
        .take(QUOTED)
        .flat_map(char::escape_debug)
        .collect();
    if line.chars().count() > QUOTED {
        quoted.push('…');
    }
    quoted
}

/// How many digits the values of a job have together, each counted once, and how many bytes its text has.
/// Both may be one too few for each value.
pub(crate) fn sizes(numbers: &[u64]) -> (u64, u64) {
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    let line = |&n: &u64| digits(n) + "!=\n".len() as u64 + n.to_string().len() as u64;
    (
        distinct.into_iter().map(digits).sum(),
        numbers.iter().map(line).sum(),
    )
}

/// How many digits n! has, by Stirling's series; perhaps one too few.
fn digits(n: u64) -> u64 {
    if n < 2 {
        return 1;
    }
    let n = n as f64;
    let ln =
        n * n.ln() - n + (2.0 * PI * n).ln() / 2.0 + 1.0 / (12.0 * n) - 1.0 / (360.0 * n * n * n);
    // Positive, and below 2^53.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = (ln / LN_10).floor() as u64;
    whole + 1
}

/// The digest of a list of factorials, as in the event log: the first 64 bits of the SHA-256 of the numbers,
/// one per line.
pub(crate) fn digest(numbers: &[u64]) -> String {
    let text: String = numbers.iter().map(|n| format!("{n}\n")).collect();
    let hash = Sha256::digest(text);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_digits_is_known_without_the_value() {
        for (n, known) in [
            (0, 1),
            (1, 1),
            (5, 3),
            (10, 7),
            (100, 158),
            (1_000, 2_568),
            (100_000, 456_574),
        ] {
            assert_eq!(digits(n), known, "{n}!");
        }
    }

    #[test]
    fn a_content_is_read_by_the_rules_that_people_are_told() {
        let text = "\u{feff}# a comment\r\n10!\r\n\r\n  7 \n\t0!\n007";
        assert_eq!(read(text.as_bytes(), 100).unwrap(), [10, 7, 0, 7]);
        let line = |number, quoted: &str, limit| Reason::Line {
            number,
            quoted: quoted.to_owned(),
            limit,
        };
        let reasons = read(b"5\nab\"c\n-1\n101\n99999999999999999999!\n", 100).unwrap_err();
        let expected = [
            line(2, "ab\\\"c", None),
            line(3, "-1", None),
            line(4, "101", Some(100)),
            line(5, "99999999999999999999!", Some(100)),
        ];
        assert_eq!(reasons, expected);
        let of = |text: &str| Reason::of(text);
        let told = [
            of("line 2: \"ab\\\"c\": expected N or N!, with N in decimal digits"),
            of(
                "line 3: \"-1\": expected N or N!, with N in decimal digits, and N is never negative",
            ),
            of("line 4: \"101\": N is larger than the limit of 100, see --max-n"),
            of("line 5: \"99999999999999999999!\": N is larger than the limit of 100, see --max-n"),
        ];
        assert_eq!(told.to_vec(), reasons);
        assert_eq!(read(b"", 9), Err(vec![Reason::Empty]));
        assert_eq!(read(b"#\n", 9), Err(vec![Reason::NoFactorial]));
        assert_eq!(read(b"\xff", 9), Err(vec![Reason::NotUtf8]));
        assert_eq!(read(&[b' '; MAX_BYTES + 1], 9), Err(vec![Reason::TooLong]));
        let many = b"1\n".repeat(1_001);
        assert_eq!(read(&many, 9), Err(vec![Reason::TooMany(1_001)]));
        let bad = read(&b"x\n".repeat(200), 9).unwrap_err();
        assert_eq!(
            (bad.len(), bad.last()),
            (MAX_NAMED + 1, Some(&Reason::MoreBadLines))
        );
    }
}
