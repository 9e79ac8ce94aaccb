//! Quantizes a float model after training and counts right answers in integers.
//!
//!     cargo run --release --example quantize

use vgg2rtl::Result;
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::Golden;
use vgg2rtl::quantize::{Recipe, Score, Widths, golden_logits, quantize};

fn main() -> Result<()> {
    let float = FloatModel::load("models/vgg16-small-fashion.safetensors".as_ref())?;
    let pictures = DataSet::open("models/fashion-test-256-images-idx3-ubyte.gz")?;
    let (calibration, test) = pictures.split(0.25);

    let images = calibration.batch(0..calibration.len(), &float.header);
    let int = quantize(&float, &Recipe::of(Widths::bits(4, 4)), [images])?.int;

    let golden = Golden::new(&int)?;
    let labels: Vec<_> = (0..test.len()).map(|i| test.label(i)).collect();
    let mut score = Score::default();
    score.add(
        &test.batch(0..test.len(), &int.header)?,
        &labels,
        &|images| golden_logits(&int, &golden, images),
        None,
    )?;
    println!("W4A4: {} of {} right", score.correct, score.labelled);
    int.save("w4a4.safetensors".as_ref())
}
