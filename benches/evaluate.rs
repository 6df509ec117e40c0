//! What does a decision cost?
//!
//! In process, without sockets: one flow for one known user. Each figure is
//! printed beside its goal; nothing is asserted. The fastest of several rounds
//! counts, since everything that disturbs a round makes it slower.

#![expect(clippy::print_stdout, reason = "a bench reports to who started it")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use flowgate::{
    evaluate::{
        Ask, BlockState, Decision, FlowState, LiveJudge, Membership, Reason, Step, Subject,
        SubjectView, bucket, decide, explain, transition,
    },
    snapshot::{
        FlowKey, Revision, Snapshot, Version,
        compile::compile,
        flow_bytes_max,
        parts::Content,
        wire::{
            ControlDocument, DeploymentPart, EnvironmentType, FlowPart, SettingsPart, VersionPart,
        },
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

/// Flows with a deployment.
const DEPLOYED: usize = 10;

/// The time of every request here.
const NOW: u64 = 1_767_225_600_000;

fn main() {
    println!("{:<58} {:>10} {:>7}   goal", "question", "figure", "allocs");
    let few = Scene::new(10);
    let decided = decisions(&few);
    deployed(&few);
    growth(&few, &decided);
    steps(&few);
}

/// One decision, and one with its bytes.
fn decisions(few: &Scene) -> Figure {
    let known = subject(few.sids.len(), false);
    let started = subject(few.sids.len(), true);
    let entry = measure(|turn| {
        black_box(few.decide(&known, turn));
    });
    let goal = "< 200 ns, 0 allocations";
    line(
        "decision, entry condition of two comparisons",
        &entry,
        "ns",
        goal,
    );
    let running = measure(|turn| {
        black_box(few.decide(&started, turn));
    });
    line("decision, started user", &running, "ns", goal);
    let mut out = Vec::with_capacity(flow_bytes_max(&few.version(), true));
    let written = measure(|turn| {
        let decision = few.decide(&started, turn);
        out.clear();
        if let Some(version) = decision.version {
            write_flow(&mut out, version, decision.state.as_deref(), true, true);
        }
        black_box(&out);
    });
    let question = "decision and Flow of 5 blocks as bytes";
    line(question, &written, "ns", "0 allocations");
    entry
}

/// The same under a deployment whose audience has 20 rules, all of them judged.
///
/// The goal is missed: 350 to 430 ns at opt-level 3 in one codegen unit, without
/// link-time optimisation, on a shared and noisy processor (1700 ns before
/// attributes were looked up once and texts compared by bytes, built at
/// opt-level 2 in 16 units). A profile of it: about 120 ns are the decision
/// without its audience, with two look-ups for the entry condition; about 30 per
/// cent of all goes into look-ups by name in the sorted maps of properties, seven
/// of them, each some comparisons of texts; the rest is 20 rules of 7 to 11 ns.
/// What is left to gain lies in how properties are stored, not in the rules.
fn deployed(few: &Scene) {
    let known = subject(few.sids.len(), false);
    let goal = "< 300 ns, 0 allocations";
    let judged = measure(|turn| {
        black_box(few.decide_on_web(&known, turn, None));
    });
    let decision = few.decide_on_web(&known, 0, None);
    assert_eq!(decision.reason, Reason::Percentage, "all rules are judged");
    line("deployment, 20 rules, percentage", &judged, "ns", goal);
    let member = Membership {
        is_in: true,
        basis_points: 2_500,
    };
    let recorded = measure(|turn| {
        black_box(few.decide_on_web(&known, turn, Some(member)));
    });
    line("deployment, recorded member", &recorded, "ns", goal);
    let mut versatile = known.clone();
    let more = json!({"mail": "Ann.Example@acme.com", "since": "2025-12-31T00:00:00+01:00",
        "tags": ["early", "eu"], "zip": "1500"});
    for (name, value) in more.as_object().into_iter().flatten() {
        let properties = &mut Arc::make_mut(&mut versatile.profile).properties;
        properties.insert(name.clone(), value.clone());
    }
    let last = few.on("mixed", 0, None);
    let decision = decide(&few.snapshot, &view(&versatile), &last, |_| true, NOW);
    assert_eq!(decision.reason, Reason::Percentage, "the last rule fits");
    let mixed = measure(|_| {
        black_box(decide(
            &few.snapshot,
            &view(&versatile),
            &last,
            |_| true,
            NOW,
        ));
    });
    line(
        "deployment, 20 rules of all operators",
        &mixed,
        "ns",
        "none",
    );
    let hashed = measure(|_| {
        black_box(bucket(black_box("8f3a1c:"), black_box("user-4711")));
    });
    line("the bucket alone", &hashed, "ns", "none");
    let explained = measure(|turn| {
        black_box(explain(
            &few.snapshot,
            &view(&known),
            &few.on_web(turn, None),
            |_| true,
            NOW,
        ));
    });
    line("the receipt of the first", &explained, "ns", "none");
}

/// The same with very many flows. One flow asked for again and again shows what
/// the size of the map costs; spread over all flows it is the processor's
/// caches that are measured.
fn growth(few: &Scene, decided: &Figure) {
    let many = Scene::new(100_000);
    let known = subject(0, false);
    let one = |scene: &Scene| {
        measure(|_| {
            black_box(scene.decide(&known, 0));
        })
    };
    let (among_few, among_many) = (one(few), one(&many));
    let ratio = among_many.over(&among_few);
    let question = "one flow among 100 000 / among 10";
    line(question, &ratio, "x", "<= 1.1");
    let spread = measure(|turn| {
        black_box(many.decide(&known, turn));
    });
    let question = "any of 100 000 flows / any of 10 (cold caches)";
    line(question, &spread.over(decided), "x", "none");
}

fn steps(few: &Scene) {
    let known = subject(0, false);
    let version = few.version();
    let mut judge = LiveJudge {
        snapshot: &few.snapshot,
        view: view(&known),
        now: NOW,
    };
    let (start, unseen) = (Step::Start { force: false }, FlowState::default());
    let stepped = measure(|_| {
        black_box(transition(&version, &unseen, &start, &mut judge)).ok();
    });
    line("start of a flow (the pure step)", &stepped, "ns", "none");
}

struct Figure {
    value: f64,
    /// Where they were counted.
    allocations: Option<f64>,
}

impl Figure {
    fn over(&self, other: &Self) -> Self {
        Self {
            value: self.value / other.value,
            allocations: self.allocations,
        }
    }
}

fn line(question: &str, figure: &Figure, unit: &str, goal: &str) {
    let value = format!("{:.1} {unit}", figure.value);
    let allocations = figure
        .allocations
        .map_or("-".to_owned(), |count| format!("{count:.2}"));
    println!("{question:<58} {value:>10} {allocations:>7}   {goal}");
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
        allocations: Some(allocations),
    }
}

