//! What a path holds, found out from the names of what is there.

use super::found::{Found, Reader};
use super::{archive, arrays, cifar, folder, idx, pickled, stl10};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Folders that torchvision and the data sets' archives put around their files.
const ROOTS: [&str; 10] = [
    "cifar-10-batches-py",
    "cifar-100-python",
    "cifar-10-batches-bin",
    "cifar-100-binary",
    "stl10_binary",
    "MNIST/raw",
    "FashionMNIST/raw",
    "KMNIST/raw",
    "EMNIST/raw",
    "raw",
];

/// The pictures of a folder.
pub fn find(path: &Path) -> Result<Found> {
    for format in [cifar::find, pickled::find, idx::find, stl10::find, arrays::find] {
        if let Some(found) = format(path)? {
            return Ok(found);
        }
    }
    let roots: Vec<PathBuf> = ROOTS.iter().map(|root| path.join(root)).filter(|p| p.is_dir()).collect();
    match &roots[..] {
        [] => folder::find(path),
        [root] => find(root),
        [one, other, ..] => {
            Err(Error::bad_file(one, format!("beside {}: say which folder", other.display())))
        }
    }
}

/// The pictures of a file.
pub fn file(path: &Path) -> Result<Found> {
    let owned = path.to_path_buf();
    let whole = |reader: Reader| Ok(Found::Whole(reader));
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
    match &extension[..] {
        "npy" | "npz" => arrays::open(path),
        "bin" => whole(Box::new(move || cifar::open_file(&owned))),
        "mat" => Err(Error::bad_file(path, MAT)),
        _ if archive::is_archive(path) => archive::open(path, find),
        _ if folder::is_picture(path) => whole(Box::new(move || folder::one(&owned))),
        _ => whole(Box::new(move || idx::open(&owned))),
    }
}

/// SVHN comes as MATLAB files.
const MAT: &str = "is a MATLAB file; as numpy arrays it can be read: python3 -c \"import numpy, scipy.io; \
                   m = scipy.io.loadmat('test_32x32.mat'); numpy.savez('test_32x32.npz', \
                   x=numpy.ascontiguousarray(m['X'].transpose(3, 0, 1, 2)), y=m['y'].ravel() % 10)\"";
