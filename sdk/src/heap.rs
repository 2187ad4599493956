//! The allocator of a component. Each event comes in nine pieces, which are freed
//! when the call ends: what was freed is kept by its size, and is handed out again
//! in a few instructions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Larger blocks are the business of `std`'s allocator alone.
const SMALL_BYTES_MAX: usize = 1024;
const STEP_BYTES: usize = 32;
const ALIGN_BYTES: usize = 8;

/// Lists of free blocks, by size. They never go back: a call needs much the same
/// as the one before.
pub struct Heap(UnsafeCell<[*mut Free; SMALL_BYTES_MAX / STEP_BYTES]>);

/// A free block; it holds nothing else.
struct Free {
    next: *mut Free,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(
            [ptr::null_mut(); SMALL_BYTES_MAX / STEP_BYTES],
        ))
    }

    /// The first free block of a size.
    ///
    /// # Safety
    /// One is used at a time.
    #[allow(clippy::mut_from_ref, reason = "the allocator's trait has it so")]
    unsafe fn first(&self, list: usize) -> &mut *mut Free {
        // SAFETY: there is one thread, and no list is used while another is.
        unsafe { &mut (*self.0.get())[list] }
    }
}

/// Its list; `None` for what is not kept in one. No layout is without bytes.
fn list(layout: Layout) -> Option<usize> {
    let is_small = layout.size() <= SMALL_BYTES_MAX && layout.align() <= ALIGN_BYTES;
    is_small.then(|| layout.size().saturating_sub(1) / STEP_BYTES)
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
            return unsafe { System.alloc(block(list)) };
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

    use super::Heap;

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
}
