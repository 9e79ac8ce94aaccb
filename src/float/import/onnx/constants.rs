//! Values of an ONNX graph that do not depend on the image: weights, and the integers that shape a Reshape.

use super::proto::{GraphProto, NodeProto, TensorProto, data_type};
use crate::float::import::element::Float;
use crate::store;
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// Longest shape, and longest row of Identity nodes, that is followed.
pub(super) const LONGEST: usize = 32;
/// Most steps of one shape computation; exporters need about ten.
const STEPS: usize = 256;

/// The constants of a graph, by name. Quantized ones stand for their codes (`codes`).
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

/// Operators that a constant may be computed with.
const COMPUTED: [&str; 14] = [
    "Identity",
    "Cast",
    "Transpose",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Flatten",
    "QuantizeLinear",
    "DequantizeLinear",
    "Clip",
];

/// An integer of a shape; `None` is the number of images.
pub type Extent = Option<i64>;

impl<'a> Constants<'a> {
    /// Those of `graph`; external data lie in `folder`.
    pub fn new(graph: &'a GraphProto, folder: &'a Path) -> Self {
        let initializers = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let makers = graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
        Self { initializers, makers, folder }
    }

    /// Whether `name` does not depend on the image: an initializer, a Constant, or computed from such.
    pub fn is_constant(&self, name: &str) -> bool {
        self.depends_on_none(name, &Cell::new(STEPS))
    }

    fn depends_on_none(&self, name: &str, steps: &Cell<usize>) -> bool {
        let Some(left) = steps.get().checked_sub(1) else { return false };
        steps.set(left);
        if self.tensor(name).is_some() {
            return true;
        }
        let Some(node) = self.makers.get(name) else { return false };
        match node.op_type.as_str() {
            "Constant" => true,
            op if COMPUTED.contains(&op) => {
                node.input.iter().filter(|i| !i.is_empty()).all(|i| self.depends_on_none(i, steps))
            }
            _ => false,
        }
    }

    /// The constant number `name`; it may be infinite.
    pub fn computed_number(&self, name: &str) -> Option<f32> {
        let weight = self.computed(name, &Cell::new(STEPS)).ok()?;
        if let [one] = weight.data[..] { Some(one) } else { None }
    }

    /// Whether `name` is a constant that is not 0.
    pub fn is_true(&self, name: &str) -> bool {
        let set =
            |t: &TensorProto| t.raw_data.iter().any(|b| *b != 0) || t.int32_data.iter().any(|v| *v != 0);
        self.tensor(name).is_some_and(set)
    }

