//! What does the whole program do, seen from outside?
//!
//! The one integration binary: its module list is the index of behaviour.

mod architecture;
mod docs;
mod fixtures;
mod harness;
mod hostile;
mod licences;
mod two_processes;
mod vectors;
