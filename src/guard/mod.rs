//! Would a new release turn away those who are served now?
//!
//! Every few requests a worker hands over what a decision was made of: a
//! [`Context`]. The newest of them, one for each subject and flow, lie in a
//! [`Reservoir`]; before a release goes into force, [`judge()`] decides all of
//! them under the release in force and under the new one. What to do about the
//! difference is `refresh`'s matter. Off unless configured, because contexts
//! hold ids of users.

mod context;
mod judge;
mod reservoir;
#[cfg(test)]
mod tests;

pub(crate) use self::reservoir::locked;
pub use self::{
    context::{Context, Sampler},
    judge::{FlowChange, Verdict, judge},
    reservoir::{Collector, Reservoir, Reservoirs},
};
