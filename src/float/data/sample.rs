//! Some of a set's pictures. Every place that takes a part of a set draws it here: an order on disk, which is often
//! class after class, never decides.

use super::set::DataSet;
use crate::store;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The seed of a sample where no option gives one.
pub const SEED: u64 = 1;

impl DataSet {
    /// `count` pictures (all of them where there are fewer) in an order that follows from `seed` alone. Every beginning of
    /// it is stratified: each class has its share of the pictures, rounded. Without labels it is a random permutation.
    pub fn sample(&self, count: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        if self.is_labelled() {
            let sizes = self.counts();
            let mut seen = BTreeMap::new();
            // Of a class of n pictures the k-th stands at (2k + 1) / 2n of the way; multiplied out, so that it is exact.
            let place = |&i: &usize| {
                let label = self.labels[i];
                let k = seen.entry(label).or_insert(0u128);
                *k += 1;
                (i, 2 * *k - 1, 2 * sizes[&label] as u128)
            };
            let mut placed: Vec<_> = order.iter().map(place).collect();
            placed.sort_by(|(_, a, m), (_, b, n)| (a * n).cmp(&(b * m)));
            order = placed.into_iter().map(|(i, ..)| i).collect();
        }
        order.truncate(count);
        self.subset(&order)
    }

    /// `share` of the pictures of every class, one at least of each that has two, and the others. What a picture is decides
    /// (its bytes, or the name of its file), neither its place nor a seed: more pictures, another order and another run
    /// leave a picture where it was, but for few at the boundary.
    pub fn split(&self, share: f64) -> (Self, Self) {
        let mut classes: BTreeMap<Option<usize>, Vec<(String, usize)>> = BTreeMap::new();
        for i in 0..self.len() {
            classes.entry(self.label(i)).or_default().push((self.identity(i), i));
        }
        let mut classes: Vec<_> = classes.into_values().collect();
        let counts = shares(&classes.iter().map(Vec::len).collect::<Vec<_>>(), share);
        let (mut held, mut rest) = (vec![], vec![]);
        for (pictures, count) in classes.iter_mut().zip(counts) {
            pictures.sort_unstable();
            held.extend(pictures[..count].iter().map(|p| p.1));
            rest.extend(pictures[count..].iter().map(|p| p.1));
        }
        held.sort_unstable();
        rest.sort_unstable();
        (self.subset(&held), self.subset(&rest))
    }

    /// Classes of which there is no picture, by name: of those that the set names, and of a network's `outputs`. Empty where
    /// there are no labels.
    pub fn lacks(&self, outputs: usize) -> Vec<String> {
        if !self.is_labelled() {
            return vec![];
        }
        let counts = self.counts();
        let missing = (0..outputs.max(self.classes.len())).filter(|c| !counts.contains_key(c));
        missing.map(|c| self.classes.get(c).cloned().unwrap_or_else(|| c.to_string())).collect()
    }

    /// Pictures of each class that has any.
    fn counts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        self.labels.iter().for_each(|&label| *counts.entry(label).or_default() += 1);
        counts
    }

    fn subset(&self, indices: &[usize]) -> Self {
        let labels =
            if self.is_labelled() { indices.iter().map(|&i| self.labels[i]).collect() } else { vec![] };
        let places = indices.iter().map(|&i| self.places[i]).collect();
        let (path, part, pictures) = (self.path.clone(), self.part, self.pictures.clone());
        let (classes, notes) = (self.classes.clone(), self.notes.clone());
        Self { path, part, pictures, places, labels, classes, notes, turned: self.turned }
    }

    /// What tells picture `i` from others.
    fn identity(&self, i: usize) -> String {
        match self.pictures.bytes(self.places[i]) {
            Ok(bytes) => store::digest([bytes]),
            Err(path) => store::digest([path.file_name().unwrap_or_default().as_encoded_bytes()]),
        }
    }
}

