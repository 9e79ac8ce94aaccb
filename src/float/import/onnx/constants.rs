//! Values of an ONNX graph that do not depend on the image: weights, and the integers that shape a Reshape.

use super::label;
use super::proto::{GraphProto, NodeProto, TensorProto, data_type};
use crate::float::import::tensors::Float;
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// Longest shape, and longest row of Identity nodes, that is followed.
const LONGEST: usize = 32;
/// Most steps of one shape computation; exporters need about ten.
const STEPS: usize = 256;

/// The constants of a graph, by name.
pub struct Constants<'a> {
    initializers: HashMap<&'a str, &'a TensorProto>,
    makers: HashMap<&'a str, &'a NodeProto>,
    folder: &'a Path,
}

/// A constant float tensor.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Sizes, outermost first.
    pub dims: Vec<usize>,
    /// Row-major.
    pub data: Vec<f32>,
}

/// An integer of a shape; `None` is the number of images.
pub type Extent = Option<i64>;

impl<'a> Constants<'a> {
    /// Those of `graph`; external data lie in `folder`.
    pub fn new(graph: &'a GraphProto, folder: &'a Path) -> Self {
        let initializers = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let makers = graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
        Self { initializers, makers, folder }
    }

    /// Whether `name` is an initializer or made by a Constant node, directly or through Identity.
    pub fn is_constant(&self, name: &str) -> bool {
        self.tensor(name).is_some()
    }

    /// Whether `name` is a constant that is not 0.
    pub fn is_true(&self, name: &str) -> bool {
        let set =
            |t: &TensorProto| t.raw_data.iter().any(|b| *b != 0) || t.int32_data.iter().any(|v| *v != 0);
        self.tensor(name).is_some_and(set)
    }

    fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        let mut name = name;
        for _ in 0..LONGEST {
            if let Some(t) = self.initializers.get(name) {
                return Some(t);
            }
            let node = self.makers.get(name)?;
            match node.op_type.as_str() {
                "Constant" => return node.tensor("value"),
                "Identity" => name = node.operand(0)?,
                _ => return None,
            }
        }
        None
    }

    /// The constant float tensor `name`, every element finite.
    pub fn floats(&self, name: &str) -> Result<Weight, String> {
        let tensor = self.tensor(name).ok_or_else(|| format!("{name:?} is computed, must be a constant"))?;
        let bad = |reason: String| format!("tensor {name:?} {reason}");
        let dims = sizes(tensor).ok_or_else(|| bad(format!("has sizes {:?}", tensor.dims)))?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let count = count.ok_or_else(|| bad(format!("has sizes {dims:?}")))?;
        let data = match tensor.data_type {
            data_type::FLOAT if !tensor.float_data.is_empty() => tensor.float_data.clone(),
            data_type::DOUBLE if !tensor.double_data.is_empty() => {
                tensor.double_data.iter().map(|&v| v as f32).collect()
            }
            kind => {
                let float =
                    float(kind).ok_or_else(|| bad(format!("has element type {kind}, no float type")))?;
                float.decode(&self.raw(tensor, count.saturating_mul(float.size())).map_err(bad)?)
            }
        };
        if data.len() != count {
            return Err(bad(format!("has {} elements where {count} are needed", data.len())));
        }
        match data.iter().find(|v| !v.is_finite()) {
            Some(v) => Err(bad(format!("holds {v}"))),
            None => Ok(Weight { dims, data }),
        }
    }

    /// The bytes of a tensor, from the file itself or from the one beside it.
    fn raw(&self, tensor: &'a TensorProto, bytes: usize) -> Result<std::borrow::Cow<'a, [u8]>, String> {
        if tensor.data_location != 1 {
            return Ok((&tensor.raw_data[..]).into());
        }
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let location = entry("location").ok_or("has external data without a location")?;
        let plain =
            Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !plain {
            return Err(format!("has external data in {location:?}, which leaves the model's folder"));
        }
        let offset = entry("offset").unwrap_or("0").parse().map_err(|_| "has a bad external offset")?;
        let path = self.folder.join(location);
        let read = || {
            let mut file = std::fs::File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut data = vec![];
            file.take(bytes as u64).read_to_end(&mut data).map(|_| data)
        };
        read().map(Into::into).map_err(|e: std::io::Error| format!("has external data in {location:?}: {e}"))
    }

    /// The integer vector `name`, evaluated through the operators that exporters compute a Reshape's target with;
    /// `shape_of` knows the shape of values that depend on the image.
    pub fn extents(
        &self,
        name: &str,
        shape_of: &dyn Fn(&str) -> Option<Vec<Extent>>,
    ) -> Result<Vec<Extent>, String> {
        self.evaluate(name, shape_of, &Cell::new(STEPS))
    }

    fn evaluate(
        &self,
        name: &str,
        shape_of: &dyn Fn(&str) -> Option<Vec<Extent>>,
        steps: &Cell<usize>,
    ) -> Result<Vec<Extent>, String> {
        let left =
            steps.get().checked_sub(1).ok_or("its shape is computed in a cycle or in too many steps")?;
        steps.set(left);
        if let Some(tensor) = self.tensor(name) {
            return integers(tensor).ok_or_else(|| format!("its shape {name:?} is no integer vector"));
        }
        let node = *self.makers.get(name).ok_or_else(|| format!("no node makes the shape {name:?}"))?;
        let operand = |i: usize| {
            let name = node.operand(i).ok_or_else(|| format!("node {} lacks input {i}", label(node)))?;
            self.evaluate(name, shape_of, steps)
        };
        let refuse = || format!("its shape is computed by node {} ({})", label(node), node.op_type);
        match node.op_type.as_str() {
            "Shape" => node.operand(0).and_then(shape_of).ok_or_else(refuse),
            "Cast" | "Identity" | "Squeeze" | "Unsqueeze" => operand(0),
            "Concat" => {
                let mut all = vec![];
                for i in 0..node.input.len() {
                    all.extend(operand(i)?);
                }
                if all.len() > LONGEST { Err(refuse()) } else { Ok(all) }
            }
            "Gather" => gather(&operand(0)?, &operand(1)?).ok_or_else(refuse),
            "Slice" => slice(&operand(0)?, &operand(1)?, &operand(2)?, node.input.len()).ok_or_else(refuse),
            _ => Err(refuse()),
        }
    }
}

