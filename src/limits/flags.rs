//! How large may flags get, and what may be asked of them?
//!
//! Documents of flags come from authors or from a file an operator names;
//! contexts come from anybody with a public key.

use super::{JSON_STRING_BYTES_MAX, PROPERTIES_MAX};

/// A document of flags: ten thousand of them with long descriptions.
pub const FLAGS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Flags of one environment: twice what Unleash's own server takes.
pub const FLAGS_MAX: usize = 10_000;

/// A flag's name in bytes; it stands in paths and in every answer.
pub const FLAG_NAME_BYTES_MAX: usize = 255;

/// Segments of one environment, and so what a strategy may refer to.
pub const SEGMENTS_MAX: usize = 10_000;

/// Strategies of one flag; each may be judged in every request. Unleash's
/// server stops at 30, unless it is told otherwise.
pub const STRATEGIES_PER_FLAG_MAX: usize = 128;

/// Constraints of one strategy or segment, for the same reason.
pub const CONSTRAINTS_PER_STRATEGY_MAX: usize = 256;

/// Values of one constraint or ids of one list: Unleash's server stops at 1000
/// for segments.
pub const CONSTRAINT_VALUES_MAX: usize = 100_000;

/// Variants of one flag or strategy: their weights are thousandths.
pub const VARIANTS_MAX: usize = 1_000;

/// Flags one flag may depend on.
pub const DEPENDENCIES_PER_FLAG_MAX: usize = 32;

/// A regular expression as it is written.
pub const REGEX_BYTES_MAX: usize = 4 * 1024;

/// The same compiled: a handful of Unicode classes, repeated some times. What
/// repeats repetitions a thousand times is refused when it is compiled.
pub const REGEX_COMPILED_BYTES_MAX: usize = 512 * 1024;

/// What matching may keep of one regular expression for each thread that uses
/// it; with less it forgets and goes on, still in linear time.
pub const REGEX_CACHE_BYTES_MAX: usize = 256 * 1024;

/// Groups within groups of a regular expression.
pub const REGEX_DEPTH_MAX: u32 = 64;

/// Properties of one context: as many as a user may have.
pub const CONTEXT_PROPERTIES_MAX: usize = PROPERTIES_MAX;

/// A field of a context in bytes.
pub const CONTEXT_FIELD_BYTES_MAX: usize = JSON_STRING_BYTES_MAX;

/// Tokens of one question whether they are good.
pub const VALIDATE_TOKENS_MAX: usize = 256;

/// Below this compressing an answer saves no packet.
pub const COMPRESS_BYTES_MIN: usize = 1024;

/// Revisions of an environment from which clients that follow its flags are
/// told only what has changed: at one a minute, a working day.
pub const FLAG_REVISIONS_KEPT: usize = 512;

/// What those changes may come to, as events. Whoever lacks more is served
/// faster with everything at once.
pub const FLAG_CHANGES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Flags with their segments written into each, for clients that know none. A
/// document within its bounds can come to a thousand times as much.
pub const FLAGS_INLINED_BYTES_MAX: usize = FLAGS_BYTES_MAX;

/// Answers to clients that begin to follow flags, kept by each worker while the
/// flags are in force: after a restart all clients of an application come at
/// once, and want the same. Larger ones are shared while some stream takes them.
pub const FLAG_ANSWERS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Questions to which a worker knows the answer, kept or on its way to some
/// client: they differ by the projects of keys, which are few, and by the
/// queries of applications.
pub const FLAG_ANSWERS_KNOWN: usize = 64;

/// How long a stream of flags waits for its client to take a piece when there
/// is another one. Whoever is slower is better served by asking now and then;
/// and who takes nothing at all is cut much earlier.
pub const FLAG_STREAM_STALL_MS: u64 = 120_000;
