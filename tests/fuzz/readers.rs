//! Every reader of files as a function of any bytes: something sensible or a reason, never a panic. `fuzz/` runs them
//! under libFuzzer, `main.rs` on seeded mutations of good files.

use ndarray::Array4;
use std::fs;
use std::path::{Path, PathBuf};
use vgg2rtl::config::{ArrayConfig, Requantize};
use vgg2rtl::cosim::{Cache, Job, LayerReport, MemoryOptions, Network, Simulator, Statistics};
use vgg2rtl::explore::{Coding, Evaluator, Images, Task, Watch};
use vgg2rtl::float::import::{Options as Import, from_bytes};
use vgg2rtl::float::{DataSet, FloatLayer, FloatModel, Split};
use vgg2rtl::int::{Golden, IntModel, Trace, random};
use vgg2rtl::net::{Fit, Header, Op, Preprocessing, Shape};
use vgg2rtl::quantize::qat::Net;
use vgg2rtl::quantize::train::{Data, Options, Trainer};
use vgg2rtl::quantize::{Rounding, given};
use vgg2rtl::schedule::{Schedule, fit, schedule};
use vgg2rtl::{Error, Result, store};

/// A reader, and good files to begin with.
pub struct Reader {
    pub name: &'static str,
    /// Files that it can read; the folder is for making them.
    pub seeds: fn(&Path) -> Vec<Vec<u8>>,
    /// Reads a file of these bytes; the folder is for what it needs.
    pub read: fn(&Path, &[u8]),
}

/// Spellings of quantized graphs.
const QUANTIZED: [&str; 6] = [
    "quantized/ort_channels.onnx",
    "quantized/ort_operators_channels.onnx",
    "quantized/int4_weights.onnx",
    "quantized/brevitas_qcdq.onnx",
    "quantized/qonnx_quant.onnx",
    "quantized/qonnx_bias.onnx",
];

/// All of them.
pub const READERS: [Reader; 19] = [
    Reader { name: "onnx", seeds: |_| corpus(&["vgg13.onnx", "keras.onnx"]), read: |_, bytes| import(bytes) },
    Reader {
        name: "keras",
        seeds: |_| {
            corpus(&[
                "keras/sequential.h5",
                "keras/compressed.h5",
                "keras/alone.weights.h5",
                "keras/nested.keras",
            ])
        },
        read: |_, bytes| import(bytes),
    },
    Reader {
        name: "numpy",
        seeds: |_| {
            corpus(&["arrays/weights.npz", "arrays/state_dict.npz", "arrays/dict.npy", "arrays/dicts.npy"])
        },
        read: |_, bytes| import(bytes),
    },
    Reader {
        name: "caffe",
        seeds: |_| corpus(&["arrays/version1.caffemodel", "arrays/version2.caffemodel"]),
        read: |_, bytes| import(bytes),
    },
    Reader { name: "pth", seeds: |_| corpus(&["vgg11_bn.pth"]), read: |_, bytes| import(bytes) },
    Reader {
        name: "quantized_onnx",
        seeds: |folder| {
            let own = [vgg2rtl::export::onnx, vgg2rtl::export::qonnx].map(|export| exported(folder, export));
            [corpus(&QUANTIZED), own.into()].concat()
        },
        read: |_, bytes| quantized(bytes),
    },
    Reader {
        name: "exported_pth",
        seeds: |folder| vec![exported(folder, vgg2rtl::export::torch::int), exported_float(folder)],
        read: |_, bytes| quantized(bytes),
    },
    Reader {
        name: "safetensors",
        seeds: |_| corpus(&["vgg16.safetensors", "steps.safetensors"]),
        read: |_, bytes| import(bytes),
    },
    Reader { name: "int_model", seeds: |folder| vec![int_file(folder)], read: int_model },
    Reader { name: "float_model", seeds: |folder| vec![float_file(folder)], read: float_model },
    Reader { name: "checkpoint", seeds: |folder| vec![checkpoint_file(folder)], read: checkpoint },
    Reader { name: "cosim_cache", seeds: |folder| vec![verdict(folder)], read: cosim_cache },
    Reader { name: "explore_cache", seeds: |folder| vec![measured(folder)], read: explore_cache },
    Reader { name: "config", seeds: |_| vec![json(&ArrayConfig::default())], read: config },
    Reader { name: "task", seeds: |folder| vec![task_file(folder)], read: task },
    Reader {
        name: "idx",
        seeds: |_| vec![idx()],
        read: |folder, bytes| pictures(folder, "t-images-idx3-ubyte", bytes),
    },
    Reader {
        name: "cifar",
        seeds: |_| vec![vec![3; 2 * 3073]],
        read: |folder, bytes| pictures(folder, "a.bin", bytes),
    },
    Reader {
        name: "png",
        seeds: |folder| vec![picture(folder, "a.png")],
        read: |folder, bytes| pictures(folder, "a.png", bytes),
    },
    Reader {
        name: "jpeg",
        seeds: |folder| vec![picture(folder, "a.jpg")],
        read: |folder, bytes| pictures(folder, "a.jpg", bytes),
    },
];

