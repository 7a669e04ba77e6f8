//! The jobs directory as the protocol sees it: folders, names, single calls and their replies.

use std::fmt;

use bytes::Bytes;

use super::decimal::Decimal;

/// The content of a file that only reserves its name, where a rename that replaces nothing is refused.
pub const RESERVATION: &[u8] = b"bullpen: this name is reserved for a rename\n";

/// The folders of a jobs directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// The jobs directory itself, where files are dropped.
    Inbox,
    /// `running/`: claimed jobs, and texts that are being written.
    Running,
    /// `done/`: committed jobs and their results.
    Done,
    /// `failed/`: rejected jobs and the reasons.
    Failed,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Folder::Inbox => "the jobs directory",
            Folder::Running => "the folder running/",
            Folder::Done => "the folder done/",
            Folder::Failed => "the folder failed/",
        })
    }
}

/// A name inside one of the folders: the raw bytes of a file name, with no `/` in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath {
    /// Which folder.
    pub folder: Folder,
    /// The file name in it.
    pub name: Vec<u8>,
}

impl FilePath {
    /// The file `name` of `folder`.
    pub fn new(folder: Folder, name: impl Into<Vec<u8>>) -> FilePath {
        FilePath {
            folder,
            name: name.into(),
        }
    }
}

/// One file system call: the unit between two of which a node may die.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileCall {
    /// List the names in a folder; replied by [`FileReply::Listed`].
    List(Folder),
    /// Look whether anybody has the file open for writing; replied by [`FileReply::Probed`].
    Probe(FilePath),
    /// Tell which of these names exist; replied by [`FileReply::Existing`].
    Exist(Vec<FilePath>),
    /// Rename, clobbering nothing; replied by [`FileReply::Ok`], `Absent` or `Taken`.
    Rename {
        /// The present name.
        from: FilePath,
        /// The new name.
        to: FilePath,
    },
    /// Read a regular file, never through a link; replied by [`FileReply::Content`], or by
    /// [`FileReply::Kept`] while somebody keeps it from being opened.
    Read {
        /// The file.
        path: FilePath,
        /// Read no more than this many bytes.
        limit: usize,
        /// Only while nobody has it open for writing, looked at on the very file that is read;
        /// replied by [`FileReply::Unsettled`] where the system cannot tell, and by [`Probe::Busy`]
        /// while somebody has.
        whole: bool,
    },
    /// Look whether there is room for a text; replied by [`FileReply::Ok`] or `Full`.
    Room {
        /// Its size.
        bytes: u64,
    },
    /// Write a file with this content, give it its name once it is whole, and sync both; replied by
    /// [`FileReply::Ok`] or `Full`. What had the name is replaced; what cannot be written whole is
    /// removed.
    Write {
        /// The file, in [`Folder::Running`].
        path: FilePath,
        /// Its name in that folder until it is whole.
        part: Vec<u8>,
        /// The content, in parts, one after the other.
        content: Vec<Content>,
        /// Whoever may read this file, the job's, may read the new one, and nobody else.
        like: FilePath,
    },
    /// Remove a file; replied by [`FileReply::Ok`], also if there was none.
    Remove(FilePath),
    /// Sync folders, so that what was renamed in them survives a crash of the machine; replied by
    /// [`FileReply::Ok`].
    Sync(Vec<Folder>),
}

/// A part of the content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Text as it is.
    Text(Bytes),
    /// A number, printed when it is written.
    Number(Decimal),
}

impl Content {
    /// Bytes that it takes in the file.
    pub fn bytes(&self) -> u64 {
        match self {
            Content::Text(text) => text.len() as u64,
            Content::Number(number) => number.digits(),
        }
    }

    /// The bytes, piece by piece, none of them large.
    pub fn pieces(&self) -> impl Iterator<Item = Bytes> + '_ {
        let (text, number) = match self {
            Content::Text(text) => (Some(text.clone()), None),
            Content::Number(number) => (None, Some(number.pieces())),
        };
        text.into_iter().chain(number.into_iter().flatten())
    }

    /// The last bytes, `most` of them if there are so many.
    pub fn last(&self, most: usize) -> Vec<u8> {
        match self {
            Content::Text(text) => text[text.len().saturating_sub(most)..].to_vec(),
            Content::Number(number) => number.last(most),
        }
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Content {
        Content::Text(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Text(text.into())
    }
}

/// How a file call ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileReply {
    /// It was done.
    Ok,
    /// The source does not exist.
    Absent,
    /// The target exists.
    Taken,
    /// The names in a folder, sub-directories left out.
    Listed(Vec<Vec<u8>>),
    /// What a probe saw.
    Probed(Probe),
    /// The names that exist, of those that were asked for.
    Existing(Vec<FilePath>),
    /// The content; longer than asked for by at most one byte, which tells that there is more.
    Content(Bytes),
    /// The content of a file of which the system cannot tell whether it is complete.
    Unsettled {
        /// The content, as in [`FileReply::Content`].
        content: Bytes,
        /// As in [`Probe::Unknown`].
        stamp: u64,
    },
    /// Somebody keeps the file from being opened, by a lease.
    Kept,
    /// What is there is no regular file; the text names its kind, as in "a FIFO".
    NotAFile(&'static str),
    /// This user may not open the file, for the reason given in words.
    Denied(String),
    /// There is no room for it, as the text says; there may be later.
    Full(String),
    /// The call was not made: the folders are not the ones that can be trusted, and whoever runs the
    /// cluster was told. It may work later.
    Unusable,
    /// The call was not made: a higher epoch has been seen.
    Fenced,
    /// The call failed for any other reason, given in words: it may work later.
    Failed(String),
    /// The call can never succeed, for the reason given in words.
    Never(String),
}

/// Whether a dropped file is complete, as far as the system can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Nobody has it open for writing.
    Complete,
    /// Somebody has it open for writing.
    Busy,
    /// There is nothing in it: it may be somebody's placeholder.
    Empty,
    /// The system cannot tell; equal stamps over a quiet time must do.
    Unknown {
        /// Changes with the size, the modification time and the content of the file.
        stamp: u64,
    },
}

/// What a file call is for; comes back with its reply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileTag {
    /// Work on the folders as a whole.
    Folder(Folder),
    /// A file in the inbox, by its name.
    Dropped(Vec<u8>),
    /// A claimed job, by the coordinator's number for it.
    Job(u64),
    /// The mark of the deaths that a job caused, by the coordinator's number for it.
    Charge(u64),
    /// The sync of the folders that published jobs wait for.
    Sync,
    /// Cleaning up; nobody waits for the reply.
    Sweep,
}
