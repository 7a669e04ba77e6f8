//! Who was killed for want of memory, as the control groups count it.

use std::path::{Path, PathBuf};

use super::{own_groups, read};

/// The count of the processes of this control group that the kernel killed for want of memory.
#[derive(Debug)]
pub(crate) struct MemoryKills {
    /// Where it stands; none where there is no such group.
    counts: Vec<PathBuf>,
    seen: u64,
}

impl MemoryKills {
    /// Begins to watch the count.
    pub(crate) fn watch() -> MemoryKills {
        MemoryKills::below(Path::new("/"))
    }

    fn below(root: &Path) -> MemoryKills {
        let groups = own_groups(root).into_iter();
        let mut kills = MemoryKills {
            counts: groups
                .map(|group| group.folder.join(group.version.kills()))
                .collect(),
            seen: 0,
        };
        kills.fresh();
        kills
    }

    /// How many were killed since the last look.
    pub(crate) fn fresh(&mut self) -> u64 {
        let counted = self.counts.iter().filter_map(|path| read(path));
        let counted: u64 = counted.filter_map(|text| count(&text)).sum();
        let fresh = counted.saturating_sub(self.seen);
        self.seen = counted;
        fresh
    }
}

/// The count in a file of lines `NAME NUMBER`.
fn count(text: &str) -> Option<u64> {
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    number.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn kills_are_counted_in_both_kinds_of_control_groups() {
        for (cgroup, mount, file, text) in [
            (
                "0::/mine\n",
                "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                "sys/fs/cgroup/mine/memory.events",
                "low 0\nhigh 9\nmax 8\noom 7\noom_kill {}\noom_group_kill 0\n",
            ),
            (
                "4:memory:/mine\n",
                "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
                "sys/fs/cgroup/memory/mine/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            let write = |path: &str, text: &str| {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            write("proc/self/cgroup", cgroup);
            write("proc/self/mountinfo", mount);
            write(file, &text.replace("{}", "3"));
            let mut kills = MemoryKills::below(root.path());
            assert_eq!(kills.fresh(), 0, "those before do not count");
            write(file, &text.replace("{}", "5"));
            assert_eq!((kills.fresh(), kills.fresh()), (2, 0));
        }
        let nowhere = tempfile::tempdir().unwrap();
        assert_eq!(MemoryKills::below(nowhere.path()).fresh(), 0);
    }
}