/// Reads `bytes` by the reader `name`, in a folder that the process keeps.
#[allow(dead_code, reason = "the targets of fuzz/ call it")]
pub fn read(name: &str, bytes: &[u8]) {
    static FOLDER: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("there is room for temporary files"));
    let reader = READERS.iter().find(|r| r.name == name).expect("a reader of that name");
    (reader.read)(folder.path(), bytes);
}

fn corpus(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import");
    names.iter().map(|name| fs::read(folder.join(name)).expect("a file of the corpus")).collect()
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data")
}

fn import(bytes: &[u8]) {
    let options = Import { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Import::default() };
    if let Ok(imported) = from_bytes(bytes, "fuzz", Path::new("."), &options) {
        let _ = imported.model.validate();
    }
}

/// Graphs that say their input themselves, and what is accepted of them.
fn quantized(bytes: &[u8]) {
    let options = Import { common_step: true, ..Import::default() };
    let Ok(imported) = from_bytes(bytes, "fuzz", Path::new("."), &options) else { return };
    let Some(Ok(model)) = imported.quantized.map(|codes| given(&imported.model, &codes)) else { return };
    if model.header.input.len() < 1 << 12 {
        let codes = random::images(&model, 1, 1);
        Golden::new(&model).and_then(|golden| golden.trace(codes.view())).expect("what is accepted runs");
    }
}

/// Writes `bytes` to a file in `folder`.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("there is room for a small file");
    path
}

const INPUT: Shape = Shape { c: 1, h: 6, w: 6 };
const OPS: [Op; 2] = [Op::Conv { co: 3, pool: true }, Op::Dense { co: 2 }];

fn small_int() -> IntModel {
    let (w, a) = (4, 4);
    random::model(&random::Recipe {
        input: INPUT,
        ops: OPS.into(),
        w,
        a,
        power_of_two: false,
        per_channel: true,
        seed: 1,
    })
}

pub fn int_file(folder: &Path) -> Vec<u8> {
    let path = folder.join("seed.int.safetensors");
    small_int().save(&path).expect("a valid model");
    fs::read(path).expect("just written")
}

/// With metadata of its own.
fn exported(folder: &Path, export: fn(&IntModel, &Path) -> Result<()>) -> Vec<u8> {
    let path = folder.join("seed.exported");
    export(&small_int(), &path).expect("a valid model");
    fs::read(path).expect("just written")
}

fn exported_float(folder: &Path) -> Vec<u8> {
    let path = folder.join("seed.pth");
    vgg2rtl::export::torch::float(&small_float(), &path).expect("a valid model");
    fs::read(path).expect("just written")
}

