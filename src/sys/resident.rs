//! What of this process is in memory.

/// Gives memory back that a process at rest does not need: free heap, and the pages of the program's own code and
/// constants.
///
/// The heap is trimmed by malloc_trim(3), where the C library is glibc. The pages are those of the program's file that
/// it cannot write to (elf(5), `PT_LOAD` without `PF_W`): by madvise(2), `MADV_DONTNEED`, they leave this process but
/// not the page cache, and come back by themselves, 64 KiB at a time, as they are run or read again. What only the
/// start has run does not. Elsewhere than on Linux nothing happens.
///
/// It takes some tens of microseconds, and as much again when the process wakes. A breakpoint that a debugger has put
/// into the code goes with its page.
#[cfg(target_os = "linux")]
pub fn give_back() {
    // SAFETY: no preconditions; memory in use stays.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the callback has the signature that is asked for, ends, does not panic, and keeps nothing.
    unsafe {
        libc::dl_iterate_phdr(Some(forget_pages), std::ptr::null_mut());
    }
}

#[cfg(not(target_os = "linux"))]
pub fn give_back() {}

/// dl_iterate_phdr(3): the first object is the program itself, and no other is looked at.
#[cfg(target_os = "linux")]
unsafe extern "C" fn forget_pages(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the caller lends a description with its program headers for the time of this call. sysconf reads a constant.
    let (base, headers, page) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (object.dlpi_addr as usize, headers, libc::sysconf(libc::_SC_PAGESIZE) as usize)
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        // Whole pages: what shares one with its neighbour stays.
        let start = (base + header.p_vaddr as usize).next_multiple_of(page);
        let end = (base + header.p_vaddr as usize + header.p_filesz as usize) / page * page;
        if start < end {
            // SAFETY: these pages are a private mapping of the program's file which nobody can write to (position
            // independent code has no relocations in it), so reading them again gives the same bytes.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    1
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Of the mappings of this program's file, in KiB.
    fn resident() -> u64 {
        let program = std::env::current_exe().expect("a program").display().to_string();
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("/proc");
        let mut ours = false;
        let mut sum = 0;
        for line in maps.lines() {
            let first = line.split(' ').next().unwrap_or_default();
            match (first.ends_with(':'), line.strip_prefix("Rss:")) {
                (false, _) => ours = line.ends_with(&program),
                (true, Some(rss)) if ours => sum += rss.trim().trim_end_matches(" kB").parse::<u64>().expect("KiB"),
                _ => {}
            }
        }
        sum
    }

    #[test]
    fn pages_go_and_come_back() {
        // Other tests of this program run meanwhile and touch pages, too.
        let gone = (0..100).any(|_| {
            let before = resident();
            give_back();
            resident() < before
        });
        assert!(gone, "nothing has gone");
        assert_eq!(format!("{:?}", "still here"), "\"still here\"");
    }
}
