//! A factor and an offset a channel: batch norm and arithmetic with constants.

use super::{Builder, Outcome};
use crate::float::BatchNorm;
use crate::float::import::affine::Affine;
use crate::float::import::onnx::form::{CHANNELS_FIRST, Form};
use crate::float::import::onnx::proto::NodeProto;
use crate::net::Op;

impl Builder<'_> {
    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Outcome {
        // Opset 14 has an attribute for it; before, training showed in outputs for the running statistics.
        let statistics = node.output.iter().skip(1).any(|name| !name.is_empty());
        if node.int("training_mode").unwrap_or(0) != 0 || statistics {
            return Err("is in training mode: export after model.eval()".into());
        }
        if !matches!(self.form, Form::Map(CHANNELS_FIRST)) && self.shape.h * self.shape.w != 1 {
            return Err("its input is not in batch, channel, row, column order".into());
        }
        let parameter = |i: usize| {
            let values =
                self.constants.floats(node.operand(i).ok_or_else(|| format!("has no input {i}"))?)?.data;
            if values.len() == self.shape.c {
                Ok(values)
            } else {
                Err(format!("has {} values of input {i}", values.len()))
            }
        };
        let (gamma, beta, mean, var) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
        let eps = node.float("epsilon").unwrap_or(1e-5);
        if !var.iter().all(|v| v + eps > 0.0) {
            return Err("a variance is not positive".into());
        }
        self.affine(Affine::of_batch_norm(&BatchNorm { gamma, beta, mean, var, eps }))
    }

    pub(super) fn arithmetic(&mut self, node: &NodeProto) -> Outcome {
        let (Some(left), Some(right)) = (node.operand(0), node.operand(1)) else {
            return Err("must have two inputs".into());
        };
        let constant_first = self.constants.is_constant(left);
        let values = self.per_channel(if constant_first { left } else { right })?;
        let c = values.len();
        let affine = match (node.op_type.as_str(), constant_first) {
            ("Add", _) => Affine { k: vec![1.0; c], t: values },
            ("Sub", false) => Affine { k: vec![1.0; c], t: values.iter().map(|v| -v).collect() },
            ("Sub", true) => Affine { k: vec![-1.0; c], t: values },
            ("Mul", _) => Affine { k: values, t: vec![0.0; c] },
            ("Div", false) => Affine { k: values.iter().map(|v| 1.0 / v).collect(), t: vec![0.0; c] },
            _ => return Err("divides by the image".into()),
        };
        match affine.k.iter().all(|k| k.is_finite()) {
            true => self.affine(affine),
            false => Err("divides by 0".into()),
        }
    }

    /// The constant `name` as one value a channel, if it broadcasts so.
    pub(super) fn per_channel(&self, name: &str) -> Result<Vec<f64>, String> {
        let constant = self.constants.floats(name)?;
        let values: Vec<f64> = constant.data.iter().map(|&v| v.into()).collect();
        let (rank, channel) = match self.form {
            Form::Map(order) => (4, 1 + order.iter().position(|axis| *axis == 0).unwrap_or(0)),
            Form::Flat(_) => (2, 1),
        };
        let c = self.shape.c;
        let whole_map = matches!(self.form, Form::Flat(_)) && self.shape.len() != c;
        let from_end = rank - 1 - channel;
        let fits = constant.dims.iter().rev().enumerate().all(|(i, &d)| d == 1 || (i == from_end && d == c));
        match values[..] {
            [v] if constant.dims.len() <= rank => Ok(vec![v; c]),
            _ if fits && !whole_map && constant.dims.len() <= rank => Ok(values),
            _ => Err(format!("a constant of sizes {:?} is not one value a channel", constant.dims)),
        }
    }

    /// Folds into the layer before its ReLU, keeps for the next layer after it.
    pub(super) fn affine(&mut self, affine: Affine) -> Outcome {
        if self.activated {
            if self.layers.is_empty() {
                if affine.k.iter().any(|k| *k <= 0.0) {
                    return Err(
                        "changes the image before the first layer by a factor that is not positive".into()
                    );
                }
                let before = self.scaling.take().unwrap_or_else(|| Affine::identity(self.shape.c));
                self.scaling = Some(before.then(&affine)).filter(|s| !s.is_identity());
                return Ok(());
            }
            self.pending = self.pending.then(&affine);
            return Ok(());
        }
        let Some(layer) = self.layers.last_mut() else { return Ok(()) };
        if matches!(layer.op, Op::Conv { pool: true, .. }) && !affine.keeps_order() {
            return Err("has negative factors and stands after a max pool".into());
        }
        affine.fold_into_outputs(&mut layer.weight, &mut layer.bias);
        Ok(())
    }
}
