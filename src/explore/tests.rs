//! What the tests of this module share.

use super::*;
use crate::config::{Multipliers, Pack, Requantize};
use crate::quantize::Rounding;

/// A row in which nothing is known.
pub fn row(point: usize) -> Row {
    let coding = Coding {
        weights: 8,
        acts: 8,
        ends: 2,
        assignment: None,
        requantize: Requantize::Scale,
        rounding: Rounding::Nearest,
    };
    let (multipliers, family) = (Multipliers::Dsp, Family::Ecp5);
    let point = Point {
        index: point,
        coding,
        multipliers,
        pack: Pack::default(),
        digits: false,
        array: (8, 8),
        bus: Some(128),
        family,
    };
    Row { layer_bits: vec![8, 8], weight_bits_total: 80, ..Row::unknown(&point, 100.0) }
}

/// A sweep of two codings on the whole VGG16.
fn task(cache: &std::path::Path) -> Task {
    Task {
        model: "vgg16".into(),
        images: None,
        qat: None,
        axes: Axes {
            weights: vec![4, 8],
            acts: vec![8],
            ends: 2,
            assignments: vec![Assignment::parse("conv1_1=8").unwrap()],
            requantize: vec![Requantize::Scale],
            rounding: Rounding::Nearest,
            multipliers: vec![Multipliers::Dsp],
            packs: vec![Pack::default()],
            digits: false,
            arrays: vec![(4, 4), (16, 16)],
            buses: vec![None],
            families: vec![Family::Ecp5],
            fixed: Fixed::default(),
        },
        mixed: None,
        external: External { latency: 20, stall_percent: 10, megabytes_per_s: None },
        batch: 1,
        clock_mhz: 100.0,
        synth: false,
        place: false,
        allow_missing: false,
        budget: None,
        pareto: vec![Axis::Lut, Axis::ImagesPerS, Axis::Accuracy],
        tolerance: 0.005,
        floor: None,
        target_fps: None,
        jobs: 1,
        cache: Some(cache.into()),
    }
}

fn run(task: &Task, stop: bool) -> Outcome {
    let mut outcome = task.run((0, 1), Watch { hear: &|_| (), stop: &stop.into() }).unwrap();
    task.finish(&mut outcome);
    outcome
}

#[test]
fn points_are_what_array_and_widths_make() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(&task(folder.path()), false);
    let rows = &outcome.rows;
    let codings: Vec<String> = rows.iter().take(4).map(Row::coding).collect();
    assert_eq!(codings, ["W4A8", "W8A8", "W4A8 conv1_1=8", "W8A8 conv1_1=8"]);
    assert!(rows[..4].iter().all(|r| r.refused.as_ref().is_some_and(|why| why.contains("acc_depth"))));
    let widths: Vec<u32> = rows[4..].iter().map(|r| r.config.as_ref().unwrap().weight_bits).collect();
    assert_eq!(widths, [4, 8, 8, 8]); // a build holds its widest layer
    let bits: Vec<u64> = rows[4..].iter().map(|r| r.weight_bits_total).collect();
    assert_eq!(bits[2], bits[0] + 4 * 1728);
    let weights = |r: &Row| r.network.as_ref().unwrap().weight_bytes;
    assert!(weights(&rows[5]) > 19 * weights(&rows[4]) / 10, "half the bits are half the traffic");
    assert!(outcome.notes.iter().any(|n| n.contains("without accuracy")));
}

#[test]
fn a_slow_memory_counts_as_stalls() {
    let folder = tempfile::tempdir().unwrap();
    let cycles = |megabytes_per_s: Option<f64>, stall_percent: u64| {
        let mut task = task(folder.path());
        task.external = External { latency: 20, stall_percent, megabytes_per_s };
        run(&task, false).rows[5].network.as_ref().unwrap().cycles
    };
    assert_eq!(cycles(Some(800.0), 0), cycles(None, 50)); // 16 bytes at 100 MHz are 1600 MB/s
    assert_eq!(cycles(Some(1e9), 10), cycles(None, 10));
    let mut slow = task(folder.path());
    slow.external.megabytes_per_s = Some(1.0);
    assert!(run(&slow, false).rows[5].refused.as_ref().unwrap().contains("--bandwidth"));
}

