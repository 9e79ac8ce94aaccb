//! ReLU in its spellings, what does nothing, and what ends a network.

use super::{Builder, Outcome};
use crate::float::import::onnx::form::Form;
use crate::float::import::onnx::proto::{NodeProto, data_type};

impl Builder<'_> {
    pub(super) fn relu(&mut self) -> Outcome {
        if self.layers.is_empty() {
            return Err("a ReLU before the first layer".into());
        }
        if self.activated && !self.pending.is_identity() {
            return Err("a second ReLU after batch norm".into());
        }
        self.activated = true;
        Ok(())
    }

    /// ReLU6 and the like: at most `most`. Max pools let it through, average pools do not.
    fn saturate(&mut self, most: f32) -> Outcome {
        if self.average.is_some() {
            return Err("clips behind an average pool".into());
        }
        self.relu()?;
        match self.layers.last_mut() {
            Some(layer) if most > 0.0 && most.is_finite() => {
                layer.saturation = Some(layer.saturation.map_or(most, |before| before.min(most)));
                Ok(())
            }
            _ => Err(format!("leaves nothing between 0 and {most}")),
        }
    }

    /// Clip(0, ∞) and Max(x, 0) are a ReLU, Clip(0, 6) is ReLU6; others are none.
    pub(super) fn clip(&mut self, node: &NodeProto) -> Outcome {
        let number = |name: &str| match self.constants.computed_number(name) {
            Some(v) => Ok(v),
            None => Err(format!("its bound {name:?} is no constant number")),
        };
        let bound = |i: usize, attribute: &str| match (node.operand(i), node.float(attribute)) {
            (Some(name), _) => number(name).map(Some),
            (None, v) => Ok(v),
        };
        let (least, most) = match node.op_type.as_str() {
            "Max" => {
                let other = node.input.iter().find(|i| self.constants.is_constant(i));
                (Some(number(other.ok_or("joins two branches")?)?), None)
            }
            _ => (bound(1, "min")?, bound(2, "max")?),
        };
        // Older files write "no bound" as the largest float.
        match (least, most.filter(|m| *m < f32::MAX)) {
            (Some(0.0), None) => self.relu(),
            (Some(0.0), Some(most)) => self.saturate(most),
            _ => Err("is no ReLU: its lower bound is not 0".into()),
        }
    }

    /// Between float types nothing is lost that matters here; to an integer type the values would change.
    pub(super) fn cast(&self, node: &NodeProto) -> Outcome {
        use data_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
        let to = node.int("to").unwrap_or(i64::from(FLOAT));
        match self.ended.is_some() || [FLOAT, DOUBLE, FLOAT16, BFLOAT16].iter().any(|t| i64::from(*t) == to) {
            true => Ok(()),
            false => Err(format!("turns values into element type {to}, which is no float type")),
        }
    }

    /// Does nothing but in training.
    pub(super) fn dropout(&self, node: &NodeProto) -> Outcome {
        match node.operand(2).is_some_and(|name| self.constants.is_true(name)) {
            true => Err("is in training mode: export after model.eval()".into()),
            false => Ok(()),
        }
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Outcome {
        match (self.form, node.int("axis").unwrap_or(1)) {
            (Form::Flat(_), 1 | -1) => self.end(&node.op_type),
            _ => Err("must be over the classes at the network's end".into()),
        }
    }

    /// Drops a node behind the logits that keeps their order.
    pub(super) fn end(&mut self, op: &str) -> Outcome {
        if !matches!(self.form, Form::Flat(_)) || self.layers.is_empty() {
            return Err("only supported behind the logits, at the network's end".into());
        }
        self.ended.get_or_insert(op.into());
        Ok(())
    }
}
