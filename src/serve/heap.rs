//! How the allocator gives back what the process is done with.
//!
//! glibc maps a large block by itself and unmaps it when it is freed, until the
//! first one is freed: then it takes blocks up to that size (32 MiB at most) for
//! usual ones and cuts them from the heaps of the threads, one heap for each,
//! where a small neighbour keeps the room of a large one for ever. A batch is
//! read by whichever thread is free, so that a busy hour would leave a batch's
//! room, and the half of it that it grew from, in several of them. With the size
//! fixed, a batch's memory is the system's again as soon as it is stored.
//!
//! Other allocators than glibc's are left as they are.

/// From this size on a block is mapped by itself: above all that a hit needs, so
/// that none pays for a mapping, and below the buffers through which batches pass.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: std::ffi::c_int = 256 << 10;

/// For the whole process; called before there are threads.
pub(super) fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it takes two numbers, and its own lock while it sets one.
        let is_set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES) } == 1;
        if !is_set {
            tracing::warn!("the allocator keeps the memory of large blocks");
        }
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn a_large_block_is_mapped_by_itself_also_after_one_was_freed() {
        const BYTES: usize = 16 << 20;
        give_back_large_blocks();
        drop(std::hint::black_box(Vec::<u8>::with_capacity(BYTES)));
        let held = std::hint::black_box(Vec::<u8>::with_capacity(BYTES));
        // SAFETY: it takes nothing and returns numbers.
        let mapped = unsafe { libc::mallinfo2() }.hblkhd;
        assert!(mapped >= held.capacity(), "{mapped} bytes are mapped");
    }
}
