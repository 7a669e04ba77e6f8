//! S4, S9 and S10, and what S7 has to do with files.

use protocol::file::{FilePath, Folder};
use protocol::id::NodeId;
use protocol::message::{Message, Update};
use protocol::trace::Trace;

use super::work::root;
use super::{BOSS, Doctored, FIRST, Kind, Story, life, term};
use crate::checkers::doctored::file;
use crate::directory::{Change, File};
use crate::fact::Fact;

pub(super) const KINDS: &[Kind] = &[
    ("S4", "a wrong result", |story| {
        story.publishes("3!\n", "3!=7\n")
    }),
    ("S4", "a result that is missing", |story| {
        story.publishes("3!\n4!\n", "3!=6\n");
    }),
    ("S4", "a text of no job", |story| {
        story.delivers_text(Folder::Done, "3!=6\n");
    }),
    ("S4", "a file that is neither job nor text", |story| {
        let hidden = (Folder::Running, ".a.run.1.2.3.done.txt");
        story.moves(hidden, (Folder::Done, "a.part"), file("3!=6\n", None));
    }),
    ("S4", "a text that is half written", |story| {
        story.commits("3!\n", Folder::Done);
        let mut half = file("3!=6\n", None);
        half.open = true;
        let hidden = (Folder::Running, ".a.run.1.2.3.done.txt");
        story.moves(hidden, (Folder::Done, "a.txt"), half);
    }),
    ("S4", "a published text that is removed", |story| {
        story.publishes("3!\n", "3!=6\n");
        let (path, file) = (text_path(), file("3!=6\n", None));
        story.change(&Change::Removed { path, file });
    }),
    ("S4", "a published text that is written over", |story| {
        story.publishes("3!\n", "3!=6\n");
        let (path, file) = (text_path(), file("3!=6\n", None));
        let before = Some(file.clone());
        story.change(&Change::Written { path, file, before });
    }),
    (
        "S4",
        "a published text that another is renamed over",
        |story| {
            story.publishes("3!\n", "3!=6\n");
            story.change(&Change::Moved {
                from: FilePath::new(Folder::Running, ".a.run.1.2.4.done.txt"),
                to: text_path(),
                file: file("3!=6\n", None),
                clobbered: Some(file("3!=6\n", None)),
            });
        },
    ),
    ("S4", "a text that was collected and comes back", |story| {
        story.publishes("3!\n", "3!=6\n");
        story.tell(&Fact::Collected(&text_path()));
        story.delivers_text(Folder::Done, "3!=6\n");
    }),
    ("S4", "results of what is no job", |story| {
        story.publishes("abc\n", "3!=6\n")
    }),
    ("S4", "a job that fails without a cause", |story| {
        fails(story, "the moon is full\n");
    }),
    (
        "S4",
        "a job that fails for deaths that never were",
        |story| {
            fails(story, MEMORY);
        },
    ),
    (
        "S4",
        "a job that fails for deaths that somebody else caused",
        |story| {
            for _ in 0..3 {
                story.tell(&Fact::Died(FIRST()));
            }
            fails(story, MEMORY);
        },
    ),
    (
        "S4",
        "a job that fails for more deaths than there were",
        |story| {
            for _ in 0..2 {
                story.tell(&Fact::Died(FIRST()));
                story.tell(&Fact::CausedDeath);
            }
            fails(story, MEMORY);
        },
    ),
    (
        "S4",
        "a job that fails for workers that never died",
        |story| {
            fails(story, WORKERS);
        },
    ),
    (
        "S4",
        "a job that fails for workers that had nothing of it",
        |story| {
            for _ in 0..10 {
                story.tell(&Fact::Died(FIRST()));
            }
            fails(story, WORKERS);
        },
    ),
    (
        "S4",
        "a job that fails for an operation that it has not",
        |story| {
            story.led();
            for incarnation in 10..20 {
                let (op, worker) = (root(), NodeId(0));
                story.step(Doctored::acting(BOSS(), 1).trace(Trace::Assigned { op, worker }));
                story.tell(&Fact::Died(life(0, incarnation)));
            }
            fails(story, &WORKERS.replace("6!", "7!"));
        },
    ),
    ("S7", "to forget what a job without a text needs", |story| {
        let job = || file("6!\n", Some(0));
        story.moves((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
        story.led();
        story.step(Doctored::acting(BOSS(), 1).holding(&[root()]));
        story.moves((Folder::Running, "a.job"), (Folder::Done, "a.job"), job());
        let update = Update {
            forgotten: vec![6],
            ..Update::default()
        };
        let epoch = term(1);
        let forget = Message::Checkpoint { epoch, update };
        story.step(Doctored::acting(BOSS(), 1).sends(NodeId(0), forget));
    }),
    ("S9", "a job that ends unclaimed", |story| {
        story.moves((Folder::Inbox, "a.job"), (Folder::Done, "a.job"), job());
    }),
    ("S9", "a job that goes back to the inbox", |story| {
        story.moves((Folder::Running, "a.job"), (Folder::Inbox, "a.job"), job());
    }),
    ("S9", "a job that ends twice", |story| {
        story.moves((Folder::Done, "a.job"), (Folder::Failed, "a.job"), job());
    }),
    ("S9", "a job that is committed under two names", |story| {
        story.commits("3!\n", Folder::Done);
        story.moves((Folder::Running, "a.job"), (Folder::Done, "a.2.job"), job());
    }),
    ("S9", "a job that ends in done and in failed", |story| {
        story.commits("3!\n", Folder::Done);
        story.moves((Folder::Running, "a.job"), (Folder::Failed, "a.job"), job());
    }),
    ("S9", "a job that is claimed under two names", |story| {
        story.moves((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
        story.moves(
            (Folder::Inbox, "a.job"),
            (Folder::Running, "a.2.job"),
            job(),
        );
    }),
    ("S9", "a job over which another is renamed", |story| {
        story.change(&Change::Moved {
            from: FilePath::new(Folder::Inbox, "b.job"),
            to: FilePath::new(Folder::Running, "a.job"),
            file: file("4!\n", Some(1)),
            clobbered: Some(job()),
        });
    }),
    ("S9", "a job that is removed", |story| {
        let (path, file) = (FilePath::new(Folder::Running, "a.job"), job());
        story.change(&Change::Removed { path, file });
    }),
    ("S9", "a job that is written over", |story| {
        let (path, file) = (FilePath::new(Folder::Running, "a.job"), job());
        let before = Some(job());
        story.change(&Change::Written { path, file, before });
    }),
    (
        "S9",
        "a job that is said to be deleted where nobody deletes",
        |story| {
            story.led();
            let job = "a".to_owned();
            story.step(Doctored::acting(BOSS(), 1).trace(Trace::JobDeleted { job }));
        },
    ),
    ("S10", "to read what is being written", |story| {
        let (path, mut file) = (FilePath::new(Folder::Running, "a.job"), job());
        file.open = true;
        story.tell(&Fact::Read {
            by: BOSS(),
            path: &path,
            file: &file,
        });
    }),
];

const MEMORY: &str = "3 nodes died for want of memory, or aborted, while it was computed\n";
const WORKERS: &str = "6!: 10 workers died one after the other while they computed one operation\n";

fn job() -> File {
    file("3!\n", Some(0))
}

fn text_path() -> FilePath {
    FilePath::new(Folder::Done, "a.txt")
}

/// A good job fails with this text.
fn fails(story: &mut Story, text: &str) {
    story.commits("6!\n", Folder::Failed);
    story.delivers_text(Folder::Failed, text);
}
