use std::fs;

use super::*;

fn memory(bytes: u64) -> Memory {
    Memory {
        bytes,
        limited_by: Limit::Cgroup,
    }
}

/// A likeness of `/` with these files.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn the_formula_lies_over_what_was_measured_but_not_far() {
    const MB: u64 = 1_000_000;
    for (factorials, measured) in [
        (&[10][..], 8 * MB),
        (&[1_000_000], 90 * MB),
        (&[2_000_000], 172 * MB),
        (&[3_000_000], 283 * MB),
        (&[10_000_000], 827 * MB),
        (&[1_000_000, 1_000_001], 155 * MB),
    ] {
        let needed = needed(6, factorials.iter().map(|&n| most_digits(n)).sum());
        assert!(needed >= measured * 3 / 2, "{factorials:?}: {needed}");
        assert!(
            needed <= measured * 2 + 6 * IDLE_NODE,
            "{factorials:?}: {needed}"
        );
    }
}

#[test]
fn the_largest_n_is_the_last_that_fits() {
    let bytes = 512 << 20;
    let fits = largest(6, bytes);
    assert!(needed(6, most_digits(fits)) <= bytes);
    assert!(needed(6, most_digits(fits + 1)) > bytes);
    assert_eq!(largest(6, 0), 0);
    assert_eq!(largest(2, u64::MAX), MAX_MAX_N);
}

#[test]
fn one_job_may_have_what_the_largest_n_has_and_what_memory_allows_beyond() {
    let bytes = 512 << 20;
    let digits = max_digits(6, bytes);
    assert!(digits >= most_digits(largest(6, bytes)));
    assert!(needed(6, digits) <= bytes && needed(6, digits + 1) > bytes);
    assert_eq!(max_digits(6, u64::MAX), MOST_DIGITS);
}

#[test]
fn the_default_gives_way_with_a_warning_and_what_was_asked_for_is_refused() {
    let (max_n, warning) = choose(None, 6, &memory(8 << 30)).unwrap();
    assert_eq!((max_n, warning), (DEFAULT_MAX_N, None));
    assert_eq!(choose(Some(1_000), 6, &memory(1 << 30)), Ok((1_000, None)));

    let (max_n, warning) = choose(None, 6, &memory(512 << 20)).unwrap();
    let warning = warning.unwrap();
    assert!(max_n < DEFAULT_MAX_N);
    assert!(warning.contains(&max_n.to_string()), "{warning}");
    assert!(warning.contains("10000000"), "{warning}");
    assert!(warning.contains("512 MiB"), "{warning}");

    let refusal = choose(Some(10_000_000), 6, &memory(512 << 20)).unwrap_err();
    let sentence = refusal.to_string();
    assert!(sentence.contains("--max-n 10000000"), "{sentence}");
    assert!(sentence.contains(&format!("at most {max_n}")), "{sentence}");
    assert!(sentence.contains("512 MiB"), "{sentence}");
}

#[test]
fn the_smallest_limit_of_the_ancestors_counts() {
    let root = root(&[
        (
            "proc/meminfo",
            "MemTotal:       16000000 kB\nMemFree: 1 kB\n",
        ),
        ("proc/self/cgroup", "0::/a/b/c\n"),
        (
            "proc/self/mountinfo",
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
        ),
        ("sys/fs/cgroup/a/memory.max", "2000000\n"),
        ("sys/fs/cgroup/a/b/memory.max", "1000000\n"),
        ("sys/fs/cgroup/a/b/c/memory.max", "max\n"),
    ]);
    assert_eq!(Memory::find(root.path()), Some(memory(1_000_000)));
}

#[test]
fn a_container_sees_its_group_at_the_top_of_the_mount() {
    let root = root(&[
        ("proc/meminfo", "MemTotal:       16000000 kB\n"),
        ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n0::/\n"),
        (
            "proc/self/mountinfo",
            "31 23 0:27 /docker/abc /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n\
             32 23 0:28 /docker/abc /sys/fs/cgroup/cpu ro master:9 - cgroup cgroup rw,cpu\n",
        ),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
    ]);
    assert_eq!(Memory::find(root.path()), Some(memory(512 << 20)));
}

#[test]
fn without_a_limit_the_machine_counts() {
    let root = root(&[
        ("proc/meminfo", "MemTotal:       16000000 kB\n"),
        ("proc/self/cgroup", "4:memory:/\n"),
        (
            "proc/self/mountinfo",
            "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        ),
        (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
    ]);
    let memory = Memory::find(root.path()).unwrap();
    assert_eq!(memory.bytes, 16_000_000 * 1_024);
    assert_eq!(memory.limited_by, Limit::Machine);
    assert_eq!(Memory::find(Path::new("/nowhere")), None);
}
