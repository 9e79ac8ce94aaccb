//! Convolutions and dense layers.

use super::{Builder, Outcome};
use crate::float::import::layout::{channels_first, in_the_centre};
use crate::float::import::onnx::dense;
use crate::float::import::onnx::form::{CHANNELS_FIRST, Form};
use crate::float::import::onnx::proto::NodeProto;
use crate::net::{KERNEL, Op};

impl Builder<'_> {
    /// Zeros around a map become the next convolution's.
    pub(super) fn pad(&mut self, node: &NodeProto) -> Outcome {
        let Form::Map(order) = self.form else { return Err("pads no map".into()) };
        let mode = node.text("mode").unwrap_or("constant".into());
        let value = match (node.operand(2), node.float("value")) {
            (Some(name), _) => {
                self.constants.computed_number(name).ok_or("its value is no constant number")?
            }
            (None, value) => value.unwrap_or(0.0),
        };
        if mode != "constant" || value != 0.0 || node.operand(3).is_some() {
            return Err("only zeros around all of a map are supported".into());
        }
        let pads: Option<Vec<i64>> = match (node.ints("pads"), node.operand(1)) {
            (Some(pads), _) => Some(pads.into()),
            (None, Some(name)) => self.constants.extents(name, &|_| None)?.into_iter().collect(),
            (None, None) => None,
        };
        let sensible = |pads: &Vec<i64>| pads.len() == 8 && pads.iter().all(|p| *p >= 0);
        let pads = pads.filter(sensible).ok_or("its pads are not those of a map")?;
        let at = |axis: usize| 1 + order.iter().position(|&a| a == axis).unwrap_or(0);
        let (batch, c, h, w) = (0, at(0), at(1), at(2));
        if [batch, c].iter().any(|&i| pads[i] != 0 || pads[4 + i] != 0) {
            return Err("pads images or channels".into());
        }
        for (to, by) in self.padding.iter_mut().zip([pads[h], pads[w], pads[4 + h], pads[4 + w]]) {
            *to = to.saturating_add(by);
        }
        Ok(())
    }

    pub(super) fn conv(&mut self, node: &NodeProto) -> Outcome {
        self.demand_activated()?;
        let around = std::mem::take(&mut self.padding);
        if matches!(self.form, Form::Map(CHANNELS_FIRST)) && self.average.is_some() {
            self.demand_whole_map()?;
        } else {
            self.demand_channels_first()?;
        }
        let mut weight = self.constants.floats(node.operand(1).ok_or("has no weights")?)?;
        let ci = self.shape.c;
        let co = weight.dims.first().copied().unwrap_or(0);
        let sides = weight.dims.get(2..).unwrap_or_default();
        let whole = self.is_behind_convolutions()
            && sides == [self.shape.h, self.shape.w]
            && is_plain(node, around, 0);
        let point = sides == [1, 1] && is_plain(node, around, 0) && !whole;
        if !whole && !point && !is_plain(node, around, 1) {
            return Err("only 3×3 convolutions with stride 1 and padding 1 in one group are supported".into());
        }
        let side = if whole || point { sides.to_vec() } else { vec![KERNEL; 2] };
        if weight.dims != [&[co, ci], &side[..]].concat() || co == 0 {
            return Err(format!("its weights have sizes {:?}, must be [outputs, {ci}, 3, 3]", weight.dims));
        }
        if point {
            weight.data = in_the_centre(&weight.data);
        }
        let bias = match node.operand(2) {
            None => vec![0.0; co],
            Some(name) => self.constants.floats(name)?.data,
        };
        if bias.len() != co {
            return Err(format!("has {} biases for {co} outputs", bias.len()));
        }
        if whole {
            let denses = self.layers.iter().filter(|l| matches!(l.op, Op::Dense { .. })).count();
            let name = format!("fc{}", self.stage + denses);
            self.push(name, Op::Dense { co }, weight.data, bias)?;
            self.form = Form::Map(CHANNELS_FIRST);
            return Ok(());
        }
        if self.layers.iter().any(|l| matches!(l.op, Op::Dense { .. })) {
            return Err("a convolution behind dense layers".into());
        }
        if self.pending.t.iter().any(|t| *t != 0.0) {
            return Err(
                "batch norm after the ReLU before it moves the zeros of its padding: not a VGG".into()
            );
        }
        self.place += 1;
        let name = format!("conv{}_{}", self.stage, self.place);
        self.push(name, Op::Conv { co, pool: false }, weight.data, bias)
    }

    /// A convolution over 1×1 maps behind an average pool or a dense layer is a dense layer.
    pub(super) fn demand_whole_map(&self) -> Outcome {
        match self.shape.h * self.shape.w {
            1 => Ok(()),
            _ => Err("only a dense layer may follow an average pool".into()),
        }
    }

    /// Whether the current value is the last map: after a pool over it, a dense layer, or convolutions alone.
    pub(super) fn is_behind_convolutions(&self) -> bool {
        let (h, w) = (self.shape.h, self.shape.w);
        let dense = self.layers.iter().any(|l| matches!(l.op, Op::Dense { .. }));
        !self.layers.is_empty()
            && (dense || self.average.is_some() || (h, w) != (1, 1) && (h, w) != (KERNEL, KERNEL))
    }

    pub(super) fn dense(&mut self, node: &NodeProto) -> Outcome {
        self.demand_activated()?;
        let Form::Flat(order) = self.form else {
            return Err("its input is not flattened".into());
        };
        let (weight, bias) = dense::parameters(node, self.constants, self.shape.len())?;
        let weight = channels_first(weight, self.shape, order);
        let denses = self.layers.iter().filter(|l| matches!(l.op, Op::Dense { .. })).count();
        let name = format!("fc{}", self.stage + denses);
        self.push(name, Op::Dense { co: bias.len() }, weight, bias)
    }

    /// ONNX Runtime's convolution or Gemm with the activation in it.
    pub(super) fn fused(&mut self, node: &NodeProto) -> Outcome {
        if node.op_type == "FusedConv" {
            self.conv(node)?
        } else {
            self.dense(node)?
        }
        match node.text("activation").unwrap_or_default().as_str() {
            "" => Ok(()),
            "Relu" => self.relu(),
            other => Err(format!("its activation {other} is not supported, only Relu is")),
        }
    }
}

/// Whether a convolution has stride 1, no dilation, one group, and with the zeros `around` its map this padding on all sides.
fn is_plain(node: &NodeProto, around: [i64; 4], padding: i64) -> bool {
    let own = match (node.text("auto_pad").unwrap_or_default().as_str(), node.ints("kernel_shape")) {
        ("" | "NOTSET", _) => node.ints("pads").map_or(Some([0; 4]), |pads| pads.try_into().ok()),
        ("VALID", _) | (_, Some([1, 1])) => Some([0; 4]),
        // SAME pads half of what the kernel reads beyond one position.
        _ => Some([padding; 4]).filter(|_| padding == 1),
    };
    let padded =
        own.is_some_and(|own| own.iter().zip(around).all(|(a, b)| a.checked_add(b) == Some(padding)));
    let plain = |name: &str| node.ints(name).is_none_or(|v| v.iter().all(|&v| v == 1));
    padded && plain("strides") && plain("dilations") && node.int("group").unwrap_or(1) == 1
}
