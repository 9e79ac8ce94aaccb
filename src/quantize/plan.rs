//! Every choice that turns a float network into integers.

use crate::arith::{self, Levels, Step};
use crate::float::FloatModel;
use crate::int::Quantizer;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How accumulators become the next layer's codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Any steps: requantization multiplies by m / 2^s.
    #[default]
    Free,
    /// Every step is a power of two: requantization is a rounding shift (m = 1).
    Pow2,
}

/// The choices of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlan {
    /// Range of the weights' codes.
    pub weight_levels: Levels,
    /// One, or one an output channel; one in the last layer, whose accumulators are compared with one another.
    pub weight_steps: Vec<Step>,
    /// Step and levels (`a = 0`: ReLU) of the layer's output; `None` for the last layer, and no other.
    pub output: Option<Quantizer>,
}

/// The choices of a network, in the order of its layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Free or power-of-two steps.
    pub mode: Mode,
    /// Step and levels of the preprocessed image.
    pub input: Quantizer,
    /// One a layer.
    pub layers: Vec<LayerPlan>,
}

impl LayerPlan {
    /// The weight step of output channel `c`.
    pub fn weight_step(&self, c: usize) -> Step {
        self.weight_steps[if self.weight_steps.len() == 1 { 0 } else { c }]
    }
}

impl Plan {
    /// Quantizer of each layer's input.
    pub fn input_quantizers(&self) -> Vec<Quantizer> {
        std::iter::once(self.input).chain(self.layers.iter().filter_map(|l| l.output)).collect()
    }

    /// Checks that the plan can be carried out on `model`: one entry a layer, sane levels, step counts, and
    /// powers of two where [`Mode::Pow2`] promises them.
    pub fn validate(&self, model: &FloatModel) -> Result<()> {
        let (layers, plans) = (model.layers.len(), self.layers.len());
        if layers != plans {
            return Err(Error::bad_layer("-", format!("a plan of {plans} layers for a network of {layers}")));
        }
        self.check_quantizer(self.input).map_err(|reason| Error::bad_layer("input", reason))?;
        for (i, (layer, plan)) in model.layers.iter().zip(&self.layers).enumerate() {
            let bad = |reason| Err(Error::bad_layer(&layer.name, reason));
            if layer.batch_norm.is_some() {
                return bad("fold its batch norm before quantizing".into());
            }
            if plan.output.is_some() != (i + 1 < layers) {
                return bad("every layer but the last needs an output quantizer".into());
            }
            if plan.output.is_none() && plan.weight_steps.len() != 1 {
                return bad("logits are compared with one another: they need a common weight step".into());
            }
            if let Err(reason) = self.check_layer(plan, layer.op.co()) {
                return bad(reason);
            }
        }
        Ok(())
    }

    fn check_layer(&self, plan: &LayerPlan, co: usize) -> std::result::Result<(), String> {
        let steps = plan.weight_steps.len();
        if ![1, co].contains(&steps) {
            return Err(format!("{steps} weight steps where 1 or {co} are needed"));
        }
        for &step in &plan.weight_steps {
            self.check_quantizer(Quantizer { step, levels: plan.weight_levels })?;
        }
        let Some(output) = plan.output else { return Ok(()) };
        if output.levels.a != 0 {
            return Err(format!(
                "output levels {} … {}: a ReLU needs a = 0",
                output.levels.a, output.levels.b
            ));
        }
        self.check_quantizer(output)
    }

    fn check_quantizer(&self, Quantizer { step, levels }: Quantizer) -> std::result::Result<(), String> {
        let widest = *arith::WIDTHS.end();
        if !levels.is_valid() || levels.bits() > widest {
            return Err(format!(
                "levels {} … {} where a ≤ 0 ≤ b in {widest} bits are needed",
                levels.a, levels.b
            ));
        }
        if self.mode == Mode::Pow2 && !step.is_power_of_two() {
            return Err(format!("step {} is not a power of two", step.get()));
        }
        Ok(())
    }
}
