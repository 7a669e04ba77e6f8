//! What nodes say to each other.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::id::Epoch;
use super::operation::OperationId;

/// A message from one node to another.
///
/// Links deliver in order, or end. The variants that carry `epoch` and claim authority are gated:
/// see [`Message::authority`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Bully: a candidate asks a higher ID whether it is there.
    Election {
        /// The highest epoch that the sender has seen.
        highest: Epoch,
        /// The sender's file system does not answer: it gives way to any peer whose does.
        hangs: bool,
    },
    /// Bully: a higher ID is there and holds its own election; the candidate waits.
    Answer {
        /// The highest epoch that the sender has seen.
        highest: Epoch,
        /// The sender's file system does not answer: nobody whose does need wait for it.
        hangs: bool,
    },
    /// A follower that hears its coordinator tells a candidate about it.
    Following {
        /// The epoch of the coordinator that is heard.
        epoch: Epoch,
    },
    /// A winner, or an acting coordinator that admits a peer, asks what the peer holds. To answer
    /// is a promise to accept nothing below `epoch` from then on.
    Collect {
        /// The sender's epoch.
        epoch: Epoch,
    },
    /// The answer to [`Message::Collect`].
    Promise {
        /// The epoch that was promised to.
        epoch: Epoch,
        /// What the peer holds, keeps, has queued or computes.
        inventory: Inventory,
    },
    /// The coordinator asks for values that it lacks; answered by [`Message::Products`].
    Pull {
        /// The sender's epoch.
        epoch: Epoch,
        /// The operations whose products are wanted.
        operations: Vec<OperationId>,
    },
    /// Bully: the sender is coordinator. It follows all that the peer lacks, so a peer that gets
    /// it has caught up with the checkpoint.
    Victory {
        /// The sender's epoch.
        epoch: Epoch,
    },
    /// What you claimed is over: there is a higher epoch.
    Stale {
        /// The highest epoch that the sender has seen or promised.
        highest: Epoch,
    },
    /// The coordinator is there.
    Heartbeat {
        /// The coordinator's epoch.
        epoch: Epoch,
    },
    /// The peer is there; the other direction of [`Message::Heartbeat`].
    Pulse {
        /// The epoch that the peer follows.
        epoch: Epoch,
        /// The peer's file system does not answer.
        hangs: bool,
    },
    /// Work for a worker. Operands are not sent: each is a number of the plan or a product that
    /// the checkpoint stream has carried to the worker before.
    Assign {
        /// The coordinator's epoch.
        epoch: Epoch,
        /// Operations in the order in which they should be computed.
        operations: Vec<OperationId>,
    },
    /// A worker lacks operands of operations that it was assigned.
    Missing {
        /// The epoch that the worker follows.
        epoch: Epoch,
        /// The operations that it cannot compute.
        operations: Vec<OperationId>,
    },
    /// Finished operations: from a worker, or in answer to [`Message::Pull`].
    Products {
        /// The products.
        products: Vec<Product>,
    },
    /// The checkpoint stream: what changed since the last one, to every admitted peer.
    Checkpoint {
        /// The coordinator's epoch.
        epoch: Epoch,
        /// The changes.
        update: Update,
    },
}

/// A finished operation and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Product {
    /// Which operation.
    pub operation: OperationId,
    /// Its value: opaque to everything but the workers' arithmetic.
    pub value: Bytes,
}

/// One step of the checkpoint stream. A peer applies `forgotten`, then `attempts`, then `products`,
/// then `kept`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Update {
    /// Factorials that no open job needs; all of their products are dropped.
    pub forgotten: Vec<u32>,
    /// How many workers died computing an operation, where that is not 0.
    pub attempts: Vec<(OperationId, u32)>,
    /// Operations that are finished.
    pub products: Vec<Product>,
    /// Operations that are finished, whose products came from the receiver, which has kept them. If
    /// it has not, it asks with [`Message::Missing`].
    pub kept: Vec<OperationId>,
}

impl Update {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.forgotten.is_empty()
            && self.attempts.is_empty()
            && self.products.is_empty()
            && self.kept.is_empty()
    }

    /// The operations that it tells are finished.
    pub fn finished(&self) -> impl Iterator<Item = OperationId> + '_ {
        let products = self.products.iter().map(|product| product.operation);
        products.chain(self.kept.iter().copied())
    }
}

/// What a node has, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inventory {
    /// Products in its copy of the checkpoint.
    pub held: Vec<OperationId>,
    /// Products that it computed and that the checkpoint stream has not shown yet.
    pub kept: Vec<OperationId>,
    /// Operations that it computes or has queued, in order.
    pub queued: Vec<OperationId>,
    /// How many workers died computing an operation.
    pub attempts: Vec<(OperationId, u32)>,
}

impl Message {
    /// The epoch in whose name the message wants something done, if it does.
    ///
    /// A receiver that has seen or promised a higher one refuses it with [`Message::Stale`]
    /// before any other code sees it. Election, Answer and the rest are not gated: a restarted
    /// node learns the highest epoch from them.
    pub fn authority(&self) -> Option<Epoch> {
        match *self {
            Message::Collect { epoch }
            | Message::Pull { epoch, .. }
            | Message::Victory { epoch }
            | Message::Heartbeat { epoch }
            | Message::Assign { epoch, .. }
            | Message::Checkpoint { epoch, .. } => Some(epoch),
            Message::Election { .. }
            | Message::Answer { .. }
            | Message::Following { .. }
            | Message::Promise { .. }
            | Message::Stale { .. }
            | Message::Pulse { .. }
            | Message::Missing { .. }
            | Message::Products { .. } => None,
        }
    }

    /// The message's name in logs and events.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Election { .. } => "election",
            Message::Answer { .. } => "answer",
            Message::Following { .. } => "following",
            Message::Collect { .. } => "collect",
            Message::Promise { .. } => "promise",
            Message::Pull { .. } => "pull",
            Message::Victory { .. } => "victory",
            Message::Stale { .. } => "stale",
            Message::Heartbeat { .. } => "heartbeat",
            Message::Pulse { .. } => "pulse",
            Message::Assign { .. } => "assign",
            Message::Missing { .. } => "missing",
            Message::Products { .. } => "products",
            Message::Checkpoint { .. } => "checkpoint",
        }
    }
}
