//! What a path may hold.

use super::set::DataSet;
use crate::Result;

/// Reads pictures that were found.
pub type Reader = Box<dyn FnOnce() -> Result<DataSet>>;

/// What was found.
pub enum Found {
    /// Pictures that are not in parts.
    Whole(Reader),
    /// Pictures in parts, of which one may be missing.
    Parts {
        /// To learn from.
        train: Option<Reader>,
        /// To measure on.
        test: Option<Reader>,
    },
}

/// What can be read, for messages.
pub const KNOWN: &str = "CIFAR-10 or CIFAR-100 batches, IDX images, STL-10, numpy arrays, or pictures \
                         (PNG, JPEG, WebP, BMP, TIFF, GIF, PNM)";
