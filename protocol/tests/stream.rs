//! The checkpoint stream carries what is large to all but the worker it came from, which takes over
//! what it kept.

use crate::cluster::config;
use crate::solo::{Actions, FIRST, Solo, epoch, product};
use protocol::config::Config;
use protocol::event::Event;
use protocol::message::{Inventory, Message, Update};
use protocol::plan::{OperationId, Plan};

/// Every product counts as large.
fn no_echo(nodes: u8) -> Config {
    Config {
        no_echo_bytes: 0,
        ..config(nodes)
    }
}

fn products(operations: &[OperationId]) -> Message {
    Message::Products {
        products: operations.iter().copied().map(product).collect(),
    }
}

/// A coordinator, node 2 of three, that has assigned the leaves of 8!.
fn coordinator(config: Config) -> (Solo, Plan) {
    let mut node = Solo::coordinating(2, config);
    node.find_job("8!");
    (node, Plan::new(8))
}

/// The operations that a worker was told it has kept, and those whose products it was sent.
fn told(actions: &Actions, worker: u8) -> (Vec<OperationId>, Vec<OperationId>) {
    let (mut kept, mut sent) = (Vec::new(), Vec::new());
    for message in actions.to(worker) {
        if let Message::Checkpoint { update, .. } = message {
            kept.extend(&update.kept);
            sent.extend(update.products.iter().map(|product| product.operation));
        }
    }
    (kept, sent)
}

fn keeps(epoch: protocol::id::Epoch, operation: OperationId) -> Message {
    let update = Update {
        kept: vec![operation],
        ..Update::default()
    };
    Message::Checkpoint { epoch, update }
}

fn inventory(node: &mut Solo) -> Inventory {
    let collect = Message::Collect { epoch: epoch(2, 1) };
    let inventory = node.receive(1, collect).promise(1);
    inventory.expect("a promise")
}

#[test]
fn a_large_product_is_not_sent_back_to_where_it_came_from() {
    let (mut node, plan) = coordinator(no_echo(3));
    let leaf = plan.leaf(0);
    let actions = node.receive(0, products(&[leaf]));
    assert_eq!(told(&actions, 0), (vec![leaf], vec![]));
    assert_eq!(told(&actions, 1), (vec![], vec![leaf]));
}

#[test]
fn a_small_product_goes_to_all_alike() {
    let (mut node, plan) = coordinator(config(3));
    let leaf = plan.leaf(0);
    let actions = node.receive(0, products(&[leaf]));
    assert_eq!(told(&actions, 0), (vec![], vec![leaf]));
    assert_eq!(told(&actions, 1), (vec![], vec![leaf]));
}

#[test]
fn both_know_of_it_before_what_needs_it_is_assigned() {
    let (mut node, plan) = coordinator(no_echo(3));
    node.receive(0, products(&[plan.leaf(0)]));
    let actions = node.receive(1, products(&[plan.leaf(1)]));
    let worker = if actions.assigned(0).is_empty() { 1 } else { 0 };
    let messages: Vec<&str> = actions.to(worker).iter().map(|m| m.name()).collect();
    assert_eq!(messages, ["checkpoint", "assign"]);
    assert_eq!(actions.assigned(worker), [plan.last()]);
}

#[test]
fn a_worker_takes_over_what_it_kept() {
    let (epoch, leaf) = (epoch(1, 2), Plan::new(8).leaf(0));
    let mut node = Solo::following(0, config(3), epoch);
    let operations = vec![leaf];
    node.receive(2, Message::Assign { epoch, operations });
    let products = vec![product(leaf)];
    assert!(node.step(Event::Computed { products }).sent(2, "products"));
    let actions = node.receive(2, keeps(epoch, leaf));
    assert!(!actions.sent(2, "missing"));
    let inventory = inventory(&mut node);
    assert_eq!((inventory.held, inventory.kept), (vec![leaf], vec![]));
}

#[test]
fn a_worker_that_has_not_kept_it_asks_and_is_sent_it() {
    let mut worker = Solo::following(0, config(3), epoch(1, 2));
    let leaf = Plan::new(8).leaf(0);
    let actions = worker.receive(2, keeps(epoch(1, 2), leaf));
    let missing = |epoch| Message::Missing {
        epoch,
        operations: vec![leaf],
    };
    assert_eq!(actions.to(2), [&missing(epoch(1, 2))]);

    let (mut node, _) = coordinator(no_echo(3));
    node.receive(0, products(&[leaf]));
    let acting = node.node.highest();
    let actions = node.receive(0, missing(acting));
    assert_eq!(told(&actions, 0), (vec![], vec![leaf]));
}

#[test]
fn after_its_link_was_cut_it_is_sent_what_it_computed_itself() {
    let (mut node, plan) = coordinator(no_echo(3));
    node.receive(0, products(&[plan.leaf(0)]));
    // What it was told on the old link is lost, and a new life has kept nothing.
    node.link_up(0, FIRST);
    let promise = Message::Promise {
        epoch: node.node.highest(),
        inventory: Inventory::default(),
    };
    let actions = node.receive(0, promise);
    assert_eq!(told(&actions, 0), (vec![], vec![plan.leaf(0)]));
}
