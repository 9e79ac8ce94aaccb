//! Folders of PNG and JPEG files: one folder a class, or no labels.

use super::{DataSet, Pictures, Split};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Whether the file name says PNG or JPEG.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    ["png", "jpg", "jpeg"].contains(&extension.as_str())
}

/// One picture without a label.
pub fn one(path: &Path) -> Result<DataSet> {
    let pictures = Pictures::Files(vec![path.into()]);
    Ok(DataSet { path: path.into(), pictures, labels: vec![], classes: vec![] })
}

/// Class folders in the order of their names, or pictures without labels.
pub fn open(folder: &Path, split: Split) -> Result<DataSet> {
    if let Some(part) = part(folder, split) {
        return open_classes(&part);
    }
    open_classes(folder)
}

/// The `train` or `test` folder inside `folder`, where it has both.
fn part(folder: &Path, split: Split) -> Option<PathBuf> {
    let find = |names: &[&str]| names.iter().map(|n| folder.join(n)).find(|p| p.is_dir());
    let (train, test) = (find(&["train"])?, find(&["test", "val"])?);
    Some(if split == Split::Train { train } else { test })
}

fn open_classes(folder: &Path) -> Result<DataSet> {
    let here = sorted(folder)?;
    let (mut files, mut labels, mut classes) = (vec![], vec![], vec![]);
    for class in here.iter().filter(|p| p.is_dir()) {
        let pictures: Vec<PathBuf> = sorted(class)?.into_iter().filter(|p| is_picture(p)).collect();
        if pictures.is_empty() {
            continue;
        }
        labels.resize(labels.len() + pictures.len(), classes.len());
        files.extend(pictures);
        classes.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    let loose: Vec<PathBuf> = here.into_iter().filter(|p| p.is_file() && is_picture(p)).collect();
    if !loose.is_empty() && !files.is_empty() {
        return Err(Error::bad_file(&loose[0], "a picture beside class folders: its class is unknown"));
    }
    files.extend(loose);
    if files.is_empty() {
        let known = "CIFAR-10 batches, IDX images, or PNG and JPEG files";
        return Err(Error::bad_file(folder, format!("holds none of {known}")));
    }
    Ok(DataSet { path: folder.into(), pictures: Pictures::Files(files), labels, classes })
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let paths = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.map_err(Error::io(folder))?;
    paths.sort();
    Ok(paths)
}
