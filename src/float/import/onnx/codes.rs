//! Quantized constants: integers with the steps that QuantizeLinear and DequantizeLinear give them.
//!
//! A code here is the file's integer minus its zero point, so that code · step is the number, and code 0 is 0.

use super::constants::{Constants, LONGEST, Weight, sizes};
use super::proto::{NodeProto, TensorProto, data_type};
use crate::arith::{self, Levels, Step};

/// What a QuantizeLinear or DequantizeLinear says of codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// One, or one a position of `axis`.
    pub steps: Vec<Step>,
    /// As many zero points as steps, or one.
    pub zeros: Vec<i32>,
    /// The dimension along which steps differ; `None` where there is one step.
    pub axis: Option<usize>,
    /// Integers that the file's type (and a Clip) can hold, zero point not subtracted.
    pub stored: Levels,
}

impl Scale {
    /// Zero point at position `i` of the axis.
    pub fn zero(&self, i: usize) -> i32 {
        self.zeros[if self.zeros.len() == 1 { 0 } else { i }]
    }

    /// Range of the codes at all positions; `None` where they need more than 16 bits.
    pub fn levels(&self) -> Option<Levels> {
        let Levels { a, b } = self.stored;
        let low = self.zeros.iter().map(|&z| a.saturating_sub(z)).min()?;
        let high = self.zeros.iter().map(|&z| b.saturating_sub(z)).max()?;
        let levels = Levels { a: low, b: high };
        (low < high && levels.bits() <= *arith::WIDTHS.end()).then_some(levels)
    }
}

/// Integers of the file.
pub struct Integers {
    /// Element type.
    pub kind: i32,
    /// Sizes, outermost first.
    pub dims: Vec<usize>,
    /// Row-major.
    pub values: Vec<i32>,
    /// What the type, or a Clip, can hold.
    pub stored: Levels,
}

/// Name and range of the integer types that codes have.
pub fn container(kind: i32) -> Option<(&'static str, Levels)> {
    Some(match kind {
        data_type::UINT4 => ("uint4", Levels::unsigned(4)),
        data_type::INT4 => ("int4", Levels::signed(4)),
        data_type::UINT8 => ("uint8", Levels::unsigned(8)),
        data_type::INT8 => ("int8", Levels::signed(8)),
        data_type::UINT16 => ("uint16", Levels::unsigned(16)),
        data_type::INT16 => ("int16", Levels::signed(16)),
        data_type::INT32 => ("int32", Levels { a: i32::MIN, b: i32::MAX }),
        _ => return None,
    })
}

impl<'a> Constants<'a> {
    /// The codes of a DequantizeLinear over constants, as numbers: a float holds up to 24 bits exactly.
    pub(super) fn codes_of(&self, node: &NodeProto) -> Result<Weight, String> {
        self.demand_constant(node)?;
        let integers = self.integers(node.operand(0).ok_or("has no input")?, LONGEST)?;
        let scale = self.scale(node, Some(integers.kind), &integers.dims)?;
        let code = |i: usize, v: i32| v.wrapping_sub(scale.zero(i)) as f32;
        let data = by_position(&integers.dims, scale.axis, &integers.values, code);
        Ok(Weight { dims: integers.dims, data })
    }

    /// Whatever is computed from itself is no constant, and would be followed without end.
    fn demand_constant(&self, node: &NodeProto) -> Result<(), String> {
        match node.output.first().is_some_and(|name| self.is_constant(name)) {
            true => Ok(()),
            false => Err("is not computed from constants".into()),
        }
    }

    /// The scale of the DequantizeLinear behind the constant `name`, its axis as `name` has it.
    pub(super) fn scale_of(&self, name: &str) -> Result<Scale, String> {
        let mut perms: Vec<&[i64]> = vec![];
        let mut at = name;
        for _ in 0..LONGEST {
            let node = self.maker(at).ok_or_else(|| format!("its constant {at:?} is not quantized"))?;
            let bad = |e: String| node.fault(&e);
            match node.op_type.as_str() {
                "DequantizeLinear" => {
                    self.demand_constant(node).map_err(bad)?;
                    let integers = self.integers(node.operand(0).ok_or("has no input")?, LONGEST)?;
                    let mut scale = self.scale(node, Some(integers.kind), &integers.dims).map_err(bad)?;
                    scale.stored = integers.stored;
                    for perm in perms.iter().rev() {
                        let moved = |axis: usize| perm.iter().position(|&p| usize::try_from(p) == Ok(axis));
                        scale.axis = scale.axis.and_then(moved);
                    }
                    return Ok(scale);
                }
                "Transpose" => perms.push(node.ints("perm").unwrap_or(&[1, 0])),
                "Identity" | "Cast" => {}
                _ => {
                    return Err(format!(
                        "its constant {at:?} is not quantized, but computed by {}",
                        node.op_type
                    ));
                }
            }
            at = node.operand(0).ok_or("a constant is computed from nothing")?;
        }
        Err(format!("its constant {name:?} is computed in too many steps"))
    }

