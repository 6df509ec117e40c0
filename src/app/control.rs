//! Where does everything run that is not a request?
//!
//! One control runtime on its own thread: upstream I/O, read-through, shipping
//! and refresh. Tasks are named and supervised here; a panic is counted and
//! logged, never silent. Workers talk to it over bounded channels only.

use std::{
    future::Future,
    io,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::watch, task::JoinSet};

/// The control runtime.
pub(super) struct Control {
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    tasks: JoinSet<()>,
    panics: Arc<AtomicU64>,
}

impl Control {
    /// Starts the thread.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(format!("{name}-blocking"))
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Ends when `stop` says so or its sender is gone.
                runtime.block_on(async {
                    drop(stopped.wait_for(|stop| *stop).await);
                });
                runtime.shutdown_timeout(Duration::from_secs(1));
            })?;
        Ok(Self {
            handle,
            stop,
            thread: Some(thread),
            tasks: JoinSet::new(),
            panics: Arc::default(),
        })
    }

    /// Runs a task under supervision.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let panics = self.panics.clone();
        let supervised = async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(task = name, "a task panicked and has ended");
            }
        };
        drop(self.tasks.spawn_on(supervised, &self.handle));
    }

    /// Panics of tasks so far.
    pub(super) fn panics(&self) -> Arc<AtomicU64> {
        self.panics.clone()
    }

    /// Runs a future to its end on the control runtime; blocks this thread.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let task = self.handle.spawn(async move {
            drop(sender.send(work.await));
        });
        let result = receiver.recv().ok();
        drop(task);
        result
    }

    /// Ends all tasks and the thread.
    pub(super) fn stop(mut self) {
        self.tasks.abort_all();
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // It catches its tasks' panics; there is nothing left to report.
            drop(thread.join());
        }
    }
}
