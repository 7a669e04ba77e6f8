//! The desk by itself: nobody computes, and the files are what these tests say.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::context::Order;
use super::trouble::Troubles;
use super::*;
use crate::plan::{Plan, Shape};
use crate::words::config::Config;
use crate::words::deaths::Deaths;
use crate::words::file::{FilePath, Probe};
use crate::words::id::Epoch;
use crate::words::time::Time;
use crate::words::timer::Timers;

/// A desk, and what surrounds it.
struct Office {
    desk: Desk,
    config: Config,
    checkpoint: Checkpoint,
    timers: Timers,
    deaths: Deaths,
    troubles: Troubles,
}

impl Office {
    /// Of a new coordinatorship, once nothing was found of earlier ones.
    fn open() -> Office {
        let mut office = Office {
            desk: Desk::default(),
            config: Config::default(),
            checkpoint: Checkpoint::new(Shape::SINGLE),
            timers: Timers::default(),
            deaths: Deaths::default(),
            troubles: Troubles::default(),
        };
        office.turn(Desk::open);
        for folder in [Folder::Running, Folder::Done, Folder::Failed] {
            office.reply(FileTag::Folder(folder), FileReply::Listed(Vec::new()));
        }
        office
    }

    fn turn(&mut self, act: impl FnOnce(&mut Desk, &mut Context<'_>)) -> Vec<Order> {
        let mut context = Context {
            config: &self.config,
            accept: &[],
            epoch: Epoch::NONE,
            now: Time(1),
            checkpoint: &self.checkpoint,
            assigned: &BTreeMap::new(),
            timers: &mut self.timers,
            deaths: &mut self.deaths,
            troubles: &mut self.troubles,
            orders: Vec::new(),
        };
        act(&mut self.desk, &mut context);
        context.orders
    }

    fn reply(&mut self, tag: FileTag, reply: FileReply) -> Vec<Order> {
        self.turn(|desk, context| desk.file_done(context, tag, reply))
    }

    /// Replies to the only call among these orders.
    fn answer(&mut self, orders: &[Order], reply: FileReply) -> Vec<Order> {
        let mut calls = orders.iter().filter_map(|order| match order {
            Order::Call(tag, _) if *tag != FileTag::Sweep => Some(tag.clone()),
            _ => None,
        });
        let tag = calls.next().unwrap();
        assert_eq!(calls.next(), None, "{orders:?}");
        self.reply(tag, reply)
    }

    /// Drops a job into the inbox, of this text; returns what is asked for once it was read.
    fn take_in(&mut self, name: &str, text: &'static str) -> Vec<Order> {
        let names = vec![format!("{name}.job").into_bytes()];
        let listed = FileReply::Listed(names);
        let mut orders = self.reply(FileTag::Folder(Folder::Inbox), listed);
        for reply in [
            FileReply::Probed(Probe::Complete),
            FileReply::Existing(Vec::new()),
            FileReply::Ok,
            FileReply::Content(Bytes::from_static(text.as_bytes())),
        ] {
            orders = self.answer(&orders, reply);
        }
        orders
    }

    /// Somebody has computed n!.
    fn compute(&mut self, n: u32, value: u64) -> Vec<Order> {
        let last = Plan::new(n).last();
        let value = Bytes::copy_from_slice(&value.to_le_bytes());
        self.checkpoint.insert(last, value);
        self.turn(|desk, context| desk.factorial_done(context, n))
    }
}

#[test]
fn a_file_is_claimed_computed_and_published_by_what_the_desk_asks_for() {
    let mut office = Office::open();
    let read = office.take_in("four", "4!\n");
    assert!(read.contains(&Order::Open(4)));
    let written = office.compute(4, 24);
    let committed = office.answer(&written, FileReply::Ok);
    let verified = office.answer(&committed, FileReply::Ok);
    let text = FileReply::Content(Bytes::from_static(b"4!\n"));
    let named = office.answer(&verified, text);
    assert!(named.contains(&Order::Log(vec![Bytes::from_static(b"4!=24\n")])));
    let to = FilePath::new(Folder::Done, "four.txt");
    let is_naming = |order: &Order| matches!(order, Order::Call(_, FileCall::Rename { to: name, .. }) if *name == to);
    assert!(named.iter().any(is_naming));
    let delivered = office.answer(&named, FileReply::Ok);
    assert!(delivered.contains(&Order::Forget(4)));
    let synced = office.answer(&delivered, FileReply::Ok);
    assert_eq!((synced, office.desk.len()), (Vec::new(), 0));
}

#[test]
fn a_factorial_is_kept_until_the_last_job_that_needs_it_is_over() {
    let mut office = Office::open();
    office.take_in("a", "4!\n");
    let second = office.take_in("b", "4!\n5!\n");
    assert!(second.contains(&Order::Open(4)) && second.contains(&Order::Open(5)));
    let deadly = Plan::new(5).last();
    let failed = office.turn(|desk, context| desk.operation_is_deadly(context, deadly, 10));
    assert!(failed.contains(&Order::Stop(5)));
    let over = office.answer(&failed, FileReply::Ok);
    let named = office.answer(&over, FileReply::Ok);
    let orders = office.answer(&named, FileReply::Ok);
    assert!(orders.contains(&Order::Forget(5)), "{orders:?}");
    assert!(!orders.contains(&Order::Forget(4)), "the other needs it");
}

#[test]
fn a_job_that_nodes_died_of_stops_what_it_alone_needs() {
    let mut office = Office::open();
    office.take_in("a", "4!\n");
    office.take_in("b", "4!\n5!\n");
    let key = *office.desk.jobs.open.keys().next_back().unwrap();
    let job = office.desk.jobs.open.get_mut(&key).unwrap();
    job.charge.count = u64::from(office.config.attempts);
    let failed = office.turn(|desk, context| assert!(desk.fail_if_fatal(context, key)));
    assert!(failed.contains(&Order::Stop(5)), "{failed:?}");
    assert!(!failed.contains(&Order::Stop(4)), "the other needs it");
}

#[test]
fn a_folder_that_cannot_be_listed_is_listed_again() {
    let mut office = Office::open();
    let folder = FileTag::Folder(Folder::Done);
    let failed = FileReply::Failed("it is not there".to_owned());
    office.reply(folder.clone(), failed);
    assert!(office.timers.due(Timer::RetryFiles).is_some());
    let again = office.turn(|desk, context| desk.timeout(context, Timer::RetryFiles));
    assert_eq!(again, [Order::Call(folder, FileCall::List(Folder::Done))]);
}
