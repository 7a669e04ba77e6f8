//! What fails at every try for a while: told when it begins and when it is over, and not in between.

use std::fmt;

use crate::core::Core;
use crate::words::file::{FileReply, Folder};

/// A kind of call that may fail for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Trouble {
    /// A folder cannot be listed.
    List(Folder),
    /// The folders cannot be synced. On some mounts no folder can, ever.
    Sync,
}

impl Core {
    /// A call of this kind ended: tells if it is the first that fails, or the first that works again.
    pub(crate) fn note(&mut self, trouble: Trouble, reply: &FileReply) {
        match reply {
            FileReply::Failed(error) | FileReply::Full(error) => {
                if self.troubles.insert(trouble) {
                    self.warn(format!("cannot {trouble}: {error}"));
                }
            }
            // It was not made.
            FileReply::Unusable | FileReply::Fenced => {}
            _ => {
                if self.troubles.remove(&trouble) {
                    self.warn(match trouble {
                        Trouble::List(folder) => format!("{folder} can be listed again"),
                        Trouble::Sync => {
                            "the folders of the jobs directory can be synced again".to_owned()
                        }
                    });
                }
            }
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