/// Slices are the whole, whatever their number; their results pass through files.
#[test]
fn slices_make_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(folder.path());
    let whole = run(&task, false);
    let mut parts = Outcome::default();
    for i in 0..3 {
        let part = task.run((i, 3), Watch { hear: &|_| (), stop: &false.into() }).unwrap();
        let text = serde_json::to_string(&part).unwrap();
        parts.rows.extend(serde_json::from_str::<Outcome>(&text).unwrap().rows);
    }
    task.finish(&mut parts);
    assert_eq!(parts.rows, whole.rows);
}

#[test]
fn an_interrupted_sweep_says_so_and_keeps_its_points() {
    let folder = tempfile::tempdir().unwrap();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut task = task(folder.path());
    task.model = models.join("vgg16-small-fashion.safetensors");
    task.synth = true;
    let data = models.join("fashion-test-256-images-idx3-ubyte.gz");
    task.images = Some(Images { data, calibration: None, most: Some(2), labels: None, turned: false });
    let outcome = run(&task, true);
    assert!(outcome.stopped && outcome.rows.len() == 8);
    let said = outcome.rows[0].failed.clone().unwrap();
    assert!(
        said.contains("accuracy: stopped before") && said.contains("stopped before its synthesis"),
        "{said}"
    );
}

#[test]
fn images_that_measure_do_not_train() {
    let folder = tempfile::tempdir().unwrap();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut task = task(folder.path());
    task.model = models.join("vgg16-small-fashion.safetensors");
    task.axes.assignments.clear();
    let data = models.join("fashion-test-256-images-idx3-ubyte.gz");
    task.qat = Some(tune::Tuning { train: data.clone(), epochs: 1, limit: 64 });
    task.images = Some(Images { data, calibration: None, most: Some(2), labels: None, turned: false });
    let error = task.run((0, 1), Watch { hear: &|_| (), stop: &false.into() }).unwrap_err().to_string();
    assert!(error.starts_with("--train: ") && error.ends_with("would train and measure"), "{error}");
    task.qat = None;
    let notes = run(&task, true).notes;
    assert!(
        notes.iter().any(|n| n.contains("calibrate, and choose") && n.contains("2 images of")),
        "{notes:?}"
    );
    assert!(notes.iter().any(|n| n.contains("the images that measure lack class")), "{notes:?}");
}

/// No name that a user chose ends the element that holds the page's data.
#[test]
fn a_page_holds_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = task(folder.path());
    task.axes.assignments[0].name = "</script><script>alert(1)</script>".into();
    let outcome = run(&task, false);
    let network = Network::open(&task.model).unwrap();
    let page = report::page(&Report::new(&task, &network, &outcome));
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["points"][2]["assignment"], task.axes.assignments[0].name.as_str());
    assert!(!page.contains("<script>alert"));
}

/// Networks of the same weights are two where a ReLU saturates in one of them: the cache of one does not answer for the other.
#[test]
fn a_relu_that_saturates_makes_another_network() {
    let folder = tempfile::tempdir().unwrap();
    let cache = crate::cosim::Cache::open(Some(folder.path())).unwrap();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let data = models.join("fashion-test-256-images-idx3-ubyte.gz");
    let images = Images { data, calibration: None, most: Some(8), labels: None, turned: false };
    let mut model = crate::float::FloatModel::load(&models.join("vgg16-small-fashion.safetensors")).unwrap();
    let plain = Evaluator::new(&model, &images, &cache).unwrap();
    assert_eq!(plain.key(), Evaluator::new(&model, &images, &cache).unwrap().key());
    let last = model.layers.len() - 1;
    model.layers[..last].iter_mut().for_each(|layer| layer.saturation = Some(1e-3));
    let saturated = Evaluator::new(&model, &images, &cache).unwrap();
    assert_ne!(plain.key(), saturated.key());
    assert!(saturated.float_accuracy().1 < plain.float_accuracy().1);
}
