//! The network that is explored: a model file, or the geometry that a name stands for.

use super::sweep::geometry;
use crate::Result;
use crate::float::{FloatLayer, FloatModel};
use crate::net::{Header, Op, Preprocessing, Shape, vgg_convs};
use crate::quantize::train::tuned;
use crate::schedule::Geometry;
use std::path::Path;

/// The network of a task.
pub struct Network {
    /// Its layers; without weights where only the geometry is known.
    pub model: FloatModel,
    /// Its shapes.
    pub geometry: Geometry,
    /// Weights of each layer.
    pub sizes: Vec<u64>,
}

impl Network {
    /// Reads a model file, of an integer model the weights that it was fine-tuned with, or makes the geometry that the name stands for.
    pub fn open(path: &Path) -> Result<Self> {
        let named = path.to_str().and_then(|name| name.strip_prefix("vgg")?.parse().ok()).and_then(vgg_convs);
        let model = match named {
            Some(convs) if !path.exists() => vgg(path, convs),
            _ => tuned::load(path)?,
        };
        let shapes = model.shapes();
        let size = |(l, &x): (&FloatLayer, &Shape)| l.op.weight_shape(x).iter().product::<usize>() as u64;
        let sizes = model.layers.iter().zip(&shapes).map(size).collect();
        Ok(Self { geometry: geometry(&model), model, sizes })
    }

    /// Whether there are weights.
    pub fn is_trained(&self) -> bool {
        self.model.layers.iter().all(|l| !l.weight.is_empty())
    }
}

/// torchvision's VGG of these convolutions at 224×224, without weights.
fn vgg(name: &Path, convs: Vec<(usize, bool)>) -> FloatModel {
    let mut stage = (1, 0);
    let conv = |(co, pool): (usize, bool)| {
        stage.1 += 1;
        let name = format!("conv{}_{}", stage.0, stage.1);
        stage = if pool { (stage.0 + 1, 0) } else { stage };
        (name, Op::Conv { co, pool })
    };
    let dense = [("fc6", 4096), ("fc7", 4096), ("fc8", 1000)].map(|(n, co)| (n.into(), Op::Dense { co }));
    let layers: Vec<_> = convs.into_iter().map(conv).chain(dense).collect();
    let empty = |(name, op): (String, Op)| FloatLayer {
        name,
        op,
        weight: vec![],
        bias: vec![],
        batch_norm: None,
        quantizer: None,
        saturation: None,
    };
    let header = Header {
        name: name.display().to_string(),
        input: Shape { c: 3, h: 224, w: 224 },
        preprocessing: Preprocessing::imagenet(),
        classes: vec![],
    };
    FloatModel { header, layers: layers.into_iter().map(empty).collect() }
}
