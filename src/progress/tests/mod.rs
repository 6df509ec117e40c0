//! Is every acknowledged step kept, seen, and at the ledger exactly once?
//!
//! Rules have a test each, with everything driven by hand: [`rules`],
//! [`away`], [`restarts`], [`enrolling`], [`grouping`], [`changes`]. The [`simulation`] lets the
//! same parts meet in orders nobody would think of, and [`seeds`] runs it;
//! [`two_edges`] does so over one ledger, [`forks`] with a copied data folder.

mod answering;
mod away;
mod changes;
mod edge;
mod enrolling;
mod forks;
mod grouping;
mod ledger;
mod migrating;
mod restarts;
mod rules;
mod scene;
mod seeds;
mod simulation;
mod terminal;
mod tokens;
mod two_edges;
mod world;
