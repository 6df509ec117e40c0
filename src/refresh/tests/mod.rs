//! What does a refresh cost, and what survives it?

mod delta;
mod holding;
mod supplying;
mod world;
