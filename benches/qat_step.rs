//! Images a second of one training step: VGG16 with batch norm at 32×32, batch 64, in float and with LSQ.
//!
//! `benches/qat_step.sh` runs this and PyTorch's step side by side.

use ndarray::Array4;
use std::time::Instant;
use vgg2rtl::autograd::Tape;
use vgg2rtl::autograd::optim::{Optimizer, Sgd, gradients};
use vgg2rtl::net::{Header, Preprocessing, Shape};
use vgg2rtl::quantize::qat::{Learn, Net, Phase, Spec};
use vgg2rtl::quantize::train;

const BATCH: usize = 64;
const STEPS: usize = 4;

fn main() {
    let input = Shape { c: 3, h: 32, w: 32 };
    let header =
        Header { name: "vgg16".into(), input, preprocessing: Preprocessing::unit(3), classes: vec![] };
    let model = train::vgg(16, 1.0, &[], header, 10, 1).expect("a VGG16");
    let images = Array4::from_shape_fn((BATCH, 3, 32, 32), |(n, c, i, j)| {
        ((n * 31 + c * 17 + i * 7 + j * 3) % 101) as f32 / 50.0 - 1.0
    });
    let float = Net::float_from(&model).expect("a valid model");
    let lsq = Net::quantized_from(&model, &Spec::new(Learn::Lsq, 4, 4), images.view()).expect("4 bits");
    for (name, net) in [("float", float), ("LSQ W4A4", lsq)] {
        println!("vgg2rtl {name}: {:.1} images/s", measure(net, &images));
    }
}

/// Images a second of the fastest step after a first one that fills the buffers.
fn measure(mut net: Net, images: &Array4<f32>) -> f64 {
    let (mut tape, mut optimizer) = (Tape::<f32>::default(), Sgd::new(0.9, 5e-4));
    let labels: Vec<usize> = (0..BATCH).map(|i| i % 10).collect();
    let mut step = || {
        let start = Instant::now();
        let forward = net.forward(&mut tape, images.view(), Phase::Train { seed: 1 }).expect("in range");
        let loss = tape.cross_entropy(forward.logits, &labels, 0.0);
        tape.backward(loss);
        let gradients = gradients(&mut tape, &forward.parameters);
        tape.clear();
        optimizer.step(&mut net.parameters, &gradients, 1e-3);
        gradients.into_iter().flatten().for_each(|g| tape.recycle(g));
        net.absorb(&forward.moments, 0.1);
        start.elapsed().as_secs_f64()
    };
    step();
    let fastest = (0..STEPS).map(|_| step()).fold(f64::INFINITY, f64::min);
    BATCH as f64 / fastest
}
