//! Amounts in few letters.

/// Bytes in at most five letters: `812`, `44K`, `1.2M`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1_024 {
        return bytes.to_string();
    }
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = "";
    for next in UNITS {
        if whole < 1_024 {
            break;
        }
        tenths = whole % 1_024 * 10 / 1_024;
        whole /= 1_024;
        unit = next;
    }
    if whole < 10 {
        format!("{whole}.{tenths}{unit}")
    } else {
        format!("{whole}{unit}")
    }
}

/// An age in at most six letters: `12s`, `3m05s`, `2h03m`, `12d`.
pub(super) fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{:02}s", seconds % 60),
        (days, hours, minutes) if days < 4 => format!("{hours}h{:02}m", minutes % 60),
        (days, ..) => format!("{days}d"),
    }
}

/// A bar of so many letters for a part of a whole.
pub(super) fn bar(done: u64, total: u64, width: u16) -> String {
    let width = usize::from(width);
    let filled = match total {
        0 => 0,
        total => {
            let filled = u128::from(done) * width as u128 / u128::from(total);
            usize::try_from(filled).unwrap_or(width).min(width)
        }
    };
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        let given = [0, 1_023, 1_024, 1_300, 44_054, 10 << 20, u64::MAX];
        let texts = ["0", "1023", "1.0K", "1.2K", "43K", "10M", "16383P"];
        assert_eq!(given.map(bytes), texts);
        let given = [999, 59_999, 185_000, 7_380_000, 1_000_000_000];
        assert_eq!(given.map(age), ["0s", "59s", "3m05s", "2h03m", "11d"]);
    }

    #[test]
    fn a_bar_keeps_its_width() {
        assert_eq!(bar(0, 0, 4), "░░░░");
        assert_eq!(bar(3, 4, 4), "███░");
        assert_eq!(bar(9, 4, 4), "████");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
        assert_eq!(bar(1, 2, 0), "");
    }
}
