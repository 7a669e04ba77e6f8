//! Settings from the environment: for every variable, an empty one is none, and a wrong one is named.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use crate::harness::{Home, assert_one_sentence, bullpen, run, stderr, stdout};

/// A value that no number, duration or word is.
const WRONG: &str = "?!";

/// The commands that read variables, and arguments with which each of them ends at once.
const COMMANDS: [(&str, &[&str]); 9] = [
    ("up", &["--max-n=200000000"]),
    ("compute", &["ten"]),
    ("experiment", &["--max-n=200000000"]),
    ("submit", &["ten"]),
    ("status", &[]),
    // Of no cluster that may run here.
    ("kill", &["99"]),
    ("timeline", &[]),
    ("verdict", &[]),
    ("metrics", &[]),
];

/// The variables that a command lists.
fn variables(command: &str) -> Vec<String> {
    let help = stdout(&run(bullpen().args([command, "--help"])));
    let parts = help.split("[env: ").skip(1);
    parts
        .map(|part| part.split_once('=').unwrap().0.to_owned())
        .collect()
}

/// The command where nothing works: `jobs` is a file, and no cluster runs.
fn hopeless(home: &Home, command: &str, args: &[&str]) -> Command {
    let mut hopeless = bullpen();
    fs::write(home.jobs(), "").unwrap();
    hopeless.arg(command).args(args).current_dir(home.path());
    hopeless.env("XDG_RUNTIME_DIR", home.path());
    hopeless.env("TMPDIR", home.path());
    hopeless
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), stderr(output))
}

#[test]
fn an_empty_variable_is_none() {
    let home = Home::new();
    let mut known = BTreeSet::new();
    for (command, args) in COMMANDS {
        let unset = told(&run(&mut hopeless(&home, command, args)));
        let variables = variables(command);
        assert!(!variables.is_empty(), "{command}");
        for variable in &variables {
            let empty = run(hopeless(&home, command, args).env(variable, ""));
            assert_eq!(told(&empty), unset, "{command} with {variable}=");
        }
        known.extend(variables);
    }
    assert!(known.len() > 15, "{known:?}");

    let mut compute = bullpen();
    compute.args(["compute", "10!"]);
    compute.envs(known.iter().map(|variable| (variable, "")));
    let output = run(&mut compute);
    assert_eq!(stdout(&output), "10!=3628800\n", "{}", stderr(&output));
}

/// `top` waits for a cluster, and so is not among the commands above.
#[test]
fn no_command_with_variables_is_forgotten() {
    let help = stdout(&run(bullpen().arg("help")));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let command = line.split_whitespace().next().unwrap();
        let is_known = COMMANDS.iter().any(|(known, _)| *known == command);
        let has_none = command == "help" || variables(command).is_empty();
        assert!(is_known || has_none || command == "top", "{command}");
    }
}

#[test]
fn a_wrong_value_names_its_variable_in_one_sentence() {
    let home = Home::new();
    let mut refused = BTreeSet::new();
    for (command, args) in COMMANDS {
        for variable in variables(command) {
            for value in [WRONG.as_bytes(), b"\xff"] {
                let value = OsStr::from_bytes(value);
                let output = run(hopeless(&home, command, args).env(&variable, value));
                let (code, complaint) = told(&output);
                assert!(complaint.lines().count() <= 1, "{complaint}");
                // A path may be anything, and so may a pattern or a switch.
                let is_refused = complaint.contains("give it another value, or unset it");
                if code == Some(2) && is_refused {
                    let named = format!("bullpen: {variable}={}: ", value.to_string_lossy());
                    assert!(complaint.starts_with(&named), "{complaint}");
                    refused.insert(variable.clone());
                }
            }
        }
    }
    assert!(refused.len() > 12, "{refused:?}");
}

#[test]
fn a_value_that_cannot_work_names_its_variable_too() {
    let home = Home::new();
    let output = run(home.up().env("BULLPEN_NODES", "17"));
    let complaint = assert_one_sentence(&output, 2);
    assert!(complaint.contains("BULLPEN_NODES=17: "), "{complaint}");

    let mut status = bullpen();
    let run_dir = home.path().join("none");
    let output = run(status.arg("status").env("BULLPEN_RUN_DIR", &run_dir));
    let complaint = assert_one_sentence(&output, 3);
    let named = format!("bullpen: BULLPEN_RUN_DIR={}: ", run_dir.display());
    assert!(complaint.starts_with(&named), "{complaint}");
}

#[test]
fn the_command_line_has_the_last_word_and_is_not_blamed_on_a_variable() {
    let home = Home::new();
    let mut compute = bullpen();
    compute.args(["compute", "5", "--delay", "1ms"]);
    compute.env("BULLPEN_DELAY", WRONG);
    assert_eq!(stdout(&run(&mut compute)), "5!=120\n");

    let mut up = home.up();
    up.args(["--delay", "soon"]).env("BULLPEN_STALL", "3s");
    let complaint = stderr(&run(&mut up));
    assert!(complaint.contains("--delay"), "{complaint}");
    assert!(!complaint.contains("BULLPEN_"), "{complaint}");

    let mut up = home.up();
    up.args(["--nodes", "17"]).env("BULLPEN_NODES", "3");
    let complaint = stderr(&run(&mut up));
    assert!(!complaint.contains("BULLPEN_"), "{complaint}");
}
