//! Whether an imported network computes what its source computes, from inputs and outputs that the source saved.

use super::blob::Blob;
use super::imported::Imported;
use super::npy;
use super::taps::Taps;
use super::tensors::read_safetensors;
use crate::float::{Point, Seen};
use crate::{Error, Result, store};
use ndarray::{Array2, Array4};
use serde::Serialize;
use std::path::Path;

/// Largest difference that is none, of the largest value: sums in another order differ by a hundredth of it.
pub const TOLERANCE: f32 = 1e-4;

/// What the source saved.
#[derive(Clone, Debug)]
pub struct Case {
    /// Images `(image, channel, row, column)`, or with channels last.
    pub x: Named,
    /// Logits `(image, class)`.
    pub y: Named,
    /// Outputs of modules, in order of execution where the file keeps one.
    pub outputs: Vec<Named>,
    /// Whether it does.
    pub ordered: bool,
}

/// A named array.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Layer of the imported network.
    pub layer: String,
    /// Name in the source.
    pub name: String,
    /// Largest difference.
    pub difference: f32,
    /// Largest magnitude in the source.
    pub largest: f32,
    /// What the value is.
    #[serde(skip)]
    point: Option<Point>,
}

impl Row {
    /// Whether the difference is more than rounding.
    pub fn differs(&self) -> bool {
        self.difference.is_nan() || self.difference > TOLERANCE * self.largest.max(f32::MIN_POSITIVE)
    }
}

impl Case {
    /// Reads `x`, `y` and whatever else is in a `.npz` or `.safetensors` file.
    pub fn read(path: &Path) -> Result<Self> {
        let blob = Blob::of_file(store::open_file(path)?).map_err(Error::io(path))?;
        Self::of_blob(blob).map_err(|reason| Error::bad_file(path, reason))
    }

    /// As [`Case::read`] for a file's bytes.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        Self::of_blob(Blob::Memory(bytes))
    }

    fn of_blob(blob: Blob) -> std::result::Result<Self, String> {
        let zipped = blob.read_up_to(0, 2)?[..] == *b"PK";
        let mut arrays: Vec<Named> = match zipped {
            true => npy::read_npz(&blob)?
                .into_iter()
                .map(|(name, a)| Named { name, shape: a.shape, values: a.values })
                .collect(),
            false => {
                let mut tensors = read_safetensors(vec![blob])?;
                let names: Vec<String> = tensors.iter().map(|(n, _)| n.to_string()).collect();
                let take = |name: String| {
                    let (shape, values) = tensors.take(&name)?;
                    Ok(Named { name, shape, values })
                };
                names.into_iter().map(take).collect::<std::result::Result<_, String>>()?
            }
        };
        let mut take = |wanted: &str| {
            let at = arrays.iter().position(|a| a.name == wanted);
            at.map(|at| arrays.remove(at))
                .ok_or_else(|| format!("holds no array {wanted:?} (x: images, y: logits)"))
        };
        Ok(Self { x: take("x")?, y: take("y")?, outputs: arrays, ordered: zipped })
    }
}

/// The images as the network reads them, and the logits `(image, class)` of a case.
///
/// # Errors
/// A reason where these do not have the network's shapes.
pub fn images_and_logits(
    imported: &Imported,
    case: &Case,
) -> std::result::Result<(Array4<f32>, Array2<f32>), String> {
    let mut x = images(&case.x, imported.model.header.input)?;
    if let Some(scaling) = &imported.scaling {
        for ((_, c, _, _), v) in x.indexed_iter_mut() {
            *v = (f64::from(*v) * scaling.k[c] + scaling.t[c]) as f32;
        }
    }
    let want = (x.dim().0, imported.model.outputs());
    if case.y.shape != [want.0, want.1] {
        return Err(format!("y has shape {:?}, the network makes {want:?}", case.y.shape));
    }
    let y = Array2::from_shape_vec(want, case.y.values.clone()).map_err(|e| e.to_string())?;
    Ok((x, y))
}

/// Compares the logits and all outputs whose place in the network is known; rows in order of execution, the logits
/// last.
///
/// # Errors
/// A reason where the case's images or logits do not have the network's shapes.
pub fn compare(imported: &Imported, case: &Case) -> std::result::Result<Vec<Row>, String> {
    let model = &imported.model;
    let (x, y) = images_and_logits(imported, case)?;
    let wanted = places(imported, case, x.dim().0);
    let mut rows = vec![];
    let logits = model.forward_with(&x, |seen: Seen| {
        for (output, _) in wanted.iter().filter(|(_, at)| *at == (seen.layer, seen.point)) {
            let (_, c, h, w) = seen.values.dim();
            let want = channels_first(output, [c, h, w]);
            let layer = model.layers[seen.layer].name.clone();
            rows.push(row(layer, &output.name, seen.values.iter(), &want, Some(seen.point)));
        }
    });
    let logits: Array2<f32> = logits.map_err(|e| e.to_string())?;
    let last = model.layers.last().map(|l| l.name.clone()).unwrap_or_default();
    let want = y.as_slice().expect("made row-major");
    let plain = row(last.clone(), "y", logits.iter(), want, None);
    let softmax = row(last, "y (softmax)", softmax(&logits).iter(), want, None);
    rows.push(if plain.differs() && !softmax.differs() { softmax } else { plain });
    Ok(rows)
}

