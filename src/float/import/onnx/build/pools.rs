//! Max pools between convolutions, average pools before dense layers.

use super::{Builder, Outcome};
use crate::float::import::average::Average;
use crate::float::import::onnx::proto::NodeProto;
use crate::float::import::onnx::shape_ops;
use crate::net::{Op, Shape};

impl Builder<'_> {
    pub(super) fn max_pool(&mut self, node: &NodeProto) -> Outcome {
        self.demand_channels_first()?;
        demand_2x2(node, self.shape)?;
        if !self.pending.keeps_order() {
            return Err("batch norm with negative factors stands before it".into());
        }
        match self.layers.last_mut().map(|l| &mut l.op) {
            Some(Op::Conv { pool, .. }) if !*pool => *pool = true,
            _ => return Err("does not follow a convolution".into()),
        }
        self.shape = Shape { c: self.shape.c, h: self.shape.h / 2, w: self.shape.w / 2 };
        (self.stage, self.place) = (self.stage + 1, 0);
        match self.shape.is_empty() {
            true => Err("leaves no pixels: the input is too small".into()),
            false => Ok(()),
        }
    }

    pub(super) fn average_pool(&mut self, node: &NodeProto) -> Outcome {
        let from = self.shape;
        let (average, form) = shape_ops::average(self.value(), node, self.constants)?;
        self.form = form;
        let identity = Average::windows(from, [1, 1], [1, 1]);
        if average == identity {
            return Ok(());
        }
        if self.codes {
            return Err("an average pool between quantized layers rounds sums of its own, which max pools do not: train with \
                        a max pool or a flattened map in its place"
                .into());
        }
        if self.average.is_some() || self.layers.is_empty() {
            return Err("an average pool may only stand between convolutions and dense layers; between \
                        convolutions max pools are: train a few epochs with MaxPool2d in its place"
                .into());
        }
        self.demand_activated()?;
        self.shape = average.output(from);
        self.average = Some((average, from));
        if self.shape.is_empty() { Err("leaves no pixels".into()) } else { Ok(()) }
    }
}

/// A 2×2 max pool with stride 2 that leaves out the last row and column of an odd `map`.
fn demand_2x2(node: &NodeProto, map: Shape) -> Outcome {
    let two = |name: &str| node.ints(name) == Some(&[2, 2]);
    let all = |name: &str, value: i64| node.ints(name).is_none_or(|v| v.iter().all(|&v| v == value));
    let auto = node.text("auto_pad").unwrap_or_default();
    let even = map.h.is_multiple_of(2) && map.w.is_multiple_of(2);
    let floor = even || (node.int("ceil_mode").unwrap_or(0) == 0 && !auto.starts_with("SAME"));
    match two("kernel_shape") && two("strides") && all("pads", 0) && all("dilations", 1) && floor {
        true => Ok(()),
        false => Err("only 2×2 max pools with stride 2 and without padding are supported".into()),
    }
}
