//! What does one worker thread do?
//!
//! It serves its connections on one runtime until no more can come and all
//! have ended. Every connection is a task of its own: what goes wrong in one
//! (a panic included) ends there.

use std::{cell::Cell, rc::Rc, sync::Arc};

use tokio::{
    runtime::Runtime,
    sync::{Notify, mpsc, watch},
    task::{JoinError, LocalSet},
    time::MissedTickBehavior,
};

use super::{
    Service,
    accept::Arrival,
    connection::Protocols,
    proxies::Proxies,
    pulse::{Deadlines, Fate, Reaper},
    server::Stage,
};
use crate::telemetry::metrics::HttpCounters;

/// What a worker is made of, beside its service.
pub(super) struct Parts<A> {
    pub(super) connections: mpsc::Receiver<A>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) deadlines: Deadlines,
    pub(super) proxies: Option<Arc<Proxies>>,
    pub(super) counters: Arc<HttpCounters>,
}

/// What the connections of a worker share.
pub(super) struct Shared<S> {
    pub(super) service: Rc<S>,
    pub(super) counters: Arc<HttpCounters>,
    pub(super) protocols: Protocols,
    pub(super) proxies: Option<Arc<Proxies>>,
    reaper: Reaper,
    open: Cell<usize>,
    /// Told whenever a connection ends.
    ended: Notify,
}

/// Serves until the end. Whatever still runs then is dropped with the set.
pub(super) fn run<S: Service, A: Arrival>(runtime: &Runtime, parts: Parts<A>, service: S) {
    let local = LocalSet::new();
    // Whatever wakes the thread polls the future that is waited for. So that is
    // only the end of the work, and what the work waits for is asked when it
    // has come.
    let ended = local.block_on(runtime, async {
        tokio::task::spawn_local(work(parts, service)).await
    });
    if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

/// The same within a runtime's set of local tasks.
pub(super) async fn work<S: Service, A: Arrival>(parts: Parts<A>, service: S) {
    let Parts {
        mut connections,
        mut stage,
        deadlines,
        proxies,
        counters,
    } = parts;
    let shared = Rc::new(Shared {
        service: Rc::new(service),
        reaper: Reaper::new(&deadlines),
        counters,
        protocols: Protocols::new(),
        proxies,
        open: Cell::new(0),
        ended: Notify::new(),
    });
    let mut ticks = tokio::time::interval(deadlines.tick);
    // After a pause of the whole process nobody is charged for it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut more = true;
    let mut told = Stage::Serving;
    loop {
        let finished = !more && shared.open.get() == 0;
        if told == Stage::Closed || (told == Stage::Draining && finished) {
            return;
        }
        tokio::select! {
            // The end and the clock before whoever comes: a flood of new
            // connections keeps neither waiting.
            biased;
            changed = stage.changed() => {
                told = match changed {
                    Ok(()) => *stage.borrow_and_update(),
                    // The server was dropped without draining.
                    Err(_) => Stage::Closed,
                };
            }
            _ = ticks.tick() => shared.reaper.tick(&shared.counters),
            () = shared.ended.notified(), if told == Stage::Draining => {}
            arrival = connections.recv(), if more => match arrival {
                Some(arrival) => begin(&shared, arrival),
                None => more = false,
            },
        }
        if told == Stage::Draining {
            // Also for connections that were on their way from the acceptor.
            shared.reaper.condemn(Fate::Drain);
        }
    }
}

/// Starts the task of one connection.
fn begin<S: Service, A: Arrival>(shared: &Rc<Shared<S>>, arrival: A) {
    if !shared.service.takes_connections() {
        shared.counters.turned_away.add(1);
        shared.counters.closed.add(1);
        return;
    }
    shared.open.set(shared.open.get() + 1);
    let pulse = shared.reaper.watch();
    // Nobody waits for the task: it ends by itself, and the reaper knows it.
    drop(tokio::task::spawn_local(
        arrival.serve(Rc::clone(shared), pulse),
    ));
}

/// Counts the connection's end however it ends.
pub(super) struct Ending<S>(pub(super) Rc<Shared<S>>);

impl<S> Drop for Ending<S> {
    fn drop(&mut self) {
        self.0.counters.closed.add(1);
        self.0.open.set(self.0.open.get() - 1);
        self.0.ended.notify_one();
    }
}
