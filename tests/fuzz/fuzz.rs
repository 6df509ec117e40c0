//! Which target does libFuzzer search?
//!
//! The one named in `FLOWGATE_TARGET`: one program for all of them, so that the
//! whole of flowgate is built with instruments once.

#![no_main]

use std::sync::LazyLock;

use flowgate::fuzzing::{TARGETS, Target, named};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FLOWGATE_TARGET").unwrap_or_default();
    named(&name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        panic!(
            "FLOWGATE_TARGET is {name:?}, expected one of {}",
            names.join(", ")
        )
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
