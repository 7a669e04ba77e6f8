//! A job file: its text, its name, its results.

use std::collections::BTreeSet;

use bytes::Bytes;
use glob::Pattern;
use sha2::{Digest, Sha256};

use crate::plan::most_digits;
use crate::words::decimal::Decimal;
use crate::words::file::Content;
use crate::words::printable::printable;

pub use self::ignored::is_ignored;

mod ignored;

/// Largest job file, in bytes.
pub const MAX_JOB_BYTES: usize = 64 * 1024;
/// Most factorials of one job.
pub const MAX_FACTORIALS: usize = 1_000;
/// Longest name of a job, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// Longest name that a job gets instead of one that it cannot have, in bytes.
pub(crate) const SHORT_NAME_BYTES: usize = 109;

/// How the name of a job's file ends.
const JOB_ENDING: &[u8] = b".job";
/// Most bad lines of a file that are named.
const MAX_REASONS: usize = 100;
/// Most characters of a bad line that a reason quotes.
const QUOTED: usize = 40;

/// Reads a job file: the N of each factorial, in order.
///
/// A job is UTF-8 text of at most [`MAX_JOB_BYTES`]: each line is `N!` or `N` with blanks around
/// it; blank lines and lines that begin with `#` do not count; CRLF and a byte order mark are
/// accepted; one to [`MAX_FACTORIALS`] factorials, N up to `max_n`.
///
/// # Errors
///
/// One reason for each of the first hundred bad lines, or one for the file.
pub fn parse(content: &[u8], max_n: u32) -> Result<Vec<u32>, Vec<String>> {
    if content.len() > MAX_JOB_BYTES {
        return Err(vec![format!(
            "the file is larger than {MAX_JOB_BYTES} bytes: split it into several jobs"
        )]);
    }
    let Ok(text) = std::str::from_utf8(content) else {
        return Err(vec![
            "the file is not UTF-8 text: expected a line N or N! for each factorial".to_owned(),
        ]);
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut numbers = Vec::new();
    let mut reasons = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_factorial(line, max_n) {
            Ok(n) => numbers.push(n),
            Err(_) if reasons.len() == MAX_REASONS => {
                reasons.push(format!(
                    "there are more bad lines: these are the first {MAX_REASONS}, and the rest of the file was not \
                     read"
                ));
                return Err(reasons);
            }
            Err(reason) => reasons.push(format!("line {}: {reason}", index + 1)),
        }
    }
    if content.is_empty() {
        reasons.push("the file is empty: expected a line N or N! for each factorial".to_owned());
    } else if reasons.is_empty() && numbers.is_empty() {
        reasons.push("no factorial in the file: expected a line N or N! for each".to_owned());
    }
    if numbers.len() > MAX_FACTORIALS {
        reasons.push(format!(
            "{} factorials in one file: at most {MAX_FACTORIALS} are accepted, split it into several jobs",
            numbers.len()
        ));
    }
    if reasons.is_empty() {
        Ok(numbers)
    } else {
        Err(reasons)
    }
}

/// Checks that the values of a job, each counted once, have at most `max_digits` digits together.
///
/// # Errors
///
/// They have more; the reason has both numbers.
pub fn check_size(factorials: &[u32], max_digits: u64) -> Result<(), Vec<String>> {
    let distinct: BTreeSet<u32> = factorials.iter().copied().collect();
    let digits: u64 = distinct.into_iter().map(most_digits).sum();
    if digits <= max_digits {
        return Ok(());
    }
    Err(vec![format!(
        "the results would have some {digits} digits together, more than the {max_digits} that one job may \
         have here: split it into several jobs"
    )])
}

/// What tells the factorials of two jobs apart, for the event log: of the SHA-256 of the numbers, a line each,
/// the first 64 bits in hexadecimal.
pub fn digest(factorials: &[u32]) -> String {
    let lines: String = factorials.iter().map(|n| format!("{n}\n")).collect();
    let hash = Sha256::digest(lines);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of the text of a job's results, exactly or a few more.
pub fn text_bytes(factorials: &[u32]) -> u64 {
    let line = |&n: &u32| most_digits(n) + "!=\n".len() as u64 + u64::from(n.max(1).ilog10()) + 1;
    factorials.iter().map(line).sum()
}

/// Checks that the text of a job's results has at most `max_text` bytes.
///
/// # Errors
///
/// It has more; the reason has both numbers.
pub fn check_text(factorials: &[u32], max_text: u64) -> Result<(), Vec<String>> {
    let bytes = text_bytes(factorials);
    if bytes <= max_text {
        return Ok(());
    }
    Err(vec![format!(
        "the text of its results would have some {bytes} bytes, more than the {max_text} that one may have here, see \
         --max-text: split it into several jobs"
    )])
}

/// Reads one factorial, `N!` or `N`.
///
/// # Errors
///
/// What is wrong with it, in words that quote it.
pub fn parse_factorial(text: &str, max_n: u32) -> Result<u32, String> {
    let quoted = || {
        let mut quoted: String = text
            .chars()
            .take(QUOTED)
            .flat_map(char::escape_debug)
            .collect();
        if text.chars().count() > QUOTED {
            quoted.push('…');
        }
        format!("\"{quoted}\"")
    };
    let digits = text.strip_suffix('!').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let hint = if digits.starts_with('-') {
            ", and N is never negative"
        } else {
            ""
        };
        return Err(format!(
            "{}: expected N or N!, with N in decimal digits{hint}",
            quoted()
        ));
    }
    match digits.parse::<u32>() {
        Ok(n) if n <= max_n => Ok(n),
        _ => Err(format!(
            "{}: N is larger than the limit of {max_n}, see --max-n",
            quoted()
        )),
    }
}

