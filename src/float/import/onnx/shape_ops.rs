//! Nodes that move dimensions without changing numbers, and the windows of average pools.

use super::constants::{Constants, Extent};
use super::form::{CHANNELS_FIRST, Form, Value};
use super::proto::NodeProto;
use crate::float::import::average::Average;

/// Dimensions after a Transpose, Reshape, Flatten or Squeeze of a value.
pub fn apply(
    at: Value,
    node: &NodeProto,
    constants: &Constants,
    shape_of: &dyn Fn(&str) -> Option<Vec<Extent>>,
) -> Result<Form, String> {
    match node.op_type.as_str() {
        "Transpose" => transpose(at.form, node.ints("perm").unwrap_or_default()),
        "Flatten" => match node.int("axis").unwrap_or(1) {
            1 | -3 => Ok(flattened(at.form)),
            axis => Err(format!("flattens from axis {axis}, must be 1")),
        },
        "Squeeze" => {
            let axes = axes(node, constants, shape_of)?;
            let spatial = at.shape.h * at.shape.w == 1
                && (axes.is_empty() && at.shape.c > 1 || is_spatial(at.form, &axes));
            if spatial {
                Ok(flattened(at.form))
            } else {
                Err("removes other dimensions than 1×1 rows and columns".into())
            }
        }
        _ => {
            let target = node.operand(1).ok_or("has no target shape")?;
            reshape(at, &constants.extents(target, shape_of)?)
        }
    }
}

fn flattened(form: Form) -> Form {
    match form {
        Form::Map(order) | Form::Flat(order) => Form::Flat(order),
    }
}

fn transpose(form: Form, perm: &[i64]) -> Result<Form, String> {
    let refuse = || format!("the permutation {perm:?} is not supported here");
    match form {
        Form::Map(order) => {
            let [0, rest @ ..] = perm else { return Err(refuse()) };
            let mut sorted = rest.to_vec();
            sorted.sort_unstable();
            if sorted != [1, 2, 3] {
                return Err(refuse());
            }
            Ok(Form::Map([0, 1, 2].map(|i| order[rest[i] as usize - 1])))
        }
        Form::Flat(_) if perm == [0, 1] => Ok(form),
        Form::Flat(_) => Err(refuse()),
    }
}

/// A flatten, or a reshape that only moves dimensions of size 1.
fn reshape(at: Value, target: &[Extent]) -> Result<Form, String> {
    let refuse = || {
        let text = |d: &Extent| d.map_or("batch".into(), |d| d.to_string());
        let to: Vec<String> = target.iter().map(text).collect();
        format!("reshapes {} to [{}], which is no flatten", at.shape, to.join(", "))
    };
    let sizes = [at.shape.c, at.shape.h, at.shape.w].map(|s| s as i64);
    let length = at.shape.len() as i64;
    let is_batch = |d: Extent| d.is_none() || d == Some(0) || d == at.batch;
    match *target {
        [batch, Some(k)] if k == length && (is_batch(batch) || matches!(batch, Some(-1 | 1))) => {
            Ok(flattened(at.form))
        }
        [batch, Some(-1)] if is_batch(batch) => Ok(flattened(at.form)),
        [batch, Some(c), Some(h), Some(w)] if is_batch(batch) || matches!(batch, Some(-1 | 1)) => {
            let Form::Map(order) = at.form else { return Err(refuse()) };
            let moving: Vec<usize> = order.into_iter().filter(|&axis| sizes[axis] != 1).collect();
            let fits = [c, h, w] == sizes && moving.is_sorted();
            if fits { Ok(Form::Map(CHANNELS_FIRST)) } else { Err(refuse()) }
        }
        _ => Err(refuse()),
    }
}

/// The average pool of a GlobalAveragePool, AveragePool or ReduceMean, and the dimensions after it.
pub fn average(at: Value, node: &NodeProto, constants: &Constants) -> Result<(Average, Form), String> {
    let from = at.shape;
    let whole = Average::windows(from, [from.h, from.w], [1, 1]);
    match (node.op_type.as_str(), at.form) {
        ("GlobalAveragePool", Form::Map(CHANNELS_FIRST)) => Ok((whole, at.form)),
        ("AveragePool", Form::Map(CHANNELS_FIRST)) => Ok((windows(at, node)?, at.form)),
        ("ReduceMean", Form::Map(_)) if is_spatial(at.form, &axes(node, constants, &|_| None)?) => {
            let form = if node.int("keepdims").unwrap_or(1) == 0 { flattened(at.form) } else { at.form };
            Ok((whole, form))
        }
        _ => Err("averages over other dimensions than rows and columns".into()),
    }
}

fn windows(at: Value, node: &NodeProto) -> Result<Average, String> {
    let pair = |name: &str, default: i64| -> Result<[usize; 2], String> {
        let values = node.ints(name).map_or(vec![default; 2], <[i64]>::to_vec);
        let sizes: Vec<usize> =
            values.iter().filter_map(|&v| usize::try_from(v).ok().filter(|&v| v > 0)).collect();
        sizes.try_into().map_err(|_| format!("{name} {values:?} makes no sense"))
    };
    let unpadded = node.ints("pads").is_none_or(|p| p.iter().all(|&p| p == 0));
    let auto = node.text("auto_pad").unwrap_or_default();
    let ceil = node.int("ceil_mode").unwrap_or(0) != 0;
    if !unpadded || ceil || auto.starts_with("SAME") {
        return Err("average pools with padding are not supported".into());
    }
    Ok(Average::windows(at.shape, pair("kernel_shape", 0)?, pair("strides", 1)?))
}

/// The axes of a Squeeze or ReduceMean, from its attribute or its second input.
fn axes(
    node: &NodeProto,
    constants: &Constants,
    shape_of: &dyn Fn(&str) -> Option<Vec<Extent>>,
) -> Result<Vec<i64>, String> {
    match (node.ints("axes"), node.operand(1)) {
        (Some(axes), _) => Ok(axes.to_vec()),
        (None, Some(name)) => Ok(constants.extents(name, shape_of)?.into_iter().flatten().collect()),
        (None, None) => Ok(vec![]),
    }
}

/// Whether `axes` are exactly the rows and the columns.
fn is_spatial(form: Form, axes: &[i64]) -> bool {
    let Form::Map(order) = form else { return false };
    let mut named: Vec<i64> = axes.iter().map(|&a| if a < 0 { a.saturating_add(4) } else { a }).collect();
    named.sort_unstable();
    let spatial: Vec<i64> = (1..4).filter(|&i| order[i as usize - 1] != 0).collect();
    named == spatial
}
