//! Names of files that are nobody's job: what editors, downloads, sync clients and desktops put beside
//! the files of people.
//!
//! The models are the ignore lists of the Nextcloud and ownCloud clients (`sync-exclude.lst`), of
//! Syncthing (its default patterns and temporary names), of Watchexec (its defaults), and the
//! `Global` templates of github/gitignore.
//!
//! Left out on purpose are the copies that a sync client makes of a conflict (`ten (conflicted copy
//! 2026-01-02).job`, `ten.sync-conflict-….job`, `ten_conflict-….job`): each is whole, and it may be all
//! that is left of a job that somebody dropped elsewhere. To compute a job twice harms nobody. So it is
//! with copies by hand (`Copy of ten.job`, `ten (1).job`).

use std::sync::LazyLock;

/// Patterns in any case of letters: at most one `*` for any bytes, `?` for any one.
const PATTERNS: &[&str] = &[
    // Hidden files. This is also where most programs write before they rename: rsync, Syncthing, Unison,
    // FTP servers, GNOME; and where AppleDouble (`._ten.job`), `.nfs…`, `.~lock.…#` and `.#…` stand.
    ".*",
    // Editors: backups, swap files of Vim and Kate, autosaves of Emacs and nano, the safe writes of
    // JetBrains and macOS. Vim makes a file 4913 to see whether it may write in a folder.
    "*~",
    "#*#",
    "*.sw?",
    "*.kate-swp",
    "*___jb_tmp___",
    "*___jb_old___",
    "*.sb-????????-??????",
    "*.bak",
    "*.old",
    "*.orig",
    "*.rej",
    "*.save",
    "*.autosave",
    "4913",
    "deadjoe",
    "dead.letter",
    // Anything in the making.
    "*.tmp",
    "*.temp",
    "*.lock",
    "*.lck",
    // Downloads and uploads: Firefox, Chrome, Safari, Edge, Opera, WinSCP, aria2, lftp, yt-dlp, rclone,
    // BitTorrent and Chinese download managers.
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.download",
    "*.opdownload",
    "*.fdmdownload",
    "*.filepart",
    "*.aria2",
    "*.lftp-pget-status",
    "*.ytdl",
    "*.incomplete",
    "*.!ut",
    "*.!qb",
    "*.!sync",
    "*.bc!",
    "*.td",
    "*.xltd",
    // Sync clients: Syncthing, Unison, ownCloud, Resilio, Google Drive, Synology.
    "~syncthing~*",
    "*.unison",
    "*.ctmp",
    "csync_journal.db",
    "*.bts",
    "*.syncpart",
    "*.synctemp",
    "*.syncold",
    "*.drivedownload",
    "*.driveupload",
    "@eadir",
    "*@synoeastream",
    "*@synoresource",
    // Desktops and other systems; streams of NTFS that WSL and Samba show as files.
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "*.lnk",
    "$recycle.bin",
    "recycler",
    "#recycle",
    "system volume information",
    "pagefile.sys",
    "hiberfil.sys",
    "swapfile.sys",
    "lost+found",
    "lost.dir",
    "icon\r*",
    "__macosx",
    "network trash folder",
    "temporary items",
    "*:zone.identifier",
    "*:encryptable",
    "*:com.dropbox.attrs",
    "*:afp_afpinfo",
    "*:afp_resource",
    // Locks of an open document.
    "~$*",
];

/// The patterns that a name may match, by its last byte: an inbox of many names is listed often.
static BY_LAST_BYTE: LazyLock<Vec<Vec<&str>>> = LazyLock::new(|| {
    let may_end = |pattern: &str, last: u8| {
        let end = pattern.as_bytes().last();
        end.is_some_and(|end| matches!(end, b'*' | b'?') || end.eq_ignore_ascii_case(&last))
    };
    let of = |last| {
        PATTERNS
            .iter()
            .copied()
            .filter(move |&pattern| may_end(pattern, last))
    };
    (0..=u8::MAX).map(|last| of(last).collect()).collect()
});

/// Whether the inbox leaves a file of this name alone, in silence: hidden files, and what editors,
/// downloads, sync clients and desktops leave.
pub fn is_ignored(file_name: &[u8]) -> bool {
    let Some(&last) = file_name.last() else {
        return false;
    };
    let mut candidates = BY_LAST_BYTE[usize::from(last)].iter();
    candidates.any(|pattern| matches(pattern, file_name))
}

fn matches(pattern: &str, name: &[u8]) -> bool {
    let Some((start, end)) = pattern.split_once('*') else {
        return is_same(pattern, name);
    };
    name.len() >= start.len() + end.len()
        && is_same(start, &name[..start.len()])
        && is_same(end, &name[name.len() - end.len()..])
}