/// `share` of each of `sizes` and of all together, by largest remainders; one at least of every size from 2 on, and never all.
fn shares(sizes: &[usize], share: f64) -> Vec<usize> {
    let exact = |n: usize| share * n as f64;
    let mut counts: Vec<usize> = sizes.iter().map(|&n| exact(n) as usize).collect();
    let total = (exact(sizes.iter().sum()) + 0.5) as usize;
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by(|&a, &b| exact(sizes[b]).fract().total_cmp(&exact(sizes[a]).fract()));
    let missing = total.saturating_sub(counts.iter().sum());
    by_remainder.into_iter().take(missing).for_each(|c| counts[c] += 1);
    let within = |(count, &n): (usize, &usize)| count.clamp((n > 1) as usize, n.saturating_sub(1));
    counts.into_iter().zip(sizes).map(within).collect()
}

#[cfg(test)]
mod tests {
    use super::super::set::{Layout, Pictures};
    use super::*;

    /// Pictures of one pixel, `labels` in the order on disk.
    fn set(labels: &[usize]) -> DataSet {
        let layout = Layout { height: 1, width: 1, channels: 1, planar: false };
        let bytes = (0..labels.len()).map(|i| i as u8).collect();
        DataSet::new("set".as_ref(), Pictures::Memory { layout, bytes }, labels.into(), vec![])
    }

    fn labels(set: &DataSet) -> Vec<usize> {
        (0..set.len()).map(|i| set.label(i).unwrap()).collect()
    }

    #[test]
    fn every_beginning_has_every_class_in_its_share() {
        let sorted: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let drawn = set(&sorted).sample(100, 1);
        for ten in labels(&drawn).chunks(10) {
            let mut ten = ten.to_vec();
            ten.sort_unstable();
            assert_eq!(ten, (0..10).collect::<Vec<_>>());
        }
        let uneven: Vec<usize> = (0..100).map(|i| (i >= 80) as usize).collect();
        for count in [5, 10, 50] {
            let few = labels(&set(&uneven).sample(count, 2)).iter().sum::<usize>();
            assert_eq!(few, count / 5);
        }
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let pictures =
            |set: DataSet| (0..set.len()).map(|i| set.picture(i).unwrap().bytes[0]).collect::<Vec<_>>();
        let labelled = set(&[0; 200]);
        let drawn = |seed| pictures(labelled.sample(5, seed));
        assert_ne!(drawn(1), drawn(2));
        assert_eq!(drawn(1), pictures(labelled.sample(200, 1))[..5]);
        assert_eq!(drawn(1), [188, 51, 194, 82, 40]); // on every machine
        let mut all = pictures(labelled.sample(usize::MAX, 3));
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<u8>>());
    }

    #[test]
    fn a_split_is_stratified_disjoint_and_of_the_pictures() {
        let sorted: Vec<usize> = (0..100).map(|i| (i >= 70) as usize).collect();
        let pixels =
            |set: &DataSet| (0..set.len()).map(|i| set.picture(i).unwrap().bytes[0]).collect::<Vec<_>>();
        let (held, rest) = set(&sorted).split(0.1);
        assert_eq!((held.len(), labels(&held).iter().sum::<usize>(), rest.len()), (10, 3, 90));
        assert!(pixels(&held).iter().all(|p| !pixels(&rest).contains(p)));
        let (shuffled, _) = set(&sorted).sample(100, 9).split(0.1);
        let sorted_pixels = |set: &DataSet| {
            let mut pixels = pixels(set);
            pixels.sort_unstable();
            pixels
        };
        assert_eq!(sorted_pixels(&shuffled), sorted_pixels(&held));
        assert_eq!(shares(&[27, 26, 25, 24, 26], 0.25), [7, 7, 6, 6, 6]); // 32 of 128, ties to the first
        let (one, other) = set(&[0, 0, 1]).split(0.01);
        assert_eq!((labels(&one), other.len()), (vec![0], 2)); // a class of one picture stays whole
    }

    #[test]
    fn classes_without_a_picture_are_named() {
        let mut some = set(&[0, 2, 2]);
        assert_eq!(some.lacks(4), ["1", "3"]);
        some.classes = ["ant", "bee", "cow"].map(String::from).into();
        assert_eq!(some.lacks(3), ["bee"]);
        assert_eq!(some.sample(1, 1).lacks(3).len(), 2);
    }
}
