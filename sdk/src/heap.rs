//! The allocator of a component. Each event comes in nine pieces, which are freed
//! when the call ends: what was freed is kept by its size, and is handed out again
//! in a few instructions. What most plugins need for good lies beside their own data,
//! so that a guest at rest takes few pages of memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;

/// Larger blocks are the business of `std`'s allocator alone.
const SMALL_BYTES_MAX: usize = 1024;
const STEP_BYTES: usize = 32;
const LISTS: usize = SMALL_BYTES_MAX / STEP_BYTES;
const ALIGN_BYTES: usize = 8;
/// Enough for most plugins at rest, and more than a page: see `State`. `std`'s allocator
/// takes 64 KiB at first, and writes to both ends.
const FIRST_BYTES: usize = 8 << 10;

pub struct Heap(UnsafeCell<State>);

/// The order matters: `first` begins where the plugin's data end, so that their last page
/// is written before it is read. Where it is read first, Linux maps all of the data that
/// guests share, and counts it to each of them.
#[repr(C)]
struct State {
    /// Where the first blocks are cut from.
    first: [MaybeUninit<u64>; FIRST_BYTES / 8],
    cut_bytes: usize,
    /// Free blocks, by size. They never go back: a call needs much the same as the one
    /// before.
    lists: [*mut Free; LISTS],
}

/// A free block; it holds nothing else.
struct Free {
    next: *mut Free,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(State {
            first: [MaybeUninit::uninit(); FIRST_BYTES / 8],
            cut_bytes: 0,
            lists: [ptr::null_mut(); LISTS],
        }))
    }

    /// The first free block of a size.
    ///
    /// # Safety
    /// One is used at a time.
    #[allow(clippy::mut_from_ref, reason = "the allocator's trait has it so")]
    unsafe fn first(&self, list: usize) -> &mut *mut Free {
        // SAFETY: there is one thread, and no list is used while another is.
        unsafe { &mut (*self.0.get()).lists[list] }
    }

    /// A new block, for a list that is empty.
    #[cold]
    fn cut(&self, list: usize) -> *mut u8 {
        let block = block(list);
        let state = self.0.get();
        // SAFETY: there is one thread. A block from `first` lies within it and is cut
        // once; it is aligned, as `first` is and all blocks before it end. No block is
        // without bytes.
        unsafe {
            let at = (*state).cut_bytes;
            if at + block.size() > FIRST_BYTES {
                return System.alloc(block);
            }
            (*state).cut_bytes += block.size();
            (&raw mut (*state).first).cast::<u8>().add(at)
        }
    }
}

/// Its list; `None` for what is not kept in one. No layout is without bytes.
fn list(layout: Layout) -> Option<usize> {
    let list = layout.size().wrapping_sub(1) / STEP_BYTES;
    (list < LISTS && layout.align() <= ALIGN_BYTES).then_some(list)
}

/// What all blocks of a list are made with.
fn block(list: usize) -> Layout {
    let layout = Layout::from_size_align((list + 1) * STEP_BYTES, ALIGN_BYTES);
    layout.expect("the size is small, the alignment a power of two")
}

// SAFETY: a block of a list is as large as all layouts of that list, and is either
// in the list or with one owner. Everything else is done by `System`.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = list(layout) else {
            return unsafe { System.alloc(layout) };
        };
        let first = unsafe { self.first(list) };
        if first.is_null() {
            return self.cut(list);
        }
        let found = *first;
        *first = unsafe { (*found).next };
        found.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if list(layout).is_none() {
            return unsafe { System.alloc_zeroed(layout) };
        }
        let found = unsafe { self.alloc(layout) };
        if !found.is_null() {
            unsafe { found.write_bytes(0, layout.size()) };
        }
        found
    }

    unsafe fn dealloc(&self, freed: *mut u8, layout: Layout) {
        let Some(list) = list(layout) else {
            return unsafe { System.dealloc(freed, layout) };
        };
        let freed: *mut Free = freed.cast();
        unsafe {
            let first = self.first(list);
            freed.write(Free { next: *first });
            *first = freed;
        }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the trait's rules about sizes.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list(layout), list(wanted)) {
            (None, None) => unsafe { System.realloc(old, layout, size) },
            (before, after) if before == after => old,
            _ => unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    ptr::copy_nonoverlapping(old, new, layout.size().min(size));
                    self.dealloc(old, layout);
                }
                new
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};
    use std::collections::HashSet;

    use super::{Heap, LISTS, SMALL_BYTES_MAX};

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn what_was_freed_is_handed_out_again_to_what_is_as_large() {
        let heap = Heap::new();
        unsafe {
            let first = heap.alloc(layout(33, 1));
            let second = heap.alloc(layout(64, 8));
            assert_ne!(first, second);
            heap.dealloc(first, layout(33, 1));
            heap.dealloc(second, layout(64, 8));
            assert_ne!(heap.alloc(layout(32, 1)), second);
            assert_eq!(heap.alloc(layout(40, 4)), second);
            assert_eq!(heap.alloc_zeroed(layout(64, 1)), first);
            assert_eq!(std::slice::from_raw_parts(first, 64), [0; 64]);
        }
    }

    #[test]
    fn what_grows_and_shrinks_keeps_its_bytes() {
        let heap = Heap::new();
        let sizes = [1, 31, 32, 33, 200, 1_000, 1_024, 1_025, 9_000, 1_024, 50, 7];
        for align in [1, 8, 64] {
            unsafe {
                let mut size = sizes[0];
                let mut block = heap.alloc(layout(size, align));
                block.write(7);
                for next in sizes {
                    block = heap.realloc(block, layout(size, align), next);
                    assert!(block.addr().is_multiple_of(align));
                    assert_eq!(block.read(), 7);
                    let kept = size.min(next);
                    let bytes = std::slice::from_raw_parts(block, kept);
                    assert!(
                        bytes.iter().skip(1).all(|byte| *byte == 3),
                        "{size} to {next}"
                    );
                    block.add(1).write_bytes(3, next - 1);
                    size = next;
                }
                heap.dealloc(block, layout(size, align));
            }
        }
    }

    #[test]
    fn blocks_do_not_overlap_and_none_is_lost() {
        const LIVE: usize = 50;
        let heap = Heap::new();
        let mut live = [(std::ptr::null_mut::<u8>(), layout(1, 1), 0); LIVE];
        let mut small = HashSet::new();
        let mut random = 1_u64;
        for round in 0..200_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005) + 1;
            let dice = (random >> 33) as usize;
            let (freed, of, filled) = live[round % LIVE];
            let wanted = layout(1 + dice % 1_500, 1 << (dice / 1_500 % 5));
            unsafe {
                if !freed.is_null() {
                    let bytes = std::slice::from_raw_parts(freed, of.size());
                    assert!(bytes.iter().all(|byte| *byte == filled));
                    heap.dealloc(freed, of);
                }
                let new = heap.alloc(wanted);
                assert!(new.addr().is_multiple_of(wanted.align()));
                new.write_bytes(dice as u8, wanted.size());
                live[round % LIVE] = (new, wanted, dice as u8);
                if wanted.size() <= SMALL_BYTES_MAX && wanted.align() <= 8 {
                    small.insert(new);
                }
            }
        }
        // Of each size there are no more than were ever in use at once.
        assert!(small.len() <= LIVE * LISTS / 4, "{}", small.len());
    }
}