fn int_model(folder: &Path, bytes: &[u8]) {
    let Ok(model) = IntModel::load(&file(folder, "int.safetensors", bytes)) else { return };
    if model.header.input.len() > 1 << 12 {
        return;
    }
    let codes = random::images(&model, 1, 1);
    Golden::new(&model).and_then(|golden| golden.trace(codes.view())).expect("what is accepted runs");
    let config = fit(&model, &ArrayConfig::default());
    let _ = schedule(&model, &config, 1); // too large for a design point is no mistake
}

fn small_float() -> FloatModel {
    let shapes = vgg2rtl::net::shapes(INPUT, OPS);
    let layer = |(i, (op, x)): (usize, (Op, &Shape))| FloatLayer {
        name: format!("layer{i}"),
        op,
        weight: (0..op.weight_shape(*x).iter().product())
            .map(|k: usize| (k * 29 % 17) as f32 / 34.0 - 0.25)
            .collect(),
        bias: vec![0.1; op.co()],
        batch_norm: None,
        quantizer: None,
        saturation: None,
    };
    let header =
        Header { name: "small".into(), input: INPUT, preprocessing: Preprocessing::unit(1), classes: vec![] };
    FloatModel { header, layers: OPS.into_iter().zip(&shapes).enumerate().map(layer).collect() }
}

pub fn float_file(folder: &Path) -> Vec<u8> {
    let path = folder.join("seed.float.safetensors");
    small_float().save(&path).expect("a valid model");
    fs::read(path).expect("just written")
}

fn float_model(folder: &Path, bytes: &[u8]) {
    let Ok(model) = FloatModel::load(&file(folder, "float.safetensors", bytes)) else { return };
    let Shape { c, h, w } = model.header.input;
    if model.header.input.len() < 1 << 12 {
        model.forward(&Array4::zeros((1, c, h, w))).expect("what is accepted runs");
    }
}

/// 16 labelled pictures of 6×6, the training and the test part alike.
pub fn data(folder: &Path) -> PathBuf {
    let folder = folder.join("data");
    fs::create_dir_all(&folder).expect("a folder");
    for part in ["train", "t10k"] {
        file(&folder, &format!("{part}-images-idx3-ubyte"), &idx());
        let labels = [&[0, 0, 8, 1, 0, 0, 0, 16][..], &[0, 1].repeat(8)].concat();
        file(&folder, &format!("{part}-labels-idx1-ubyte"), &labels);
    }
    folder
}

fn idx() -> Vec<u8> {
    let pixels = (0..16 * 36).map(|i| (i * 37 % 251) as u8);
    [0, 0, 8, 3, 0, 0, 0, 16, 0, 0, 0, 6, 0, 0, 0, 6].into_iter().chain(pixels).collect()
}

/// Does `with` a trainer of the small network.
fn trainer<T>(folder: &Path, with: impl FnOnce(&mut Trainer) -> T) -> T {
    let folder = folder.join("data");
    if !folder.is_dir() {
        data(folder.parent().expect("it has one"));
    }
    let open = |split| DataSet::open_split(&folder, split).expect("good pictures");
    let (train, test) = (open(Split::Train), open(Split::Test));
    let net = Net::float_from(&small_float()).expect("a valid network");
    let options = Options { epochs: 1, batch: 8, ..Options::default() };
    let data = Data { train: &train, validation: None, test: Some(&test) };
    with(&mut Trainer::new(net, options, data, None).expect("a run that can begin"))
}

fn checkpoint_file(folder: &Path) -> Vec<u8> {
    let path = folder.join("seed.checkpoint");
    trainer(folder, |t| t.save(&path)).expect("a checkpoint");
    fs::read(path).expect("just written")
}

/// As it is, and with a checksum that fits: what no accident makes must not panic either.
fn checkpoint(folder: &Path, bytes: &[u8]) {
    for bytes in [bytes.to_vec(), resealed(bytes)] {
        let path = file(folder, "run.checkpoint", &bytes);
        let _ = trainer(folder, |t| t.restore(&path));
    }
}