/// The first difference in words; `None` where there is none.
pub fn verdict(rows: &[Row]) -> Option<String> {
    let (logits, outputs) = rows.split_last()?;
    let first = rows.iter().find(|r| r.differs())?;
    let size =
        |r: &Row| format!("differs by up to {:.3e}, the largest value is {:.3e}", r.difference, r.largest);
    if outputs.is_empty() {
        return Some(format!(
            "y {}; layer outputs in the file would say where it starts (`vgg2rtl import --help`)",
            size(logits)
        ));
    }
    let cause = match first.point {
        Some(Point::PreActivation) => "its weights, its batch norm's epsilon, or the pool before it",
        Some(Point::Activation) => "its activation is no ReLU (--activation relu6 says that it saturates)",
        Some(Point::Input) => "the pool before it",
        None => "the network's end",
    };
    Some(format!(
        "the difference starts at layer {}, {} of the source: {}; {cause}",
        first.layer,
        first.name,
        size(first)
    ))
}

/// The outputs with a known place: by name, or behind a named one where the file keeps the order.
fn places<'a>(imported: &Imported, case: &'a Case, n: usize) -> Vec<(&'a Named, (usize, Point))> {
    let (model, taps) = (&imported.model, &imported.taps);
    let shapes = model.shapes();
    let mut current = None;
    let mut placed = vec![];
    for output in &case.outputs {
        let own = model.layers.iter().position(|l| l.name == output.name).map(|i| (i, Point::PreActivation));
        let at = match (tap(taps, &output.name), own) {
            (Some(at), _) => {
                current = at.map(|(layer, _)| layer);
                at
            }
            (None, Some(own)) => Some(own),
            (None, None) => current.filter(|_| case.ordered).and_then(|layer: usize| {
                let each = output.values.len() / n.max(1);
                let out = shapes[layer + 1];
                let sums = crate::net::Shape {
                    c: out.c,
                    ..match model.layers[layer].op {
                        crate::net::Op::Conv { .. } => shapes[layer],
                        crate::net::Op::Dense { .. } => out,
                    }
                };
                match () {
                    _ if layer + 1 == model.layers.len() => None,
                    _ if each == sums.len() => Some((layer, Point::Activation)),
                    _ if each == out.len() => Some((layer + 1, Point::Input)),
                    _ => None,
                }
            }),
        };
        placed.extend(at.filter(|_| fits(output, n)).map(|at| (output, at)));
    }
    let fits = |(output, (layer, point)): &(&Named, (usize, Point))| {
        let count = match point {
            Point::Input => shapes[*layer].len(),
            _ => match model.layers[*layer].op {
                crate::net::Op::Conv { co, .. } => co * shapes[*layer].h * shapes[*layer].w,
                crate::net::Op::Dense { co } => co,
            },
        };
        output.values.len() == n * count
    };
    placed.retain(fits);
    placed
}

fn fits(output: &Named, n: usize) -> bool {
    output.shape.first() == Some(&n)
}

/// What the network's source calls `name`: the outer `None` where it is unknown.
fn tap(taps: &Taps, name: &str) -> Option<Option<(usize, Point)>> {
    taps.find(name).map(|tap| tap.at)
}

fn images(x: &Named, input: crate::net::Shape) -> std::result::Result<Array4<f32>, String> {
    let [n, a, b, c] = x.shape[..] else {
        return Err(format!("x has shape {:?}, must be (images, channels, rows, columns)", x.shape));
    };
    let (first, last) = ([input.c, input.h, input.w], [input.h, input.w, input.c]);
    if [a, b, c] != first && [a, b, c] != last {
        return Err(format!("x has images of {a}×{b}×{c}, the network reads {input}"));
    }
    let values = channels_first(x, first);
    Array4::from_shape_vec((n, input.c, input.h, input.w), values).map_err(|e| e.to_string())
}

/// The values in channel, row, column order, whichever way round the array has them.
fn channels_first(named: &Named, [c, h, w]: [usize; 3]) -> Vec<f32> {
    match named.shape[..] {
        [n, y, x, z] if [y, x, z] == [h, w, c] && [y, x, z] != [c, h, w] => {
            let array = ndarray::ArrayView4::from_shape((n, h, w, c), &named.values).expect("its own shape");
            array.permuted_axes([0, 3, 1, 2]).iter().copied().collect()
        }
        _ => named.values.clone(),
    }
}

fn row<'a>(
    layer: String,
    name: &str,
    found: impl Iterator<Item = &'a f32>,
    want: &[f32],
    point: Option<Point>,
) -> Row {
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worse = |m: f32, d: f32| if d.is_nan() || d > m { d } else { m };
    let difference = found.zip(want).fold(0f32, |m, (a, b)| worse(m, (a - b).abs()));
    Row { layer, name: name.into(), difference, largest, point }
}

fn softmax(logits: &Array2<f32>) -> Array2<f32> {
    let mut y = logits.clone();
    for mut row in y.rows_mut() {
        let most = row.iter().fold(f32::MIN, |m, v| m.max(*v));
        row.mapv_inplace(|v| (v - most).exp());
        let sum = row.sum();
        row.mapv_inplace(|v| v / sum);
    }
    y
}
