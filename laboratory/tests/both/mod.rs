//! Every verdict of these tests is given twice: on the whole log, and on what `bullpen verdict` keeps of it.

#![allow(dead_code, reason = "the tests of the supervisor use a part of this")]

use laboratory::verdict::{Comparison, Run, Verdict, Violation};

/// What is wrong with a run: the same, whichever of the two is judged.
pub(crate) fn both_ways(run: &Run, judge: impl Fn(&Run) -> Vec<Violation>) -> Vec<Violation> {
    let kept = run.without_ordinary();
    let found = judge(run);
    assert_eq!(words(&found), words(&judge(&kept)), "what is found differs");
    let laws = |run: &Run| Verdict::on(run, &Comparison::default(), Vec::new());
    let (whole, kept) = (laws(run), laws(&kept));
    assert_eq!(whole.laws, kept.laws);
    assert_eq!(whole.tried, kept.tried);
    assert_eq!(whole.cannot_tell, kept.cannot_tell);
    found
}

pub(crate) trait Judged {
    /// [`Run::judge`], both ways.
    fn judged(&self) -> Vec<Violation>;
}

impl Judged for Run {
    fn judged(&self) -> Vec<Violation> {
        both_ways(self, Run::judge)
    }
}

fn words(found: &[Violation]) -> String {
    let mut words: Vec<String> = found.iter().map(ToString::to_string).collect();
    words.sort();
    words.join("\n")
}
