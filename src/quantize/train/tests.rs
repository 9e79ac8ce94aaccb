//! Whole runs on a tiny data set: bright left halves against bright right halves.

use super::*;
use crate::float::{BatchNorm, DataSet, FloatLayer, FloatModel, Split};
use crate::net::{Header, Op, Preprocessing, Shape, shapes};
use crate::quantize::qat::{Learn, Net, Spec};
use crate::{Error, Result};
use std::path::Path;

const SIDE: usize = 8;

/// Writes the four IDX files of a data set of `count` training and test pictures.
fn write_data(folder: &Path, count: usize) {
    let big_endian = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    for (part, shift) in [("train", 0), ("t10k", 5)] {
        let mut pixels = big_endian(&[0x803, count as u32, SIDE as u32, SIDE as u32]);
        let mut labels = big_endian(&[0x801, count as u32]);
        for i in 0..count {
            let label = (i * 7 + i / 3 + shift) % 2;
            let pixel = |p: usize| {
                ((p * 37 + i * 91 + shift) % 100) as u8 + if p % SIDE / 4 == label { 90 } else { 0 }
            };
            pixels.extend((0..SIDE * SIDE).map(pixel));
            labels.push(label as u8);
        }
        std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), pixels).unwrap();
        std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

fn data() -> (tempfile::TempDir, DataSet, DataSet) {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), 64);
    let open = |split| DataSet::open_split(folder.path(), split).unwrap();
    let (train, test) = (open(Split::Train), open(Split::Test));
    (folder, train, test)
}

fn network() -> FloatModel {
    let input = Shape { c: 1, h: SIDE, w: SIDE };
    let ops = [Op::Conv { co: 4, pool: true }, Op::Conv { co: 4, pool: true }, Op::Dense { co: 2 }];
    let layer = |(i, (op, x)): (usize, (Op, Shape))| {
        let co = op.co();
        let count: usize = op.weight_shape(x).iter().product();
        let norm = |co| BatchNorm {
            gamma: vec![1.0; co],
            beta: vec![0.0; co],
            mean: vec![0.0; co],
            var: vec![1.0; co],
            eps: 1e-5,
        };
        FloatLayer {
            name: format!("layer{}", i + 1),
            op,
            weight: (0..count).map(|k| ((k * 29 + i) % 17) as f32 / 34.0 - 0.25).collect(),
            bias: vec![0.0; co],
            batch_norm: (i < 2).then(|| norm(co)),
            quantizer: None,
            saturation: None,
        }
    };
    let header =
        Header { name: "tiny".into(), input, preprocessing: Preprocessing::unit(1), classes: vec![] };
    FloatModel { header, layers: ops.into_iter().zip(shapes(input, ops)).enumerate().map(layer).collect() }
}

fn options() -> Options {
    let augment = Augment { pad: 1, flip: false };
    Options { epochs: 4, batch: 16, rate: 0.02, average: 0.5, augment, ..Options::default() }
}

/// Stops after a given step, and counts warnings.
struct Quiet {
    stop_after: usize,
    steps: usize,
    warnings: usize,
}

impl Quiet {
    fn until(stop_after: usize) -> Self {
        Self { stop_after, steps: 0, warnings: 0 }
    }
}

impl Progress for Quiet {
    fn step(&mut self, step: usize, _: usize, _: f64, _: f64) {
        self.steps = step;
    }
    fn epoch(&mut self, _: &Point) {}
    fn warn(&mut self, _: &str) {
        self.warnings += 1;
    }
    fn wants_to_stop(&self) -> bool {
        self.steps == self.stop_after
    }
}

fn quantized(float: &Net, data: &DataSet, learn: Learn) -> Result<Net> {
    let mut float = float.float();
    if learn == Learn::Tqt {
        float.fold_batch_norm();
    }
    let images = data.sample(32, 1).batch(0..32, &float.header)?;
    Net::quantized_from(&float, &Spec::new(learn, 3, 3), images.view())
}