/// Whether a dropped file of this name is a job: it ends in `.job`, in any case of letters, or
/// matches a pattern that was asked for.
pub fn is_job(file_name: &[u8], accept: &[Pattern]) -> bool {
    let ending = file_name.rchunks(JOB_ENDING.len()).next();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case(JOB_ENDING))
        || accept
            .iter()
            .any(|pattern| pattern.matches(&String::from_utf8_lossy(file_name)))
}

/// The name of the job that a dropped file makes: the file name without its last extension.
///
/// # Errors
///
/// For a name that cannot be one (not UTF-8, control characters, over [`MAX_NAME_BYTES`]), a
/// printable name with a hash of the original in it, and the reason.
pub fn name_of(file_name: &[u8]) -> Result<String, (String, String)> {
    let stem = match file_name.iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 => &file_name[..dot],
        _ => file_name,
    };
    let reason = match std::str::from_utf8(stem) {
        Err(_) => "is not UTF-8",
        Ok(name) if name.chars().any(char::is_control) => "holds control characters",
        Ok(name) if name.len() > MAX_NAME_BYTES => "is longer than 200 bytes",
        Ok(name) => return Ok(name.to_owned()),
    };
    let escaped = stem.escape_ascii().to_string();
    Err((
        with_hash(&escaped, file_name),
        format!("the file name {reason}: rename the file and drop it again"),
    ))
}

/// A name for a job whose own does not fit where it is kept.
pub(crate) fn shortened(name: &str) -> String {
    with_hash(name, name.as_bytes())
}

/// A name of at most [`SHORT_NAME_BYTES`], with a hash of the original in it.
fn with_hash(name: &str, original: &[u8]) -> String {
    let hash = format!("-{:08x}", short_hash(original));
    let cut = name.floor_char_boundary(SHORT_NAME_BYTES - hash.len());
    format!("{}{hash}", &name[..cut])
}

/// FNV-1a: tells two mangled names apart; it protects nothing.
fn short_hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The text of a finished job, in parts: a line `N!=digits` each.
pub fn result_text(results: impl Iterator<Item = (u32, Decimal)>) -> Vec<Content> {
    let line = |(n, value)| [format!("{n}!=").into(), Content::Number(value), "\n".into()];
    results.flat_map(line).collect()
}

/// Whether a text has exactly the left sides of these factorials, each with digits on the right.
pub fn answers(text: &[u8], factorials: &[u32]) -> bool {
    let Some(body) = text.strip_suffix(b"\n") else {
        return false;
    };
    let mut lines = body.split(|&byte| byte == b'\n');
    let all = factorials.iter().all(|n| {
        let left = format!("{n}!=");
        let right = lines
            .next()
            .and_then(|line| line.strip_prefix(left.as_bytes()));
        right.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    });
    all && lines.next().is_none()
}

/// The log line of one result, with its newline: whole up to `limit` digits, else its two ends.
pub fn log_line(n: u32, value: &Content, limit: usize, job: &str) -> Bytes {
    const SHOWN: usize = 20;
    let length = value.bytes();
    let mut line = format!("{n}!=").into_bytes();
    if length <= limit.max(2 * SHOWN) as u64 {
        // A piece at a time: lines may be long, and this is done in the midst of a step.
        value
            .pieces()
            .for_each(|piece| line.extend_from_slice(&piece));
    } else {
        line.extend(value.pieces().flatten().take(SHOWN));
        line.extend_from_slice("…".as_bytes());
        line.extend(value.last(SHOWN));
        let job = printable(job);
        line.extend_from_slice(format!(" ({length} digits, whole in done/{job}.txt)").as_bytes());
    }
    line.push(b'\n');
    line.into()
}

#[cfg(test)]
mod tests;
