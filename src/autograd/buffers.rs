//! Memory that one training step leaves to the next.

use std::collections::HashMap;

/// Vectors that are free for reuse, by length. A training step repeats the shapes of the one before, so
/// after the first step every request is served from here.
#[derive(Default)]
pub(super) struct Buffers<T> {
    free: HashMap<usize, Vec<Vec<T>>>,
}

impl<T: Copy + Default> Buffers<T> {
    /// A vector of `len` elements whose contents are unspecified.
    pub fn take(&mut self, len: usize) -> Vec<T> {
        self.free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| vec![T::default(); len])
    }

    /// Leaves `buffer` for a later [`Buffers::take`].
    pub fn give(&mut self, buffer: Vec<T>) {
        if !buffer.is_empty() {
            self.free.entry(buffer.len()).or_default().push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        let mut buffers = Buffers::<f32>::default();
        let mut first = buffers.take(8);
        first[0] = 5.0;
        buffers.give(first);
        assert_eq!(buffers.take(9)[0], 0.0);
        assert_eq!(buffers.take(8)[0], 5.0);
        assert_eq!(buffers.take(8)[0], 0.0);
    }
}
