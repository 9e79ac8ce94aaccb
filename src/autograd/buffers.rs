//! Memory that one training step leaves to the next.

use std::collections::HashMap;

/// Vectors that are free for reuse, by length. A training step repeats the shapes of the one before, so
/// after the first step every request is served from here.
#[derive(Default)]
pub(super) struct Buffers<T> {
    free: HashMap<usize, Vec<Vec<T>>>,
    /// Requests since the last [`Buffers::trim`], by length.
    taken: HashMap<usize, usize>,
}

impl<T: Copy + Default> Buffers<T> {
    /// A vector of `len` elements whose contents are unspecified.
    pub fn take(&mut self, len: usize) -> Vec<T> {
        *self.taken.entry(len).or_default() += 1;
        self.free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| vec![T::default(); len])
    }

    /// Leaves `buffer` for a later [`Buffers::take`].
    pub fn give(&mut self, buffer: Vec<T>) {
        if !buffer.is_empty() {
            self.free.entry(buffer.len()).or_default().push(buffer);
        }
    }

    /// Ends a step: keeps no more vectors of a length than the step took. Others were made elsewhere (images,
    /// for one) and would pile up.
    pub fn trim(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.free.retain(|len, free| {
            free.truncate(taken.get(len).copied().unwrap_or(0));
            !free.is_empty()
        });
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

    #[test]
    fn a_step_keeps_what_it_took() {
        let mut buffers = Buffers::<f32>::default();
        let taken = [buffers.take(8), buffers.take(8)];
        taken.into_iter().chain(vec![vec![0.0; 8]; 5]).for_each(|b| buffers.give(b));
        buffers.give(vec![0.0; 9]);
        buffers.trim();
        assert_eq!(buffers.free.len(), 1);
        assert_eq!(buffers.free[&8].len(), 2);
    }
}
