//! What a design point takes of a part, without synthesis.
//!
//! The accelerator is a tree of modules, each of which depends on a few numbers of the design point
//! (`area_parts.rs`). Per family and kind of module, `area_model.json` holds the modules that were synthesised, and
//! the coefficients of a linear model of their cells (`area_features.rs`) for those that were not; an estimate is the
//! sum over all instances. Both come from the command
//!
//! ```text
//! sim/synth/fit_area.sh ecp5 xc7
//! ```
//!
//! which synthesises what changed since the last time, refits, and measures the error on design points that the fit
//! has not seen; those are kept in `tests/data/area_held_out.json`.

use super::area_model::Model;
use super::area_parts::parts;
use super::{Family, Resources};
use crate::config::ArrayConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Design points with their synthesised resources, by family; written by the fit.
const HELD_OUT: &str = include_str!("../../tests/data/area_held_out.json");

/// Error of [`estimate`] against [`super::synthesize`], on design points that the model was not fitted to, in percent of
/// what synthesis gives. Most modules of such a point, though not all, are in the fit: without them the linear models
/// are off by 1 to 4 % of the look-up tables (median) and 3 to 10 % (worst), 22 % on Gowin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ModelError {
    /// Median of the look-up tables' errors.
    pub lut_median: f64,
    /// Largest of the look-up tables' errors.
    pub lut_worst: f64,
    /// Median of the flip-flops' errors.
    pub ff_median: f64,
    /// Largest of the flip-flops' errors.
    pub ff_worst: f64,
    /// Design points whose DSPs or block RAMs are not exact.
    pub inexact: usize,
    /// Design points; 0 where the family has no model.
    pub points: usize,
}

/// Resources of the accelerator `config` on `family` by the analytical model, in microseconds. [`model_error`] says how
/// far it is from synthesis.
///
/// A configuration that is not valid, or one that the family's model is not fitted to ([`is_modelled`]), gives zeros:
/// [`super::synthesize`] it.
pub fn estimate(config: &ArrayConfig, family: Family) -> Resources {
    if config.validate().is_err() || !is_modelled(config, family) {
        return Resources::default();
    }
    Model::of(family).total(&parts(config))
}

/// Whether the model of `family` is fitted to the modules of `config`: not so for bounds other than the
/// default ones, and where the hardware has changed since the fit.
pub fn is_modelled(config: &ArrayConfig, family: Family) -> bool {
    let base = ArrayConfig::default();
    let bounds = |c: &ArrayConfig| (c.max_map, c.max_channels, c.max_images, c.offset_bits);
    bounds(config) == bounds(&base) && Model::of(family).fits(&parts(config))
}

/// The stated error of [`estimate`], computed from the held-out points.
pub fn model_error(family: Family) -> ModelError {
    error(&held_out(family), |config| estimate(config, family))
}

/// How good the analytical model of a family is.
pub(super) fn of_the_model(family: Family) -> String {
    let ModelError { lut_median, lut_worst, ff_median, ff_worst, inexact, points } = model_error(family);
    let what = format!("lut, ff, carry, dsp, bram of {}: by the analytical model", family.name());
    match points {
        0 => format!("{what}, never compared with synthesis; --synth runs yosys"),
        _ => format!(
            "{what}; against yosys on {points} designs it was not fitted to, LUT are {lut_median:.1} % off (median; worst \
             {lut_worst:.1} %), FF {ff_median:.1} % ({ff_worst:.1} %), DSP or block RAM of {inexact} differ; --synth runs yosys"
        ),
    }
}

/// How many of the designs of points have no area, because the model is not fitted to their modules.
pub(super) fn without_model<'a>(
    designs: impl Iterator<Item = (Option<&'a ArrayConfig>, Family)>,
) -> Option<String> {
    let lacks =
        |(config, family): &(Option<&ArrayConfig>, Family)| config.is_some_and(|c| !is_modelled(c, *family));
    let count = designs.filter(lacks).count();
    let what = "lut, ff, carry, dsp, bram of builds whose bounds are not the default ones";
    (count > 0).then(|| format!("{what}, {count} points: the analytical model has none; --synth runs yosys"))
}