/// A snapshot and the names in it, in the order they are asked for.
struct Scene {
    snapshot: Snapshot,
    sids: Vec<String>,
}

impl Scene {
    fn new(flows: usize) -> Self {
        let snapshot = compiled(&content(flows));
        assert_eq!(snapshot.flows.len(), flows);
        let sids = (0..flows).map(|place| format!("flow-{}", place * STRIDE % flows));
        Self {
            snapshot,
            sids: sids.collect(),
        }
    }

    fn decide<'s, 'u>(&'s self, user: &'u Subject, turn: usize) -> Decision<'s, 'u> {
        let sid = &self.sids[turn % self.sids.len()];
        let ask = Ask {
            sid,
            ..Ask::default()
        };
        decide(&self.snapshot, &view(user), &ask, |_| true, NOW)
    }

    /// What is asked over the channel that everything is deployed on.
    fn on_web(&self, turn: usize, membership: Option<Membership>) -> Ask<'_> {
        self.on("web", turn, membership)
    }

    fn on<'a>(&'a self, channel: &'a str, turn: usize, membership: Option<Membership>) -> Ask<'a> {
        Ask {
            sid: &self.sids[turn % self.sids.len()],
            channel: Some(channel),
            membership,
            ..Ask::default()
        }
    }

    fn decide_on_web<'s, 'u>(
        &'s self,
        user: &'u Subject,
        turn: usize,
        membership: Option<Membership>,
    ) -> Decision<'s, 'u> {
        let ask = self.on_web(turn, membership);
        decide(&self.snapshot, &view(user), &ask, |_| true, NOW)
    }

    fn version(&self) -> Arc<Version> {
        let slot = self.snapshot.flows["flow-0"].latest();
        slot.and_then(|slot| slot.version.clone())
            .expect("the bench's own version compiles")
    }
}

