//! Weights as arrays of numpy: a `.npz` by name (`conv1_1_W`, `conv1_1_b`), or the pickled dict of name to weights and
//! bias in a `.npy`, as the classic `vgg16_weights.npz` and `vgg16.npy` are.

use super::blob::Blob;
use super::element::Float;
use super::facts::{Facts, Origin};
use super::layout::outputs_first;
use super::npy::{self, Array};
use super::options::{Flatten, Habit, Habits};
use super::pickle::{self, Machine, Value};
use super::tensors::{Data, Tensor, Tensors};
use crate::net::{Colour, KERNEL};

/// Largest header of a `.npy`.
const LONGEST_HEADER: usize = 1 << 12;
/// How a `.npy` begins; version and length of the header follow.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// What the last piece of an array's name says it is, and what PyTorch calls that.
const PARTS: [(&str, &[&str]); 2] =
    [("weight", &["W", "w", "weight", "weights", "kernel"]), ("bias", &["b", "bias", "biases"])];

/// The state dict in a `.npz`.
pub fn of_npz(blob: &Blob, facts: &mut Facts) -> Result<(Tensors<'static>, Habits), String> {
    state_dict(npy::read_npz(blob)?, Colour::Rgb, facts)
}

/// The state dict in a `.npy` of a dict.
pub fn of_npy(blob: &Blob, facts: &mut Facts) -> Result<(Tensors<'static>, Habits), String> {
    let bytes = blob.read_up_to(0, usize::MAX)?;
    let pickle = pickle_of(&bytes)?;
    let machine = Machine::run(pickle)?;
    let dict = match machine.top() {
        Value::Array(array) => array.data.map(|data| machine.elements(machine.at(data))),
        other => Some(vec![other]),
    };
    let Some([dict]) = dict.as_deref() else {
        return Err("a .npy of objects, must be one dict of arrays".into());
    };
    let mut arrays = vec![];
    for (name, value) in machine.items(dict) {
        let Value::Str(name) = name else { continue };
        let parts: Vec<(&str, &Value)> = match value {
            Value::Sequence(_) => ["weight", "bias"].into_iter().zip(machine.elements(value)).collect(),
            Value::Dict(_) => {
                let items = machine.items(value).into_iter();
                items
                    .filter_map(|(k, v)| if let Value::Str(k) = k { Some((k.as_str(), v)) } else { None })
                    .collect()
            }
            _ => vec![],
        };
        for (part, value) in parts {
            let name = format!("{name}.{part}");
            let Value::Array(array) = value else { continue };
            arrays.push((
                name.clone(),
                numbers(&machine, pickle, array).map_err(|e| format!("array {name}: {e}"))?,
            ));
        }
    }
    state_dict(arrays, Colour::Bgr, facts)
}

/// What stands behind the header of a `.npy` of objects.
fn pickle_of(bytes: &[u8]) -> Result<&[u8], String> {
    let cut = "the file is cut short";
    let version = *bytes.get(6).ok_or(cut)?;
    let (size, at) = match version {
        1 => (bytes.get(8..10).ok_or(cut)?, 10),
        _ => (bytes.get(8..12).ok_or(cut)?, 12),
    };
    let size = size.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
    let header = bytes.get(at..).and_then(|b| b.get(..size.min(LONGEST_HEADER))).ok_or(cut)?;
    match String::from_utf8_lossy(header).contains("'descr': '|O'") {
        true => bytes.get(at + size..).ok_or_else(|| cut.into()),
        false => Err("a single numpy array; weights are a dict of them, or a .npz".into()),
    }
}

