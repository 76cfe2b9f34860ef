//! A runtime of a world's own.

/// Runs a world to its end on this thread: its clock stands while anybody has something to do, and jumps to the next
/// time that somebody waits for when nobody has.
///
/// There is no I/O, so nothing real is ever waited for; `select!` within has to be `biased`, since tokio draws its order
/// from the machine otherwise.
///
/// # Panics
/// The runtime cannot be built, or the world panics.
pub fn run<F: Future>(world: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the machine");
    runtime.block_on(world)
}