fn content(flows: usize) -> Content {
    Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Production,
            drafts: false,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: (0..flows).map(flow).collect(),
        versions: (0..flows)
            .map(|place| (String::new(), version(place)))
            .collect(),
        // Among very many flows deployments are not what is measured.
        deployments: (0..flows.min(DEPLOYED))
            .map(deployment)
            .chain([mixed_deployment()])
            .collect(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    }
}

fn compiled(content: &Content) -> Snapshot {
    let control = ControlDocument::default();
    compile("bench", "e1", Revision::default(), content, &control)
        .expect("the bench's own content compiles")
}

fn flow(place: usize) -> FlowPart {
    FlowPart {
        deployments_only: false,
        uid: format!("f{place}"),
        sid: format!("flow-{place}"),
        name: format!("Flow {place}"),
        project: "web".into(),
        enabled: true,
        versions: vec![1],
        refuse_public_force: false,
    }
}

/// Three alternatives that fail at their last rule, and one that holds.
fn deployment(place: usize) -> DeploymentPart {
    let alternatives: Vec<Value> = (0..4)
        .map(|alternative| {
            json!({"rules": [
                {"attribute": "plan", "operator": "equals", "value": "pro"},
                {"attribute": "age", "operator": "greater_than", "value": 17},
                {"attribute": "role", "operator": "starts_with", "value": "adm"},
                {"attribute": "source", "operator": "not_equals", "value": "partner"},
                {"attribute": "seats", "operator": "less_than", "value": if alternative == 3 { 50 } else { 5 }},
            ]})
        })
        .collect();
    deploying(place, "web", &alternatives)
}

/// 18 alternatives that fail at their only rule, each an operator's less usual
/// case (texts that spell numbers, dates, ignored case), and one that holds.
fn mixed_deployment() -> DeploymentPart {
    let failing = json!([
        {"attribute": "plan", "operator": "equals", "value": "FREE", "ignore_case": true},
        {"attribute": "age", "operator": "equals", "value": "41"},
        {"attribute": "zip", "operator": "equals", "value": 4711},
        {"attribute": "plan", "operator": "not_equals", "value": "Pro", "ignore_case": true},
        {"attribute": "team", "operator": "contains", "value": "ops"},
        {"attribute": "mail", "operator": "contains", "value": "@acme.org", "ignore_case": true},
        {"attribute": "tags", "operator": "contains", "value": "late"},
        {"attribute": "role", "operator": "starts_with", "value": "own"},
        {"attribute": "mail", "operator": "starts_with", "value": "bob", "ignore_case": true},
        {"attribute": "mail", "operator": "ends_with", "value": ".org"},
        {"attribute": "mail", "operator": "ends_with", "value": ".org", "ignore_case": true},
        {"attribute": "age", "operator": "greater_than", "value": 99.5},
        {"attribute": "zip", "operator": "greater_than", "value": 9999},
        {"attribute": "since", "operator": "greater_than", "value": "2026-01-01T00:00:00Z"},
        {"attribute": "since", "operator": "less_than", "value": 1_700_000_000},
        {"attribute": "country", "operator": "less_than", "value": "AB"},
        {"attribute": "team", "operator": "is_empty"},
        {"attribute": "missing", "operator": "is_not_empty"}
    ]);
    let last = json!([
        {"attribute": "beta", "operator": "equals", "value": true},
        {"attribute": "user.identifier", "operator": "is_not_empty"}
    ]);
    let failing = failing.as_array().into_iter().flatten();
    let alternatives: Vec<Value> = failing
        .map(|rule| json!({"rules": [rule]}))
        .chain([json!({"rules": last})])
        .collect();
    deploying(0, "mixed", &alternatives)
}

fn deploying(place: usize, channel: &str, alternatives: &[Value]) -> DeploymentPart {
    let part = json!({"uid": format!("{channel}-{place}"), "name": format!("Deployment {place}"),
        "flow_uid": format!("f{place}"), "channel": channel, "policy": "latest",
        "rollout": {"basis_points": 9_999, "salt": "8f3a1c", "alternatives": alternatives}});
    serde_json::from_value(part).expect("the bench's own deployment is well-formed")
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
        Arc::make_mut(&mut subject.profile).properties = properties;
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