    /// Steps and zero points of `node`, whose input has sizes `dims` and, if it dequantizes, element type `kind`.
    pub(super) fn scale(&self, node: &NodeProto, kind: Option<i32>, dims: &[usize]) -> Result<Scale, String> {
        let steps =
            self.floats(node.operand(1).ok_or("has no scale")?).map_err(|e| format!("its scale: {e}"))?;
        let step = |&s: &f32| Step::new(s).ok_or_else(|| format!("its scale {s} is not a positive number"));
        let list = steps.data.iter().map(step).collect::<Result<Vec<_>, _>>()?;
        let zero = node.operand(2).map(|name| self.integers(name, LONGEST)).transpose()?;
        let said = node.int("output_dtype").filter(|&t| t != 0).and_then(|t| i32::try_from(t).ok());
        let of_zero = zero.as_ref().map(|z| z.kind);
        let own = kind.or(of_zero).or(said).unwrap_or(data_type::UINT8);
        let (name, stored) = container(own).ok_or_else(|| format!("element type {own} is none of codes"))?;
        if let Some(other) = of_zero.filter(|&z| z != own) {
            let other = container(other).map_or("another type", |c| c.0);
            return Err(format!("its zero point is {other}, its codes are {name}"));
        }
        if node.int("block_size").unwrap_or(0) != 0 {
            return Err("quantizes by blocks; one scale a tensor or a channel is supported".into());
        }
        let axis = axis(node, &steps.dims, dims)?;
        if list.is_empty() || axis.is_none() && list.len() != 1 {
            return Err(format!("has {} scales", list.len()));
        }
        if let Some(axis) = axis.filter(|&a| dims[a] != list.len()) {
            return Err(format!("has {} scales for {} positions of axis {axis}", list.len(), dims[axis]));
        }
        let zeros = zero.map_or(vec![0], |z| z.values);
        match zeros.len() {
            1 => {}
            n if n == list.len() => {}
            n => return Err(format!("has {n} zero points and {} scales", list.len())),
        }
        if own == data_type::INT32 && zeros.iter().any(|&z| z != 0) {
            return Err("32-bit codes have a zero point that is not 0".into());
        }
        let zeros = if zeros.iter().all(|z| *z == zeros[0]) { vec![zeros[0]] } else { zeros };
        Ok(Scale { steps: list, zeros, axis, stored })
    }

    /// The constant integers `name`, through Identity, Clip and the QuantizeLinear of constants.
    pub(super) fn integers(&self, name: &str, left: usize) -> Result<Integers, String> {
        if let Some(tensor) = self.tensor(name) {
            return self.stored_integers(tensor, name);
        }
        let left = left.checked_sub(1).ok_or_else(|| format!("{name:?} is computed in too many steps"))?;
        let node =
            self.maker(name).ok_or_else(|| format!("no node makes {name:?}, which must be a constant"))?;
        let input = node.operand(0).ok_or("a constant is computed from nothing")?;
        let bad = |e: String| node.fault(&e);
        match node.op_type.as_str() {
            "Clip" => {
                let mut integers = self.integers(input, left)?;
                integers.stored = self.clipped(node, integers.stored).map_err(bad)?;
                let Levels { a, b } = integers.stored;
                integers.values.iter_mut().for_each(|v| *v = (*v).clamp(a, b));
                Ok(integers)
            }
            "QuantizeLinear" => self.quantized(node, input).map_err(bad),
            op => Err(format!("{name:?} is computed by {op}, must be constant integers")),
        }
    }

    /// Integers of `stored` that a Clip of codes leaves.
    pub(super) fn clipped(&self, node: &NodeProto, stored: Levels) -> Result<Levels, String> {
        let bound = |i: usize| -> Result<Option<i32>, String> {
            let Some(name) = node.operand(i) else { return Ok(None) };
            match self.integers(name, LONGEST)?.values[..] {
                [one] => Ok(Some(one)),
                _ => Err(format!("its bound {name:?} is no number")),
            }
        };
        let a = bound(1)?.map_or(stored.a, |a| a.max(stored.a));
        let b = bound(2)?.map_or(stored.b, |b| b.min(stored.b));
        if a < b { Ok(Levels { a, b }) } else { Err(format!("clips codes to {a} … {b}")) }
    }

    /// A QuantizeLinear of float constants.
    fn quantized(&self, node: &NodeProto, input: &str) -> Result<Integers, String> {
        self.demand_constant(node)?;
        let weight = self.floats(input)?;
        let scale = self.scale(node, None, &weight.dims)?;
        let (a, b) = (scale.stored.a, scale.stored.b);
        let code = |i: usize, x: f32| {
            let zero = scale.zero(i);
            let step = scale.steps[if scale.steps.len() == 1 { 0 } else { i }];
            arith::quantize(x, step, Levels { a: a - zero, b: b - zero }) + zero
        };
        let kind = kind_of(scale.stored);
        let values = by_position(&weight.dims, scale.axis, &weight.data, code);
        Ok(Integers { kind, dims: weight.dims, values, stored: scale.stored })
    }

