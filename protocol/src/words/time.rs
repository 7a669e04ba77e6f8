//! Time as the protocol sees it: a number that comes in with every event.

use std::hash::{Hash, Hasher};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the driver's monotonic clock, in nanoseconds since an origin of its choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time that passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, duration: Duration) -> Time {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_sub(nanos))
    }
}

/// A time that is no part of the state's identity.
///
/// Two states that differ only in when something happened are one state to the model checker,
/// which fires any timer at any moment. So comparison and hashing pass over it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untimed(pub Time);

impl PartialEq for Untimed {
    fn eq(&self, _: &Untimed) -> bool {
        true
    }
}

impl Eq for Untimed {}

impl Hash for Untimed {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
