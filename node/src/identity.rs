//! The process's name, its parent, and who may look into it.

use std::ffi::CString;

use nix::sys::prctl;
use nix::unistd::{Pid, getppid};
use protocol::id::NodeId;
use protocol::status::RoleName;

/// Names the process after its role, `coordinator-5` or `worker-3`, for `pkill` and `ps`. To be
/// called by its first thread: the name is that thread's.
pub(crate) fn name_process(id: NodeId, role: RoleName) {
    let name = match role {
        RoleName::Coordinator => format!("coordinator-{id}"),
        RoleName::Worker | RoleName::Candidate | RoleName::Recovering => format!("worker-{id}"),
    };
    // Not by /proc/self/comm, which is root's in a process that is not dumpable. The name is a
    // convenience: a node does without it.
    if let Ok(name) = CString::new(name) {
        let _ = prctl::set_name(&name);
    }
}

/// Lets nobody but root trace this process, read its memory, or take its descriptors, though it
/// runs as their user; nor does it leave a core dump.
pub(crate) fn forbid_dumps() {
    // Refused by no kernel that can execute this.
    let _ = prctl::set_dumpable(false);
}

/// Whether the supervisor that started this node is still its parent.
pub(crate) fn has_parent(supervisor: i32) -> bool {
    getppid() == Pid::from_raw(supervisor)
}
