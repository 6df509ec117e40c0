//! What does a decision cost?
//!
//! In process, without sockets: one flow for one known user. Each figure is
//! printed beside its goal; nothing is asserted. The fastest of several rounds
//! counts, since everything that disturbs a round makes it slower.

#![expect(clippy::print_stdout, reason = "a bench reports to who started it")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use flowgate::{
    evaluate::{
        BlockState, Decision, FlowState, LiveJudge, Step, Subject, SubjectView, Tag, decide,
        transition,
    },
    snapshot::{
        FlowKey, Revision, Snapshot,
        compile::compile,
        flow_bytes_max,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, FlowPart, SettingsPart, VersionPart},
        write_flow,
    },
};
use serde_json::{Value, json};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Steps between the flows asked for: prime, so that every flow has its turn
/// and neighbours in memory do not follow each other.
const STRIDE: usize = 7919;

fn main() {
    let now = 1_767_225_600_000;
    let (small, large) = (Scene::new(10), Scene::new(100_000));
    let known = subject(small.snapshot.flows.len(), false);
    let started = subject(small.snapshot.flows.len(), true);

    println!("{:<58} {:>10} {:>9}   goal", "question", "figure", "allocs");
    let entry = measure(|turn| {
        black_box(small.decide(&known, turn, now));
    });
    line(
        "decision, entry condition of two comparisons",
        &entry,
        "ns",
        "< 200 ns, 0 allocations",
    );

    let running = measure(|turn| {
        black_box(small.decide(&started, turn, now));
    });
    line(
        "decision, started user",
        &running,
        "ns",
        "< 200 ns, 0 allocations",
    );

    // One flow asked for again and again: the size of the map alone. Spread
    // over all flows it is the processor's caches that are measured.
    let one = |scene: &Scene, user: &Subject| {
        measure(|_| {
            black_box(scene.decide(user, 0, now));
        })
    };
    let (few, many) = (one(&small, &known), one(&large, &known));
    let ratio = Figure {
        value: many.value / few.value,
        allocations: many.allocations,
    };
    line(
        "the same flow among 100 000 flows / among 10",
        &ratio,
        "x",
        "<= 1.1",
    );
    let spread = measure(|turn| {
        black_box(large.decide(&known, turn, now));
    });
    let ratio = Figure {
        value: spread.value / entry.value,
        allocations: spread.allocations,
    };
    line(
        "any of 100 000 flows / any of 10 (cold caches)",
        &ratio,
        "x",
        "(shown, no goal)",
    );

    let version = small.snapshot.flows["flow-0"]
        .latest()
        .and_then(|slot| slot.version.clone());
    let version = version.expect("the bench's own version compiles");
    let mut out = Vec::with_capacity(flow_bytes_max(&version, true));
    let written = measure(|turn| {
        let decision = small.decide(&started, turn, now);
        out.clear();
        if let Some(version) = decision.version {
            write_flow(&mut out, version, decision.state, true, true);
        }
        black_box(&out);
    });
    line(
        "decision and Flow of 5 blocks as bytes",
        &written,
        "ns",
        "0 allocations",
    );

    let mut judge = LiveJudge {
        view: view(&known),
        now,
    };
    let stepped = measure(|_| {
        let start = Step::Start { force: false };
        black_box(transition(
            &version,
            &FlowState::default(),
            &start,
            &mut judge,
        ))
        .ok();
    });
    line(
        "start of a flow (pure transition)",
        &stepped,
        "ns",
        "(shown, no goal)",
    );

    let begin = Instant::now();
    drop(black_box(Scene::new(10_000)));
    let compiled = Figure {
        value: begin.elapsed().as_secs_f64() * 1000.0,
        allocations: 0.0,
    };
    line(
        "compile 10 000 flows of 5 blocks (making them included)",
        &compiled,
        "ms",
        "(shown, no goal)",
    );
}

struct Figure {
    value: f64,
    allocations: f64,
}

fn line(question: &str, figure: &Figure, unit: &str, goal: &str) {
    let value = format!("{:.1} {unit}", figure.value);
    println!(
        "{question:<58} {value:>10} {:>9.2}   {goal}",
        figure.allocations
    );
}

