//! The files that a data set may be made of.

use super::folder::is_picture;
use std::path::{Path, PathBuf};

/// Folders in each other: `train`, a class, its pictures.
const DEPTH: usize = 3;

/// `path`, or the files inside that may hold pictures or labels, where it is a folder.
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

/// By its name: a picture, CIFAR-10's or IDX's.
fn may_be_data(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    is_picture(path) || name.ends_with(".bin") || name.contains("-ubyte")
}
