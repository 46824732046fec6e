//! Which CPUs this process and those that it starts may use (sched_setaffinity(2)).

use libc::{CPU_ISSET, CPU_SET, CPU_SETSIZE, cpu_set_t, sched_getaffinity, sched_setaffinity};

/// Those that the calling thread may use.
pub fn allowed() -> cpu_set_t {
    // SAFETY: a set is bits, none of which is set; the system writes no more than it has.
    unsafe {
        let mut set: cpu_set_t = std::mem::zeroed();
        assert_eq!(sched_getaffinity(0, size_of::<cpu_set_t>(), &raw mut set), 0, "of this thread");
        set
    }
}

/// The first of these.
pub fn first(set: &cpu_set_t) -> cpu_set_t {
    // SAFETY: as above; the numbers are below the size of a set.
    unsafe {
        let cpu = (0..CPU_SETSIZE as usize).find(|cpu| CPU_ISSET(*cpu, set)).expect("this runs somewhere");
        let mut one: cpu_set_t = std::mem::zeroed();
        CPU_SET(cpu, &mut one);
        one
    }
}

/// The calling thread, and what it starts from now on, runs there.
pub fn use_only(set: &cpu_set_t) {
    // SAFETY: the system reads a set that is there.
    let done = unsafe { sched_setaffinity(0, size_of::<cpu_set_t>(), set) };
    assert_eq!(done, 0, "some of these are allowed");
}
