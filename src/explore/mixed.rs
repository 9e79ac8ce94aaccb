//! Mixed precision: which layers can do with fewer weight bits.
//!
//! A layer's sensitivity at b bits is what its weights alone at b bits, all others at the most bits, do to the
//! network's answers on the calibration images: the mean Kullback-Leibler divergence of the integer network's
//! class probabilities from the float network's. Labels are not looked at. From all layers at the most bits, the layer
//! whose next bit costs least a bit of model size is narrowed, until the model is as small as it should be (in the
//! manner of HAWQ-V2, Dong et al. 2020, with measured sensitivities in place of Hessian traces). Then bits move from
//! layer to layer while the divergence of the whole network falls.

use super::Network;
use super::accuracy::Evaluator;
use super::coding::{Assignment, Coding};
use super::sweep::Axes;
use super::watch::Watch;
use crate::arith::WIDTHS;
use crate::config::Requantize;
use crate::cosim::Cache;
use crate::quantize::{Exception, Plan, Rounding};
use crate::{Error, Result, store};
use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Changes when the same inputs would give another assignment.
const METHOD: &str = "mixed 4";
/// Measurements of whole networks that the search may take after the greedy one.
const MOVES: usize = 400;

/// How assignments are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// Fewest weight bits of a layer.
    pub least: u32,
    /// Most weight bits of a layer.
    pub most: u32,
}

impl Mixed {
    /// The searches for `axes`: one for each size, activation width and requantization.
    ///
    /// # Errors
    /// Widths that leave nothing to choose.
    pub(super) fn searches(self, axes: &Axes) -> Result<Vec<Search>> {
        let Self { least, most } = self;
        if !(WIDTHS.contains(&least) && WIDTHS.contains(&most) && least < most) {
            return Err(Error::usage("--mixed", format!("no widths from {least} to {most} bits")));
        }
        let sizes = || axes.weights.iter().copied().filter(|w| (least + 1..most).contains(w));
        let (ends, rounding) = (axes.ends, axes.rounding);
        let of_coding = |acts: u32, requantize: Requantize| {
            sizes().map(move |as_small_as| Search {
                acts,
                requantize,
                ends,
                least,
                most,
                as_small_as,
                rounding,
            })
        };
        let codings = axes.requantize.iter().flat_map(|&r| axes.acts.iter().map(move |&a| (a, r)));
        Ok(codings.flat_map(|(acts, requantize)| of_coding(acts, requantize)).collect())
    }
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Activation bits.
    pub acts: u32,
    /// Requantization.
    pub requantize: Requantize,
    /// Least bits of the image, and of what the last layer reads.
    pub ends: u32,
    /// Fewest weight bits of a layer.
    pub least: u32,
    /// Most weight bits of a layer: the W of the build that it runs on.
    pub most: u32,
    /// The assignment's weights must not take more than all layers at so many bits.
    pub as_small_as: u32,
    /// Which codes weights get, in the networks that are compared as in the one that is found.
    pub rounding: Rounding,
}

impl Search {
    /// The assignment of least divergence that it finds; from the cache where it is known.
    ///
    /// # Errors
    /// Limits that leave nothing to choose.
    pub fn run(
        &self,
        network: &Network,
        evaluator: &Evaluator,
        cache: &Cache,
        watch: Watch,
    ) -> Result<Assignment> {
        if !(self.least <= self.as_small_as && self.as_small_as <= self.most) {
            let reason =
                format!("no size of {} bits between {} and {}", self.as_small_as, self.least, self.most);
            return Err(Error::usage("--mixed", reason));
        }
        let text = serde_json::to_string(self).map_err(|e| Error::bad_file("search", e.to_string()))?;
        let key = format!("mixed-{}", store::digest([METHOD, evaluator.key(), &text]));
        if let Some(known) = cache.value(&key) {
            return Ok(known);
        }
        let searcher = Searcher::new(*self, network, evaluator)?;
        let sensitivities = searcher.known_sensitivities(cache, watch)?;
        let found = searcher.run(&sensitivities, watch)?;
        cache.keep_value(&key, &found);
        Ok(found)
    }
}

impl Search {
    /// What the search asks for, with weights of `bits`. Every layer by name: what the ends must have at least holds for the
    /// image and for what the last layer reads.
    fn coding(&self, network: &Network, bits: &[u32]) -> Coding {
        let Self { acts, requantize, ends, most, rounding, .. } = *self;
        let layers = exceptions(network, bits);
        let assignment = Some(Assignment { name: String::new(), layers, found_for: None });
        Coding { weights: most, acts, ends, assignment, requantize, rounding }
    }
}

struct Searcher<'a> {
    search: Search,
    network: &'a Network,
    evaluator: &'a Evaluator,
    float: Array2<f64>,
    /// Plans of uniform weight bits, from the least to the most.
    uniform: Vec<Plan>,
}

impl<'a> Searcher<'a> {
    fn new(search: Search, network: &'a Network, evaluator: &'a Evaluator) -> Result<Self> {
        let uniform = |bits: u32| evaluator.plan(&search.coding(network, &vec![bits; network.sizes.len()]));
        let uniform = (search.least..=search.most).into_par_iter().map(uniform).collect::<Result<_>>()?;
        Ok(Self { search, network, evaluator, float: evaluator.float_logits()?, uniform })
    }

