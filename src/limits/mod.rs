//! How large may anything get, and why?
//!
//! Every hard ceiling of the program has its name, its number and its reason
//! here. A limit that an operator may choose lives in `config.rs`; what stands
//! here protects the process from its peers and is the same everywhere.
//! Relations that must hold between limits are checked at compile time below.

mod audit;
mod authored_flags;
mod authoring;
mod flags;
mod looking;
mod paging;
mod relations;
mod usage;
mod webhooks;

pub use audit::{
    AUDIT_CHANGES_MAX, AUDIT_ENTRY_BYTES_MAX, AUDIT_PER_ANSWER, AUDIT_PER_ANSWER_MAX,
    AUDIT_STATE_BYTES_MAX, AUDIT_SWEEP_MAX, LATE_ENTRIES_MAX, REQUEST_ID_BYTES_MAX,
};
pub use authored_flags::{
    CONSTRAINT_VALUES_AUTHORED_MAX, CONSTRAINTS_AUTHORED_MAX, FLAG_BODY_BYTES_MAX,
    FLAG_NAME_AUTHORED_BYTES_MAX, FLAG_TEXT_BYTES_MAX, FLAGS_AUTHORED_MAX,
    SEGMENT_VALUES_AUTHORED_MAX, SEGMENTS_AUTHORED_MAX, SEGMENTS_PER_STRATEGY_MAX,
    STRATEGIES_AUTHORED_MAX, VARIANT_WEIGHT_MAX,
};
pub use authoring::{
    ADMIN_BODY_BYTES_MAX, EDGES_KEPT_MAX, IMPORT_BYTES_MAX, IMPORT_FAULT_BYTES_MAX,
    IMPORT_FAULTS_MAX, IMPORT_NODES_MAX, LONG_POLL_MS_MAX, REPORT_WORD_BYTES_MAX,
    USER_LINE_BYTES_MAX, USER_LINES_BAD_MAX, USER_LINES_BYTES_MAX, USER_LINES_MAX,
};
pub use flags::{
    COMPRESS_BYTES_MIN, CONSTRAINT_VALUES_MAX, CONSTRAINTS_PER_STRATEGY_MAX,
    CONTEXT_FIELD_BYTES_MAX, CONTEXT_PROPERTIES_MAX, DEPENDENCIES_PER_FLAG_MAX,
    FLAG_ANSWERS_BYTES_MAX, FLAG_ANSWERS_KNOWN, FLAG_CHANGES_BYTES_MAX, FLAG_NAME_BYTES_MAX,
    FLAG_REVISIONS_KEPT, FLAG_STREAM_STALL_MS, FLAGS_BYTES_MAX, FLAGS_INLINED_BYTES_MAX, FLAGS_MAX,
    REGEX_BYTES_MAX, REGEX_CACHE_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_DEPTH_MAX,
    SEGMENTS_MAX, STRATEGIES_PER_FLAG_MAX, VALIDATE_TOKENS_MAX, VARIANTS_MAX,
};
pub use looking::{
    PREVIEW_EXAMPLES, PREVIEW_EXAMPLES_MAX, PREVIEW_USERS, PREVIEW_USERS_MAX,
    PREVIEW_VIEWS_PER_USER_MAX, USER_FLOWS_PER_ANSWER, USER_SEARCH_SCANNED_MAX, USERS_PER_ANSWER,
    USERS_PER_ANSWER_MAX,
};
pub use paging::{FLOW_VERSIONS_TOLD_MAX, LISTED_PER_ANSWER, LISTED_PER_ANSWER_MAX};
pub use usage::{
    USAGE_APPLICATIONS_KEPT_MAX, USAGE_APPS_MAX, USAGE_BATCH_BYTES_MAX, USAGE_BATCH_COUNTS_MAX,
    USAGE_BODY_BYTES_MAX, USAGE_COUNT_MAX, USAGE_HOUR_ROWS_MAX, USAGE_HOUR_ROWS_OF_FLAGS,
    USAGE_HOUR_VARIANTS_MAX, USAGE_HOUR_VARIANTS_OF_FLAGS, USAGE_HOURS_MAX,
    USAGE_INSTANCES_KEPT_MAX, USAGE_LATE_MS_MAX, USAGE_LIST_MAX, USAGE_MET_MAX, USAGE_PENDING_MAX,
    USAGE_PER_ANSWER, USAGE_PER_ANSWER_MAX, USAGE_QUEUE_BYTES_MAX, USAGE_QUEUE_MAX,
    USAGE_RECORD_BYTES_MAX, USAGE_RECORD_ROWS_MAX, USAGE_SEEN_FORGOTTEN, USAGE_SEEN_KEPT_MS,
    USAGE_SEEN_MAX, USAGE_SEEN_OF_FLAGS, USAGE_STRATEGIES_MAX, USAGE_SUM_MAX,
    USAGE_UNKNOWN_FLAGS_MAX, USAGE_VARIANTS_MAX, USAGE_WORD_BYTES_MAX,
};
pub use webhooks::{
    WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_ATTEMPTS_KEPT_MAX, WEBHOOK_ATTEMPTS_MAX,
    WEBHOOK_BODY_BYTES_MAX, WEBHOOK_HEADERS_MAX, WEBHOOK_TEXT_BYTES_MAX, WEBHOOK_TIMEOUT_MS,
    WEBHOOK_TOKENS_MAX, WEBHOOKS_AT_ONCE_MAX, WEBHOOKS_AT_ONCE_PER_HOST_MAX,
    WEBHOOKS_DELIVERED_KEPT_MAX, WEBHOOKS_DELIVERED_KEPT_MS, WEBHOOKS_GIVEN_UP_KEPT_MAX,
    WEBHOOKS_PER_ANSWER, WEBHOOKS_PER_ANSWER_MAX,
};

