use clap::CommandFactory;
use protocol::config::{Config, ConfigError, Preemption};
use std::time::Duration;

use super::*;

fn up(args: &[&str]) -> UpArgs {
    let args = ["bullpen", "up"].iter().chain(args);
    match Cli::try_parse_from(args).unwrap().command {
        Command::Up(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_defaults_are_those_of_the_protocol() {
    let mut config = up(&[]).cluster.config(true).unwrap();
    assert_eq!(config.run.len(), 8);
    assert!(config.run.bytes().all(|byte| byte.is_ascii_hexdigit()));
    config.run = Config::default().run;
    assert_eq!(config, Config::default());
}

#[test]
fn durations_take_a_unit_and_zero_needs_none() {
    for (text, expected) in [
        ("0", Duration::ZERO),
        ("0ms", Duration::ZERO),
        ("250ms", Duration::from_millis(250)),
        ("2s", Duration::from_secs(2)),
    ] {
        let config = up(&["--delay", text]).cluster.config(true).unwrap();
        assert_eq!(config.delay, expected);
    }
    for text in ["", "5", "-1s", "fast"] {
        let arg = format!("--delay={text}");
        Cli::try_parse_from(["bullpen", "up", &arg]).unwrap_err();
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let args = up(&["--heartbeat", "300ms"]);
    let error = args.cluster.config(true).unwrap_err();
    assert!(
        matches!(error, ConfigError::SuspectTooSoon { .. }),
        "{error}"
    );
    for nodes in ["1", "17"] {
        let error = up(&["--nodes", nodes]).cluster.config(true).unwrap_err();
        assert!(matches!(error, ConfigError::Nodes(_)), "{error}");
    }
}

#[test]
fn policies_and_switches_are_closed_lists() {
    let args = up(&[
        "--preemption",
        "never",
        "--hints",
        "off",
        "--trace-operations",
    ]);
    let config = args.cluster.config(false).unwrap();
    assert_eq!(config.preemption, Preemption::Never);
    assert!(config.trace_operations);
    assert!(!config.log_results);
    assert!(!args.cluster.hints());
    for args in [["--preemption", "maybe"], ["--hints", "yes"]] {
        let args = ["bullpen", "up"].into_iter().chain(args);
        assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), 2);
    }
}

#[test]
fn the_supervisors_command_line_for_a_node_is_understood() {
    let config = serde_json::to_string(&Config::default()).unwrap();
    let command = format!(
        "bullpen {NODE} --id 3 --incarnation 7 --term 2 --control-fd 5 --supervisor 1 \
         --run-dir /run/bullpen --jobs jobs --config {config}"
    );
    let parsed = Part::try_parse_from(command.split_whitespace()).unwrap();
    let Part::Node(args) = parsed else {
        panic!("{parsed:?}");
    };
    assert_eq!((args.id, args.incarnation, args.term), (3, 7, 2));
    assert_eq!(args.config, Config::default());
}
