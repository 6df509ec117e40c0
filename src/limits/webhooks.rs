//! How much may a webhook be, and how many are called, kept and told of?
//!
//! What an author writes, what a receiver may cost, and how long the log of
//! deliveries reaches back.

/// A webhook's url, and each of its headers: servers take no longer lines.
pub const WEBHOOK_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Headers of one webhook.
pub const WEBHOOK_HEADERS_MAX: usize = 32;

/// The body that an author writes for one, as JSON, before its tokens are
/// filled in: small messages, not files.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 16 * 1024;

/// Tokens in a url, in a header and in a body: each may become the longest id
/// of a user with every byte encoded, so this bounds what is sent.
pub const WEBHOOK_TOKENS_MAX: usize = 16;

/// Webhooks under way at one time: a slow receiver holds one of them for
/// seconds.
pub const WEBHOOKS_AT_ONCE_MAX: usize = 32;

/// Of them for one host: one that hangs leaves most of them to others.
pub const WEBHOOKS_AT_ONCE_PER_HOST_MAX: usize = 8;

/// Attempts to deliver a webhook before it is given up: with the pauses between
/// them about a day.
pub const WEBHOOK_ATTEMPTS_MAX: u32 = 12;

/// Longest time for one attempt, from the name of the host to the answer.
pub const WEBHOOK_TIMEOUT_MS: u64 = 5_000;

/// How much of a receiver's answer is read before it is hung up on.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Attempts of which the log tells: all of one row of them, and of one more
/// when an operator had it tried again.
pub const WEBHOOK_ATTEMPTS_KEPT_MAX: usize = 2 * WEBHOOK_ATTEMPTS_MAX as usize;

/// Delivered webhooks of an environment that stay in the log: enough to look
/// for one of today, and some megabytes.
pub const WEBHOOKS_DELIVERED_KEPT_MAX: usize = 5_000;

/// How long a delivered webhook stays in the log at the most.
pub const WEBHOOKS_DELIVERED_KEPT_MS: u64 = 3 * 24 * 60 * 60 * 1000;

/// Webhooks of an environment that were given up and are kept: a receiver that
/// is gone for good must not fill the disk within the days they are kept.
pub const WEBHOOKS_GIVEN_UP_KEPT_MAX: usize = 10_000;

/// Webhooks of one answer when nobody says how many.
pub const WEBHOOKS_PER_ANSWER: usize = 100;

/// Webhooks of one answer, each with all of its attempts.
pub const WEBHOOKS_PER_ANSWER_MAX: usize = 500;
