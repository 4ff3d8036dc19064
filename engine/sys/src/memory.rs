//! Giving memory back.

/// Gives what the calling thread has freed back to the system.
///
/// The allocator does so by itself only while it is used, so a shard that fell quiet after a storm of connections would keep
/// the storm's memory. Takes about a millisecond: for quiet moments.
pub fn give_back() {
    // SAFETY: takes no pointer, may be called at any time on any thread, and touches only blocks that were freed.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    #[test]
    fn what_was_freed_goes_and_what_is_held_stays() {
        let held: Vec<Vec<u8>> = (0..200_u8).map(|byte| vec![byte; 5_000]).collect();
        let before = crate::process::resident_bytes();
        let storm: Vec<Vec<u8>> = (0..20_000).map(|_| vec![1; 2_000]).collect();
        let during = crate::process::resident_bytes();
        assert!(during > before + (30 << 20), "{before} {during}");
        drop(storm);
        super::give_back();
        let after = crate::process::resident_bytes();
        assert!(after < before + (20 << 20), "{before} {during} {after}");
        for (byte, held) in (0..200_u8).zip(&held) {
            assert!(held.iter().all(|b| *b == byte));
        }
    }
}
