//! How good a network in training is.

use crate::autograd::Tape;
use crate::float::DataSet;
use crate::int::Golden;
use crate::quantize::input_codes;
use crate::quantize::qat::{Net, Phase};
use crate::{Error, Result};
use ndarray::ArrayView2;

/// Images of one pass.
const BATCH: usize = 100;

/// Share of correct answers on the pictures of `data`, in `f32`.
pub fn accuracy(net: &Net, data: &DataSet) -> Result<f64> {
    let count = data.len();
    let mut tape = Tape::<f32>::default();
    let mut right = 0;
    for first in (0..count).step_by(BATCH) {
        let places = first..count.min(first + BATCH);
        let images = data.batch(places.clone(), &net.header)?;
        let forward = net.forward(&mut tape, images.view(), Phase::Evaluate)?;
        let logits = tape.value(forward.logits).view().into_dimensionality().expect("(image, class)");
        right += correct(logits, places.map(|i| data.label(i)));
        tape.clear();
    }
    Ok(right as f64 / count as f64)
}

/// Rows of `logits` whose first maximum is the label.
pub(super) fn correct(logits: ArrayView2<f32>, labels: impl Iterator<Item = Option<usize>>) -> usize {
    let best = |row: ndarray::ArrayView1<f32>| {
        (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
    };
    logits.rows().into_iter().zip(labels).filter(|(row, label)| Some(best(*row)) == *label).count()
}

/// Checks on the pictures of `data` that the training graph and the golden model of its lowering give the
/// same integers on every activation of every layer.
pub fn agreement(net: &Net, data: &DataSet) -> Result<()> {
    let model = net.lower()?;
    let images = data.batch(0..data.len(), &net.header)?;
    let codes = input_codes(&model, &images);
    let golden = Golden::new(&model)?.trace(codes.view())?;
    match net.trace(images.view())? == golden {
        true => Ok(()),
        false => Err(Error::Mismatch("training graph and golden model give different integers".into())),
    }
}
