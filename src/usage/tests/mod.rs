//! Does everything that was written reach the store, and nothing twice?

mod crashes;
mod sums;
