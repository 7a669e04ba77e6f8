//! The control groups of this process that limit memory, versions 1 and 2.

pub(crate) mod kills;

use std::path::{Path, PathBuf};

/// The limits of memory, in bytes, of the groups of this process and those above them. "max", and files that do not
/// exist, are none. `root` is `/`, or in a test a likeness of it.
pub fn memory_limits(root: &Path) -> Vec<u64> {
    let groups = own_groups(root).into_iter();
    let limits = groups.flat_map(|group| {
        let folders = group.folder.ancestors();
        let folders = folders.take_while(|folder| folder.starts_with(&group.top));
        let limit = |folder: &Path| {
            let text = read(&folder.join(group.version.limit()))?;
            text.trim().parse::<u64>().ok()
        };
        folders.filter_map(limit).collect::<Vec<u64>>()
    });
    limits.collect()
}

/// The group of this process in one of the mounted trees.
#[derive(Debug)]
struct Group {
    folder: PathBuf,
    /// The highest folder of the tree that can be seen.
    top: PathBuf,
    version: Version,
}

/// The two kinds of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The file of the limit, in each group.
    fn limit(self) -> &'static str {
        match self {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        }
    }

    /// The file with the count of the processes that were killed for want of memory.
    fn kills(self) -> &'static str {
        match self {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        }
    }
}

/// The groups of this process. `root` is `/`, or in a test a likeness of it.
fn own_groups(root: &Path) -> Vec<Group> {
    let memberships = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts = read(&root.join("proc/self/mountinfo")).unwrap_or_default();
    let group = |mount: Mount| {
        let group = memberships.lines().find_map(|line| mount.group_of(line))?;
        let top = root.join(mount.point.trim_start_matches('/'));
        // A mount that shows a part of the tree only, as in a container, shows this group there.
        let inside = Path::new(group).strip_prefix(&mount.root);
        Some(Group {
            folder: top.join(inside.unwrap_or(Path::new(""))),
            top,
            version: mount.version,
        })
    };
    mounts
        .lines()
        .filter_map(Mount::parse)
        .filter_map(group)
        .collect()
}

/// A mounted tree of control groups that limits memory.
struct Mount {
    /// The group that it shows at its top.
    root: PathBuf,
    point: String,
    version: Version,
}

impl Mount {
    /// Reads a line of `/proc/self/mountinfo`: numbers, root and mount point in the fields 4 and 5;
    /// after a hyphen the type, the source and the options of the tree.
    fn parse(line: &str) -> Option<Mount> {
        let (mount, tree) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut tree = tree.split(' ');
        let (kind, options) = (tree.next()?, tree.nth(1)?);
        let version = match kind {
            "cgroup2" => Version::Two,
            "cgroup" if options.split(',').any(|option| option == "memory") => Version::One,
            _ => return None,
        };
        Some(Mount {
            root: PathBuf::from(root),
            point: point.to_owned(),
            version,
        })
    }

    /// The path in a line of `/proc/self/cgroup`, `0::PATH` or `4:cpu,memory:PATH`, if the line is
    /// about this tree.
    fn group_of<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = if self.version == Version::Two {
            number == "0"
        } else {
            controllers.split(',').any(|name| name == "memory")
        };
        is_ours.then_some(path)
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
