//! Do flags behave as Unleash's clients expect?

mod specification;