/// Nanoseconds and allocations of one turn.
fn measure(mut work: impl FnMut(usize)) -> Figure {
    const ROUNDS: u32 = 12;
    const ROUND: Duration = Duration::from_millis(40);
    let mut turn = 0;
    let mut best = f64::INFINITY;
    let mut allocations = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (begin, first) = (Instant::now(), turn);
        let before = ALLOCATIONS.load(Relaxed);
        while begin.elapsed() < ROUND {
            // The clock is asked rarely, so that it does not count.
            for _ in 0..1000 {
                work(turn);
                turn += 1;
            }
        }
        let turns = (turn - first) as f64;
        best = best.min(begin.elapsed().as_nanos() as f64 / turns);
        let during = ALLOCATIONS.load(Relaxed) - before;
        allocations = allocations.min(during as f64 / turns);
    }
    Figure {
        value: best,
        allocations,
    }
}

/// A snapshot and the names in it, in the order they are asked for.
struct Scene {
    snapshot: Snapshot,
    sids: Vec<String>,
}

impl Scene {
    fn new(flows: usize) -> Self {
        let mut content = Content {
            settings: SettingsPart {
                environment_type: EnvironmentType::Production,
                drafts: false,
            },
            flows: Vec::new(),
            versions: Vec::new(),
            keys: Vec::new(),
            broken: Vec::new(),
        };
        for place in 0..flows {
            content.flows.push(flow(place));
            content.versions.push((String::new(), version(place)));
        }
        let control = ControlDocument::default();
        let snapshot = compile("bench", "e1", Revision::default(), &content, &control)
            .expect("the bench's own content compiles");
        assert_eq!(snapshot.flows.len(), flows);
        let sids = (0..flows).map(|place| format!("flow-{}", place * STRIDE % flows));
        Self {
            snapshot,
            sids: sids.collect(),
        }
    }

    fn decide<'s, 'u>(&'s self, user: &'u Subject, turn: usize, now: u64) -> Decision<'s, 'u> {
        let sid = &self.sids[turn % self.sids.len()];
        decide(&self.snapshot, &view(user), sid, Tag::Latest, |_| true, now)
    }
}

fn flow(place: usize) -> FlowPart {
    FlowPart {
        uid: format!("f{place}"),
        sid: format!("flow-{place}"),
        name: format!("Flow {place}"),
        project: "web".into(),
        enabled: true,
        versions: vec![1],
        refuse_public_force: false,
    }
}

fn version(place: usize) -> VersionPart {
    let blocks: Vec<Value> = (0..5)
        .map(|block| {
            json!({"uid": format!("b{place}-{block}"), "sid": format!("step-{block}"), "kind": "card",
                "fields": [{"sid": "title", "type": "string", "value": "Welcome aboard"}]})
        })
        .collect();
    let part = json!({"flow_uid": format!("f{place}"), "flow_sid": format!("flow-{place}"), "number": 1,
        "entry": {"expression": "user.properties.plan = 'pro' AND user.properties.age >= 18"},
        "blocks": blocks, "paths": [{"uid": "p", "to": format!("b{place}-0")}]});
    serde_json::from_value(part).expect("the bench's own version is well-formed")
}

/// A user with a few properties and, if `started`, a state in every flow.
fn subject(flows: usize, started: bool) -> Subject {
    let mut subject = Subject::unseen("user-4711");
    let properties = json!({"plan": "pro", "age": 42, "country": "NO", "role": "admin", "seats": 12,
        "beta": true, "source": "invite", "team": "core"});
    if let Value::Object(properties) = properties {
        subject.profile.properties = properties;
    }
    for place in 0..if started { flows } else { 0 } {
        let block = BlockState {
            key: flowgate::snapshot::BlockKey::of(&format!("b{place}-0")),
            active: true,
            entered: true,
            exited: false,
            taken: Box::default(),
        };
        let state = FlowState {
            started: true,
            blocks: [block].into(),
            ..FlowState::default()
        };
        subject.set_state(FlowKey::of(&format!("f{place}")), 1, None, state);
    }
    subject
}

fn view(user: &Subject) -> SubjectView<'_> {
    SubjectView {
        user,
        group: None,
        attributes: None,
        conversation: None,
    }
}
