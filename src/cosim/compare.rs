//! Every word of every layer, against the golden model.

use crate::int::Trace;
use serde::{Deserialize, Serialize};

/// One word that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Image of the run.
    pub image: usize,
    /// Output channel, or class.
    pub channel: usize,
    /// Row of the layer's output.
    pub row: usize,
    /// Column of the layer's output.
    pub column: usize,
    /// The golden model's word.
    pub expected: i64,
    /// The other's word.
    pub got: i64,
}

/// How one layer compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Layer.
    pub layer: String,
    /// Words compared.
    pub words: usize,
    /// Words that differ.
    pub mismatches: usize,
    /// The first of them, in the order image, channel, row, column.
    pub first: Option<Mismatch>,
}

impl Comparison {
    /// Adds the comparison of the same layer on other images; the first mismatch stays the first.
    pub fn absorb(&mut self, other: Comparison) {
        self.words += other.words;
        self.mismatches += other.mismatches;
        self.first = self.first.take().or(other.first);
    }
}

/// Compares two traces of the layers `names`, word by word.
///
/// # Panics
/// When the traces are not of the same network and images.
pub fn compare(names: &[String], golden: &Trace, other: &Trace) -> Vec<Comparison> {
    assert_eq!(golden.activations.len(), other.activations.len(), "traces of different networks");
    let mut comparisons = vec![];
    for ((name, want), got) in names.iter().zip(&golden.activations).zip(&other.activations) {
        assert_eq!(want.dim(), got.dim(), "{name}: traces of different shapes");
        let words = want.indexed_iter().zip(got).map(|((at, &w), &g)| (at, w.into(), g.into()));
        comparisons.push(layer(name, words));
    }
    assert_eq!(golden.logits.dim(), other.logits.dim(), "traces of different shapes");
    let logits = golden.logits.indexed_iter().zip(&other.logits);
    let last = names.last().map_or("logits", String::as_str);
    comparisons.push(layer(last, logits.map(|(((n, c), &w), &g)| ((n, c, 0, 0), w, g))));
    comparisons
}

type At = (usize, usize, usize, usize);

fn layer(name: &str, words: impl Iterator<Item = (At, i64, i64)>) -> Comparison {
    let mut comparison = Comparison { layer: name.into(), words: 0, mismatches: 0, first: None };
    for ((image, channel, row, column), expected, got) in words {
        comparison.words += 1;
        if expected != got {
            comparison.mismatches += 1;
            comparison.first.get_or_insert(Mismatch { image, channel, row, column, expected, got });
        }
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array4};

    #[test]
    fn the_first_difference_is_located() {
        let golden = Trace { activations: vec![Array4::zeros((2, 3, 4, 5))], logits: Array2::zeros((2, 6)) };
        let mut other = golden.clone();
        other.activations[0][[1, 2, 3, 4]] = 7;
        other.activations[0][[1, 0, 2, 1]] = -1;
        other.logits[[0, 5]] = 9;
        let names = ["conv".to_string(), "fc".to_string()];
        let result = compare(&names, &golden, &other);
        let first = Mismatch { image: 1, channel: 0, row: 2, column: 1, expected: 0, got: -1 };
        let conv = Comparison { layer: "conv".into(), words: 120, mismatches: 2, first: Some(first) };
        assert_eq!(result[0], conv);
        assert_eq!((result[1].words, result[1].mismatches), (12, 1));
        assert!(compare(&names, &golden, &golden).iter().all(|c| c.mismatches == 0));
    }
}
