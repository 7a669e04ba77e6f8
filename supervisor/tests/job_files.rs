//! What the content of a job file comes to in a real cluster.

use std::fs;

use crate::harness::PATIENCE;
use crate::trial::Trial;
use crate::trial::dropping::value;

#[test]
fn good_jobs_get_the_right_values() {
    let trial = Trial::start(&[]);
    let values = [0, 1, 2, 5, 10, 1_000];
    for n in values {
        trial.drop_job(&format!("plain-{n}"), &format!("{n}\n"));
        trial.drop_job(&format!("mark-{n}"), &format!("{n}!\n"));
    }
    for n in values {
        for form in ["plain", "mark"] {
            let results = trial.await_results(&format!("{form}-{n}"), PATIENCE);
            assert_eq!(results, value(n));
        }
    }
    trial.conclude();
}

#[test]
fn bad_jobs_fail_with_their_reasons() {
    let trial = Trial::start(&[]);
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let bad: [(&str, &[u8], &[&str]); 10] = [
        ("negative", b"-1\n", &["line 1", "\"-1\"", "negative"]),
        ("word", b"10!\nabc\n", &["line 2", "\"abc\""]),
        ("float", b"1e5\n", &["line 1", "\"1e5\""]),
        ("huge", b"99999999999999999999!\n", &["line 1", "--max-n"]),
        ("limit", b"10000001\n", &["line 1", "10000000"]),
        ("empty", b"", &["the file is empty"]),
        ("blank", b"\n  \n# nothing\n", &["no factorial"]),
        ("binary", &binary, &["not UTF-8"]),
        ("nul", b"10!\0\n", &["line 1"]),
        ("two", b"1 2\n\n!\n", &["line 1: \"1 2\"", "line 3: \"!\""]),
    ];
    for (name, content, _) in bad {
        trial.drop_file(format!("{name}.job").as_bytes(), content);
    }
    for (name, content, parts) in bad {
        let reasons = trial.await_failure(name);
        for part in parts {
            assert!(reasons.contains(part), "{name}: {reasons}");
        }
        let kept = trial.home.jobs().join(format!("failed/{name}.job"));
        assert_eq!(fs::read(kept).unwrap(), content, "{name}");
    }
    assert_eq!(trial.in_folder("done").len(), 0);
    assert_eq!(trial.stdout(), "");
    trial.conclude();
}

#[test]
fn every_way_to_end_a_line_is_accepted() {
    let trial = Trial::start(&[]);
    let jobs = [
        ("crlf", "3!\r\n4\r\n".to_owned()),
        ("mark", "\u{feff}3!\n4\n".to_owned()),
        ("both", "\u{feff}3!\r\n4".to_owned()),
        ("bare", "3!\n4!".to_owned()),
        ("blanks", "\t 3! \n\n# twelve\n  4\t\n\n".to_owned()),
        ("zeros", "0003!\n04\n".to_owned()),
    ];
    for (name, text) in &jobs {
        trial.drop_job(name, text);
    }
    for (name, _) in &jobs {
        let results = trial.await_results(name, PATIENCE);
        assert_eq!(results, format!("{}{}", value(3), value(4)), "{name}");
    }
    trial.conclude();
}

#[test]
fn a_thousand_lines_are_the_most() {
    let trial = Trial::start(&[]);
    // In no order, and some of them twice.
    let numbers: Vec<u64> = (0..1_001).map(|index| index * 7 % 130).collect();
    let text = |numbers: &[u64]| -> String { numbers.iter().map(|n| format!("{n}\n")).collect() };
    trial.drop_job("most", &text(&numbers[..1_000]));
    trial.drop_job("more", &text(&numbers));
    let expected: String = numbers[..1_000].iter().map(|&n| value(n)).collect();
    assert_eq!(trial.await_results("most", PATIENCE), expected);
    let reasons = trial.await_failure("more");
    assert!(reasons.contains("1001 factorials"), "{reasons}");
    trial.conclude();
}

#[test]
fn a_file_of_64_kib_is_the_largest() {
    let trial = Trial::start(&[]);
    let sized = |size: usize| {
        let mut text = "6!\n".to_owned();
        while text.len() + 100 < size {
            text += &format!("#{}\n", "-".repeat(97));
        }
        text += &" ".repeat(size - text.len());
        text
    };
    trial.drop_job("fits", &sized(64 * 1024));
    trial.drop_job("over", &sized(64 * 1024 + 1));
    assert_eq!(trial.await_results("fits", PATIENCE), value(6));
    let reasons = trial.await_failure("over");
    assert!(reasons.contains("65536 bytes"), "{reasons}");
    trial.conclude();
}
