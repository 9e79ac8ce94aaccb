//! Named design points, and the one for an array of any size.

use super::ArrayConfig;
use crate::{Error, Result};

/// Named design points: name, purpose, configuration.
pub fn presets() -> Vec<(&'static str, &'static str, ArrayConfig)> {
    let base = ArrayConfig::default();
    let tiny = ArrayConfig {
        rows: 4,
        cols: 4,
        act_depth: 512,
        acc_depth: 128,
        weight_depth: 16,
        bus_bits: 64,
        fold_width: 32,
        ..base.clone()
    };
    let medium = ArrayConfig { rows: 16, cols: 16, weight_depth: 64, requantizers: 8, ..base.clone() };
    let large = ArrayConfig {
        rows: 32,
        cols: 32,
        weight_depth: 128,
        requantizers: 16,
        act_depth: 4096,
        ..base.clone()
    };
    vec![
        ("tiny", "4×4 for tests and for reading its Verilog; images up to 32×32", tiny),
        ("ecp5-85k", "8×8 for a Lattice ECP5-85F", base),
        ("16x16", "16×16 for a mid-size part such as an XC7K325T", medium),
        ("zcu102", "32×32 for a ZCU102 (XCZU9EG)", large),
    ]
}

impl ArrayConfig {
    /// The preset called `name`.
    pub fn preset(name: &str) -> Result<Self> {
        let all = presets();
        let names = || all.iter().map(|p| p.0).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|p| p.0 == name).map(|p| p.2.clone());
        found.ok_or_else(|| Error::usage("--preset", format!("no preset {name}; known: {}", names())))
    }

    /// The preset that is nearest in size to an array of `rows` × `cols`, with this array.
    pub fn near(rows: usize, cols: usize) -> Self {
        let nearest = match rows.saturating_mul(cols) {
            0..=31 => "tiny",
            32..=127 => "ecp5-85k",
            128..=511 => "16x16",
            _ => "zcu102",
        };
        let base = Self::preset(nearest).expect("the preset is in the list");
        base.with_array(rows, cols)
    }

    /// This configuration with an array of `rows` × `cols`, and weight lanes deep enough for it.
    pub fn with_array(self, rows: usize, cols: usize) -> Self {
        let mut config = Self { rows, cols, ..self };
        if rows.max(cols) > 64 {
            return config; // not valid, whatever its lanes
        }
        config.weight_depth = config.weight_depth.max(config.least_weight_depth().next_power_of_two());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid() {
        for (name, _, config) in presets() {
            config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(ArrayConfig::preset(name).unwrap(), config);
        }
        let kilobits = presets().into_iter().map(|(name, _, c)| (name, c.memory_bits() / 1000));
        let documented = [("tiny", 67), ("ecp5-85k", 440), ("16x16", 839), ("zcu102", 2174)]; // docs/accelerator.md
        assert_eq!(kilobits.collect::<Vec<_>>(), documented);
        assert!(ArrayConfig::preset("none").unwrap_err().to_string().contains("tiny, ecp5-85k"));
    }
}
