//! From float to integers: observers, calibration, lowering.
//!
//! A [`Plan`] holds every choice (levels, steps); [`lower`] turns a folded float model and a plan into integers.
//! Post-training quantization and quantization-aware training differ only in how they come to the plan.

mod lower;
mod plan;
pub mod qat;

pub use lower::lower;
pub use plan::{LayerPlan, Mode, Plan};
pub use qat::fake;