// ---- Names and subjects ----------------------------------------------------

/// A user, group or conversation id in bytes: longer than any e-mail address
/// (254) or URL-shaped id seen in practice, short enough for a stack buffer.
pub const SUBJECT_ID_BYTES_MAX: usize = 512;

/// A flow or block sid in bytes; they stand in paths and in source code.
pub const SID_BYTES_MAX: usize = 128;

/// Stored properties of one user or group after merging.
pub const PROPERTIES_MAX: usize = 256;

/// Serialised size of one user's or group's properties after merging.
pub const PROPERTIES_BYTES_MAX: usize = 64 * 1024;

/// Flow states one user document keeps: far more flows than a product has, and
/// a bound on what one hostile user id can make the ledger store.
pub const FLOW_STATES_PER_USER_MAX: usize = 1024;

/// A user's document as it is estimated (`progress::event::state_bytes`): as
/// JSON it has at most about three times as many bytes, which is less than the
/// readers of documents take. One version of the largest size fits.
pub const USER_DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Groups one user may belong to: as many as properties, and for the same
/// reason, since each is carried in the user's document.
pub const GROUPS_PER_USER_MAX: usize = 256;

/// Event ids remembered per user and flow; a client repeats a step within a
/// few of its own steps, not within hundreds.
pub const EVENT_RING: usize = 16;

// ---- HTTP ------------------------------------------------------------------

/// Request head; browsers' cookies fit, header bombs do not.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// hyper's read buffer for one connection: a head and the start of a body.
pub const CONNECTION_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Number of request headers hyper parses before it answers 431.
pub const HEADERS_MAX: usize = 100;

/// Requests one HTTP/2 connection may have open: more than a page or a busy
/// application asks for at once.
pub const H2_STREAMS_MAX: u32 = 64;

/// What a client may send of one HTTP/2 request before it is read.
pub const H2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// The same for all requests of the connection.
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// The largest piece of an answer given to HTTP/2 at a time: what waits for a
/// client that does not read stays with us, where its deadline is seen.
pub const H2_PIECE_BYTES: usize = 16 * 1024;

/// Answers that HTTP/2 buffers for one request.
pub const H2_SEND_BYTES_MAX: usize = 64 * 1024;

/// Requests of an HTTP/2 connection that may be reset before they are
/// answered, beyond those that were answered since: whoever begins requests in
/// order to drop them makes work for nothing.
pub const H2_RESETS_MAX: u32 = 100;

/// A file of certificates; the largest bundles of authorities have a quarter.
pub const TLS_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Body of one evaluation, step or identify call.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Body of a batch call of a public protocol.
pub const BATCH_BODY_BYTES_MAX: usize = 256 * 1024;

/// Users of one identify batch, as Dopt's clients know it.
pub const IDENTIFY_BATCH_MAX: usize = 100;

/// Nesting of JSON from outside; deeper input has no use and costs stack.
pub const JSON_DEPTH_MAX: usize = 16;

/// Elements of one JSON array from outside, except documented batches.
pub const JSON_ARRAY_MAX: usize = 256;

/// One JSON string from outside.
pub const JSON_STRING_BYTES_MAX: usize = 4 * 1024;

