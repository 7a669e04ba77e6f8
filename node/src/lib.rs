//! The process of a node: drives [`protocol`] with tokio, threads and files.
//!
//! One thread runs the protocol and the links; arithmetic, file calls and standard output have
//! threads of their own, so that none of them delays a heartbeat or an election.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::time::Instant;

use ipc::control::{ControlLink, NodeEnd, ToSupervisor};
use ipc::unix::{MeshConfig, MeshError, UnixMesh};
use protocol::id::{Incarnation, NodeId, Term};
use protocol::node::Node;
use tokio::io::unix::AsyncFd;

use crate::args::NodeArgs;
use crate::arithmetic::Arithmetic;
use crate::driver::{Driver, Report, TIMERS_WAIT};
use crate::event_log::{EventLog, Header};
use crate::faults::Faults;
use crate::files::Files;
use crate::inject::Passing;
use crate::output::Output;

mod abort;
mod acl;
pub mod args;
mod arithmetic;
mod driver;
pub mod event_log;
pub mod faults;
mod files;
mod identity;
pub mod inherited;
mod inject;
pub mod jobs_folder;
mod keeper;
mod output;
pub mod rename;
pub mod user_namespace;

/// Why a node could not start, or could not continue.
#[derive(Debug, thiserror::Error)]
enum NodeError {
    #[error(
        "the control link, descriptor {fd}, was not passed to this process: nodes are started by `bullpen up`, not by hand"
    )]
    NotInherited { fd: RawFd },
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error("cannot open the event log: {0}")]
    EventLog(io::Error),
    #[error("the supervisor reports the reason")]
    Reported,
    #[error("the node cannot continue: {0}")]
    System(#[from] io::Error),
}

/// Runs a node until its supervisor is gone or SIGTERM arrives. Must be called by the first thread of the
/// process, before it opens anything.
pub fn run(args: NodeArgs) -> ExitCode {
    inherited::die_of_signals();
    if args.not_dumpable {
        identity::forbid_dumps();
    }
    // A thread that panics would leave a node that looks alive but does nothing.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let id = NodeId(args.id);
    if !identity::has_parent(args.supervisor) {
        return ExitCode::from(3);
    }
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(NodeError::Reported) => ExitCode::from(3),
        Err(error) => {
            tracing::error!("node {id}: {error}");
            ExitCode::from(3)
        }
    }
}

fn start(args: NodeArgs) -> Result<(), NodeError> {
    let fd = args.control_fd;
    let control = inherited::take(fd).ok_or(NodeError::NotInherited { fd })?;
    let id = NodeId(args.id);
    // Before this process is renamed, or the keeper would briefly have its name too.
    if let Err(error) = keeper::start(id) {
        tracing::debug!("this node has no keeper: {error}");
    }
    identity::name_process(id, protocol::status::RoleName::Recovering);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let incarnation = Incarnation(args.incarnation);
        let term = Term(args.term);
        let control = open_control(control)?;
        abort::report(control.get_ref())?;
        let made = make_mesh_and_log(&args);
        let said = match &made {
            Ok(_) => ToSupervisor::Bound,
            Err(error) => ToSupervisor::Trouble(error.to_string()),
        };
        control.get_ref().send(&said).map_err(io::Error::other)?;
        let Ok((mut mesh, log)) = made else {
            return Err(NodeError::Reported);
        };
        mesh.dial_all();
        let durable = args.config.durable;
        let driver = Driver {
            timers_wait: TIMERS_WAIT.min(args.config.heartbeat / 2),
            node: Node::new(args.config, id, incarnation, term).after_crashes(args.crashes),
            mesh,
            control,
            arithmetic: Arithmetic::new(),
            files: Files::start(args.jobs, durable)?,
            output: Output::start()?,
            log,
            header: Header {
                node: id,
                incarnation,
                pid: std::process::id().cast_signed(),
                term,
                role: None,
            },
            shown: None,
            origin: Instant::now(),
            report: Report::default(),
            faults: Faults::new(args.faults.unwrap_or_default(), id, incarnation),
            passing: Passing::default(),
        };
        driver.run().await?;
        Ok(())
    })
}

/// Opens what needs the run directory, which may be gone or inaccessible.
fn make_mesh_and_log(args: &NodeArgs) -> Result<(UnixMesh, EventLog), NodeError> {
    let mesh = UnixMesh::bind(MeshConfig {
        run_dir: args.run_dir.clone(),
        nodes: args.config.nodes,
        id: NodeId(args.id),
        incarnation: Incarnation(args.incarnation),
    })?;
    let log = EventLog::open(&args.run_dir).map_err(NodeError::EventLog)?;
    Ok((mesh, log))
}

fn open_control(control: OwnedFd) -> Result<AsyncFd<NodeEnd>, NodeError> {
    let fd = control.as_raw_fd();
    let link = ControlLink::from_fd(control).map_err(|_| NodeError::NotInherited { fd })?;
    // SAFETY: the link owns its descriptor and returns the same one at every call, as long as it
    // lives; nothing takes it out of the AsyncFd.
    unsafe { AsyncFd::register(link) }.map_err(|refused| NodeError::System(refused.into()))
}
