//! Model files and images that make no sense: a reason that names the file, never a panic, never more memory than
//! the file justifies.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{Golden, IntModel, random, reference};
use vgg2rtl::net::{Fit, Header, Op, Preprocessing, Shape};

#[path = "common/description.rs"]
mod description;
#[path = "import/mutate.rs"]
mod mutate;
use mutate::mutated;

/// Mutations of each file of the corpus.
const MUTATIONS: u64 = 1500;
const FLOAT: &str = "models/vgg16-small-fashion.safetensors";
const INT: &str = "tests/fixtures/golden/w8a8-scale.model.safetensors";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A model file in a temporary folder.
struct Damaged {
    folder: tempfile::TempDir,
    original: Vec<u8>,
}

impl Damaged {
    fn new(original: &str) -> Self {
        let original = std::fs::read(root().join(original)).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), original }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bad.safetensors")
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(), bytes).unwrap();
        self.path()
    }

    /// The file with the value at `at` in its description replaced.
    fn described(&self, at: &str, value: &Value) -> PathBuf {
        self.write(&description::changed(&self.original, |description| {
            *description.pointer_mut(at).unwrap_or_else(|| panic!("no {at}")) = value.clone();
        }))
    }
}

#[test]
fn descriptions_that_make_no_sense() {
    let both = [
        ("/format", json!("tar"), "holds a tar model where"),
        ("/version", json!(3), "format version 3, this program reads 1 to 2"),
        ("/input/c", json!(1u64 << 62), "an input of 4611686018427387904×"),
        ("/input/h", json!(u64::MAX), "makes no sense"),
        ("/input/w", json!(0), "makes no sense"),
        ("/input/w", json!(-1), "invalid value: integer `-1`"),
        ("/input/w", json!(4096), "must be ["),
        ("/layers", json!([]), "layer -: the network has no layers"),
        ("/layers/0/co", json!(0), "must be [0"),
        ("/layers/0/co", json!(1u64 << 60), "must be [1152921504606846976"),
        ("/layers/0/op", json!("lstm"), "unknown variant `lstm`"),
        ("/layers/0/name", json!("nobody"), "tensor nobody."),
        ("/preprocessing/scale", json!(1e300), "scale inf"),
        ("/preprocessing/std", json!([0.0]), "preprocessing: "),
        ("/preprocessing/mean", json!([]), "preprocessing: "),
        ("/preprocessing/fit", json!("crop"), "missing field `shorter`"),
        ("/classes", json!(["cat", "dog"]), "2 names of classes for"),
    ];
    let int = [
        ("/input_quantizer/step", json!(0), "step 0 is not a positive number"),
        ("/input_quantizer/a", json!(i32::MIN), "layer input: levels"),
        ("/layers/0/weight_levels/b", json!(3), "layer conv0: weight "),
        ("/layers/0/weight_levels/a", json!(i32::MIN), "layer conv0: weight levels"),
        ("/layers/0/weight_steps", json!([]), "layer conv0: 0 weight steps where 1 or 5"),
        ("/layers/0/multipliers", json!(1u64 << 62), "tensor conv0.m has shape [5]"),
        ("/layers/0/output_quantizer", json!(null), "layer conv0: the last layer, and no other"),
        ("/layers/0/output_quantizer/a", json!(-5), "layer conv0: output levels"),
        ("/layers/0/output_quantizer/b", json!(1 << 17), "layer conv0: output levels"),
        ("/layers/1/name", json!("conv0"), "two layers have the name \"conv0\""),
    ];
    let refused = |files: &Damaged, at: &str, value: &Value, want: &str| {
        let path = files.described(at, value);
        let loaded = [FloatModel::load(&path).map(drop), IntModel::load(&path).map(drop)];
        let reasons = loaded.map(|r| r.unwrap_err().to_string());
        assert!(reasons.iter().any(|r| r.contains(want)), "{at} {value}: {reasons:?}");
        assert!(reasons.iter().all(|r| r.starts_with(path.to_str().unwrap())), "{reasons:?}");
    };
    let (float_file, int_file) = (Damaged::new(FLOAT), Damaged::new(INT));
    for (at, value, want) in both {
        refused(&float_file, at, &value, want);
        refused(&int_file, at, &value, want);
    }
    for (at, value, want) in int {
        refused(&int_file, at, &value, want);
    }
}

