//! Buffers that outlive a task, so that it need not wait for the system's memory or fill it with zeros.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

thread_local! {
    static WINDOWS: Cell<Vec<i16>> = const { Cell::new(vec![]) };
    static SUMS: Cell<Vec<i32>> = const { Cell::new(vec![]) };
}

/// `len` elements of any content.
pub fn windows(len: usize) -> Lent<i16> {
    Lent::new(&WINDOWS, len)
}

/// `len` elements of any content.
pub fn sums(len: usize) -> Lent<i32> {
    Lent::new(&SUMS, len)
}

/// A thread's buffer. While it is lent, the same thread gets a new one: a thread that waits for others may start
/// another task.
pub struct Lent<T: 'static> {
    spare: &'static LocalKey<Cell<Vec<T>>>,
    buffer: Vec<T>,
    len: usize,
}

impl<T: Clone + Default> Lent<T> {
    fn new(spare: &'static LocalKey<Cell<Vec<T>>>, len: usize) -> Self {
        let mut buffer = spare.take();
        if buffer.len() < len {
            buffer.resize(len, T::default());
        }
        Self { spare, buffer, len }
    }
}

impl<T> Deref for Lent<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.buffer[..self.len]
    }
}

impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[..self.len]
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        self.spare.set(std::mem::take(&mut self.buffer));
    }
}
