//! `bullpen man`.

use crate::harness::{bullpen, run, stderr, stdout};

#[test]
fn the_page_has_every_command_and_nothing_of_who_asks() {
    let output = run(bullpen().arg("man").env("BULLPEN_NODES", "11"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = stdout(&output);
    let help = stdout(&run(bullpen().arg("--help")));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !["", "help"].contains(name))
        .collect();
    assert!(commands.len() > 10, "{help}");
    for command in commands {
        let heading = format!(".SH \"bullpen {command} ");
        assert!(page.contains(&heading), "{command} is not there:\n{page}");
    }
    // Of an option that the short help leaves out, too, though it has no long one.
    for told in ["BULLPEN_NODES", "Maximum size of the text"] {
        assert!(page.contains(told), "{told} is not there:\n{page}");
    }
    for hidden in ["=11", "11]", "EXTRA", "control\\-fd"] {
        assert!(!page.contains(hidden), "{hidden} is there:\n{page}");
    }
}