#[test]
fn mutated_float_models_never_panic() {
    let files = Damaged::new(FLOAT);
    let x = ndarray::Array4::zeros((1, 1, 32, 32));
    let load = |seed| FloatModel::load(&files.write(&mutated(&files.original, seed)));
    let loaded = (0..MUTATIONS / 5).filter_map(|seed| load(seed).ok());
    let ran =
        loaded.take(20).filter(|model| model.header.input.len() == 1024).map(|m| m.forward(&x).unwrap());
    assert!(ran.count() > 0);
}

/// What survives the reader also runs, and the fast paths still equal the definition.
#[test]
fn mutated_int_models_never_panic() {
    let files = Damaged::new(INT);
    let (mut refused, mut ran) = (0, 0);
    for seed in 0..MUTATIONS {
        let Ok(model) = IntModel::load(&files.write(&mutated(&files.original, seed))) else {
            refused += 1;
            continue;
        };
        if model.header.input.len() > 1 << 12 {
            continue;
        }
        let codes = random::images(&model, 1, seed);
        let got = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        assert_eq!(got, reference::trace(&model, codes.view()).unwrap(), "mutation {seed}");
        ran += 1;
    }
    assert!(refused > MUTATIONS / 20 && ran > MUTATIONS / 20, "{refused} refused, {ran} ran");
}

/// The header is parsed once, not once a tensor; `--nocapture` shows the time.
#[test]
fn models_of_500_layers_load() {
    let ops = (0..499).map(|_| Op::Conv { co: 4, pool: false }).chain([Op::Dense { co: 3 }]).collect();
    let (input, w, a) = (Shape { c: 1, h: 2, w: 2 }, 4, 4);
    let recipe = random::Recipe { input, ops, w, a, power_of_two: false, per_channel: true, seed: 1 };
    let model = random::model(&recipe);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.safetensors");
    model.save(&path).unwrap();
    let begun = std::time::Instant::now();
    let loaded = IntModel::load(&path).unwrap();
    println!("500 layers load in {:.3} s", begun.elapsed().as_secs_f64());
    assert_eq!(loaded, model);
}

#[test]
fn mutated_images_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pixels: Vec<u8> = (0..12 * 12 * 3).map(|i| (i * 37 % 251) as u8).collect();
    for name in ["a.png", "a.jpg"] {
        image::save_buffer(at(name), &pixels, 12, 12, image::ExtendedColorType::Rgb8).unwrap();
    }
    let fashion = root().join("models/fashion-test-256-images-idx3-ubyte.gz");
    std::fs::copy(fashion, at("t-images-idx3-ubyte.gz")).unwrap();
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 8][..], &[7; 144]].concat();
    std::fs::write(at("u-images-idx3-ubyte"), idx).unwrap();
    std::fs::write(at("a.bin"), [1; 2 * 3073]).unwrap();
    let preprocessing =
        Preprocessing { fit: Fit::Stretch { filter: Default::default() }, ..Preprocessing::unit(3) };
    let header =
        Header { name: "test".into(), input: Shape { c: 3, h: 8, w: 8 }, preprocessing, classes: vec![] };
    for name in ["a.png", "a.jpg", "t-images-idx3-ubyte.gz", "u-images-idx3-ubyte", "a.bin"] {
        let original = std::fs::read(at(name)).unwrap();
        let mut refused = 0;
        for seed in 0..MUTATIONS / 5 {
            std::fs::write(at(name), mutated(&original, seed)).unwrap();
            let read = DataSet::open(at(name)).and_then(|set| set.batch([0, set.len() - 1], &header));
            refused += usize::from(read.is_err_and(|e| e.to_string().contains(name)));
        }
        assert!(refused > 0, "{name}");
    }
}