    /// The node that makes `name`.
    pub(super) fn maker(&self, name: &str) -> Option<&'a NodeProto> {
        self.makers.get(name).copied()
    }

    /// The tensor `name` of the file, through Identity and Cast.
    pub(super) fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        let mut name = name;
        for _ in 0..LONGEST {
            if let Some(t) = self.initializers.get(name) {
                return Some(t);
            }
            let node = self.makers.get(name)?;
            match node.op_type.as_str() {
                "Constant" => return node.tensor("value"),
                "Identity" | "Cast" => name = node.operand(0)?,
                _ => return None,
            }
        }
        None
    }

    /// The constant float tensor `name`, every element finite.
    pub fn floats(&self, name: &str) -> Result<Weight, String> {
        let weight = self.computed(name, &Cell::new(STEPS))?;
        match weight.data.iter().find(|v| !v.is_finite()) {
            Some(v) => Err(format!("tensor {name:?} holds {v}")),
            None => Ok(weight),
        }
    }

    /// The constant `name`, computed where exporters left the computation in the graph.
    fn computed(&self, name: &str, steps: &Cell<usize>) -> Result<Weight, String> {
        let refuse = || format!("{name:?} is computed, must be a constant");
        steps.set(steps.get().checked_sub(1).ok_or_else(refuse)?);
        if let Some(tensor) = self.tensor(name) {
            return self.stored(tensor, name);
        }
        let node = self
            .maker(name)
            .ok_or_else(|| format!("no node makes {name:?}, no initializer has that name"))?;
        let operand = |i: usize| self.computed(node.operand(i).ok_or_else(refuse)?, steps);
        match node.op_type.as_str() {
            "Constant" => literal(node).ok_or_else(refuse),
            "Identity" | "Cast" => operand(0),
            "DequantizeLinear" => self.codes_of(node).map_err(|e| node.fault(&e)),
            "Transpose" => transposed(operand(0)?, node.ints("perm")).ok_or_else(refuse),
            "Add" | "Sub" | "Mul" | "Div" => {
                combined(&node.op_type, operand(0)?, operand(1)?).ok_or_else(refuse)
            }
            "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => {
                let weight = operand(0)?;
                let dims = self.reshaped(node, &weight.dims).ok_or_else(refuse)?;
                match dims.iter().product::<usize>() == weight.data.len() {
                    true => Ok(Weight { dims, ..weight }),
                    false => Err(refuse()),
                }
            }
            _ => Err(refuse()),
        }
    }

    /// Sizes after a node that moves no number.
    fn reshaped(&self, node: &NodeProto, dims: &[usize]) -> Option<Vec<usize>> {
        let given = || -> Option<Vec<i64>> {
            match (node.ints("axes"), node.operand(1)) {
                (Some(axes), _) => Some(axes.into()),
                (None, Some(name)) => {
                    self.extents(name, &|_| None).ok()?.into_iter().collect::<Option<Vec<i64>>>()
                }
                (None, None) => None,
            }
        };
        let count: usize = dims.iter().product();
        match node.op_type.as_str() {
            "Flatten" => {
                let outer: usize =
                    dims.iter().take(usize::try_from(node.int("axis").unwrap_or(1)).ok()?).product();
                Some(vec![outer, count.checked_div(outer)?])
            }
            "Squeeze" => {
                let axes = given();
                let gone = |i: usize| {
                    let named = |a: &i64| position(*a, dims.len()) == Some(i);
                    axes.as_ref().map_or(dims[i] == 1, |axes| axes.iter().any(named))
                };
                Some((0..dims.len()).filter(|&i| !gone(i)).map(|i| dims[i]).collect())
            }
            "Unsqueeze" => {
                let axes = given()?;
                let rank = dims.len() + axes.len();
                let new: Vec<usize> = axes.iter().filter_map(|&a| position(a, rank)).collect();
                let mut old = dims.iter().copied();
                Some((0..rank).filter_map(|i| if new.contains(&i) { Some(1) } else { old.next() }).collect())
            }
            _ => {
                let target = given()?;
                let known: usize = target.iter().filter(|&&d| d > 0).map(|&d| d as usize).product();
                let size = |&d: &i64| match d {
                    -1 => count.checked_div(known),
                    d => usize::try_from(d).ok(),
                };
                target.iter().map(size).collect()
            }
        }
    }

    /// The numbers of a tensor of the file.
    fn stored(&self, tensor: &'a TensorProto, name: &str) -> Result<Weight, String> {
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
                if float.size() == 2 && !tensor.int32_data.is_empty() {
                    // One number in the low half of each.
                    let low = tensor.int32_data.iter().flat_map(|v| (*v as u16).to_le_bytes());
                    float.decode(&low.collect::<Vec<u8>>())
                } else {
                    float.decode(&self.raw(tensor, count.saturating_mul(float.size())).map_err(bad)?)
                }
            }
        };
        if data.len() != count {
            return Err(bad(format!("has {} elements where {count} are needed", data.len())));
        }
        Ok(Weight { dims, data })
    }

    /// The bytes of a tensor, from the file itself or from the one beside it.
    pub(super) fn raw(
        &self,
        tensor: &'a TensorProto,
        bytes: usize,
    ) -> Result<std::borrow::Cow<'a, [u8]>, String> {
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
            let mut file = store::open_file(&path).map_err(std::io::Error::other)?;
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
        if let Some(ints) =
            node.ints("value_ints").filter(|i| node.op_type == "Constant" && i.len() <= LONGEST)
        {
            return Ok(ints.iter().map(|&i| Some(i)).collect());
        }
        if let Some(int) = node.int("value_int").filter(|_| node.op_type == "Constant") {
            return Ok(vec![Some(int)]);
        }
        let operand = |i: usize| {
            let name = node.operand(i).ok_or_else(|| format!("node {} lacks input {i}", node.label()))?;
            self.evaluate(name, shape_of, steps)
        };
        let refuse = || format!("its shape is computed by node {} ({})", node.label(), node.op_type);
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

/// A Constant that holds numbers outside of a tensor.
fn literal(node: &NodeProto) -> Option<Weight> {
    let scalar = |v: f32| Weight { dims: vec![], data: vec![v] };
    let vector = |data: Vec<f32>| Weight { dims: vec![data.len()], data };
    node.float("value_float")
        .map(scalar)
        .or_else(|| node.int("value_int").map(|v| scalar(v as f32)))
        .or_else(|| node.floats("value_floats").map(|v| vector(v.into())))
        .or_else(|| node.ints("value_ints").map(|v| vector(v.iter().map(|&v| v as f32).collect())))
}

/// The dimensions in another order, by default backwards.
fn transposed(weight: Weight, perm: Option<&[i64]>) -> Option<Weight> {
    let rank = weight.dims.len();
    let perm: Vec<usize> = match perm {
        Some(perm) => {
            perm.iter().map(|&p| usize::try_from(p).ok().filter(|&p| p < rank)).collect::<Option<_>>()?
        }
        None => (0..rank).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return None;
    }
    let array = ndarray::ArrayD::from_shape_vec(weight.dims, weight.data).ok()?.permuted_axes(perm);
    Some(Weight { dims: array.shape().into(), data: array.iter().copied().collect() })
}

/// Element by element, sizes broadcast to each other.
fn combined(op: &str, left: Weight, right: Weight) -> Option<Weight> {
    let most = left.data.len().max(right.data.len());
    let array = |w: Weight| ndarray::ArrayD::from_shape_vec(w.dims, w.data).ok();
    let (left, right) = (array(left)?, array(right)?);
    let shape = if left.len() >= right.len() { left.raw_dim() } else { right.raw_dim() };
    let (a, b) = (left.broadcast(shape.clone())?, right.broadcast(shape.clone())?);
    let compute = |(a, b): (&f32, &f32)| match op {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        _ => a / b,
    };
    let data: Vec<f32> = a.iter().zip(b.iter()).map(compute).collect();
    (data.len() == most).then(|| Weight { dims: ndarray::Dimension::slice(&shape).into(), data })
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

pub(super) fn sizes(tensor: &TensorProto) -> Option<Vec<usize>> {
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
