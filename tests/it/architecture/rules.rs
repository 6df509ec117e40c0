//! Which words may stand where, and why?
//!
//! The invariants of the map in `lib.rs`, as tables: what a rule forbids, where
//! it holds, and who is excepted with the reason. A new exception is a line
//! here, and so a line in a review.

/// One invariant about words.
pub(super) struct Rule {
    /// What holds; printed with every breach.
    pub(super) says: &'static str,
    /// Words, or paths with `::`, that break it. A path is found wherever its
    /// segments stand in a row; with a `$` at the end only as a whole.
    pub(super) words: &'static [&'static str],
    /// Folders or files it holds in; none for everywhere.
    pub(super) within: &'static [&'static str],
    /// Folders or files that may, each with the reason.
    pub(super) except: &'static [(&'static str, &'static str)],
}

/// All of them.
pub(super) const RULES: &[Rule] = &[
    Rule {
        says: "the pure core does no I/O, reads no clock and no randomness, does not log, is not async",
        words: &[
            "tokio",
            "hyper",
            "hyper_util",
            "reqwest",
            "rusqlite",
            "socket2",
            "moka",
            "tracing",
            "getrandom",
            "async",
            "await",
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "std::process",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "SystemTime",
            "Instant",
            "Ambient",
            "Entropy",
            "clock::Clock",
            "println",
            "eprintln",
            "dbg",
        ],
        within: &["snapshot/", "evaluate/"],
        except: &[],
    },
    Rule {
        says: "files are touched only where something is kept, configured or typed",
        words: &["std::fs", "tokio::fs", "OpenOptions"],
        within: &[],
        except: &[
            ("disk/", "keeps snapshots and the journal"),
            ("store/", "keeps the database and the signing folder"),
            ("config/", "reads settings and secrets, writes dev.json"),
            ("cli/", "reads what was named on the command line"),
            (
                "app/store.rs",
                "makes the data folder and leaves the first admin key in it",
            ),
            ("app/dev.rs", "finds that key again for dev.json"),
            ("upstream/file.rs", "reads snapshots from a folder"),
            ("tls/", "reads certificates and keys"),
            (
                "http/socket_file.rs",
                "replaces what a dead process left, and removes its own",
            ),
        ],
    },
    Rule {
        says: "sockets are opened only where the outside world is faced",
        words: &[
            "TcpListener",
            "TcpStream",
            "UdpSocket",
            "UnixListener",
            "UnixStream",
            "tokio::net",
            "socket2",
            "hyper",
            "hyper_util",
            "reqwest",
        ],
        within: &[],
        except: &[
            ("http/", "the plumbing that edge and store share"),
            ("server/", "faces applications"),
            ("upstream/", "faces the control plane"),
            ("store/", "faces edges and the command line"),
            ("cli/", "asks a store or an edge"),
            ("load/", "sends requests at a rate"),
            (
                "telemetry/traces.rs",
                "sends spans to a collector, and reads who caused a request from its head",
            ),
            (
                "app/store.rs",
                "puts the store's answers behind the shared plumbing",
            ),
            (
                "config/reader.rs",
                "checks urls with reqwest's parser and opens nothing",
            ),
        ],
    },
    Rule {
        says: "wall time is read in one place",
        words: &["SystemTime", "UNIX_EPOCH", "Timestamp::now", "Zoned::now"],
        within: &[],
        except: &[("clock.rs", "the one place")],
    },
    Rule {
        says: "randomness is read in one place",
        words: &["getrandom", "rand", "RandomState"],
        within: &[],
        except: &[
            ("clock.rs", "the one place"),
            (
                "progress/pending/mod.rs",
                "seeds the choice of a shard against crafted ids; no outcome depends on it",
            ),
        ],
    },
    Rule {
        says: "the process ends only by returning from main",
        words: &["process::exit", "process::abort"],
        within: &[],
        except: &[],
    },
    Rule {
        says: "the process environment is read in one place",
        words: &["std::env", "env::var", "env::vars", "env::var_os"],
        within: &[],
        except: &[
            ("config/variables.rs", "the one place for variables"),
            ("main.rs", "the one place for arguments"),
        ],
    },
    Rule {
        says: "tasks and threads are started by whoever names and supervises them",
        words: &["spawn", "spawn_local", "spawn_blocking", "spawn_scoped"],
        within: &[],
        except: &[
            ("app/", "the composition root: every long-running part"),
            (
                "http/",
                "the accept loop: one task for each connection, with a drop guard",
            ),
            ("server/", "the accept loop and its workers"),
            (
                "refresh",
                "verifies and compiles on a blocking thread, holding nothing",
            ),
            (
                "disk/journal/",
                "the thread that prepares files ahead, joined with the journal",
            ),
            (
                "store/",
                "calls to the engine block and are kept off the async threads",
            ),
            (
                "upstream/file.rs",
                "reading a folder blocks and is kept off the control runtime",
            ),
        ],
    },
    Rule {
        // Guards of the swap may be named by those who hold them.
        says: "one value is live, behind one swap",
        words: &["ArcSwap", "ArcSwapAny", "ArcSwapOption", "ArcSwapWeak"],
        within: &[],
        except: &[("current/mod.rs", "the live snapshots of all environments")],
    },
    Rule {
        says: "no channel is unbounded: it would be an outage with a delay",
        words: &[
            "unbounded",
            "unbounded_channel",
            "UnboundedSender",
            "UnboundedReceiver",
            // The module as a whole hides which of its channels is meant.
            "std::sync::mpsc$",
            "std::sync::mpsc::self",
            "std::sync::mpsc::channel",
            "std::sync::mpsc::Sender",
        ],
        within: &[],
        except: &[],
    },
    Rule {
        says: "no state outlives its owner: what is shared is handed down",
        words: &[
            "thread_local",
            "lazy_static",
            "LazyLock",
            "LazyCell",
            "once_cell",
        ],
        within: &[],
        except: &[],
    },
];

