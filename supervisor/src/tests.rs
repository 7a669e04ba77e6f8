//! What keeps PID 1 small, and the compiler does not see: a library has the dependencies of its package's binary,
//! and its modules may import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What the commands alone have a use for.
const OF_COMMANDS: [&str; 13] = [
    "anstream",
    "bytesize",
    "clap",
    "clap_complete",
    "glob",
    "hyper",
    "indicatif",
    "laboratory",
    "notify",
    "prometheus",
    "ratatui",
    "tokio",
    "tracing_subscriber",
];
const MOST_LINES: usize = 350;

/// The modules of the library, by their path, without their tests.
fn modules() -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let module = path.strip_prefix(&src).unwrap().with_extension("");
            let module = module.to_str().unwrap().replace('/', "::");
            let is_of_lib = module != "main" && module != "commands" && !module.ends_with("tests");
            if path.is_dir() && is_of_lib {
                folders.push(path);
            } else if is_of_lib {
                let text = fs::read_to_string(path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                modules.insert(module, code.to_owned());
            }
        }
    }
    modules
}

/// The other modules that one imports.
fn imports(module: &str, code: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let paths = words.filter_map(|word| {
        let path = match word.split_once("::")? {
            ("crate", path) => path.to_owned(),
            ("super", path) => format!("{parent}::{path}"),
            ("self", path) => format!("{module}::{path}"),
            _ => return None,
        };
        // What stands behind the module is an item of it.
        let mut path = path.trim_matches(':');
        while !all.contains_key(path) {
            path = path.rsplit_once("::")?.0;
        }
        (path != module).then(|| path.to_owned())
    });
    paths.collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let modules = modules();
    let imports =
        |(module, code): (&String, &String)| (module.clone(), imports(module, code, &modules));
    let mut left: BTreeMap<String, BTreeSet<String>> = modules.iter().map(imports).collect();
    assert!(left["supervise"].contains("slot") && left["supervise::fates"].contains("supervise"));
    loop {
        let before = left.len();
        let known = left.clone();
        left.retain(|_, imports| imports.iter().any(|import| known.contains_key(import)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "in a circle, or on top of one: {left:#?}");
}

#[test]
fn nothing_is_used_that_only_commands_need() {
    for (module, code) in modules() {
        for crate_of_commands in OF_COMMANDS {
            let uses = |line: &str| line.contains(&format!("{crate_of_commands}::"));
            assert!(!code.lines().any(uses), "{module} uses {crate_of_commands}");
        }
    }
}

#[test]
fn no_file_is_long() {
    for (module, code) in modules() {
        let lines = code.lines().count();
        assert!(lines <= MOST_LINES, "{module} has {lines} lines");
    }
}
