//! What has a process used?

/// CPU time the threads of a process have used, in nanoseconds. `stat` counts
/// the same in ticks of 10 ms, too coarse for short rounds.
pub(crate) fn cpu_ns(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process lives");
    threads
        .map(|thread| {
            let path = thread.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(path).expect("a thread of a server stays");
            let used = text.split(' ').next().and_then(|field| field.parse().ok());
            used.unwrap_or(0_u64)
        })
        .sum()
}
