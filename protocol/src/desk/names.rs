//! The names of a job and of its files.

use crate::words::file::{FilePath, Folder};

/// `NAME.job` in a folder.
pub(super) fn job_file(folder: Folder, name: &str) -> FilePath {
    FilePath::new(folder, format!("{name}.job"))
}

/// `NAME.txt` in a folder.
pub(super) fn text_file(folder: Folder, name: &str) -> FilePath {
    FilePath::new(folder, format!("{name}.txt"))
}

/// The name of a job whose file is called so, if it is a job's file.
pub(super) fn job_name(file: &[u8]) -> Option<String> {
    let name = file.strip_suffix(b".job")?;
    if name.starts_with(b".") {
        return None;
    }
    std::str::from_utf8(name).ok().map(str::to_owned)
}

/// A job's name with its suffix: `ten`, `ten.2`, `ten.3`.
pub(super) fn suffixed(name: &str, suffix: u32) -> String {
    if suffix < 2 {
        name.to_owned()
    } else {
        format!("{name}.{suffix}")
    }
}
