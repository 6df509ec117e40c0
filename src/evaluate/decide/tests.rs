//! Do decisions hold together?
