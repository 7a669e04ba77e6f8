//! A job file as a person drops it, and what must come of it: worked out here, without the
//! protocol's help.

use bytes::Bytes;

use crate::arithmetic::factorial;

/// A job file that was, or will be, dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The name of the dropped file.
    pub file: String,
    /// What is in it.
    pub content: Bytes,
}

/// What must come of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ends in `done/`, and this is its text.
    Results(Bytes),
    /// It ends in `failed/`.
    Rejected,
}

impl Job {
    /// What must come of a job file with this content.
    pub fn verdict(content: &[u8]) -> Verdict {
        let Some(numbers) = Job::numbers(content) else {
            return Verdict::Rejected;
        };
        let mut text = Vec::new();
        for n in numbers {
            text.extend_from_slice(format!("{n}!=").as_bytes());
            text.extend_from_slice(&factorial(n));
            text.push(b'\n');
        }
        Verdict::Results(text.into())
    }

    /// The factorials that it asks for; nothing if it is no job. The jobs of a simulation are plain:
    /// a line `N!` each, or a comment, or rubbish.
    pub fn numbers(content: &[u8]) -> Option<Vec<u32>> {
        let lines = content.split(|&byte| byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let number = |line: &[u8]| {
            let digits = std::str::from_utf8(line.strip_suffix(b"!")?).ok()?;
            digits.parse().ok()
        };
        let numbers: Option<Vec<u32>> = lines.map(number).collect();
        numbers.filter(|numbers| !numbers.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_job_has_its_results_and_rubbish_has_none() {
        let text = Bytes::from_static(b"3!=6\n0!=1\n");
        assert_eq!(Job::verdict(b"# 1\n3!\n0!\n"), Verdict::Results(text));
        assert_eq!(Job::verdict(b"# 1\n3!\nabc\n"), Verdict::Rejected);
        assert_eq!(Job::verdict(b"# 1\n"), Verdict::Rejected);
    }
}