/// Transition names in one call; a block with more paths than this is refused.
pub const TRANSITIONS_PER_CALL_MAX: usize = 32;

/// Flows one `/v1/evaluate` call may ask for.
pub const FLOWS_PER_EVALUATE_MAX: usize = 64;

/// Keys that are counted apart, thirty full environments of them. Further ones
/// share counters with earlier ones.
pub const KEY_SLOTS: usize = 64 * 1024;

/// A `Flowgate-User-Token`: an id of the largest size in both encodings and
/// claims to spare, well below what a head may have.
pub const USER_TOKEN_BYTES_MAX: usize = 4 * 1024;

/// How far the clock of whoever signs users' tokens may be from ours. Shorter
/// than for snapshots, because a token is worth something until it expires.
pub const USER_TOKEN_SKEW_MS: u64 = 60 * 1000;

/// Signatures of users' tokens each worker remembers, since checking one takes
/// longer than the decision it is for. A quarter of a megabyte.
pub const USER_TOKENS_REMEMBERED: usize = 1_024;

/// Keys for users' tokens in one environment: each rotation needs two.
pub const USER_KEYS_MAX: usize = 8;

/// A user key's id, or a property an environment lists.
pub const ACCESS_NAME_BYTES_MAX: usize = 256;

/// Origins of one key; a page has few.
pub const ORIGINS_PER_KEY_MAX: usize = 64;

/// Properties an environment lists for browsers: as many as a user may have.
pub const BROWSER_PROPERTIES_MAX: usize = PROPERTIES_MAX;

// ---- Flows -----------------------------------------------------------------

/// Logic steps one request may take over all flows it touches. Cycles of logic
/// alone are refused when authored; this bounds the honest rest.
pub const LOGIC_STEPS_MAX: usize = 256;

/// Versions whose migration strategies are looked at, back from the one asked
/// for: numbers are free to an importer, and a walk over four thousand million
/// of them would hang.
pub const MIGRATION_VERSIONS_MAX: u32 = 4_096;

/// Blocks of one version.
pub const BLOCKS_PER_VERSION_MAX: usize = 10_000;

/// Paths of one version; ten for each block at the largest size.
pub const PATHS_PER_VERSION_MAX: usize = 100_000;

/// Transition names of one block.
pub const TRANSITIONS_PER_BLOCK_MAX: usize = 32;

/// Steps along paths that the search for gates that stay shut may take: some
/// tens of milliseconds. Warnings beyond it are left out.
pub const WARNING_STEPS_MAX: usize = 4_000_000;

/// Source text of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// Nesting of one expression: evaluation recurses, so this bounds the stack.
pub const EXPRESSION_DEPTH_MAX: usize = 32;

/// Nodes of one compiled expression.
pub const EXPRESSION_NODES_MAX: usize = 512;

// ---- Signed documents ------------------------------------------------------

/// A root, timestamp, release or control file as fetched.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Nesting of a signed document or part. Rich text nests lists in lists, so
/// this is above `JSON_DEPTH_MAX`; readers recurse, so it bounds the stack.
pub const DOCUMENT_DEPTH_MAX: usize = 64;

/// Longest life a root may grant to timestamps: a year and a month, for
/// environments that are carried as files to places without a network.
pub const TIMESTAMP_LIFE_MS_MAX: u64 = 400 * 24 * 60 * 60 * 1000;

/// How far our clock may lag behind the publisher's before a document counts
/// as coming from the future. Synchronised machines stay within a second; this
/// forgives one that drifts for weeks, and it is short against any expiry.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1000;

/// The index of a release, decoded.
pub const INDEX_BYTES_MAX: usize = 1024 * 1024;

/// One shard, decoded: 100 000 flows of five versions over 256 shards fit.
pub const SHARD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One part, decoded. The largest version (10 000 blocks) fits.
pub const PART_BYTES_MAX: usize = 16 * 1024 * 1024;

/// All parts of one snapshot, decoded.
pub const SNAPSHOT_BYTES_MAX: usize = 512 * 1024 * 1024;

/// One pack file: every part of a snapshot stored uncompressed, the root chain
/// and the documents at their largest, and frames around very many small parts.
pub const PACK_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX + 128 * 1024 * 1024;

/// Threads a release is read on: beyond these, memory is the bottleneck and
/// not the cores.
pub const READING_THREADS_MAX: usize = 8;

/// Shards of an index: one byte of a hash.
pub const SHARDS: usize = 256;

