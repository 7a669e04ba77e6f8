use super::*;

/// A number as a product has it.
fn decimal(digits: &str) -> Decimal {
    let digits = digits.as_bytes().rchunks(16).map(|digit| {
        let digit = std::str::from_utf8(digit).unwrap();
        digit.parse::<u64>().unwrap().to_le_bytes()
    });
    Decimal::new(digits.collect::<Vec<_>>().concat().into(), 0)
}

fn text(content: &[Content]) -> Vec<u8> {
    content.iter().flat_map(Content::pieces).flatten().collect()
}

fn reasons(content: &[u8]) -> Vec<String> {
    parse(content, 1_000).unwrap_err()
}

#[test]
fn reads_lines_with_all_that_is_accepted_around_them() {
    let text = "\u{feff}# a comment\r\n10!\r\n\r\n  7 \n\t0!\n1";
    assert_eq!(parse(text.as_bytes(), 1_000).unwrap(), [10, 7, 0, 1]);
}

#[test]
fn names_every_bad_line() {
    let found = reasons(b"5\nabc\n-1\n1e5\n1001\n99999999999999999999!\n10 !\n");
    assert_eq!(found.len(), 6, "{found:?}");
    assert_eq!(
        found[0],
        "line 2: \"abc\": expected N or N!, with N in decimal digits"
    );
    assert!(
        found[1].starts_with("line 3: \"-1\"") && found[1].contains("never negative"),
        "{found:?}"
    );
    assert_eq!(
        found[3],
        "line 5: \"1001\": N is larger than the limit of 1000, see --max-n"
    );
    assert!(
        found[4].starts_with("line 6: \"99999999999999999999!\": N is larger"),
        "{found:?}"
    );
}

#[test]
fn a_hundred_bad_lines_are_enough() {
    let found = reasons(&b"x\n".repeat(32_768));
    assert_eq!(found.len(), 101);
    assert!(found[99].starts_with("line 100: "), "{found:?}");
    assert!(found[100].contains("more bad lines"), "{found:?}");
    assert_eq!(reasons(&b"x\n".repeat(100)).len(), 100);
}

#[test]
fn names_that_end_in_job_or_match_a_pattern_are_jobs() {
    let accept = [Pattern::new("*.txt").unwrap(), Pattern::new("n?").unwrap()];
    for name in ["ten.job", "ten.JOB", "ten.Job", "größe.job", "a.job.job"] {
        assert!(is_job(name.as_bytes(), &[]), "{name}");
    }
    for name in ["ten", "job", "ten.jobs", "ten.txt", "n1", "x"] {
        assert!(!is_job(name.as_bytes(), &[]), "{name}");
    }
    assert!(is_job(b"\xff.job", &[]));
    assert!(is_job(b"ten.txt", &accept) && is_job(b"n1", &accept));
    assert!(!is_job(b"ten.TXT", &accept) && !is_job(b"n12", &accept));
}

#[test]
fn the_size_of_a_text_is_known_before_it_is_made() {
    for factorials in [vec![0], vec![10, 10, 20], (0..1_000).collect()] {
        let value = |n: u32| {
            let digits = (1..=u64::from(n))
                .fold(malachite_nz::natural::Natural::from(1u32), |p, k| {
                    p * malachite_nz::natural::Natural::from(k)
                });
            (n, decimal(&digits.to_string()))
        };
        let text = text(&result_text(factorials.iter().copied().map(value)));
        let bytes = text_bytes(&factorials);
        let (least, most) = (
            text.len() as u64,
            (text.len() + 3 * factorials.len()) as u64,
        );
        assert!((least..=most).contains(&bytes), "{bytes}, not {least}");
        check_text(&factorials, bytes).unwrap();
        let refused = check_text(&factorials, bytes - 1).unwrap_err();
        assert!(refused[0].contains("--max-text"), "{refused:?}");
    }
}

#[test]
fn rejects_what_is_no_job_at_all() {
    assert!(reasons(b"")[0].contains("empty"));
    assert!(reasons(b"\n")[0].contains("no factorial"));
    assert!(reasons(b"\n# nothing\n")[0].contains("no factorial"));
    assert!(reasons(&[0xff, 0xfe, 0])[0].contains("not UTF-8"));
    assert!(reasons(&vec![b' '; MAX_JOB_BYTES + 1])[0].contains("larger than 65536 bytes"));
    assert!(
        parse(
            &[b"1\n".repeat(1_000), vec![b' '; MAX_JOB_BYTES - 2_000]].concat(),
            9
        )
        .is_ok()
    );
    assert!(reasons(&b"1\n".repeat(1_001))[0].contains("1001 factorials"));
}

#[test]
fn quotes_no_more_of_a_bad_line_than_helps() {
    let found = reasons(&b"x\x07".repeat(10_000));
    assert!(
        found[0].len() < 300 && found[0].contains("\\u{7}"),
        "{found:?}"
    );
}

#[test]
fn a_job_is_named_after_its_file() {
    assert_eq!(name_of(b"ten.job").unwrap(), "ten");
    assert_eq!(name_of(b"ten").unwrap(), "ten");
    assert_eq!(name_of(b"v1.2.txt").unwrap(), "v1.2");
    assert_eq!(name_of("größe 7.job".as_bytes()).unwrap(), "größe 7");
    for bad in [b"\xff.job".as_slice(), b"a\nb.job", &b"x".repeat(201)] {
        let (name, reason) = name_of(bad).unwrap_err();
        assert!(name.len() <= MAX_NAME_BYTES && name.is_ascii(), "{name}");
        assert!(reason.contains("rename the file"), "{reason}");
    }
}

#[test]
fn a_text_answers_exactly_its_factorials() {
    let text = text(&result_text(
        [(5, decimal("120")), (5, decimal("120"))].into_iter(),
    ));
    assert_eq!(text, b"5!=120\n5!=120\n");
    assert!(answers(&text, &[5, 5]));
    assert!(!answers(&text, &[5]) && !answers(&text, &[5, 5, 5]) && !answers(&text, &[5, 6]));
    assert!(!answers(&text[..text.len() - 1], &[5, 5]), "cut");
    assert!(!answers(b"5!=\n", &[5]) && !answers(b"", &[]));
}

#[test]
fn a_long_value_is_cut_in_the_log_line() {
    assert_eq!(
        log_line(10, &Content::Number(decimal("3628800")), 1_000, "ten"),
        "10!=3628800\n"
    );
    let digits: String = (1..101).map(|i| char::from(b'0' + i % 10)).collect();
    let digits = Content::Number(decimal(&digits));
    let line = log_line(70, &digits, 99, "big");
    assert_eq!(
        line,
        "70!=12345678901234567890…12345678901234567890 (100 digits, whole in done/big.txt)\n"
    );
    assert_eq!(log_line(70, &digits, 100, "big").len(), 4 + 100 + 1);
    let line = log_line(70, &digits, 99, "b\u{202e}g");
    assert!(line.ends_with(b"whole in done/b\\u{202e}g.txt)\n"));
}
