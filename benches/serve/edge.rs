//! The edge under measurement.
//!
//! The service, the listener and progress are the real ones; the snapshot and
//! what is behind progress are those of [`crate::world`].

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use flowgate::{
    clock::Ambient,
    current::{Current, Freshness},
    http::{self, Deadlines, Listener, Options},
    server::{self, ChangesOptions, Edge, LimitSettings, Limits, Origins},
    snapshot::Snapshot,
    telemetry::metrics::Metrics,
};

use crate::world::{Users, progress};

/// Nothing here becomes old.
pub(crate) const FRESH: Freshness = Freshness {
    issued_ms: 0,
    fresh_until_ms: u64::MAX,
    expires_ms: u64::MAX,
};

/// Serves this snapshot to such users until it is killed, or until what goes
/// on beside it ends.
pub(crate) fn serve(snapshot: Snapshot, users: Users, beside: impl FnOnce(&Current)) {
    let ambient = Ambient::system();
    let current = Arc::new(Current::default());
    current.publish(Arc::new(snapshot), FRESH);
    let folder = std::env::var(crate::FOLDER).expect("a folder");
    let (progress, _) = progress(&ambient, folder.as_ref(), users);
    let edge = Edge {
        samples: None,
        current: Arc::clone(&current),
        progress,
        changes: server::Changes::new(
            ChangesOptions {
                streams_max: 20_000,
                streams_per_key_max: 20_000,
                ticket_life: Duration::ZERO,
                ticket_secret: None,
            },
            &ambient,
        ),
        segment: server::SegmentSecrets::default(),
        sockets: server::Sockets::new(server::SocketOptions::default()),
        ambient,
        metrics: Metrics::new(),
        origins: Origins::Any,
        limits: Limits::new(LimitSettings::default(), NonZeroUsize::MIN),
        distribution: None,
        traces_per_million: None,
        usage: flowgate::usage::Intake::closed(),
    };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    // One worker, as the floor has one thread: the other core is the client's.
    let options = Options {
        name: "edge",
        workers: NonZeroUsize::MIN,
        connections_max: 20_000,
        connections_per_address_max: 20_000,
        deadlines: Deadlines::default(),
    };
    let metrics = edge.metrics.clone();
    let server = http::serve(listener, options, &metrics, move |_| edge.service());
    let server = server.expect("threads start");
    println!("{}", server.address());
    beside(&current);
}

/// Nothing, for ever.
pub(crate) fn idle(_: &Current) {
    loop {
        std::thread::park();
    }
}
