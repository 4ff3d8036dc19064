//! Cores: which this process may use, and pinning a thread to one.

use std::io;

/// The cores this process may run on, in rising order; never empty.
pub fn allowed() -> Vec<usize> {
    let mut set = empty_set();
    // SAFETY: the size is that of the set behind the pointer.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        return vec![0];
    }
    (0..libc::CPU_SETSIZE.unsigned_abs() as usize).filter(|&core| is_set(core, &set)).collect()
}

/// Pins the calling thread to one core.
///
/// # Errors
/// The core does not exist or is not allowed.
pub fn pin(core: usize) -> io::Result<()> {
    if core >= libc::CPU_SETSIZE.unsigned_abs() as usize {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut set = empty_set();
    // SAFETY: the number was checked against the size of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the size is that of the set behind the pointer.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty_set() -> libc::cpu_set_t {
    // SAFETY: the set is plain numbers, for which all zeros is the empty set.
    unsafe { std::mem::zeroed() }
}

fn is_set(core: usize, set: &libc::cpu_set_t) -> bool {
    // SAFETY: callers stay below CPU_SETSIZE.
    unsafe { libc::CPU_ISSET(core, set) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_each_allowed_core() {
        for core in allowed() {
            std::thread::spawn(move || {
                pin(core).unwrap();
                assert_eq!(allowed(), vec![core]);
            })
            .join()
            .unwrap();
        }
        assert!(pin(100_000).is_err());
    }
}