    /// Sensitivities are the same for every size.
    fn known_sensitivities(&self, cache: &Cache, watch: Watch) -> Result<Vec<Vec<f64>>> {
        let Search { acts, requantize, ends, least, most, rounding, .. } = self.search;
        let text = format!("{acts} {requantize:?} {ends} {least} {most} {rounding:?}");
        let key = format!("sensitivities-{}", store::digest([METHOD, self.evaluator.key(), &text]));
        let whole = |s: &Vec<Vec<f64>>| {
            s.len() == self.network.sizes.len() && s.iter().all(|l| l.len() == self.uniform.len())
        };
        if let Some(known) = cache.value(&key).filter(whole) {
            return Ok(known);
        }
        let found = self.sensitivities(watch)?;
        cache.keep_value(&key, &found);
        Ok(found)
    }

    fn run(&self, sensitivity: &[Vec<f64>], watch: Watch) -> Result<Assignment> {
        let Search { most, as_small_as, .. } = self.search;
        let layers = self.network.sizes.len();
        let budget = u64::from(as_small_as) * self.network.sizes.iter().sum::<u64>();
        let greedy = narrow(&self.network.sizes, sensitivity, self.search.least, most, budget);
        let mut bits = greedy.ok_or_else(|| Error::usage("--mixed", "no assignment is as small"))?;
        let mut best = self.divergence(&bits)?;
        // The uniform widths of this size are an assignment too.
        let uniform = vec![as_small_as; layers];
        let of_uniform = self.divergence(&uniform)?;
        if of_uniform < best {
            (bits, best) = (uniform, of_uniform);
        }
        let mut left = MOVES;
        watch.begin(MOVES, "exchanges of bits");
        loop {
            let moves: Vec<Vec<u32>> = self.moves(&bits, budget).into_iter().take(left).collect();
            left -= moves.len();
            let one = |bits: &Vec<u32>| {
                stopped(watch)?;
                let divergence = self.divergence(bits);
                watch.done();
                divergence
            };
            let scored = moves.par_iter().map(one).collect::<Result<Vec<_>>>()?;
            let better =
                scored.iter().zip(&moves).min_by(|a, b| a.0.total_cmp(b.0)).filter(|(d, _)| **d < best);
            let Some((&divergence, to)) = better else { break };
            (bits, best) = (to.clone(), divergence);
        }
        Ok(Assignment {
            name: format!("mixed as small as W{as_small_as}"),
            layers: exceptions(self.network, &bits),
            found_for: Some((self.search.acts, self.search.requantize)),
        })
    }

    /// Of each layer, the divergence at each width from the least to the most.
    fn sensitivities(&self, watch: Watch) -> Result<Vec<Vec<f64>>> {
        let Search { least, most, .. } = self.search;
        let layers = self.network.sizes.len();
        let widths = (most - least + 1) as usize;
        watch.begin(layers * widths, "sensitivities");
        let one = |i: usize| {
            stopped(watch)?;
            let mut bits = vec![most; layers];
            bits[i / widths] = least + (i % widths) as u32;
            let divergence = self.divergence(&bits);
            watch.done();
            divergence
        };
        let all = (0..layers * widths).into_par_iter().map(one).collect::<Result<Vec<_>>>()?;
        Ok(all.chunks(widths).map(<[f64]>::to_vec).collect())
    }

    /// Every assignment that is one exchange away and small enough: one layer a bit wider, and where that is too
    /// large, another one narrower.
    fn moves(&self, bits: &[u32], budget: u64) -> Vec<Vec<u32>> {
        let (sizes, Search { least, most, .. }) = (&self.network.sizes, self.search);
        let total = |bits: &[u32]| bits.iter().zip(sizes).map(|(&b, n)| u64::from(b) * n).sum::<u64>();
        let mut moves = vec![];
        for wider in (0..bits.len()).filter(|&i| bits[i] < most) {
            let mut to = bits.to_vec();
            to[wider] += 1;
            if total(&to) <= budget {
                moves.push(to);
                continue;
            }
            for narrower in (0..bits.len()).filter(|&i| i != wider && bits[i] > least) {
                let mut to = to.clone();
                while to[narrower] > least && total(&to) > budget {
                    to[narrower] -= 1;
                }
                if total(&to) <= budget {
                    moves.push(to);
                }
            }
        }
        moves
    }

    /// The plan of these weight bits. With any steps, what a layer passes on does not depend on its weights' bits:
    /// layers of uniform plans are put together. With powers of two it does.
    fn plan(&self, bits: &[u32]) -> Result<Plan> {
        let Search { requantize, least, .. } = self.search;
        if requantize == Requantize::Scale {
            let layers = bits.iter().enumerate().map(|(i, b)| &self.uniform[(b - least) as usize].layers[i]);
            return Ok(Plan { layers: layers.cloned().collect(), ..self.uniform[0].clone() });
        }
        self.evaluator.plan(&self.search.coding(self.network, bits))
    }