fn parts<'a>(train: &'a DataSet, test: &'a DataSet) -> Data<'a> {
    Data { train, validation: None, test: Some(test) }
}

fn trained(net: Net, options: Options, data: Data) -> Result<Net> {
    let mut trainer = Trainer::new(net, options, data, None)?;
    assert!(trainer.run(&mut Quiet::until(0))?);
    Ok(trainer.net)
}

#[test]
fn learns_in_float_and_with_every_quantizer_and_lowers_exactly() {
    let (_folder, train, test) = data();
    let float = trained(Net::float_from(&network()).unwrap(), options(), parts(&train, &test)).unwrap();
    assert!(accuracy(&float, &test).unwrap() > 0.95);
    for learn in [Learn::Plain, Learn::Lsq, Learn::Tqt] {
        let start = quantized(&float, &train, learn).unwrap();
        let steps = start.parameters.clone();
        let net = trained(start, options(), parts(&train, &test)).unwrap();
        let accuracy = accuracy(&net, &test).unwrap();
        assert!(accuracy > 0.9, "{learn:?}: {accuracy}");
        agreement(&net, &test).unwrap();
        let moved = |name: &str| {
            let of =
                |p: &[crate::autograd::optim::Parameter]| p.iter().find(|p| p.name == name).unwrap().clone();
            of(&steps) != of(&net.parameters)
        };
        assert!(moved("layer1.weight"), "{learn:?}");
        assert_eq!(moved("layer1.weight_step"), learn != Learn::Plain);
        assert_eq!(moved("layer1.output_step"), learn != Learn::Plain);
    }
}

#[test]
fn a_resumed_run_ends_as_the_uninterrupted_one() {
    let (folder, train, test) = data();
    let path = folder.path().join("run.checkpoint");
    let some = train.sample(50, 1);
    for rule in [Rule::Adam, Rule::Sgd] {
        let options = Options { rule, ..options() };
        let float = Net::float_from(&network()).unwrap();
        let start = quantized(&float, &train, Learn::Lsq).unwrap();
        let new = || Trainer::new(start.clone(), options.clone(), parts(&some, &test), None).unwrap();
        let mut whole = new();
        assert!(whole.run(&mut Quiet::until(0)).unwrap());
        let mut part = new();
        part.checkpoint = Some(path.clone());
        assert!(!part.run(&mut Quiet::until(5)).unwrap());
        let mut rest = new();
        rest.restore(&path).unwrap();
        assert!(rest.run(&mut Quiet::until(0)).unwrap());
        assert_eq!(rest.net, whole.net);
        assert_eq!(rest.curve, whole.curve);
    }
}

