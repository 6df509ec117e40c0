//! What does one change among 10 000 flows cost?
//!
//! A store on a real database and one edge's refresh on a real disk, without
//! sockets: what a commit and a kill switch cost the store and the edge, how
//! many bytes they move, and how long an edge takes from its kept pack to a
//! correct answer. Each figure is printed beside its goal; nothing is asserted
//! here, the counts are held by tests.

#![expect(clippy::print_stdout, reason = "a bench reports to who started it")]

#[path = "shared/held.rs"]
mod held;
#[path = "shared/table.rs"]
mod table;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use flowgate::{
    clock::Ambient,
    current::Current,
    disk::{RealDisk, keep::Keep},
    evaluate::{Ask, Subject, SubjectView, decide},
    refresh::{
        Beside, Blobs, FetchedTimestamp, Refresher, SnapshotSource, SourceError, SourceFuture,
    },
    snapshot::wire::Blob,
    store::{SourceFile, Store, Timing, engine::DocumentRole, signing::Signing},
};
use held::held;
use table::{heading, line};

const FLOWS: usize = 10_000;
const BLOCKS: usize = 5;
const ENVIRONMENT: &str = "development";

/// The store as an edge sees it, counting what is sent.
struct Counted {
    store: Arc<Store>,
    bytes: AtomicUsize,
    calls: AtomicUsize,
}

impl Counted {
    fn sent<T>(&self, bytes: usize, answer: T) -> Result<T, SourceError> {
        self.bytes.fetch_add(bytes, Relaxed);
        self.calls.fetch_add(1, Relaxed);
        Ok(answer)
    }

    fn document(&self, role: DocumentRole, version: u64) -> Result<Vec<u8>, SourceError> {
        let found = self.store.document(ENVIRONMENT, role, version);
        let file = found.ok().flatten().expect("it was published");
        self.sent(file.len(), file)
    }
}

impl SnapshotSource for Counted {
    fn root<'a>(&'a self, _: &'a str, _: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }

