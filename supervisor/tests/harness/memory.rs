//! A control group of a test's own, whose memory is limited.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group that limits memory. It is removed when dropped, if its processes have ended.
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    limit: &'static str,
}

impl MemoryGroup {
    /// Makes one below that of this process; none, with a message, where that is refused.
    pub(crate) fn new(test: &str) -> Option<MemoryGroup> {
        let made = MemoryGroup::parents()
            .into_iter()
            .find_map(|(parent, limit)| {
                let folder = parent.join(format!("bullpen-test-{}-{test}", std::process::id()));
                fs::create_dir(&folder).ok()?;
                let group = MemoryGroup { folder, limit };
                group.limit_to(1 << 30).is_ok().then_some(group)
            });
        if made.is_none() {
            eprintln!("skipped: no control group for memory can be made here: {test}");
        }
        made
    }

    fn parents() -> Vec<(PathBuf, &'static str)> {
        let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = memberships.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers
                .split(',')
                .any(|name| name == "memory")
                .then_some(path)
        });
        let first = Path::new("/sys/fs/cgroup/memory");
        let below = own.map(|path| first.join(path.trim_start_matches('/')));
        let first = [below, Some(first.to_owned())].into_iter().flatten();
        let second = Path::new("/sys/fs/cgroup").to_owned();
        let mut parents: Vec<(PathBuf, &'static str)> =
            first.map(|path| (path, "memory.limit_in_bytes")).collect();
        parents.push((second, "memory.max"));
        parents.retain(|(path, limit)| path.join(limit).exists() || *limit == "memory.max");
        parents
    }

    /// Allows so many bytes from now on.
    pub(crate) fn limit_to(&self, bytes: u64) -> std::io::Result<()> {
        fs::write(self.folder.join(self.limit), bytes.to_string())
    }

    /// The command line of a shell that enters it, for what it executes then.
    pub(crate) fn enter(&self) -> String {
        format!("echo $$ > {}", self.folder.join("cgroup.procs").display())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
