//! S4, S9 and S10: the jobs directory, and what is told of it.

use std::fs;

use serde_json::{Value, json};

use laboratory::verdict::Dropped;

use super::Mutation;
use crate::spoilt::{Spoilt, life};

pub(super) const ALL: &[Mutation] = &[
    ("a digit of a result is another", &["S4"], |s| {
        spoil_text(s, |text| {
            let digit = if text.contains("=1") {
                ("=1", "=2")
            } else {
                ("=", "=3")
            };
            text.replacen(digit.0, digit.1, 1)
        })
    }),
    ("a result lacks its last digit", &["S4"], |s| {
        spoil_text(s, |text| format!("{}\n", &text[..text.len() - 2]))
    }),
    ("a text ends in the middle", &["S4"], |s| {
        spoil_text(s, |text| text[..text.len() - 1].to_owned())
    }),
    ("a result stands twice", &["S4"], |s| {
        spoil_text(s, |text| text.repeat(2))
    }),
    ("a text is that of another job", &["S4"], |s| {
        let texts: Vec<String> = s
            .done_jobs()
            .iter()
            .map(|job| format!("done/{job}.txt"))
            .collect();
        let (first, last) = (texts.first()?, texts.last()?);
        let other = s.read(last);
        (s.read(first) != other).then(|| s.write(first, &other))
    }),
    (
        "a job and its text are those of another",
        &["S4", "S9"],
        |s| {
            let jobs = s.done_jobs();
            let (first, last) = (jobs.first()?, jobs.last()?);
            let of = |job: &str| ["job", "txt"].map(|ending| format!("done/{job}.{ending}"));
            (s.read(&of(first)[1]) != s.read(&of(last)[1])).then_some(())?;
            for (from, to) in of(last).iter().zip(of(first)) {
                s.write(&to, &s.read(from));
            }
            Some(())
        },
    ),
    ("a commit is won twice by one", &["S4"], |s| {
        let published = *s.named("result_published").last()?;
        let job = s.lines[published]["job"].clone();
        s.insert(
            published,
            1,
            &[json!({"event": "result_published", "job": job})],
        );
        Some(())
    }),
    ("a commit is won by two", &["S4"], |s| {
        let published = *s.named("result_published").last()?;
        let by = s.life(published);
        let other = s.places(|line| line["event"] == "acting" && life(line) != by);
        let other = s.life(*other.last()?);
        let line = s.lines[published].clone();
        s.lines.insert(published, line);
        s.give(published, other);
        Some(())
    }),
    ("a job is done and nobody published it", &["S4"], |s| {
        let published = *s.named("result_published").last()?;
        let job = s.lines[published]["job"].clone();
        let taken = s.next(0, |line| {
            line["job"] == job
                && (line["event"] == "job_accepted" || line["event"] == "job_rejected")
        })?;
        ends_no_reign(s, s.number(taken, "mono_ns")).then_some(())?;
        s.lines.remove(published);
        Some(())
    }),
    (
        "a job is published and nobody says that it is done",
        &["S4"],
        |s| {
            let done = *s.named("job_done").last()?;
            let job = s.lines[done]["job"].clone();
            let published = s.next(0, |line| {
                line["event"] == "result_published" && line["job"] == job
            })?;
            ends_no_reign(s, s.number(published, "mono_ns")).then_some(())?;
            s.lines
                .retain(|line| line["event"] != "job_done" || line["job"] != job);
            Some(())
        },
    ),
    ("a job stands in two places", &["S9"], |s| {
        let job = s.done_jobs().into_iter().next()?;
        let content = s.read(&format!("done/{job}.job"));
        s.write(&format!("failed/{job}.job"), &content);
        s.write(
            &format!("failed/{job}.txt"),
            "line 1: \"\": expected N or N!\n",
        );
        Some(())
    }),
    ("a text stands without its job", &["S9"], |s| {
        let job = s.done_jobs().into_iter().next()?;
        s.remove(&format!("done/{job}.job"));
        Some(())
    }),
    ("a text stands that nobody asked for", &["S9"], |s| {
        s.write("done/stranger.txt", "1!=1\n");
        Some(())
    }),
    ("a job is left in running", &["S9"], |s| {
        let job = s.done_jobs().into_iter().next()?;
        fs::rename(
            s.path(&format!("done/{job}.job")),
            s.path(&format!("running/{job}.job")),
        )
        .unwrap();
        s.remove(&format!("done/{job}.txt"));
        Some(())
    }),
    ("a hidden text is left in running", &["S9"], |s| {
        s.write("running/.ten.1.2.3.4.done.txt", "1!=1\n");
        Some(())
    }),
    ("a job is left in the inbox", &["S9"], |s| {
        s.write("waiting.job", "1!\n");
        Some(())
    }),
    ("a job was dropped and is nowhere", &["S9"], |s| {
        s.run.dropped.push(Dropped::new("vanished", "1!\n"));
        Some(())
    }),
    ("a job was taken and is nowhere", &["S9"], |s| {
        let accepted = *s.named("job_accepted").last()?;
        s.insert(
            accepted,
            1,
            &[json!({"event": "job_accepted", "job": "vanished"})],
        );
        Some(())
    }),
    ("a sound job has failed", &["S4", "S9", "S10", "L2"], |s| {
        let job = s.done_jobs().into_iter().next()?;
        fs::rename(
            s.path(&format!("done/{job}.job")),
            s.path(&format!("failed/{job}.job")),
        )
        .unwrap();
        s.remove(&format!("done/{job}.txt"));
        s.write(
            &format!("failed/{job}.txt"),
            "line 1: \"abc\": expected N or N!\n",
        );
        let is_of_it =
            |line: &Value| line["event"] == "job_accepted" && line["job"] == job.as_str();
        for line in s.lines.iter_mut().filter(|line| is_of_it(line)) {
            line["event"] = json!("job_rejected");
        }
        Some(())
    }),
    (
        "a job has failed for what is not in it",
        &["S4", "S9", "S10"],
        |s| {
            let rejected = s.failed_jobs();
            let job = rejected
                .iter()
                .find(|job| s.read(&format!("failed/{job}.job")).contains("abc"))?;
            s.write(
                &format!("failed/{job}.txt"),
                "line 7: \"xyz\": expected N or N!\n",
            );
            Some(())
        },
    ),
    ("an unsound job has results", &["S4", "S9", "S10"], |s| {
        let rejected = s.failed_jobs();
        let job = rejected
            .iter()
            .find(|job| s.read(&format!("failed/{job}.job")).contains("abc"))?;
        fs::rename(
            s.path(&format!("failed/{job}.job")),
            s.path(&format!("done/{job}.job")),
        )
        .unwrap();
        s.remove(&format!("failed/{job}.txt"));
        s.write(&format!("done/{job}.txt"), "5!=120\n");
        Some(())
    }),
];

fn spoil_text(s: &mut Spoilt, spoil: fn(&str) -> String) -> Option<()> {
    let job = s.done_jobs().into_iter().next()?;
    let name = format!("done/{job}.txt");
    s.write(&name, &spoil(&s.read(&name)));
    Some(())
}

/// Whether nobody who has acted ends, is stopped or steps down from a moment on.
fn ends_no_reign(s: &Spoilt, since: u64) -> bool {
    let ends = s.places(|line| {
        matches!(
            line["event"].as_str(),
            Some("node_exited" | "node_stopped" | "stepped_down")
        ) && (since..=s.run.end_ns).contains(&line["mono_ns"].as_u64().unwrap())
    });
    let acted = s.named("acting");
    ends.iter()
        .all(|&end| acted.iter().all(|&acting| s.life(acting) != s.life(end)))
}
