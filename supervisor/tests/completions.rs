//! `bullpen completions`.

use std::fs;
use std::process::Command;

use crate::harness::{bullpen, run, stderr, stdout};

fn script(shell: &str) -> String {
    let output = run(bullpen().args(["completions", shell]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn every_shell_gets_all_commands_but_the_hidden_one() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for command in [
            "compute",
            "submit",
            "metrics",
            "verdict",
            "completions",
            "--run-dir",
        ] {
            let word = command.trim_start_matches('-');
            assert!(script.contains(word), "{shell} lacks {command}");
        }
        for hidden in [
            "--incarnation",
            "control-fd",
            "started by the supervisor alone",
        ] {
            assert!(!script.contains(hidden), "{shell} shows {hidden}");
        }
    }
}

#[test]
fn bash_takes_them_and_completes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bullpen.bash");
    fs::write(&path, script("bash")).unwrap();
    let checked = run(Command::new("bash").arg("-n").arg(&path));
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert_eq!(stderr(&checked), "");

    let ask = r#"source "$1"; complete -p bullpen
        complete_words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _bullpen bullpen "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            echo "${COMPREPLY[@]}"
        }
        complete_words bullpen sub
        complete_words bullpen no
        complete_words bullpen submit --wa
        complete_words bullpen up --preemption gr"#;
    let output = run(Command::new("bash")
        .args(["--norc", "-c", ask, "bash"])
        .arg(&path));
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("_bullpen"), "{text}");
    assert!(lines[0].ends_with(" bullpen"), "{text}");
    assert_eq!(lines[1..4], ["submit", "", "--wait"], "{text}");
    assert_eq!(lines[4], "graceful", "{text}");
}

#[test]
fn another_shell_is_refused_with_those_that_there_are() {
    let output = run(bullpen().args(["completions", "cmd"]));
    assert_eq!(output.status.code(), Some(2));
    let complaint = stderr(&output);
    assert!(
        complaint.contains("bash, elvish, fish, powershell, zsh"),
        "{complaint}"
    );
}
