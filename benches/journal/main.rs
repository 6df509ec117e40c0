//! What does it cost to make a step durable?
//!
//! `cargo bench --bench journal`: so many tasks on one thread, each of which
//! takes one step after the other through progress and waits until it is
//! synced; against a floor in the same run, a bare file in which records of the
//! same length are appended and synced by group commit, with as many tasks that
//! wait for it. No sockets: what a step costs over HTTP, for which there are
//! goals, is a question of `serve`. Compared are processor time of the process
//! and steps per second, of the cheapest of several rounds; then what a record
//! takes, and how long a full segment takes to be read at the next start.

#![expect(clippy::print_stdout, reason = "a bench reports to who started it")]

mod floor;
#[path = "../shared/process.rs"]
mod process;
mod recovery;
#[path = "../shared/table.rs"]
mod table;
#[path = "../shared/world.rs"]
mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use floor::Floor;
use flowgate::{
    clock::Ambient,
    current::EnvironmentSlot,
    progress::{Action, Asker, Place, Progress, StepRequest},
    snapshot::{BlockKey, NameKey, Snapshot, Version},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
};
use world::Users;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TASKS: [usize; 3] = [1, 16, 256];
const ROUND: Duration = Duration::from_millis(1_500);
const ROUNDS: usize = 4;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let ambient = Ambient::system();
    let (progress, journal) = world::progress(&ambient, folder.path(), Users::UNKNOWN);
    // For the life of the process, as tasks want it.
    let steps: &'static Steps = Box::leak(Box::new(Steps {
        progress,
        snapshot: Arc::new(world::snapshot(17, Vec::new())),
        ambient: ambient.clone(),
    }));
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let users = TASKS[TASKS.len() - 1];
    in_tasks(&runtime, users, |user| steps.start(user));
    let before = journal.status().occupied_bytes;
    in_tasks(&runtime, users, |user| async move {
        steps.step(user, 0).await;
        steps.step(user, 1).await;
    });
    let record_bytes = (journal.status().occupied_bytes - before) as usize / (2 * users);
    let reader = journal.reader(journal.id());
    let mut reader = reader.expect("it is there");
    reader.seek_after(journal.synced() - 1);
    let last = reader.read(journal.synced(), 1, usize::MAX);
    let body = last.expect("it can be read").remove(0).body;
    let floor: &'static Floor = Box::leak(Box::new(Floor::start(folder.path(), record_bytes)));
    compare(&runtime, steps, floor);
    table::heading();
    table::line("a step's record", format!("{record_bytes} B"), "none");
    recovery::measure(&ambient, (&body, record_bytes));
}

fn compare(runtime: &Runtime, steps: &'static Steps, floor: &'static Floor) {
    println!(
        "{:<22}{:>10}{:>10}{:>8}{:>10}{:>10}{:>8}",
        "durable steps", "floor/s", "steps/s", "share", "floor µs", "step µs", "ratio"
    );
    for tasks in TASKS {
        let mut best = [(f64::MAX, 0.0); 2];
        for _ in 0..ROUNDS {
            let bare = measure(runtime, tasks, |_, _| floor.append());
            let step = measure(runtime, tasks, |user, turn| steps.step(user, turn));
            for (best, round) in best.iter_mut().zip([bare, step]) {
                if round.0 < best.0 {
                    *best = round;
                }
            }
        }
        let [(floor_us, floor_rate), (step_us, step_rate)] = best;
        println!(
            "{:<22}{floor_rate:>10.0}{step_rate:>10.0}{:>8.2}{floor_us:>10.1}{step_us:>10.1}{:>8.2}",
            format!("by {tasks} at a time"),
            step_rate / floor_rate,
            step_us / floor_us,
        );
    }
}

/// Microseconds of processor time for each step, and steps per second, of so
/// many tasks that take one after the other.
fn measure<F: Future<Output = ()>>(
    runtime: &Runtime,
    tasks: usize,
    step: impl Fn(usize, usize) -> F + Copy + 'static,
) -> (f64, f64) {
    let process = std::process::id();
    let (before, begun) = (process::cpu_ns(process), Instant::now());
    let steps = in_tasks(runtime, tasks, |task| async move {
        let mut turn = 0;
        while begun.elapsed() < ROUND {
            // In pairs, so that everybody ends where they began.
            step(task, turn).await;
            step(task, turn + 1).await;
            turn += 2;
        }
        turn
    });
    let took = begun.elapsed().as_secs_f64();
    let used = (process::cpu_ns(process) - before) as f64 / 1_000.0;
    let steps: usize = steps.into_iter().sum();
    (used / steps as f64, steps as f64 / took)
}

/// Runs so many tasks on this thread to their ends.
fn in_tasks<F: Future<Output: 'static> + 'static>(
    runtime: &Runtime,
    tasks: usize,
    task: impl Fn(usize) -> F,
) -> Vec<F::Output> {
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..tasks).map(|at| local.spawn_local(task(at))).collect();
    let ended = local.block_on(runtime, futures_util::future::join_all(tasks));
    ended.into_iter().map(|end| end.expect("it ends")).collect()
}

/// Users who go from the first block to the second and back.
struct Steps {
    progress: Progress,
    snapshot: Arc<Snapshot>,
    ambient: Ambient,
}

impl Steps {
    async fn start(&self, user: usize) {
        self.take(user, Action::Start { force: false }).await;
    }

    async fn step(&self, user: usize, turn: usize) {
        let (block, name) = [("one", "next"), ("two", "back")][turn % 2];
        let version = &self.version();
        let block = version.find(BlockKey::of(block)).expect("a block");
        let names = [NameKey::of(name)];
        let names = &names;
        self.take(user, Action::Transition { block, names }).await;
    }

    async fn take(&self, user: usize, action: Action<'_>) {
        let request = StepRequest {
            place: Place {
                slot: EnvironmentSlot(0),
                snapshot: Arc::clone(&self.snapshot),
                asker: Asker::default(),
            },
            user: &format!("user-{user}"),
            group: None,
            conversation: None,
            attributes: None,
            flow: &self.snapshot.flows["welcome"],
            version: &self.version(),
            action,
            membership: None,
            id: None,
            now: self.ambient.now_ms(),
        };
        let stepped = self.progress.step(request).await.expect("it is durable");
        assert!(stepped.changed);
    }

    fn version(&self) -> Arc<Version> {
        let slot = self.snapshot.flows["welcome"].latest();
        slot.and_then(|slot| slot.version.clone())
            .expect("it compiled")
    }
}