/// `bytes` with the checksum that they need, where they have a place for one.
fn resealed(bytes: &[u8]) -> Vec<u8> {
    let mark = b"\\\"sha256\\\":\\\"";
    let Some(at) = bytes.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len()) else {
        return bytes.to_vec();
    };
    if at + 64 > bytes.len() {
        return bytes.to_vec();
    }
    let sum = store::digest([&bytes[..at], "0".repeat(64).as_bytes(), &bytes[at + 64..]]);
    [&bytes[..at], sum.as_bytes(), &bytes[at + 64..]].concat()
}

/// A simulator that never runs: results come from the cache, or not at all.
struct Absent;

impl Simulator for Absent {
    fn key(&self) -> &str {
        "absent"
    }

    fn run(&self, _: &Job) -> Result<(Statistics, Vec<u8>)> {
        Err(Error::ToolFailed { tool: "absent".into(), reason: "it never runs".into() })
    }
}

struct Verdict {
    schedule: Schedule,
    codes: Array4<i32>,
    golden: Trace,
    cache: Cache,
}

impl Verdict {
    fn new(folder: &Path) -> Self {
        let model = small_int();
        let config = fit(&model, &ArrayConfig::preset("tiny").expect("a preset"));
        let codes = random::images(&model, 1, 1);
        let golden = Golden::new(&model).and_then(|g| g.trace(codes.view())).expect("a valid model");
        let schedule = schedule(&model, &config, 1).expect("it fits");
        Self { schedule, codes, golden, cache: Cache::open(Some(&folder.join("cosim"))).expect("a folder") }
    }

    fn reports(&self, resume: bool) -> Result<Vec<LayerReport>> {
        let (schedule, cache, memory) = (&self.schedule, &self.cache, MemoryOptions::default());
        let network = Network { simulator: &Absent, schedule, cache, memory, jobs: 1, resume };
        network.chain(self.codes.view(), &self.golden, &|_| ())
    }
}

/// What cosim keeps of a run of the small network; the numbers that nobody can check are made up.
fn verdict(folder: &Path) -> Vec<u8> {
    let Verdict { schedule, golden, .. } = Verdict::new(folder);
    let words = [golden.activations[0].len(), golden.logits.len()];
    let report = |(layer, words): (&vgg2rtl::schedule::LayerSchedule, usize)| {
        serde_json::json!({ "layer": layer.name, "words": words, "mismatches": 0, "first": null, "macs": layer.macs,
            "cycles": 900, "model_cycles": 900, "weight_beats": 9, "act_beats": 9, "write_beats": 9, "wrong_cycle": null })
    };
    json(&schedule.layers.iter().zip(words).map(report).collect::<Vec<_>>())
}

/// An entry that a network would find, sealed as the cache seals: it counts what the network counts or is not believed.
fn cosim_cache(folder: &Path, bytes: &[u8]) {
    let verdict = Verdict::new(folder);
    let _ = verdict.reports(false);
    let text = String::from_utf8_lossy(bytes);
    let key = "entry";
    file(&verdict.cache.path(""), key, format!("{}\n{text}", store::digest([key, &text])).as_bytes());
    let _ = verdict.cache.value::<Vec<LayerReport>>(key);
    file(&verdict.cache.path(""), key, bytes);
    assert!(verdict.cache.value::<Vec<LayerReport>>(key).is_none(), "an entry without its hash is believed");
}

fn coding() -> Coding {
    Coding {
        weights: 4,
        acts: 4,
        ends: 4,
        assignment: None,
        requantize: Requantize::Scale,
        rounding: Rounding::Nearest,
    }
}

/// Does `with` an evaluator of the small network whose cache is new.
fn evaluator<T>(folder: &Path, with: impl FnOnce(&Evaluator, &Path) -> T) -> T {
    let path = folder.join("explore");
    let _ = fs::remove_dir_all(&path);
    let cache = Cache::open(Some(&path)).expect("a folder");
    let images = Images { data: data(folder), calibration: None, most: None, labels: None, turned: false };
    with(&Evaluator::new(&small_float(), &images, &cache).expect("good pictures"), &path)
}

