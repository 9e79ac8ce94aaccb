//! Who hears what happens while a sweep runs, and may stop it.

use std::sync::atomic::{AtomicBool, Ordering};

/// What happens while a task runs.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// So many of something are begun.
    Begin(usize, &'static str),
    /// One of them is done.
    Done,
}

/// The exit code of a point that was stopped.
pub(super) const STOPPED: u8 = 130;

/// The watch over a task.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Hears events, from any thread.
    pub hear: &'a (dyn Fn(Event) + Sync),
    /// Set when the task is to end early.
    pub stop: &'a AtomicBool,
}

impl Watch<'_> {
    /// Says that `count` of something are begun.
    pub(super) fn begin(&self, count: usize, what: &'static str) {
        (self.hear)(Event::Begin(count, what));
    }

    /// Says that one of them is done.
    pub(super) fn done(&self) {
        (self.hear)(Event::Done);
    }

    /// Whether the task is to end.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
