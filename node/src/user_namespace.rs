//! Users of outside a user namespace, as of a rootless container: the system shows all of them as one, whom
//! nobody in it can become and whom nothing in it can be given to.

use std::fs;

use nix::unistd::{Gid, Uid};

/// Whom and which group the system shows, unless it was told otherwise.
const OVERFLOW: u32 = 65_534;
/// As many as there are.
const ALL: u64 = u32::MAX as u64;

/// Whether this user stands for all who are from outside.
pub fn is_outside(user: Uid) -> bool {
    stands_for_others(user.as_raw(), "uid")
}

/// Whether this group stands for all that are from outside.
pub fn is_group_outside(group: Gid) -> bool {
    stands_for_others(group.as_raw(), "gid")
}

/// What a sentence calls a user: `user 1000`, say.
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
    // Where nothing tells, there is no namespace of its own.
    let map = fs::read_to_string(format!("/proc/self/{kind}_map"));
    map.is_ok_and(|map| mapped(&map) < ALL)
}

/// How many IDs of outside have one in here: the last number of each line.
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
