//! Weights in HDF5: of Keras 2's `.h5`, named, and of Keras 3's `.weights.h5`, numbered within each layer.

use crate::float::import::blob::Blob;
use crate::float::import::npy::Array;
use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::storage::FileStorage;
use hdf5_reader::{Dataset, Hdf5File};
use std::sync::Arc;

/// Most groups and datasets of a file, and how deep they may be nested: links can form cycles.
const MOST_OBJECTS: usize = 20_000;
const DEEPEST: usize = 32;
/// How much longer than the file its numbers may be: it can be compressed, but must not claim any size.
const MOST_EXPANSION: u64 = 16;
const SMALL: u64 = 1 << 20;

/// An open file.
pub fn open(blob: Blob) -> Result<Hdf5File, String> {
    match blob {
        Blob::Memory(bytes) => of_bytes(bytes.to_vec()),
        Blob::Disk(file, _) => {
            FileStorage::from_file(file).and_then(|s| Hdf5File::from_storage(Arc::new(s))).map_err(damaged)
        }
    }
}

/// A file in memory.
pub fn of_bytes(bytes: Vec<u8>) -> Result<Hdf5File, String> {
    Hdf5File::from_vec(bytes).map_err(damaged)
}

fn damaged(error: Error) -> String {
    format!("not a whole HDF5 file: {error}")
}

/// The text of the attribute `name` of a group, if it has one.
pub fn text(group: &Group, name: &str) -> Option<String> {
    group.attribute(name).ok()?.read_string().ok()
}

/// The weights of a file, by layer.
pub struct Weights {
    entries: Vec<Entry>,
    /// Bytes that may still be read.
    left: u64,
}

/// One tensor.
struct Entry {
    /// Named weights: the outermost layer. Numbered weights: where they are.
    group: String,
    /// The layer; empty where the file does not name it.
    layer: String,
    /// What it is in the layer: a name or a number.
    part: String,
    dataset: Dataset,
}

/// Where a layer's weights can be.
pub struct Place<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// The outermost layer around it; itself where there is none.
    pub outermost: &'a str,
    /// Its group among numbered weights that do not name layers.
    pub path: &'a str,
}

impl Weights {
    /// Those of the file, of `size` bytes.
    pub fn of(file: &Hdf5File, size: u64) -> Result<Self, String> {
        let root = file.root_group().map_err(|e| e.to_string())?;
        let mut entries = vec![];
        let named =
            root.group("model_weights").ok().or_else(|| has(&root, "layer_names").then_some(root.clone()));
        match named {
            Some(group) => named_weights(&group, &mut entries)?,
            None => numbered_weights(&root, "", 0, &mut 0, &mut entries)?,
        }
        Ok(Self { entries, left: size.saturating_mul(MOST_EXPANSION).max(SMALL) })
    }

