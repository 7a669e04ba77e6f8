//! The house: who imports whom in the protocol, what it uses of the standard library, and how long its
//! files are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms, each of which knows those before it and no other.
const ROOMS: [&str; 8] = [
    "words",
    "plan",
    "checkpoint",
    "desk",
    "core",
    "worker",
    "coordinator",
    "node",
];

/// What the protocol uses of the standard library: nothing in it knows a clock, a file, a socket, a thread, a
/// process, the environment or chance.
const PURE: [&str; 14] = [
    "borrow::",
    "cell::",
    "cmp::",
    "collections::",
    "f64::",
    "fmt",
    "hash::",
    "iter::",
    "mem::",
    "ops::",
    "slice::",
    "str::",
    "sync::LazyLock",
    "time::Duration",
];

/// Who looks at the time. What these learn by comparing two times, and not from a timer, the model checker
/// does not see: simulation/src/model.rs names it.
const LOOK_AT_TIME: [&str; 14] = [
    "coordinator::orders",
    "core",
    "desk::accept",
    "desk::context",
    "desk::inbox::intake",
    "desk::publish",
    "desk::still",
    "node",
    "node::damping",
    "node::hang",
    "node::office",
    "node::preemption",
    "node::takeover",
    // The rules of the supervisor, which is no part of a node.
    "words::supervision",
];

const MOST_LINES: usize = 350;

/// The lines of each module of the protocol, by its path; tests left out.
fn modules() -> BTreeMap<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('/', "::");
            if name == "lib" || name.ends_with("tests") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::to_owned);
            let lines = lines.take_while(|line| line != "#[cfg(test)]");
            modules.insert(name, lines.collect());
        }
    }
    modules
}

/// The modules that a module imports from.
fn imports(name: &str, modules: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let code = modules[name].iter().map(|line| line.trim());
    let code: String = code.filter(|line| !line.starts_with("//")).collect();
    let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = BTreeSet::new();
    for (base, from) in [("crate::", ""), ("self::", name), ("super::", parent)] {
        for (at, _) in code.match_indices(base) {
            let path = &code[at + base.len()..];
            let is_end = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
            let (head, rest) = path.split_at(path.find(is_end).unwrap_or(path.len()));
            let list = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            for item in list.map_or("", |(list, _)| list).split(',') {
                let path = format!("{from}::{head}::{item}::").replace("::::", "::");
                let is_in = |module: &&String| {
                    let path = path.trim_start_matches("::");
                    path.starts_with(&format!("{module}::"))
                };
                found.extend(
                    modules
                        .keys()
                        .filter(is_in)
                        .max_by_key(|module| module.len()),
                );
            }
        }
    }
    found.remove(&name.to_owned());
    found.into_iter().cloned().collect()
}

#[test]
fn no_room_knows_one_above_it() {
    let modules = modules();
    let room = |module: &str| {
        let room = module.split("::").next().unwrap();
        ROOMS.iter().position(|&known| known == room).unwrap()
    };
    for name in modules.keys() {
        for import in imports(name, &modules) {
            assert!(room(&import) <= room(name), "{name} imports from {import}");
        }
    }
}

#[test]
fn imports_form_no_circle() {
    let modules = modules();
    let mut left: BTreeMap<&String, BTreeSet<String>> = modules
        .keys()
        .map(|name| (name, imports(name, &modules)))
        .collect();
    assert!(
        left.values().map(BTreeSet::len).sum::<usize>() > modules.len(),
        "imports are found"
    );
    let mut before = usize::MAX;
    while left.len() < before {
        before = left.len();
        let names: BTreeSet<String> = left.keys().map(|&name| name.clone()).collect();
        left.retain(|_, imports| imports.iter().any(|import| names.contains(import)));
    }
    assert_eq!(
        left,
        BTreeMap::new(),
        "these import one another, or from those that do"
    );
}

#[test]
fn nothing_but_what_is_pure_is_used_of_the_standard_library() {
    for (name, lines) in modules() {
        for line in lines {
            for (at, _) in line.match_indices("std::") {
                let used = &line[at + "std::".len()..];
                assert!(
                    PURE.iter().any(|pure| used.starts_with(pure)),
                    "{name}: {line}"
                );
            }
        }
    }
}

#[test]
fn nobody_else_looks_at_the_time() {
    let is_code = |line: &&String| !line.trim_start().starts_with("//");
    let looks = |line: &String| {
        line.split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "now")
    };
    let modules = modules().into_iter();
    let looking = modules.filter(|(_, lines)| lines.iter().filter(is_code).any(looks));
    let looking: Vec<String> = looking.map(|(name, _)| name).collect();
    assert_eq!(looking, LOOK_AT_TIME);
}

#[test]
fn files_are_short() {
    for (name, lines) in modules() {
        assert!(
            lines.len() <= MOST_LINES,
            "{name} has {} lines",
            lines.len()
        );
    }
}