fn gather(from: &[Extent], indices: &[Extent]) -> Option<Vec<Extent>> {
    indices.iter().map(|i| position((*i)?, from.len()).and_then(|i| from.get(i).copied())).collect()
}

/// A slice with step 1 of a vector.
fn slice(from: &[Extent], start: &[Extent], end: &[Extent], inputs: usize) -> Option<Vec<Extent>> {
    let ([Some(start)], [Some(end)], ..=4) = (start, end, inputs) else { return None };
    let bound = |i: i64| if i > from.len() as i64 { Some(from.len()) } else { position(i, from.len()) };
    from.get(bound(*start)?..bound(*end)?).map(<[Extent]>::to_vec)
}

/// Index `i` counted from the end where negative.
fn position(i: i64, len: usize) -> Option<usize> {
    usize::try_from(if i < 0 { i.checked_add(len as i64)? } else { i }).ok()
}

fn sizes(tensor: &TensorProto) -> Option<Vec<usize>> {
    tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect()
}

fn float(kind: i32) -> Option<Float> {
    match kind {
        data_type::FLOAT => Some(Float::F32),
        data_type::DOUBLE => Some(Float::F64),
        data_type::FLOAT16 => Some(Float::F16),
        data_type::BFLOAT16 => Some(Float::Bf16),
        _ => None,
    }
}

/// The integers of a short INT32 or INT64 vector.
fn integers(tensor: &TensorProto) -> Option<Vec<Extent>> {
    let raw = &tensor.raw_data;
    let all: Vec<i64> = match tensor.data_type {
        data_type::INT64 if raw.is_empty() => tensor.int64_data.clone(),
        data_type::INT32 if raw.is_empty() => tensor.int32_data.iter().map(|&v| v.into()).collect(),
        data_type::INT64 => raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        data_type::INT32 => raw.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect(),
        _ => return None,
    };
    (all.len() <= LONGEST).then(|| all.into_iter().map(Some).collect())
}
