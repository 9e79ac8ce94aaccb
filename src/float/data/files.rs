//! The files that a data set may be made of.

use std::path::{Path, PathBuf};

/// Folders in each other: `train`, a class, its pictures.
const DEPTH: usize = 3;

/// `path`, or, where it is a folder, the files inside but results of this program.
pub fn data_files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.into()];
    }
    let mut files = vec![];
    walk(path, DEPTH, &mut files);
    files
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()) {
        if path.is_dir() && depth > 1 {
            walk(&path, depth - 1, files);
        } else if may_be_data(&path) {
            files.push(path);
        }
    }
}

/// Extensions of this program's results: they may lie beside the data.
const RESULTS: [&str; 8] = ["safetensors", "checkpoint", "csv", "svg", "html", "json", "onnx", "vcd"];

fn may_be_data(path: &Path) -> bool {
    path.extension().is_none_or(|extension| RESULTS.iter().all(|result| extension != *result))
}