    /// Names of the layers that have weights, each once, in the file's order.
    pub fn layers(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for entry in &self.entries {
            let name = if entry.layer.is_empty() { &entry.group } else { &entry.layer };
            if names.last() != Some(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether weights have numbers, not names; HDF5 then has them by their groups' names.
    pub fn are_numbered(&self) -> bool {
        self.entries.iter().all(|e| e.part.parse::<usize>().is_ok())
    }

    /// The tensors of the layer at `place`, each with what it is in the layer.
    pub fn take(&mut self, place: &Place) -> Result<Vec<(String, Array)>, String> {
        let Place { layer, outermost, path } = *place;
        let named = |e: &Entry| e.group == outermost && (outermost == layer || e.layer == layer);
        let numbered = |e: &Entry| e.layer == layer;
        let unnamed = |e: &Entry| e.group == path;
        let tries: [&dyn Fn(&Entry) -> bool; 3] = [&named, &numbered, &unnamed];
        let fits = tries.into_iter().find(|fits| self.entries.iter().any(fits));
        let Some(fits) = fits else { return Ok(vec![]) };
        let mut tensors = vec![];
        for entry in self.entries.extract_if(.., |e| fits(e)) {
            let array = array(&entry.dataset, &mut self.left);
            tensors.push((
                entry.part.clone(),
                array.map_err(|e| format!("tensor {layer}/{}: {e}", entry.part))?,
            ));
        }
        Ok(tensors)
    }
}

fn has(group: &Group, attribute: &str) -> bool {
    group.attribute(attribute).is_ok()
}

/// Groups in the order of `layer_names`, their datasets in the order of `weight_names`.
fn named_weights(group: &Group, entries: &mut Vec<Entry>) -> Result<(), String> {
    let names = |group: &Group, attribute: &str| -> Result<Vec<String>, String> {
        let found = group.attribute(attribute).map_err(|e| e.to_string())?;
        // numpy writes an empty list as one of floats.
        let none = found.num_elements().is_ok_and(|n| n == 0);
        if none { Ok(vec![]) } else { found.read_strings().map_err(|e| e.to_string()) }
    };
    for outermost in names(group, "layer_names")? {
        let layer = group.group(&outermost).map_err(|e| format!("layer {outermost}: {e}"))?;
        for name in names(&layer, "weight_names")? {
            let bad = |e: Error| format!("tensor {outermost}/{name}: {e}");
            let mut parts: Vec<&str> = name.split('/').collect();
            let part = parts.pop().unwrap_or_default();
            let mut at = layer.clone();
            for part in &parts {
                at = at.group(part).map_err(bad)?;
            }
            let dataset = at.dataset(part).map_err(bad)?;
            let inner = parts.last().copied().unwrap_or(&outermost).to_string();
            entries.push(Entry { group: outermost.clone(), layer: inner, part: part.into(), dataset });
            if entries.len() > MOST_OBJECTS {
                return Err("has too many weights".into());
            }
        }
    }
    Ok(())
}

/// The groups `…/vars` with datasets 0, 1, …; since Keras 3.6 an attribute has the layer's name.
fn numbered_weights(
    group: &Group,
    path: &str,
    depth: usize,
    seen: &mut usize,
    entries: &mut Vec<Entry>,
) -> Result<(), String> {
    let bad = |e: Error| format!("group {path:?}: {e}");
    *seen += 1;
    if depth > DEEPEST || *seen > MOST_OBJECTS {
        return Err("its groups are nested too deeply, or in a cycle".into());
    }
    let (groups, _) = group.member_names().map_err(bad)?;
    for name in groups {
        let child = group.group(&name).map_err(bad)?;
        if name == "vars" {
            let layer = text(&child, "name").unwrap_or_default();
            let mut datasets = child.datasets().map_err(bad)?;
            datasets.sort_by_key(|d| d.name().parse().unwrap_or(usize::MAX));
            for dataset in datasets {
                let part = dataset.name().to_string();
                entries.push(Entry { group: path.into(), layer: layer.clone(), part, dataset });
            }
        } else if !["optimizer", "optimizer_weights"].contains(&name.as_str()) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            numbered_weights(&child, &path, depth + 1, seen, entries)?;
        }
    }
    Ok(())
}

/// The numbers of a dataset.
fn array(dataset: &Dataset, left: &mut u64) -> Result<Array, String> {
    let shape: Option<Vec<usize>> = dataset.shape().iter().map(|&s| usize::try_from(s).ok()).collect();
    let bytes = dataset.shape().iter().try_fold(4u64, |n, &s| n.checked_mul(s));
    let size = bytes.and_then(|bytes| left.checked_sub(bytes));
    *left = size.ok_or("more data than the file holds")?;
    let shape = shape.ok_or("its shape makes no sense")?;
    let values = dataset.read_array::<f32>().map_err(|e| format!("{e}; weights must be float32"))?;
    let values = values.into_raw_vec_and_offset().0;
    match values.len() == shape.iter().product::<usize>() {
        true => Ok(Array { shape, values }),
        false => Err("has another number of elements than its shape says".into()),
    }
}
