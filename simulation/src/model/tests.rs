use super::*;

#[test]
fn every_order_of_a_crash_and_a_restart_is_safe() {
    let report = check(&Bounds {
        start: Start::Led,
        nodes: 3,
        crashes: 1,
        pauses: 0,
        timeouts: 0,
        hints: false,
        depth: None,
        shortest: false,
    });
    assert_eq!(report.violated(), [""; 0], "{report}");
    assert!(report.states > 10_000, "{report}");
    assert!(
        report
            .reached()
            .contains(&"a deposed coordinator steps down")
    );
}