/// The one entry that holds an accuracy, after a measurement.
fn entry(cache: &Path) -> PathBuf {
    let entries = fs::read_dir(cache).expect("a folder").map(|e| e.expect("an entry").path());
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("accuracy-"));
    entries.into_iter().find(named).expect("a measurement is kept")
}

fn measured(folder: &Path) -> Vec<u8> {
    evaluator(folder, |evaluator, cache| {
        evaluator.measure(&coding()).expect("it can be measured");
        fs::read(entry(cache)).expect("an entry")
    })
}

/// What is not what was kept is measured again.
fn explore_cache(folder: &Path, bytes: &[u8]) {
    evaluator(folder, |evaluator, cache| {
        let truth = evaluator.measure(&coding()).expect("it can be measured");
        fs::write(entry(cache), bytes).expect("there is room");
        let again = evaluator.measure(&coding()).expect("it can be measured");
        assert_eq!(serde_json::to_value(again).ok(), serde_json::to_value(truth).ok());
    });
}

fn config(_: &Path, bytes: &[u8]) {
    let Ok(config) = serde_json::from_slice::<ArrayConfig>(bytes) else { return };
    if config.validate().is_ok() {
        let _ = (config.memory_bits(), schedule(&small_int(), &config, 1));
    }
}

fn task_file(folder: &Path) -> Vec<u8> {
    let model = folder.join("seed.float.safetensors");
    float_file(folder);
    let task = serde_json::json!({
        "model": model, "images": null, "qat": null, "mixed": null,
        "axes": { "weights": [4], "acts": [4], "ends": 8, "assignments": [], "requantize": ["scale"],
            "multipliers": ["dsp"], "packs": [{ "lanes": 1 }], "arrays": [[4, 4]], "buses": [null], "families": ["ecp5"],
            "fixed": { "act_depth": null, "weight_depth": null, "acc_depth": null, "requantizers": null,
                "acc_bits": null, "fold_width": null } },
        "external": { "latency": 20, "stall_percent": 10, "megabytes_per_s": null },
        "batch": 1, "clock_mhz": 100.0, "synth": false, "place": false, "allow_missing": false, "budget": null,
        "pareto": [], "jobs": 1, "cache": folder.join("explore-task")
    });
    json(&serde_json::from_value::<Task>(task).expect("a task"))
}

/// A sweep without tools and images.
fn task(folder: &Path, bytes: &[u8]) {
    let Ok(mut task) = serde_json::from_slice::<Task>(bytes) else { return };
    if task.axes.count() > 100 {
        return;
    }
    (task.images, task.qat, task.mixed, task.synth, task.place) = (None, None, None, false, false);
    task.cache = Some(folder.join("explore-task"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    if let Ok(mut outcome) = task.run((0, 1), Watch { hear: &|_| (), stop: &stop }) {
        task.finish(&mut outcome);
    }
}

fn picture(folder: &Path, name: &str) -> Vec<u8> {
    let pixels: Vec<u8> = (0..12 * 12 * 3).map(|i| (i * 37 % 251) as u8).collect();
    let path = folder.join(name);
    image::save_buffer(&path, &pixels, 12, 12, image::ExtendedColorType::Rgb8).expect("a picture");
    fs::read(path).expect("just written")
}

fn pictures(folder: &Path, name: &str, bytes: &[u8]) {
    let preprocessing =
        Preprocessing { fit: Fit::Stretch { filter: Default::default() }, ..Preprocessing::unit(3) };
    let header =
        Header { name: "test".into(), input: Shape { c: 3, h: 8, w: 8 }, preprocessing, classes: vec![] };
    let path = file(folder, name, bytes);
    if let Ok(set) = DataSet::open(path) {
        let _ = set.batch([0, set.len() - 1], &header);
    }
}
