#![forbid(unsafe_code)]
//! Flowgate decides, next to the application, which version of which flow a
//! user sees and on which block they stand, and never loses a step they made.
//!
//! This page is the map. Every folder answers one question; the files inside
//! open with theirs.
//!
//! ```text
//!   store (control plane)                          applications
//!     │ signed snapshots      ▲ progress batches        ▲ │
//!     ▼                       │                         │ ▼
//!   [upstream] ──► [refresh] ─┼► [current] ◄── load ── [server] ──► [http]
//!                     │       │   one ArcSwap             │
//!           [snapshot] verify │                  [evaluate] decide, transition
//!                     │       │                           │
//!                  [disk] keep └── [progress] ship ◄── [progress] step
//!                                     │                   │
//!                                     └─── [disk] journal ◄┘
//! ```
//!
//! # The rooms
//!
//! | room | question |
//! |---|---|
//! | [`snapshot`] | What do we evaluate against? Pure: signed bytes become a compiled snapshot in typed stages. |
//! | [`evaluate`] | How do we decide? Pure: decisions, transitions, predicates. |
//! | [`current`] | What is live right now? The only ArcSwap. |
//! | [`refresh`] | How does a published revision reach the evaluators? |
//! | [`guard`] | Would a new release turn away those who are served now? |
//! | [`progress`] | Where does each subject stand, and how does a step become durable? |
//! | [`receipt`] | How is a decision written down so that anybody can make it again? |
//! | [`usage`] | How are flags used, and how does the store come to know? |
//! | [`disk`] | What survives a restart? Data folder, last good snapshots, journal. |
//! | [`distribution`] | What may other edges pull from this one? |
//! | [`http`] | The HTTP plumbing that edge and store share. |
//! | [`server`] | How does the edge face applications? Routes, keys, protocols, admin. |
//! | [`upstream`] | How does the edge face the control plane? |
//! | [`store`] | The control plane: authoring, publishing, the progress ledger. |
//! | [`app`] | The only place where all parts meet: start and stop in order. |
//! | [`config`], [`cli`] | What the operator typed, and what the program does with it. |
//! | [`tls`] | Who is at the other end, and who are we? Certificates, read again while running. |
//! | [`load`] | How does a server answer at a given rate? |
//! | [`limits`], [`clock`], [`telemetry`], [`address`] | Ceilings with reasons; time and randomness; logs and metrics; where somebody listens. |
//!
//! Who may know whom: `cli → config, app`; `app → everything`; `server →
//! current, evaluate, progress, http`; `upstream` and `store` implement traits
//! that their consumers own ([`refresh::SnapshotSource`],
//! [`progress::ProgressLedger`]); `refresh → current, snapshot, disk, guard`;
//! `guard → current, evaluate, receipt`;
//! `progress → evaluate, disk`; `usage → snapshot, disk`, and `server`,
//! `upstream` and `store` speak its words; `evaluate → snapshot`.
//!
//! # Inside the store
//!
//! | files of `store/` | question |
//! |---|---|
//! | `workspace`, `engine` | What is authored, and what keeps it? |
//! | `authoring`, `touching`, `rights`, `condition`, `confirming`, `audit` | How does a change become what is authored: what it touches, who may, on what it rests, was it meant, who did it? |
//! | `import`, `export`, `project_file`, `naming`, `called` | What stands in files, and how may things be called? |
//! | `drafting`, `deploying`, `schedule`, `flags`, `environments`, `projects`, `keys` and their neighbours | What may be done to each thing? |
//! | `preview`, `rehearse`, `notices`, `theirs` | What would a change mean, and for whom? |
//! | `people`, `finding`, `counts` | What is known of users, and what may an operator do to them? |
//! | `publish`, `shelf`, `live`, `following`, `signing` | How does it reach edges? |
//! | `ledger`, `records`, `usage`, `outbox` | What do edges tell, and what follows from it? |
//! | `backup`, `offline` | How is it kept elsewhere, and made without a store? |
//! | `api`, `paging` | What does it answer, and how are lists cut? |
//!
//! # Four walks
//!
//! **Boot**, bind early, ready late: lock the data folder, recover the journal
//! → last good snapshot, verified again, compiled, published → bind → tasks →
//! ready when an evaluation answers. **Snapshot**: bytes → verified → parsed →
//! compiled on a blocking thread → kept on disk → published by one pointer; on
//! any failure the old one stays and says how old it is. **Request**: route →
//! [`current::Current::load`] once → key → body → subject from memory →
//! [`evaluate::decide()`] (or [`evaluate::judge()`], flag by flag) → bytes. **Step**: newest state → pure
//! [`evaluate::transition()`] → journal, synced → answer; the shipper carries it
//! to the ledger, and until then it lies over whatever the ledger said.
//!
//! # Invariants, as absences
//!
//! - [`evaluate`] and [`snapshot`] know no I/O, clock, randomness, logging or
//!   async. What they would log they return.
//! - No snapshot that was not verified can be evaluated: the types do not
//!   convert any other way, also not from our own disk. The one exception has
//!   flags and nothing else, of a file that an operator names to an edge
//!   without a control plane ([`app::Offline`]).
//! - No lock is held over an await; no channel is unbounded; no static has
//!   interior mutability; no work that a snapshot can do waits for a request.
//! - No success is answered before the record is synced; no seq is used twice;
//!   nothing unsynced is shipped.
//!
//! `tests/it/architecture/` reads the source and holds these.

pub mod address;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod current;
pub mod disk;
pub mod distribution;
pub mod evaluate;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod http;
pub mod limits;
pub mod load;
pub mod progress;
pub mod receipt;
pub mod refresh;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod usage;
