//! The process's name, and its parent.

use std::fs;

use nix::unistd::{Pid, getppid};
use protocol::id::NodeId;
use protocol::status::RoleName;

/// Names the process after its role, `coordinator-5` or `worker-3`, for `pkill` and `ps`.
pub(crate) fn name_process(id: NodeId, role: RoleName) {
    let name = match role {
        RoleName::Coordinator => format!("coordinator-{id}"),
        RoleName::Worker | RoleName::Candidate | RoleName::Recovering => format!("worker-{id}"),
    };
    // The name is a convenience; a system without /proc does without it.
    let _ = fs::write("/proc/self/comm", name);
}

/// Whether the supervisor that started this node is still its parent.
pub(crate) fn has_parent(supervisor: i32) -> bool {
    getppid() == Pid::from_raw(supervisor)
}