/// Root documents one update may walk through.
pub const ROOT_STEPS_MAX: usize = 64;

/// Signatures one envelope may carry; a threshold above this is refused.
pub const SIGNATURES_MAX: usize = 16;

/// Keys of one environment inside a snapshot.
pub const KEYS_PER_ENVIRONMENT_MAX: usize = 2_000;

/// Environments one edge serves; publishing copies a vector of this length.
pub const ENVIRONMENTS_MAX: usize = 256;

/// Blobs one batch request may ask for: a shard's worth, so that a first pull
/// of a large environment takes few requests.
pub const PARTS_PER_REQUEST_MAX: usize = 4_096;

/// Encoded bytes one batch answer carries before it leaves the rest out for
/// the next request; the largest single part always fits.
pub const PARTS_ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

// ---- The guard -------------------------------------------------------------

/// Sampled decisions of a flow below which no share of them holds a release
/// back: one of three users is no third of all.
pub const GUARD_DECISIONS_MIN: usize = 10;

/// Contexts one environment keeps at the most: with the largest attributes
/// that are sampled, some tens of megabytes.
pub const GUARD_CONTEXTS_MAX: u64 = 10_000;

/// Sampled contexts on their way from the workers; what finds the channel full
/// is lost, and the next one comes.
pub const GUARD_QUEUE_MAX: usize = 256;

/// Attributes of a request that is sampled; who sends more is left out.
pub const GUARD_ATTRIBUTES_MAX: usize = 32;

/// The file of contexts beside the kept snapshots; the newest that fit.
pub const GUARD_FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Flows whose change is told in status; those that change most come first.
pub const GUARD_FLOWS_TOLD_MAX: usize = 20;

// ---- Progress --------------------------------------------------------------

/// One journal record's body: an identify call with full properties, or the
/// state of a version with many blocks.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Records one commit takes at the most: bounds the wait of the first of them.
pub const COMMIT_RECORDS_MAX: usize = 8_192;

/// Bytes one commit takes at the most (a single larger record goes alone).
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;

/// Records waiting for the committer before a write is refused with 503.
pub const COMMIT_QUEUE_MAX: usize = 16_384;

/// Failed syncs in a row before the journal calls itself not writable.
pub const SYNC_FAILURES_MAX: u32 = 3;

/// Records of one shipped batch.
pub const SHIP_RECORDS_MAX: usize = 1_024;

/// Bytes of one shipped batch, and so the store's body cap for it.
pub const SHIP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Copies of journal files that are put aside when they are damaged or when a
/// fork is found: a handful of the usual size, enough to look into either, and
/// no more of a disk than that.
pub const QUARANTINE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Names given to journals whose own id somebody else writes under. One is
/// needed for each copy of a data folder; a ledger that refuses everything
/// must not fill a file with them.
pub const ALIASES_MAX: usize = 256;

/// Records kept in memory until the ledger has them; above it writes answer
/// 503 and reads go on.
pub const PENDING_RECORDS_MAX: usize = 1_000_000;

/// Records of one subject that are read back from the journal one by one. A
/// subject with more of them keeps its whole state in memory: there can be few
/// of those, and reading them would take as long as thousands of others.
pub const SUBJECT_TAIL_RECORDS_MAX: usize = 256;

/// Reads waiting for the ledger, in the queue and under way, before a further
/// one is answered at once: 503 with `Retry-After`.
pub const READS_WAITING_MAX: usize = 4_096;

/// Of them with one key: a crowd with one leaves places to the others.
pub const READS_WAITING_PER_KEY_MAX: usize = 3_072;

/// Users of one call to the ledger. A store's disk reads so many in the time
/// of a few round trips.
pub const USERS_PER_READ_MAX: usize = 256;

/// Bytes of such a call's answer before the store leaves the rest out; the
/// first document always fits.
pub const USERS_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long the ledger waits for a record that a client's token names, and a
/// request for one of our own: shipping takes milliseconds, and a page that
/// waits longer had better show what there is.
pub const TOKEN_WAIT_MS: u64 = 1_000;

/// Requests that wait for the record of a token: half of the reads that may be
/// under way, so that no token keeps others from being read.
pub const TOKEN_WAITERS_MAX: usize = 128;

/// Of them with one key.
pub const TOKEN_WAITERS_PER_KEY_MAX: usize = 96;

/// Users and journals of which it is remembered how far a document goes; about
/// ten megabytes.
pub const TOKENS_REMEMBERED_MAX: u64 = 65_536;

