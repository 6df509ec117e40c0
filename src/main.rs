#![forbid(unsafe_code)]
//! Arguments in, exit code out.
//!
//! Everything that is decided is decided in the library, so that tests reach
//! it; see `flowgate::cli`.

use std::process::ExitCode;

/// Requests allocate little but from many threads at once; against glibc's
/// allocator mimalloc keeps the tail flat and gives memory back after a swap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut console = flowgate::cli::Console::of_process();
    ExitCode::from(flowgate::cli::run(std::env::args_os(), &mut console))
}
