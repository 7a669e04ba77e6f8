//! The process's name, its parent, and who may inspect it.

use std::ffi::CString;

use nix::sys::prctl;
use nix::unistd::{Pid, getppid};
use protocol::id::NodeId;
use protocol::status::RoleName;

/// Names the process after its role, `coordinator-5` or `worker-3`, for `pkill` and `ps`. Must be called by
/// its first thread, whose name it is.
pub(crate) fn name_process(id: NodeId, role: RoleName) {
    let name = match role {
        RoleName::Coordinator => format!("coordinator-{id}"),
        RoleName::Worker | RoleName::Candidate | RoleName::Recovering => format!("worker-{id}"),
    };
    // Not by /proc/self/comm, which belongs to root in a process that is not dumpable. The name is only a
    // convenience.
    if let Ok(name) = CString::new(name) {
        let _ = prctl::set_name(&name);
    }
}

/// Lets only root trace this process, read its memory, or take its descriptors, and not others of its own user; it
/// leaves no core dump either.
pub(crate) fn forbid_dumps() {
    // No kernel that can execute this refuses it.
    let _ = prctl::set_dumpable(false);
}

/// Whether the supervisor that started this node is still its parent.
pub(crate) fn has_parent(supervisor: i32) -> bool {
    getppid() == Pid::from_raw(supervisor)
}