fn is_same(pattern: &str, name: &[u8]) -> bool {
    let is_letter = |(p, n): (u8, &u8)| p == b'?' || p.eq_ignore_ascii_case(n);
    pattern.len() == name.len() && pattern.bytes().zip(name).all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names as the programs make them, most of them for a `ten.job`.
    const NOT_FOR_US: &str = "\
        .keep|.ten.tmp|.ten.job.swp|.#ten.job|._ten.job|.~lock.ten.job#|.DS_Store|.goutputstream-X1Y2Z3|\
        .nfs000000000001|.ten.job.hT7aQx|.syncthing.ten.job.tmp|.unison.ten.job.0.unison.tmp|.directory|\
        .ten.job.kate-swp|.fuse_hidden0000001|.sync_1234.db-wal|.ten.job.icloud|.job|.|..|\
        ten.job~|ten.job.~1~|ten.job.un~|~|#ten.job#|##|ten.swp|ten.job.swo|ten.job.swx|ten.job.kate-swp|\
        ten.job___jb_tmp___|ten.job___jb_old___|ten.job.sb-1a2b3c4d-Xy12Ab|ten.job.bak|ten.job.orig|\
        ten.job.rej|ten.job.old|ten.job.save|ten.job.autosave|4913|DEADJOE|dead.letter|\
        ten.tmp|ten.job.temp|~WRL0001.tmp|ten.job.lock|ten.job.lck|\
        ten.part|ten.job.partial|ten.job.1a2b3c4d.partial|ten.job.crdownload|Unconfirmed 1.crdownload|\
        ten.job.download|ten.job.opdownload|ten.job.fdmdownload|ten.filepart|ten.job.aria2|\
        ten.job.lftp-pget-status|ten.job.ytdl|ten.job.part-Frag3.part|ten.job.incomplete|ten.job.!ut|\
        ten.job.!qB|ten.job.!sync|ten.job.bc!|ten.job.td|ten.job.xltd|\
        ~syncthing~ten.job.tmp|~syncthing~ten.job|ten.unison|ten.job.csync_timedif.ctmp|csync_journal.db|\
        ten.job.bts|ten.job.SyncPart|ten.job.SyncTemp|ten.job.SyncOld|ten.job.driveupload|\
        ten.job.drivedownload|@eaDir|ten.job@SynoEAStream|ten.job@SynoResource|\
        Thumbs.db|ehthumbs.db|ehthumbs_vista.db|desktop.ini|ten.job.lnk|$RECYCLE.BIN|RECYCLER|#recycle|\
        System Volume Information|pagefile.sys|hiberfil.sys|swapfile.sys|lost+found|LOST.DIR|Icon\r|\
        __MACOSX|Network Trash Folder|Temporary Items|ten.job:Zone.Identifier|Thumbs.db:encryptable|\
        ten.job:com.dropbox.attrs|ten.job:AFP_AfpInfo|ten.job:AFP_Resource|~$ten.job|~$x";

    /// Names that somebody may give to a job.
    const OF_PEOPLE: &str = "\
        ten.job|ten|ten.JOB|größe.job|10!.job|a.b.c.job|tmp.job|part.job|swp.job|ten.tmp.job|ten.bak.job|\
        backup.job|lock.job|desktop.ini.job|thumbs.job|4913.job|14913|49130|icon.job|Icon.job|#ten.job|\
        ten#.job|# ten #.job|~ten.job|$ten.job|@home.job|ten~.job|ten~1.job|temporary items.job|core.1.job|\
        lost+found.job|my download.job|ten.job.txt|ten.txt|tmp|part|swift|ten.swift|Untitled.job|\
        ten.sb-1.job|conflict.job|ten (conflicted copy 2026-01-02 101112).job|\
        ten (Anna's conflicted copy 2026-01-02).job|ten_conflict-20260102-101112.job|\
        ten.sync-conflict-20260102-101112-ABCDEFG.job|Copy of ten.job|ten - Copy.job|ten copy.job|\
        ten (1).job|ten(2).job|dead letter.job|~.job|syncthing.job|ten:1.job";

    #[test]
    fn what_programs_leave_is_ignored_in_any_case_of_letters() {
        for name in NOT_FOR_US.split('|') {
            for name in [
                name.to_owned(),
                name.to_uppercase(),
                name.to_ascii_lowercase(),
            ] {
                assert!(is_ignored(name.as_bytes()), "{name:?}");
            }
        }
        assert!(is_ignored(b"\xff\xfe.TMP") && is_ignored(b".\xff.job"));
    }

    #[test]
    fn a_name_that_may_be_a_persons_is_not_ignored() {
        for name in OF_PEOPLE.split('|') {
            for name in [name.to_owned(), name.to_uppercase()] {
                assert!(!is_ignored(name.as_bytes()), "{name:?}");
            }
        }
        assert!(!is_ignored(b"\xff.job") && !is_ignored(b""));
    }

    #[test]
    fn every_pattern_has_an_example() {
        for pattern in PATTERNS {
            let is_used = NOT_FOR_US
                .split('|')
                .any(|name| matches(pattern, name.as_bytes()));
            assert!(is_used, "{pattern:?}");
            assert!(pattern.matches('*').count() <= 1, "{pattern:?}");
        }
    }
}
