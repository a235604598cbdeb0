//! How much of a streamed result may be on its way to its reader or wait there: so many items, and so many bytes of them.
//!
//! The sender counts by [`Credit`], the reader by [`Unread`]. Invariants: a sender that has room may send one item of
//! any length, so that what waits is bounded by these bytes and one item; a reader that took all that came owes less
//! than half of the credit, so that no sender waits for a reader that waits for it.

use std::collections::VecDeque;

/// How many items.
pub(super) const ITEMS: u32 = 64;
/// While they hold so many bytes, no other one is sent.
pub(super) const BYTES: usize = 4 * 1024 * 1024;

/// What a sender may send.
#[derive(Default)]
pub(super) struct Credit {
    items: u32,
    /// The lengths of the items for which no credit came back, oldest first.
    sent: VecDeque<usize>,
    /// What they hold.
    bytes: usize,
}

impl Credit {
    /// What a sender may send at the beginning.
    pub(super) fn of_a_stream() -> Self {
        Self { items: ITEMS, ..Self::default() }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.items > 0 && self.bytes < BYTES
    }

    /// An item is sent. False: there is no room for it.
    pub(super) fn spend(&mut self, length: usize) -> bool {
        if !self.has_room() {
            return false;
        }
        self.items -= 1;
        self.sent.push_back(length);
        self.bytes += length;
        true
    }

    /// The reader took so many.
    pub(super) fn give_back(&mut self, items: u32) {
        self.items = self.items.saturating_add(items);
        let taken = self.sent.len().min(items as usize);
        self.bytes -= self.sent.drain(..taken).sum::<usize>();
    }
}

/// What waits for a reader, and what it took since it last gave credit.
#[derive(Default)]
pub(super) struct Unread {
    items: u32,
    bytes: usize,
    taken: u32,
    taken_bytes: usize,
}

impl Unread {
    /// An item comes. False: its sender had no credit for it.
    pub(super) const fn comes(&mut self, length: usize) -> bool {
        if self.items >= ITEMS || self.bytes >= BYTES {
            return false;
        }
        self.items += 1;
        self.bytes += length;
        true
    }

    /// An item is taken; how much credit is due now.
    pub(super) fn take(&mut self, length: usize) -> u32 {
        self.items -= 1;
        self.bytes -= length;
        self.taken += 1;
        self.taken_bytes += length;
        if self.taken < ITEMS / 2 && self.taken_bytes < BYTES / 2 {
            return 0;
        }
        self.taken_bytes = 0;
        std::mem::take(&mut self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, Credit, ITEMS, Unread};

    /// Lengths of every kind, the same ones each time.
    fn lengths() -> impl Iterator<Item = usize> {
        let mut state = 7_u32;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = BYTES >> (state >> 28);
            if state & 1024 == 0 { length } else { length * 2 + 1 }
        })
    }

    #[test]
    fn a_reader_that_took_everything_leaves_its_sender_room() {
        let (mut credit, mut unread) = (Credit::of_a_stream(), Unread::default());
        let mut lengths = lengths();
        for round in 0..2000 {
            let mut came = Vec::new();
            // As many as there is room for, or one.
            while credit.has_room() && (round % 2 == 0 || came.is_empty()) {
                let length = lengths.next().unwrap_or(0);
                assert!(credit.spend(length));
                assert!(unread.comes(length), "the sender had room in round {round}");
                came.push(length);
            }
            assert!(!came.is_empty(), "nobody goes on in round {round}");
            let held: usize = came.iter().sum();
            assert!(came.len() <= ITEMS as usize && held < BYTES * 3 + 1);
            for length in came {
                credit.give_back(unread.take(length));
            }
        }
    }

    #[test]
    fn what_is_beyond_either_bound_is_refused_on_both_sides() {
        for (length, count) in [(1, ITEMS as usize), (BYTES / 4, 4), (BYTES - 1, 2), (BYTES, 1)] {
            let (mut credit, mut unread) = (Credit::of_a_stream(), Unread::default());
            for _ in 0..count {
                assert!(credit.spend(length) && unread.comes(length));
            }
            assert!(!credit.spend(0) && !unread.comes(0), "{count} of {length} bytes");
        }
    }

    #[test]
    fn credit_out_of_nowhere_is_no_more_than_items() {
        let mut credit = Credit::of_a_stream();
        assert!(credit.spend(BYTES));
        credit.give_back(u32::MAX);
        credit.give_back(u32::MAX);
        assert!(credit.spend(BYTES) && !credit.spend(1));
    }
}
