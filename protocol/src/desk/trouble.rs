//! What fails at every try for a while: told when it begins and when it is over, and not in between.

use std::collections::BTreeSet;
use std::fmt;

use crate::words::file::{FileReply, Folder};

/// A kind of call that may fail for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Trouble {
    /// A folder cannot be listed.
    List(Folder),
    /// The folders cannot be synced. On some mounts no folder can, ever.
    Sync,
}

/// What fails, and was told. A node remembers it in all of its coordinatorships.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Troubles(BTreeSet<Trouble>);

impl Troubles {
    /// A call of this kind ended: what to tell if it is the first that fails, or the first that works again.
    pub(super) fn note(&mut self, trouble: Trouble, reply: &FileReply) -> Option<String> {
        match reply {
            FileReply::Failed(error) | FileReply::Full(error) => {
                let is_new = self.0.insert(trouble);
                is_new.then(|| format!("cannot {trouble}: {error}"))
            }
            // It was not made.
            FileReply::Unusable | FileReply::Fenced => None,
            _ => self.0.remove(&trouble).then(|| match trouble {
                Trouble::List(folder) => format!("{folder} can be listed again"),
                Trouble::Sync => "the folders of the jobs directory can be synced again".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::List(folder) => write!(f, "list {folder}, trying again"),
            Trouble::Sync => f.write_str(
                "sync the folders of the jobs directory, so a stop of the machine may undo what was published last",
            ),
        }
    }
}
