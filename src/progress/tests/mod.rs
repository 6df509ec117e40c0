//! Is every acknowledged step kept, seen, and at the ledger exactly once?
//!
//! Rules have a test each, with everything driven by hand: [`rules`],
//! [`away`], [`restarts`]. The [`simulation`] lets the same parts meet in
//! orders nobody would think of, and [`seeds`] runs it.

mod answering;
mod away;
mod edge;
mod ledger;
mod restarts;
mod rules;
mod scene;
mod seeds;
mod simulation;
mod terminal;
mod world;