/// The numbers of a pickled array.
fn numbers(machine: &Machine, pickle: &[u8], array: &pickle::Array) -> Result<Array, String> {
    let float = match array.dtype.as_str() {
        "f2" => Float::F16,
        "f4" => Float::F32,
        "f8" => Float::F64,
        other => return Err(format!("of type {other}, must be float32")),
    };
    let bytes = match array.data.map(|data| machine.at(data)) {
        Some(Value::Bytes(range)) => &pickle[range.clone()],
        Some(Value::Str(text)) => text.as_bytes(), // Python 2 does not tell text from data
        _ => return Err("its data are no bytes".into()),
    };
    let count = array.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    if array.big_endian || (array.fortran && array.shape.len() > 1) {
        return Err(
            "big-endian or in Fortran's order: numpy.ascontiguousarray(a, \"<f4\") makes a good one".into()
        );
    }
    match count.and_then(|n| n.checked_mul(float.size())) == Some(bytes.len()) {
        true => Ok(Array { shape: array.shape.clone(), values: float.decode(bytes) }),
        false => Err(format!("of shape {:?} has {} bytes", array.shape, bytes.len())),
    }
}

/// The arrays as PyTorch names and orders them.
fn state_dict(
    arrays: Vec<(String, Array)>,
    colour: Colour,
    facts: &mut Facts,
) -> Result<(Tensors<'static>, Habits), String> {
    let outputs_last = are_outputs_last(&arrays)?;
    let order =
        if outputs_last { "rows, columns, inputs, outputs" } else { "outputs, inputs, rows, columns" };
    facts.note("order of weights", order, Origin::File);
    let tensor = |(name, Array { shape, values }): (String, Array)| {
        let (shape, values) = if outputs_last { outputs_first(shape, values) } else { (shape, values) };
        (renamed(&name), Tensor { shape, data: Data::Values(values) })
    };
    let tensors = Tensors::new(vec![], arrays.into_iter().map(tensor).collect());
    let habits = match outputs_last {
        true => Habits {
            owner: "TensorFlow's",
            flatten: Flatten::ChannelsLast,
            pictures: Habit::Bytes(colour),
            ..Habits::KERAS
        },
        false => Habits::TORCH,
    };
    Ok((tensors, habits))
}

/// Whether kernels are `(rows, columns, inputs, outputs)`.
fn are_outputs_last(arrays: &[(String, Array)]) -> Result<bool, String> {
    let square = |sides: &[usize]| sides[0] == sides[1] && [1, KERNEL].contains(&sides[0]);
    let kernels: Vec<(&String, &[usize])> =
        arrays.iter().map(|(name, a)| (name, &a.shape[..])).filter(|(_, shape)| shape.len() == 4).collect();
    let last = kernels.iter().all(|(_, shape)| square(&shape[..2]));
    let first = kernels.iter().all(|(_, shape)| square(&shape[2..]));
    match (kernels.first(), last, first) {
        (None, ..) => Err("arrays without a convolution among them: not a VGG".into()),
        (_, true, false) => Ok(true),
        (_, false, true) => Ok(false),
        (Some((name, shape)), ..) => Err(format!(
            "array {name} of shape {shape:?} and the others do not show the order of their sizes: it must be \
             (3, 3, inputs, outputs) or (outputs, inputs, 3, 3) in all"
        )),
    }
}

/// `conv1_1_W` as `conv1_1.weight`.
fn renamed(name: &str) -> String {
    let known = |part: &str| PARTS.iter().find(|(_, names)| names.contains(&part)).map(|(part, _)| *part);
    match name.rsplit_once(['_', '/', '.']).and_then(|(stem, part)| Some((stem, known(part)?))) {
        Some((stem, part)) => format!("{stem}.{part}"),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_pytorch_has_them() {
        let table = [
            ("conv1_1_W", "conv1_1.weight"),
            ("fc6_b", "fc6.bias"),
            ("conv1/kernel", "conv1.weight"),
            ("fc8.biases", "fc8.bias"),
            ("features.0.weight", "features.0.weight"),
            ("bn.running_mean", "bn.running_mean"),
        ];
        for (name, want) in table {
            assert_eq!(renamed(name), want);
        }
    }
}