    /// How far the network with these weight bits is from the float network.
    fn divergence(&self, bits: &[u32]) -> Result<f64> {
        let recipe = self.search.coding(self.network, bits).recipe();
        Ok(mean_divergence(&self.float, &self.evaluator.logits(self.plan(bits)?, &recipe)?))
    }
}

/// How far the integer network of `coding` is from the float network on the calibration images.
pub(super) fn divergence(evaluator: &Evaluator, coding: &Coding) -> Result<f64> {
    let logits = evaluator.logits(evaluator.plan(coding)?, &coding.recipe())?;
    Ok(mean_divergence(&evaluator.float_logits()?, &logits))
}

fn mean_divergence(float: &Array2<f64>, int: &Array2<f64>) -> f64 {
    let images = float.outer_iter().zip(int.outer_iter());
    images.map(|(float, int)| kl_divergence(float, int)).sum::<f64>() / float.nrows().max(1) as f64
}

/// Every layer of `network` by name, with weights of `bits`.
fn exceptions(network: &Network, bits: &[u32]) -> Vec<Exception> {
    network.model.layers.iter().zip(bits).map(|(l, &bits)| Exception::of_bits(&l.name, bits)).collect()
}

fn stopped(watch: Watch) -> Result<()> {
    match watch.stopped() {
        true => Err(Error::usage("--mixed", "stopped before the search's end")),
        false => Ok(()),
    }
}

/// Σ p·ln(p/q) of the softmax of two vectors of logits.
fn kl_divergence(p: ArrayView1<f64>, q: ArrayView1<f64>) -> f64 {
    let log_softmax = |x: ArrayView1<f64>| {
        let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let norm = top + x.iter().map(|v| (v - top).exp()).sum::<f64>().ln();
        x.mapv(|v| v - norm)
    };
    let (p, q) = (log_softmax(p), log_softmax(q));
    p.iter().zip(&q).map(|(&p, &q)| p.exp() * (p - q)).sum()
}

/// From `most` bits everywhere, narrows the layer whose next bit costs least sensitivity a bit of size, until all take at
/// most `budget` bits; `None` when `least` bits everywhere are still too many.
fn narrow(sizes: &[u64], sensitivity: &[Vec<f64>], least: u32, most: u32, budget: u64) -> Option<Vec<u32>> {
    let mut bits = vec![most; sizes.len()];
    loop {
        let total: u64 = bits.iter().zip(sizes).map(|(&b, n)| u64::from(b) * n).sum();
        if total <= budget {
            return Some(bits);
        }
        let cost = |i: usize| {
            let at = |b: u32| sensitivity[i][(b - least) as usize];
            (at(bits[i] - 1) - at(bits[i])) / sizes[i] as f64
        };
        let cheapest =
            (0..sizes.len()).filter(|&i| bits[i] > least).min_by(|&a, &b| cost(a).total_cmp(&cost(b)))?;
        bits[cheapest] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Images;
    use ndarray::arr1;
    use std::path::Path;

    /// Plans put together from uniform ones are those that calibration gives.
    #[test]
    fn plans_are_put_together_as_they_are_calibrated() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let network = Network::open(&models.join("vgg16-small-fashion.safetensors")).unwrap();
        let data = models.join("fashion-test-256-images-idx3-ubyte.gz");
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let images = Images { data, calibration: None, most: Some(4), labels: None, turned: false };
        let evaluator = Evaluator::new(&network.model, &images, &cache).unwrap();
        let requantize = Requantize::Scale;
        let rounding = Rounding::Nearest;
        let search = Search { acts: 5, requantize, ends: 8, least: 3, most: 5, as_small_as: 4, rounding };
        let searcher = Searcher::new(search, &network, &evaluator).unwrap();
        let bits: Vec<u32> = (0..network.sizes.len() as u32).map(|i| 3 + i % 3).collect();
        let coding = search.coding(&network, &bits);
        assert_eq!(searcher.plan(&bits).unwrap(), evaluator.plan(&coding).unwrap());
    }

    #[test]
    fn the_insensitive_layer_gives_its_bits() {
        // Layer 0 is ten times as large and hardly matters; layer 1 is small and matters.
        let sensitivity = vec![vec![0.3, 0.2, 0.1, 0.0], vec![9.0, 5.0, 2.0, 0.0]];
        let got = narrow(&[100, 10], &sensitivity, 2, 5, 3 * 110);
        assert_eq!(got, Some(vec![2, 5]));
        assert_eq!(narrow(&[100, 10], &sensitivity, 2, 5, 219), None);
    }

    #[test]
    fn divergence_by_hand() {
        let half = arr1(&[1.0, 1.0]);
        assert!(kl_divergence(half.view(), half.view()).abs() < 1e-12);
        let skew = arr1(&[0.0, 3.0f64.ln()]); // 1/4, 3/4
        let want = 0.5 * (2.0f64).ln() + 0.5 * (2.0f64 / 3.0).ln();
        assert!((kl_divergence(half.view(), skew.view()) - want).abs() < 1e-12);
    }
}
