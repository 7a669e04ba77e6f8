//! Files of which only time can tell what they are: they must hold still.

use std::time::Duration;

use crate::words::time::{Time, Untimed};

/// Where the system cannot tell whether a file is complete: it held still for this long.
pub(super) const QUIET: Duration = Duration::from_millis(500);
/// A file with nothing in it is taken for a job after this time, and rejected.
const EMPTY: Duration = Duration::from_secs(5);

/// What was seen of a file, and since when it has been so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Still {
    seen: Seen,
    since: Untimed,
}

/// What only time can tell the meaning of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seen {
    /// Its content and its times, as [`Probe::Unknown`](crate::words::file::Probe::Unknown) has them.
    Stamp(u64),
    /// This user may not read it. Its owner may be about to change that, as after a copy.
    Denied,
    /// There is nothing in it.
    Empty,
}

impl Still {
    /// Sees a file again; tells whether it has held still for long enough.
    pub(super) fn sees(known: &mut Option<Still>, seen: Seen, now: Time) -> bool {
        let long_enough = match seen {
            Seen::Empty => EMPTY,
            Seen::Stamp(_) | Seen::Denied => QUIET,
        };
        match known {
            Some(still) if still.seen == seen => now.since(still.since.0) >= long_enough,
            _ => {
                let since = Untimed(now);
                *known = Some(Still { seen, since });
                false
            }
        }
    }
}