    fn timestamp<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        let current = self.store.watch(ENVIRONMENT).expect("it is there");
        let file = current.borrow().timestamp.to_vec();
        let fetched = FetchedTimestamp {
            validator: None,
            file,
        };
        Box::pin(async move { self.sent(fetched.file.len(), Some(fetched)) })
    }

    fn release<'a>(&'a self, _: &'a str, version: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move { self.document(DocumentRole::Release, version) })
    }

    fn control<'a>(&'a self, _: &'a str, version: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move { self.document(DocumentRole::Control, version) })
    }

    fn parts<'a>(&'a self, _: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        Box::pin(async move {
            let mut blobs = Blobs::new();
            for blob in wanted {
                let bytes = self.store.blob(&blob.sha256).ok().flatten();
                blobs.insert(blob.sha256.clone(), bytes.expect("it was published"));
            }
            // Each travels in a frame of 40 bytes and is asked for by 67.
            let bytes = blobs.values().map(|bytes| bytes.len() + 107).sum();
            self.sent(bytes, blobs)
        })
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let ambient = Ambient::system();
    let signing = Signing::create(&folder.path().join("signing"), &ambient).expect("keys");
    let root = std::fs::read(folder.path().join("signing/root.json")).expect("a root");
    let store = Store::open(
        &folder.path().join("store.db"),
        signing,
        ambient.clone(),
        Timing::default(),
    );
    let store = Arc::new(store.expect("a store"));
    heading();
    let flows: String = (0..FLOWS).map(|place| flow(place, &[1])).collect();
    let (_, took) = timed(|| import(&store, &flows));
    line("store: importing all flows", millis(took), "none");
    let (_, took) = timed(|| store.publish().expect("it publishes"));
    line(
        "store: publishing all of them, from nothing",
        millis(took),
        "none",
    );

    let source = Arc::new(Counted {
        store: store.clone(),
        bytes: AtomicUsize::new(0),
        calls: AtomicUsize::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let data = folder.path().join("edge");
    let edge = || {
        let current = Arc::new(Current::default());
        let keep = Keep::open(Arc::new(RealDisk), &data, ENVIRONMENT).expect("a folder");
        let (refresher, problem) = Refresher::boot(
            ENVIRONMENT,
            &root,
            source.clone(),
            current.clone(),
            Arc::new(keep),
            ambient.clone(),
            Beside::default(),
        )
        .expect("it boots");
        assert!(problem.is_none(), "{problem:?}");
        (refresher, current)
    };
    let (mut refresher, _current) = edge();
    let mut step = |question: &str, goal: &str| {
        source.bytes.store(0, Relaxed);
        source.calls.store(0, Relaxed);
        let (stepped, took) = timed(|| runtime.block_on(refresher.step(Duration::ZERO)));
        stepped.expect("it is taken in");
        let (calls, bytes) = (source.calls.load(Relaxed), source.bytes.load(Relaxed));
        let status = refresher.status();
        let status = status.lock().expect("status").clone();
        line(&format!("edge: {question}"), millis(took), goal);
        let moved = format!("{:.1} kB", bytes as f64 / 1000.0);
        let question = format!("  moved in {calls} calls");
        line(
            &question,
            moved,
            if goal == "none" { goal } else { "< 100 kB" },
        );
        let figure = format!("{} / {}", status.parts_read, status.versions_compiled);
        line("  parts read / versions compiled", figure, "what changed");
    };
    step("taking in all of them", "none");
    for number in 2..4 {
        let versions: Vec<usize> = (1..=number).collect();
        let changed = flow(number * 7, &versions);
        let (_, took) = timed(|| import(&store, &changed));
        line(
            "store: a commit to one flow, accepted",
            millis(took),
            "none",
        );
        let (_, took) = timed(|| store.publish().expect("it publishes"));
        line("store: publishing it", millis(took), "none");
        step("taking in one commit", "well below 1 s");
    }
    store.set_status("flow-9", ENVIRONMENT, false).expect("off");
    let (_, took) = timed(|| store.publish().expect("it publishes"));
    line("store: publishing a kill switch", millis(took), "none");
    step("taking in a kill switch", "well below 1 s");
    drop(refresher);
    cold_start(edge, &data);
}

/// From the kept pack to an answer, and what it holds then.
fn cold_start(edge: impl Fn() -> (Refresher, Arc<Current>), data: &Path) {
    let mut best = Duration::MAX;
    let mut kept = 0;
    for _ in 0..5 {
        let before = held();
        let ((refresher, current), took) = timed(|| {
            let booted = edge();
            let live = booted.1.load();
            let own = live.named(ENVIRONMENT).expect("it is live");
            let user = Subject::unseen("ada");
            let view = SubjectView {
                user: &user,
                group: None,
                attributes: None,
                conversation: None,
            };
            let ask = Ask {
                sid: "flow-4711",
                ..Ask::default()
            };
            let decision = decide(&own.snapshot, &view, &ask, |_| true, 0);
            assert_eq!((decision.served, decision.number), (true, 1));
            drop(live);
            booted
        });
        best = best.min(took);
        kept = held() - before;
        drop((refresher, current));
    }
    line(
        "edge: cold start to a correct answer",
        millis(best),
        "<= 100 ms",
    );
    let packs = std::fs::read_dir(data.join(ENVIRONMENT)).expect("a folder");
    let packs = packs.filter_map(|entry| entry.ok()?.metadata().ok());
    let pack = packs.map(|meta| meta.len()).max().unwrap_or(0);
    line("  the pack", format!("{:.1} MB", pack as f64 / 1e6), "none");
    let decoded = FLOWS * (flow_part_bytes() + version_part_bytes());
    let figure = format!("{:.1} MB", kept as f64 / 1e6);
    line(
        "  memory: snapshot, and what the next is made beside",
        figure,
        "none",
    );
    let ratio = kept as f64 / decoded as f64;
    line(
        "  memory / decoded bytes of the parts",
        format!("{ratio:.2} x"),
        "<= 1.5",
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let done = work();
    (done, begin.elapsed())
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

fn import(store: &Store, flows: &str) {
    let content = format!("flowgate: project/1\nproject: bench\nname: Bench\nflows:\n{flows}");
    let files = [SourceFile {
        name: "project.yaml".to_owned(),
        content,
    }];
    store.import(&files).expect("it is accepted");
}

fn flow(place: usize, versions: &[usize]) -> String {
    let mut text = format!("  - sid: flow-{place}\n    name: Flow {place}\n    versions:\n");
    for number in versions {
        text += &format!(
            "      - number: {number}\n        message: m\n        author: ada\n        created: 2026-01-01T00:00:00Z\n        entry: everyone\n        blocks:\n"
        );
        for block in 0..BLOCKS {
            text += &format!(
                "          - {{ sid: step-{block}, type: card, fields: {{ title: \"Step {block} of flow {place}\", body: \"What there is to say in version {number}, in one sentence of usual length.\" }} }}\n"
            );
        }
        text += "        paths:\n          - { from: entry, to: step-0 }\n";
        for block in 1..BLOCKS {
            let from = block - 1;
            text +=
                &format!("          - {{ from: step-{from}, on: complete, to: step-{block} }}\n");
        }
    }
    text
}

/// About what one flow's part has as JSON.
fn flow_part_bytes() -> usize {
    150
}

/// About what one version's part has as JSON.
fn version_part_bytes() -> usize {
    1_900
}
