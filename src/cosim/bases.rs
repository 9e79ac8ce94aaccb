//! Where model and data lie in the address space.

use crate::config::PAGE;
use crate::schedule::Regions;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Bases of a run: the host starts one for each data area, all at once. The first runs, the second is queued, further ones
/// must be refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Bases {
    /// MODEL_BASE.
    pub model: u64,
    /// DATA_BASE of each data area.
    pub data: Vec<u64>,
}

impl Bases {
    /// Places for a model and `areas` data areas of `regions` that do not overlap, in any order, in an address space of
    /// `address_bits`; every second time one ends where the addresses do. The same `seed` gives the same places.
    pub fn drawn(regions: &Regions, areas: usize, address_bits: u32, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let pages = |bytes: usize| bytes.div_ceil(PAGE) as u64;
        let (model, data) = (pages(regions.model_bytes), pages(regions.window.end));
        let all = (u64::MAX >> (64 - address_bits)) / PAGE as u64 + 1;
        let free = all.saturating_sub(model + data * areas as u64);
        let mut gaps: Vec<u64> = (0..=areas).map(|_| rng.random_range(free.min(1)..=free)).collect();
        gaps.sort_unstable();
        if rng.random() {
            gaps[areas] = free;
        }
        let place = rng.random_range(0..=areas); // of the model among the data
        let mut used = 0;
        let mut places: Vec<u64> = (0..=areas)
            .map(|i| {
                let page = gaps[i] + used;
                used += if i == place { model } else { data };
                page * PAGE as u64
            })
            .collect();
        Self { model: places.remove(place), data: places }
    }

    /// Where the byte at `address` is in an image of the model and behind it all data areas; `None` in no area.
    pub fn find(&self, address: u64, regions: &Regions) -> Option<usize> {
        let within = |base: u64, bytes: usize| {
            address.checked_sub(base).filter(|offset| *offset < bytes as u64).map(|offset| offset as usize)
        };
        let area = |(i, &base): (usize, &u64)| {
            within(base, regions.window.end).map(|at| regions.model_bytes + i * regions.window.end + at)
        };
        within(self.model, regions.model_bytes).or_else(|| self.data.iter().enumerate().find_map(area))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_apart_and_some_end_with_the_addresses() {
        let regions = Regions { weights_at: 4096, model_bytes: 5 * PAGE, window: PAGE..3 * PAGE };
        let mut at_the_end = 0;
        for (seed, bits) in (0..60).zip([32, 33, 48, 64].into_iter().cycle()) {
            let bases = Bases::drawn(&regions, 2, bits, seed);
            let sizes = [(bases.model, 5), (bases.data[0], 3), (bases.data[1], 3)];
            let mut spans = sizes.map(|(base, pages)| (base / 4096, base / 4096 + pages));
            spans.sort_unstable();
            assert!(spans.is_sorted_by(|a, b| a.1 <= b.0) && spans[0].0 > 0, "{spans:?}");
            assert!(sizes.iter().all(|(base, _)| base % 4096 == 0));
            assert!(spans[2].1 <= 1 << (bits - 12), "{spans:?}");
            at_the_end += usize::from(spans[2].1 == 1 << (bits - 12));
            let places = [bases.model, bases.data[0] + 7, bases.data[1]].map(|a| bases.find(a, &regions));
            assert_eq!(places, [Some(0), Some(5 * PAGE + 7), Some(8 * PAGE)]);
            assert_eq!(
                bases.find(bases.model.wrapping_sub(1), &regions).is_some(),
                spans.iter().any(|s| s.1 == bases.model / 4096)
            );
        }
        assert!(at_the_end > 20, "{at_the_end}");
    }
}