#[test]
fn threads_do_not_change_the_result() {
    let (_folder, train, test) = data();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = Options { epochs: 1, ..options() };
        pool.install(|| trained(Net::float_from(&network()).unwrap(), options, parts(&train, &test)).unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_diverging_run_names_step_and_layer_and_keeps_the_checkpoint() {
    let (folder, train, test) = data();
    let path = folder.path().join("run.checkpoint");
    let mut model = network();
    model.layers[1].batch_norm.as_mut().unwrap().gamma[0] = f32::MAX;
    model.layers[1].batch_norm.as_mut().unwrap().beta[0] = f32::MAX;
    let mut trainer =
        Trainer::new(Net::float_from(&model).unwrap(), options(), parts(&train, &test), None).unwrap();
    std::fs::write(&path, "the last good one").unwrap();
    trainer.checkpoint = Some(path.clone());
    let error = trainer.run(&mut Quiet::until(0)).unwrap_err().to_string();
    assert!(error.starts_with("layer layer2: diverged at step 0: the loss is"), "{error}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "the last good one");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let (folder, train, test) = data();
    let path = folder.path().join("run.checkpoint");
    let new = |model: &FloatModel, options| {
        Trainer::new(Net::float_from(model).unwrap(), options, parts(&train, &test), None).unwrap()
    };
    new(&network(), options()).save(&path).unwrap();
    let refusal =
        |model: &FloatModel, options: Options| -> Error { new(model, options).restore(&path).unwrap_err() };
    let error = refusal(&network(), Options { rate: 0.5, ..options() }).to_string();
    assert!(error.contains("another run: rate is 0.02, this run has 0.5"), "{error}");
    let mut other = network();
    other.layers[0].name = "elsewhere".into();
    assert!(refusal(&other, options()).to_string().contains("elsewhere.gamma is missing"));
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..100]).unwrap();
    assert!(refusal(&network(), options()).to_string().contains("not a safetensors file"));
}

/// Whatever bit it is: of a parameter, of the description or of the checksum itself.
#[test]
fn a_flipped_bit_of_a_checkpoint_is_refused() {
    let (folder, train, test) = data();
    let path = folder.path().join("run.checkpoint");
    let net = Net::float_from(&network()).unwrap();
    let mut trainer = Trainer::new(net, options(), parts(&train, &test), None).unwrap();
    trainer.save(&path).unwrap();
    trainer.restore(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let bits = 8 * whole.len();
    let header = (0..bits).step_by(37).take(500);
    for bit in header.chain((0..bits).step_by(bits / 500)) {
        let mut wrong = whole.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, wrong).unwrap();
        assert!(trainer.restore(&path).is_err(), "bit {bit} of {bits}");
    }
}

#[test]
fn data_that_cannot_train_is_refused() {
    let (_folder, train, test) = data();
    let refused = |options, limit| {
        let net = Net::float_from(&network()).unwrap();
        let some = train.sample(limit, 1);
        let refused = Trainer::new(net, options, parts(&some, &test), None).err();
        refused.map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused(options(), 3).contains("--batch: 16 images of 3 training pictures"));
    let augment = Augment { pad: 1 << 14, flip: true };
    assert!(refused(Options { augment, ..options() }, 64).contains("--pad"));
    assert!(refused(Options { rate: f64::NAN, ..options() }, 64).contains("--rate"));
    let distill = Some(Distill { share: 0.5, temperature: 2.0 });
    assert!(refused(Options { distill, ..options() }, 64).contains("--distill"));
}

/// θ starts in the middle of its octave: a hundred updates of next to nothing leave every power of two as it is.
#[test]
fn powers_of_two_do_not_jump() {
    let (_folder, train, test) = data();
    let start = quantized(&Net::float_from(&network()).unwrap(), &train, Learn::Tqt).unwrap();
    let steps = |net: &Net| {
        let model = net.lower().unwrap();
        let weights = model.layers.iter().map(|l| l.weight_steps.clone()).collect::<Vec<_>>();
        (weights, model.input_quantizers())
    };
    for rule in [Rule::Adam, Rule::Sgd] {
        let options = Options { epochs: 25, rate: 1e-5, average: 0.0, rule, ..options() };
        let net = trained(start.clone(), options, parts(&train, &test)).unwrap();
        assert_eq!(steps(&net), steps(&start), "{rule:?}");
    }
}

/// What validates is measured every epoch, and the test images then once, at the end.
#[test]
fn validation_leaves_the_test_to_the_end() {
    let (_folder, train, test) = data();
    let (validation, train) = train.split(0.25);
    let data = Data { train: &train, validation: Some(&validation), test: Some(&test) };
    let options = Options { epochs: 3, ..options() };
    let mut trainer = Trainer::new(Net::float_from(&network()).unwrap(), options, data, None).unwrap();
    assert!(trainer.run(&mut Quiet::until(0)).unwrap());
    let measured = trainer.curve.0.iter().map(|p| (p.validation.is_some(), p.test.is_some()));
    assert_eq!(measured.collect::<Vec<_>>(), [(true, false), (true, false), (true, true)]);
    let last = trainer.curve.0.last().unwrap();
    assert_eq!(last.test, Some(accuracy(&trainer.net, &test).unwrap()));
    assert_eq!(last.validation, Some(accuracy(&trainer.net, &validation).unwrap()));
}
