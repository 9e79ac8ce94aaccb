//! What the tests of this module share.

use super::*;
use crate::config::Requantize;

/// A row in which nothing is known.
pub fn row(point: usize) -> Row {
    Row {
        point,
        family: Family::Ecp5,
        weights: 8,
        acts: 8,
        assignment: None,
        requantize: Requantize::Scale,
        rows: 8,
        cols: 8,
        bus_bits: 128,
        layer_bits: vec![8, 8],
        weight_bits_total: 80,
        config: None,
        resources: None,
        source: None,
        memory_bits: None,
        fmax_mhz: None,
        clock_mhz: 100.0,
        network: None,
        images_per_s: None,
        accuracy: None,
        correct: None,
        pareto: false,
        lacks: vec![],
        refused: None,
        failed: None,
    }
}