/// Reads under way at the ledger at one time.
pub const READS_IN_FLIGHT_MAX: usize = 256;

/// Requests waiting for a revision they ask for. Each holds its connection and
/// a few kilobytes; all of them are woken by every publish.
pub const REVISION_WAITERS_MAX: usize = 4_096;

/// Of them with one key, so that one application that asks for what does not
/// come leaves room for the others.
pub const REVISION_WAITERS_PER_KEY_MAX: usize = 512;

/// Places in which those who wait are counted by their keys: with a few keys
/// in use it is rare that two share one, and 32 KiB are nothing.
pub const SEAT_COUNTS: usize = 4_096;

/// Reads of the ledger for streams of changes at a time: after a gap all of
/// them want to look, and a quarter of the reads is theirs.
pub const STREAM_READS_MAX: usize = 64;

/// Silence on a stream of changes before a comment breaks it: below the 30 s
/// after which the first proxies give an idle connection up.
pub const STREAM_BEAT_MS: u64 = 15_000;

/// Before a stream looks again that could not be sure of what it saw; doubled
/// each time, up to the beat.
pub const STREAM_LOOK_MS_MIN: u64 = 250;

/// How long a stream waits for the sync of a record whose handler has left.
/// Syncs take milliseconds; one that failed never comes.
pub const STREAM_SYNC_WAIT_MS: u64 = 2_000;

/// Longest message of a socket's client; a watch takes a hundred bytes, a key
/// and a user's token two thousand.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// What is read of a socket at a time. Ten thousand idle ones hold this much
/// each, and what clients write is small.
pub const SOCKET_BUFFER_BYTES: usize = 1024;

/// For a client's CONNECT after the upgrade: clients send it at once.
pub const SOCKET_CONNECT_MS: u64 = 10_000;

/// For a client to answer the close of its socket.
pub const SOCKET_CLOSE_MS: u64 = 1_000;

/// Before a client that has connected and watches nothing is taken for one that
/// comes back and leaves it to us. Others watch as soon as they are ready.
pub const SOCKET_UNWATCHED_MS: u64 = 1_000;

/// Flows one socket may watch, each looked at whenever its subject changes.
pub const SOCKET_WATCHES_MAX: usize = 256;

/// Packets of a client between two pings: some pages watch hundreds of blocks
/// at their start; what is far more than that is no page.
pub const SOCKET_EVENTS_PER_PING_MAX: usize = 4_096;

/// Flows that are kept of those which sockets followed that have ended, of all
/// subjects together: some twenty megabytes at the most.
pub const SOCKET_MEMORIES_MAX: u64 = 100_000;

/// For how long: clients come back within seconds, a laptop within minutes.
pub const SOCKET_MEMORY_MS: u64 = 600_000;

/// How often a step may find that its user changed between reading and
/// deciding before it is answered 503. Each try lost means another step of the
/// same shard was settled, so the whole makes progress.
pub const STEP_TRIES_MAX: usize = 16;

/// Changes an environment's change stream keeps: hours of a busy day, and some
/// ten megabytes. An edge that was away for longer reads again what it knows.
pub const CHANGES_KEPT_MAX: u64 = 100_000;

/// Changes of one answer; the next one goes on where it ended.
pub const CHANGES_PER_ANSWER_MAX: usize = 1_024;

/// Groups one identify call may name.
pub const GROUPS_PER_IDENTIFY_MAX: usize = 32;

/// Alternatives of an audience; people write a handful.
pub const ALTERNATIVES_MAX: usize = 64;

/// Rules of one alternative; each is judged at every decision.
pub const RULES_PER_ALTERNATIVE_MAX: usize = 64;

/// The attribute a rule names; longer names are pasted texts.
pub const RULE_ATTRIBUTE_BYTES_MAX: usize = 256;

/// The text a rule compares with; it stands in every receipt of a decision.
pub const RULE_VALUE_BYTES_MAX: usize = 1024;

/// Entries of a rollout's schedule.
pub const SCHEDULE_ENTRIES_MAX: usize = 64;

/// A channel's name; it stands in every request.
pub const CHANNEL_BYTES_MAX: usize = 128;

/// A rollout's salt; it is hashed together with the id in a fixed buffer.
pub const SALT_BYTES_MAX: usize = 128;

/// A receipt read from a file: properties, attributes, and every state of one
/// flow, each of up to thousands of blocks with their uids.
pub const RECEIPT_BYTES_MAX: usize = 64 * 1024 * 1024;