/// Where serde may be derived: what crosses a wire or a disk. A derive on a
/// core type silently becomes a public format. Bounds and calls are free.
pub(super) const WIRE: &[(&str, &str)] = &[
    ("snapshot/wire/", "the signed format"),
    ("server/", "answers and bodies of the protocols"),
    ("store/", "the authoring API and what the engine keeps"),
    ("upstream/", "the contract between edge and store"),
    ("disk/keep/", "the manifest"),
    (
        "disk/journal/aliases.rs",
        "the names that records travel under after a fork",
    ),
    ("progress/event/", "records, batches and user documents"),
    (
        "usage/wire.rs",
        "the use of flags as it is kept and shipped",
    ),
    (
        "receipt/",
        "the inputs of a decision, answered and replayed",
    ),
    ("config/", "dev.json"),
    ("cli/", "output for scripts"),
];

/// Types that make a `static` a hidden, shared variable.
pub(super) const INTERIOR: &[&str] = &[
    "Mutex",
    "RwLock",
    "OnceLock",
    "OnceCell",
    "LazyLock",
    "LazyCell",
    "Cell",
    "RefCell",
    "UnsafeCell",
    "ArcSwap",
    "AtomicBool",
    "AtomicU8",
    "AtomicU16",
    "AtomicU32",
    "AtomicU64",
    "AtomicUsize",
    "AtomicI32",
    "AtomicI64",
    "AtomicIsize",
    "AtomicPtr",
];

/// Names that say nothing about what is inside.
pub(super) const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "types", "models", "prelude", "manager",
    "misc", "shared",
];

/// Who may know whom: a folder or file of `src` and the others it may name.
/// `main`, `app` and `cli` are where everything meets and are not listed.
pub(super) const KNOWS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("clock", &["snapshot"]),
    ("snapshot", &["limits", "clock", "evaluate"]),
    ("evaluate", &["snapshot", "limits", "clock"]),
    ("current", &["snapshot", "clock", "limits"]),
    ("disk", &["limits", "clock", "snapshot"]),
    ("address", &[]),
    ("distribution", &["snapshot"]),
    ("config", &["limits", "address"]),
    ("tls", &["limits", "clock", "telemetry"]),
    ("telemetry", &["clock", "config", "snapshot", "http"]),
    (
        "progress",
        &[
            "evaluate",
            "snapshot",
            "disk",
            "limits",
            "clock",
            "current",
            "telemetry",
        ],
    ),
    (
        "usage",
        &["snapshot", "disk", "limits", "clock", "telemetry"],
    ),
    ("receipt", &["evaluate", "snapshot", "progress", "clock"]),
    (
        "refresh",
        &[
            "current",
            "distribution",
            "snapshot",
            "disk",
            "guard",
            "limits",
            "clock",
            "telemetry",
        ],
    ),
    (
        "guard",
        &[
            "current", "evaluate", "receipt", "snapshot", "limits", "clock",
        ],
    ),
    ("http", &["limits", "clock", "telemetry", "address", "tls"]),
    ("load", &["http", "address"]),
    (
        "upstream",
        &[
            "refresh",
            "progress",
            "snapshot",
            "limits",
            "clock",
            "telemetry",
            "http",
            "tls",
            "usage",
        ],
    ),
    (
        "server",
        &[
            "current",
            "distribution",
            "evaluate",
            "guard",
            "progress",
            "receipt",
            "snapshot",
            "http",
            "limits",
            "clock",
            "telemetry",
            "usage",
        ],
    ),
    (
        "store",
        &[
            "snapshot",
            "evaluate",
            "progress",
            "http",
            "limits",
            "clock",
            "telemetry",
            "tls",
            "usage",
        ],
    ),
];
