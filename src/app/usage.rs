//! How is the use of flags kept and shipped by a running edge?
//!
//! Made of the journal's thread, a task that writes and one for each
//! environment that ships. Without a store nothing is kept, which is said once.
//! At a stop, after the last request: write what was acknowledged, sync, one
//! last attempt to ship.

use std::{path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{StartError, control::Control};
use crate::{
    clock::Ambient,
    config::EdgeConfig,
    disk::{
        Disk,
        journal::{Committer, Durability, Journal, JournalOptions, Quota},
    },
    telemetry::metrics::Metrics,
    usage::{Gatherer, Intake, Shipping, UsageSink, UsageWatch},
};

/// Small: there is little to write, and the journal gives back whole segments.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// The use of flags, ready to be kept.
pub(super) struct Usage {
    intake: Intake,
    watch: UsageWatch,
    parts: Option<Parts>,
}

/// What has to be started.
struct Parts {
    journal: Journal,
    committer: Committer,
    gatherer: Gatherer,
    shipping: Arc<Shipping>,
}

/// What has to be stopped.
pub(super) struct Keeping {
    journal: Journal,
    committer: JoinHandle<()>,
    stop_gathering: watch::Sender<bool>,
    /// Closed when everything is written.
    gathered: mpsc::Receiver<()>,
    stop_shipping: watch::Sender<bool>,
    /// Closed when every task has ended.
    shipped: mpsc::Receiver<()>,
}

impl Usage {
    /// Recovers what an earlier run left in this folder.
    pub(super) fn open(
        config: &EdgeConfig,
        folder: &Path,
        disk: Arc<dyn Disk>,
        sink: Option<Arc<dyn UsageSink>>,
        ambient: &Ambient,
    ) -> Result<Self, StartError> {
        let Some(sink) = sink else {
            tracing::info!(
                "no store is configured: what clients tell of their use of flags is kept nowhere"
            );
            return Ok(Self::nowhere());
        };
        let failed = |cause| StartError::Journal {
            folder: folder.to_owned(),
            cause,
        };
        disk.create_dir_all(folder).map_err(failed)?;
        let found = disk.file_system_bytes(folder).map_err(failed)?;
        let quota = Quota {
            total_bytes_max: config.usage().journal_bytes_max,
            segment_bytes: SEGMENT_BYTES,
        }
        .fit(found);
        let options = JournalOptions {
            folder: folder.to_owned(),
            segment_bytes: quota.segment_bytes,
            total_bytes_max: quota.total_bytes_max,
            owners: 0,
            owner_bytes_max: 0,
            // Nobody waits for the sync but whoever writes.
            durability: Durability::Disk,
        };
        let (journal, committer, recovered) =
            Journal::open(disk, options, ambient).map_err(failed)?;
        for old in &recovered {
            for problem in &old.problems {
                tracing::warn!(journal = %old.journal, problem, "found in the journal of the use of flags");
            }
        }
        let counts_evaluations = config.usage().count_evaluations;
        let (gatherer, intake) =
            Gatherer::new(journal.clone(), ambient.clone(), counts_evaluations);
        let environments = config.environments().iter();
        let shipping = Shipping::new(
            (journal.clone(), recovered),
            environments.map(|own| own.name.clone()).collect(),
            (sink, intake.counters().clone()),
            ambient.clone(),
            (config.upstream().backoff_min, config.upstream().backoff_max),
        );
        Ok(Self {
            watch: UsageWatch::new(intake.counters(), Some(shipping.clone())),
            intake,
            parts: Some(Parts {
                journal,
                committer,
                gatherer,
                shipping,
            }),
        })
    }

    /// Keeps nothing.
    pub(super) fn nowhere() -> Self {
        let intake = Intake::closed();
        Self {
            watch: UsageWatch::new(intake.counters(), None),
            intake,
            parts: None,
        }
    }

    /// Where requests leave what they are told.
    pub(super) fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Who knows how it goes.
    pub(super) fn watch(&self) -> UsageWatch {
        self.watch.clone()
    }

    /// Has a scrape tell of it.
    pub(super) fn measure(&self, metrics: &Metrics) {
        let watch = Box::new(self.watch());
        metrics.register(|registry| registry.register_collector(watch));
    }

    /// Starts thread and tasks; none where nothing is kept.
    pub(super) fn run(self, control: &mut Control) -> Result<Option<Keeping>, StartError> {
        let Some(parts) = self.parts else {
            return Ok(None);
        };
        let committer = parts.committer;
        let committer = std::thread::Builder::new()
            .name("usage-journal".to_owned())
            .spawn(move || committer.run())
            .map_err(StartError::Thread)?;
        let (stop_gathering, stop) = watch::channel(false);
        let (alive, gathered) = mpsc::channel(1);
        let gathering = parts.gatherer.run(stop);
        control.spawn("usage", async move {
            gathering.await;
            drop(alive);
        });
        let (stop_shipping, stop) = watch::channel(false);
        let (alive, shipped) = mpsc::channel(1);
        for name in parts.shipping.environments() {
            let lane = parts.shipping.clone().run(name.clone(), stop.clone());
            let alive = alive.clone();
            control.spawn("usage-shipping", async move {
                lane.await;
                drop(alive);
            });
        }
        Ok(Some(Keeping {
            journal: parts.journal,
            committer,
            stop_gathering,
            gathered,
            stop_shipping,
            shipped,
        }))
    }
}

impl Keeping {
    /// Writes what was acknowledged and tries to ship it, for so long at the
    /// most; no request is under way any more.
    pub(super) fn stop(self, control: &Control, longest: Duration) {
        let Self {
            journal,
            committer,
            stop_gathering,
            mut gathered,
            stop_shipping,
            mut shipped,
        } = self;
        stop_gathering.send_replace(true);
        control.run(async move {
            if tokio::time::timeout(longest, gathered.recv())
                .await
                .is_err()
            {
                tracing::warn!("a part of the use of flags could not be written and is lost");
            }
        });
        journal.shutdown();
        if committer.join().is_err() {
            tracing::error!("the thread of the journal of the use of flags had panicked");
        }
        stop_shipping.send_replace(true);
        control.run(async move {
            if tokio::time::timeout(longest, shipped.recv()).await.is_err() {
                tracing::info!("the use of flags is left in its journal; the next start ships it");
            }
        });
    }
}
