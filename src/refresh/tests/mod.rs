//! What does a refresh cost, and what survives it?

mod attacks;
mod delta;
mod holding;
mod supplying;
mod world;
