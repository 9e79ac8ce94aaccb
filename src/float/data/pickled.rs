//! CIFAR-10 and CIFAR-100, Python versions: pickles of a dict with `data`, an array of 3072 bytes a picture (planes of red, green
//! and blue), and a list of labels. Nothing in a pickle is executed.

use super::cifar::{LAYOUT, classes};
use super::found::{Found, Reader};
use super::set::{DataSet, Pictures};
use crate::float::import::pickle::{Machine, Value};
use crate::{Error, Result, store};
use std::path::{Path, PathBuf};

/// The batches in a folder; `None` where it has none.
pub fn find(folder: &Path) -> Result<Option<Found>> {
    let there = |names: Vec<String>, labels: &'static str| -> Option<Reader> {
        let files: Vec<PathBuf> = names.iter().map(|n| folder.join(n)).filter(|p| p.is_file()).collect();
        (!files.is_empty()).then(|| Box::new(move || open(&files, labels)) as Reader)
    };
    let train = there((1..=5).map(|i| format!("data_batch_{i}")).collect(), "labels");
    let test = there(vec!["test_batch".into()], "labels");
    if train.is_some() || test.is_some() {
        return Ok(Some(Found::Parts { train, test }));
    }
    if !folder.join("meta").is_file() {
        return Ok(None);
    }
    let (train, test) =
        (there(vec!["train".into()], "fine_labels"), there(vec!["test".into()], "fine_labels"));
    Ok((train.is_some() || test.is_some()).then_some(Found::Parts { train, test }))
}

fn open(files: &[PathBuf], labels: &str) -> Result<DataSet> {
    let (mut bytes, mut found) = (vec![], vec![]);
    for path in files {
        let (pixels, of_file) = batch(path, labels)?;
        bytes.extend(pixels);
        found.extend(of_file);
    }
    let path = files.first().cloned().unwrap_or_default();
    let names = if labels == "labels" { classes() } else { fine_names(&path.with_file_name("meta"))? };
    if let Some(label) = found.iter().find(|l| **l >= names.len()) {
        return Err(Error::bad_file(&path, format!("has label {label}, there are {} classes", names.len())));
    }
    Ok(DataSet::new(&path, Pictures::Memory { layout: LAYOUT, bytes }, found, names))
}

/// Bytes and labels of one file.
fn batch(path: &Path, labels: &str) -> Result<(Vec<u8>, Vec<usize>)> {
    let bad = |reason: String| Error::bad_file(path, reason);
    let file = store::read_file(path)?;
    let machine = Machine::run(&file).map_err(bad)?;
    let data = match machine.get(machine.top(), "data") {
        Some(Value::Array(array)) if array.dtype == "u1" && !array.fortran => {
            array.data.map(|i| machine.at(i))
        }
        _ => None,
    };
    let Some(Value::Bytes(range)) = data else {
        return Err(bad("is no batch of CIFAR: a dict with an array of bytes, data".into()));
    };
    let pixels = file.get(range.clone()).unwrap_or_default().to_vec();
    let label = |value: &&Value| match value {
        Value::Int(label) => usize::try_from(*label).ok(),
        _ => None,
    };
    let list = machine.get(machine.top(), labels).map(|list| machine.elements(list)).unwrap_or_default();
    let found = list.iter().map(label).collect::<Option<Vec<_>>>();
    match found {
        Some(found) if found.len() * LAYOUT.len() == pixels.len() => Ok((pixels, found)),
        _ => Err(bad(format!("{} bytes of pictures for {} {labels}", pixels.len(), list.len()))),
    }
}

fn fine_names(meta: &Path) -> Result<Vec<String>> {
    let file = store::read_file(meta)?;
    let machine = Machine::run(&file).map_err(|reason| Error::bad_file(meta, reason))?;
    let names =
        machine.get(machine.top(), "fine_label_names").map(|list| machine.elements(list)).unwrap_or_default();
    let name = |value: &&Value| match value {
        Value::Str(name) => Some(name.clone()),
        _ => None,
    };
    let names = names.iter().map(name).collect::<Option<Vec<_>>>().filter(|names| !names.is_empty());
    names.ok_or_else(|| Error::bad_file(meta, "has no list of fine_label_names"))
}