    fn stored_integers(&self, tensor: &'a TensorProto, name: &str) -> Result<Integers, String> {
        let bad = |reason: String| format!("tensor {name:?} {reason}");
        let kind = tensor.data_type;
        let (_, stored) =
            container(kind).ok_or_else(|| bad(format!("has element type {kind}, which is none of codes")))?;
        let dims = sizes(tensor).ok_or_else(|| bad(format!("has sizes {:?}", tensor.dims)))?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let count = count.ok_or_else(|| bad(format!("has sizes {dims:?}")))?;
        let values = match tensor.int32_data.is_empty() {
            false if [data_type::INT4, data_type::UINT4].contains(&kind) => {
                nibbles(tensor.int32_data.iter().map(|&v| v as u8), kind, count)
            }
            false => tensor.int32_data.clone(),
            true => {
                let bytes = count.saturating_mul(stored.bits() as usize).div_ceil(8);
                decoded(&self.raw(tensor, bytes).map_err(bad)?, kind, count)
            }
        };
        if values.len() != count {
            return Err(bad(format!("has {} elements where {count} are needed", values.len())));
        }
        match values.iter().find(|v| !(stored.a..=stored.b).contains(v)) {
            Some(v) => Err(bad(format!("holds {v}"))),
            None => Ok(Integers { kind, dims, values, stored }),
        }
    }
}

fn kind_of(stored: Levels) -> i32 {
    let kinds = [
        data_type::UINT4,
        data_type::INT4,
        data_type::UINT8,
        data_type::INT8,
        data_type::UINT16,
        data_type::INT32,
    ];
    let own = |kind: &i32| container(*kind).is_some_and(|c| c.1 == stored);
    kinds.into_iter().find(own).unwrap_or(data_type::INT16)
}

/// The dimension along which scales of sizes `scale` differ in a tensor of sizes `dims`.
fn axis(node: &NodeProto, scale: &[usize], dims: &[usize]) -> Result<Option<usize>, String> {
    let axis = match scale {
        _ if scale.iter().all(|&d| d == 1) => return Ok(None),
        [_] => {
            let axis = node.int("axis").unwrap_or(1);
            // A vector has one axis, whatever the default says.
            let axis = if dims.len() == 1 && axis == 1 { 0 } else { axis };
            usize::try_from(if axis < 0 { axis.saturating_add(dims.len() as i64) } else { axis }).ok()
        }
        _ if scale.len() == dims.len() && scale.iter().filter(|&&d| d != 1).count() == 1 => {
            scale.iter().position(|&d| d != 1)
        }
        _ => return Err(format!("has scales of sizes {scale:?}; one a tensor or a channel is supported")),
    };
    match axis.filter(|&a| a < dims.len()) {
        Some(axis) => Ok(Some(axis)),
        None => {
            Err(format!("its axis {} is none of {} dimensions", node.int("axis").unwrap_or(1), dims.len()))
        }
    }
}

/// `f` of every element and its position along `axis`.
fn by_position<T: Copy, R>(
    dims: &[usize],
    axis: Option<usize>,
    values: &[T],
    f: impl Fn(usize, T) -> R,
) -> Vec<R> {
    let (inner, count) = match axis {
        Some(axis) => (dims[axis + 1..].iter().product::<usize>().max(1), dims[axis].max(1)),
        None => (1, 1),
    };
    values.iter().enumerate().map(|(i, &v)| f(i / inner % count, v)).collect()
}

/// Little-endian integers; four-bit ones two a byte, the lower half first.
fn decoded(bytes: &[u8], kind: i32, count: usize) -> Vec<i32> {
    let shorts = || bytes.as_chunks().0.iter();
    match kind {
        data_type::INT8 => bytes.iter().map(|&b| (b as i8).into()).collect(),
        data_type::UINT8 => bytes.iter().map(|&b| b.into()).collect(),
        data_type::INT16 => shorts().map(|b| i16::from_le_bytes(*b).into()).collect(),
        data_type::UINT16 => shorts().map(|b| u16::from_le_bytes(*b).into()).collect(),
        data_type::INT32 => bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect(),
        _ => nibbles(bytes.iter().copied(), kind, count),
    }
}

fn nibbles(bytes: impl Iterator<Item = u8>, kind: i32, count: usize) -> Vec<i32> {
    let value = |n: u8| if kind == data_type::INT4 && n > 7 { i32::from(n) - 16 } else { n.into() };
    bytes.flat_map(|b| [b & 15, b >> 4]).take(count).map(value).collect()
}
