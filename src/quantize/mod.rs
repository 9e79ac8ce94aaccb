//! From float to integers: observers, calibration, lowering.
//!
//! A [`Plan`] holds every choice (levels, steps); [`lower`] turns a folded float model and a plan into integers.
//! Post-training quantization ([`quantize`]) and quantization-aware training differ only in how they come to
//! the plan and the float weights.

mod calibrate;
mod correct;
mod equalise;
mod exceptions;
mod given;
mod histogram;
mod lower;
mod method;
mod observe;
mod plan;
pub mod qat;
mod recipe;
mod report;
mod rounding;
mod score;
pub mod train;
mod weights;
mod weights_only;
mod widths;

#[cfg(test)]
mod tests;

pub use calibrate::{Quantized, Trained, calibrate, equalised, quantize};
use correct::correct_biases;
pub use exceptions::{Exception, check_exceptions, check_levels, parse_levels};
pub use given::{Agreement, given};
pub use histogram::{Distribution, Histogram, Point};
pub use lower::lower;
pub use method::{Loss, Method};
pub use observe::{Observed, observe};
pub use plan::{LayerPlan, Mode, Plan};
pub use qat::fake;
pub use recipe::{Recipe, Rounding};
pub use report::{TensorReport, report};
pub use rounding::{Rounded, rounded};
pub use score::{Executor, Score, byte_codes, golden_logits, input_codes, interval};
pub use weights_only::weights_only;
pub use widths::{DEFAULT_ENDS, LayerLevels, Widths};
