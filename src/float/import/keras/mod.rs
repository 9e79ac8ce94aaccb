//! Keras: `.h5` and `.keras` hold a configuration and weights, `.weights.h5` and Keras 2's weight files weights alone.
//!
//! | file | from | to |
//! |---|---|---|
//! | `weights` | HDF5 | tensors by layer |
//! | `config` | JSON | the list of layers |
//! | `graph` | both | the ONNX graph that computes the same |

mod config;
mod graph;
mod weights;

use super::blob::Blob;
use super::facts::{Facts, Origin};
use super::imported::{Imported, Outcome};
use super::onnx;
use super::options::{Habit, Habits, Options};
use super::state_dict;
use super::taps::Taps;
use super::tensors::{Data, Tensor, Tensors};
use crate::net::Colour;
use config::Layer;
use serde_json::Value;
use std::io::{BufReader, Read};
use std::path::Path;
use weights::{Place, Weights};

/// Longest configuration that is read.
const LONGEST: u64 = 1 << 26;
/// How the first layer of the VGGs in `keras.applications` is called.
const APPLICATION: &str = "block1_conv1";

/// The network in a `.keras` file: a zip of the configuration and a `.weights.h5`.
pub fn of_zip(blob: &Blob, name: &str, options: &Options) -> Outcome<Imported> {
    let zip = zip::ZipArchive::new(BufReader::new(blob.reader()));
    let mut zip = zip.map_err(|e| format!("not a whole .keras file: {e}"))?;
    let mut entry = |name: &str, most: u64| -> Result<Vec<u8>, String> {
        let bad = |e: String| format!("{name} in the .keras file: {e}");
        let file = zip.by_name(name).map_err(|e| bad(e.to_string()))?;
        let mut bytes = vec![];
        file.take(most).read_to_end(&mut bytes).map_err(|e| bad(e.to_string()))?;
        Ok(bytes)
    };
    let text = entry("config.json", LONGEST)?;
    let file = weights::of_bytes(entry("model.weights.h5", blob.len())?)?;
    of_config(&String::from_utf8_lossy(&text), Weights::of(&file, blob.len())?, name, options)
}

/// The network in an HDF5 file, with or without a configuration.
pub fn of_hdf5(blob: Blob, name: &str, options: &Options) -> Outcome<Imported> {
    let size = blob.len();
    let file = weights::open(blob)?;
    let weights = Weights::of(&file, size)?;
    let root = file.root_group().map_err(|e| e.to_string())?;
    match weights::text(&root, "model_config") {
        Some(text) => of_config(&text, weights, name, options),
        None => of_weights(weights, name, options),
    }
}

fn of_config(text: &str, mut weights: Weights, name: &str, options: &Options) -> Outcome<Imported> {
    let json: Value = serde_json::from_str(text).map_err(|e| format!("its configuration is no JSON: {e}"))?;
    let (layers, output) = config::layers(&json)?;
    let graph = graph::graph(&layers, output, &mut weights)?;
    let mut facts = Facts::default();
    facts.note("Keras configuration", format!("{} layers", layers.len()), Origin::File);
    let application = layers.iter().any(|l: &Layer| l.name == APPLICATION);
    let habit = Some(habit(application));
    let source = onnx::Source { name, folder: Path::new("."), own: None, habit };
    onnx::network(graph, source, options, facts)
}

/// The mean that `keras.applications.vgg16.preprocess_input` subtracts, where the network is one of those.
fn habit(application: bool) -> Habit {
    if application { Habit::Bytes(Colour::Bgr) } else { Habit::Keras }
}

/// Weights alone are a state dict with channels last.
fn of_weights(mut weights: Weights, name: &str, options: &Options) -> Outcome<Imported> {
    let layers = weights.layers();
    if layers.is_empty() {
        return Err(
            "an HDF5 file without weights of Keras: model.save(\"model.keras\") makes a good one".into()
        );
    }
    let mut facts = Facts::default();
    let order = match weights.are_numbered() {
        true => Origin::Assumed("weights alone have no other; --check".into()),
        false => Origin::File,
    };
    facts.note(
        "order of layers",
        if weights.are_numbered() { "by their names" } else { "as in the file" },
        order,
    );
    let mut list = vec![];
    for layer in &layers {
        let tensors = weights.take(&Place { layer, outermost: layer, path: layer })?;
        let parts = parts(&tensors).map_err(|reason| format!("layer {layer}: {reason}"))?;
        for ((_, array), part) in tensors.into_iter().zip(parts) {
            let (shape, values) = super::layout::outputs_first(array.shape, array.values);
            list.push((format!("{layer}.{part}"), Tensor { shape, data: Data::Values(values) }));
        }
    }
    let by_names = weights.are_numbered();
    let mut tensors = Tensors::new(vec![], list);
    if by_names {
        tensors.sort();
    }
    let application = layers.iter().any(|l| l == APPLICATION);
    let habits = Habits { pictures: habit(application), ..Habits::KERAS };
    let imported = state_dict::model(tensors, name, options, habits, facts)?;
    // A layer's output is what its activation makes of it, which weights alone do not show.
    Ok(Imported { taps: Taps::default(), ..imported })
}

/// What PyTorch calls a layer's tensors, in their order.
fn parts(tensors: &[(String, super::npy::Array)]) -> Result<&'static [&'static str], String> {
    let ranks: Vec<usize> = tensors.iter().map(|(_, array)| array.shape.len()).collect();
    match ranks[..] {
        [2 | 4] => Ok(&["weight"]),
        [2 | 4, 1] => Ok(&["weight", "bias"]),
        [1, 1, 1, 1] => Ok(&["weight", "bias", "running_mean", "running_var"]),
        [1, 1] => Ok(&["running_mean", "running_var"]),
        _ => Err(format!(
            "tensors of {ranks:?} dimensions are no convolution, dense layer or batch norm; save the whole model \
             (model.save) and not its weights alone"
        )),
    }
}
