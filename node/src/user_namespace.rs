//! Users from outside a user namespace, such as a rootless container's: the system shows all of them as one
//! overflow user, whom nobody inside can become and to whom nothing inside can be given.

use std::fs;

use nix::unistd::{Gid, Uid};

/// The overflow user and group, unless the system is configured otherwise.
const OVERFLOW: u32 = 65_534;
/// The number of all IDs.
const ALL: u64 = u32::MAX as u64;

/// Whether this user is the overflow user, who stands for all users from outside.
pub fn is_outside(user: Uid) -> bool {
    stands_for_others(user.as_raw(), "uid")
}

/// Whether this group is the overflow group, which stands for all groups from outside.
pub fn is_group_outside(group: Gid) -> bool {
    stands_for_others(group.as_raw(), "gid")
}

/// A user in words, such as `user 1000`.
pub fn words(user: Uid) -> String {
    if is_outside(user) {
        "a user from outside this user namespace".to_owned()
    } else {
        format!("user {user}")
    }
}

fn stands_for_others(id: u32, kind: &str) -> bool {
    let overflow = fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
    let overflow = overflow.ok().and_then(|text| text.trim().parse().ok());
    if id != overflow.unwrap_or(OVERFLOW) {
        return false;
    }
    // If it cannot be read, there is no separate namespace.
    let map = fs::read_to_string(format!("/proc/self/{kind}_map"));
    map.is_ok_and(|map| mapped(&map) < ALL)
}

/// How many outside IDs are mapped inside: the sum of the last number of each line.
fn mapped(map: &str) -> u64 {
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    counts.filter_map(|count| count.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_namespace_maps_all() {
        assert_eq!(mapped("         0          0 4294967295\n"), ALL);
        assert!(mapped("0 1000 1\n1 100000 65536\n") < ALL);
        assert_eq!(mapped(""), 0);
    }

    #[test]
    fn others_are_never_from_outside() {
        assert!(!is_outside(Uid::from_raw(0)));
        assert!(!is_group_outside(Gid::from_raw(1_000)));
        assert_eq!(words(Uid::from_raw(1_000)), "user 1000");
    }
}