/// Design points that the model was not fitted to, and what synthesis gave; none of a family whose model is of other
/// hardware.
pub fn held_out(family: Family) -> Vec<(ArrayConfig, Resources)> {
    static POINTS: OnceLock<BTreeMap<String, Vec<(ArrayConfig, Resources)>>> = OnceLock::new();
    let all = POINTS.get_or_init(|| serde_json::from_str(HELD_OUT).expect("a test reads the data file"));
    let points = all.get(family.name()).cloned().unwrap_or_default();
    if points.iter().all(|(config, _)| is_modelled(config, family)) { points } else { vec![] }
}

/// Error of `estimate` on `points`.
pub fn error(
    points: &[(ArrayConfig, Resources)],
    estimate: impl Fn(&ArrayConfig) -> Resources,
) -> ModelError {
    let percent = |is: u64, want: u64| 100.0 * (is as f64 - want as f64).abs() / (want as f64).max(1.0);
    let estimates: Vec<Resources> = points.iter().map(|p| estimate(&p.0)).collect();
    let pairs = || estimates.iter().zip(points.iter().map(|p| &p.1));
    let (lut_median, lut_worst) = spread(pairs().map(|(is, want)| percent(is.lut, want.lut)));
    let (ff_median, ff_worst) = spread(pairs().map(|(is, want)| percent(is.ff, want.ff)));
    let inexact = pairs().filter(|(is, want)| (is.dsp, is.bram) != (want.dsp, want.bram)).count();
    ModelError { lut_median, lut_worst, ff_median, ff_worst, inexact, points: points.len() }
}

/// Median and largest.
fn spread(errors: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut errors: Vec<f64> = errors.collect();
    errors.sort_by(f64::total_cmp);
    let at = |i: usize| errors.get(i).copied().unwrap_or(0.0);
    let middle = errors.len() / 2;
    let median = if errors.len().is_multiple_of(2) {
        (at(middle.saturating_sub(1)) + at(middle)) / 2.0
    } else {
        at(middle)
    };
    (median, errors.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Requantize;
    use crate::cosim::Cache;
    use crate::explore::synthesize;
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    #[test]
    fn the_model_holds_its_stated_error_on_points_it_has_not_seen() {
        for family in Family::ALL {
            let error = model_error(family);
            println!("{}: {error:?}", family.name());
            if held_out(family).is_empty() {
                continue;
            }
            let name = family.name();
            assert!(error.lut_median <= 2.0 && error.lut_worst <= 5.0, "{name}: {error:?}");
            assert!(error.ff_median <= 2.0 && error.ff_worst <= 5.0, "{name}: {error:?}");
            assert_eq!((error.inexact, error.points >= 20), (0, true), "{name}: {error:?}");
        }
    }

    #[test]
    fn estimates_take_microseconds() {
        let begin = Instant::now();
        let mut luts = 0;
        for i in 0..1000u32 {
            let (weight_bits, act_bits) = (2 + i % 15, 2 + i / 15 % 15);
            let config = ArrayConfig { weight_bits, act_bits, acc_bits: 48, ..ArrayConfig::default() };
            luts += estimate(&config, Family::Ecp5).lut;
        }
        assert!(luts > 1_000_000 && begin.elapsed().as_millis() < 2000, "{luts}, {:?}", begin.elapsed());
        assert_eq!(
            estimate(&ArrayConfig { rows: 0, ..Default::default() }, Family::Ecp5),
            Resources::default()
        );
    }

    /// A point that is in no data file.
    #[test]
    fn live_synthesis_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let tiny = ArrayConfig::preset("tiny").unwrap();
        let point = ArrayConfig { weight_bits: 5, act_bits: 7, requantize: Requantize::Pow2, ..tiny };
        let found = match synthesize(&point, Family::Ecp5, &cache, &AtomicBool::new(false)) {
            Ok(found) => found,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{error}");
                return println!("skipped: {error}");
            }
        };
        let points = [(point, found)];
        let error = error(&points, |config| estimate(config, Family::Ecp5));
        assert!(error.lut_worst <= 5.0 && error.ff_worst <= 5.0 && error.inexact == 0, "{error:?}");
    }
}
