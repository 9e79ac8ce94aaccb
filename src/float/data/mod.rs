//! Labelled pictures: CIFAR, IDX (MNIST and its kin), STL-10, numpy arrays and folders of pictures, read as the network
//! needs them.
//!
//! | file | what |
//! |---|---|
//! | `set`, `picture`, `preprocess` | the pictures, and what a network reads of them |
//! | `sample`, `align` | some of them; what their labels mean |
//! | `cifar`, `pickled`, `idx`, `stl10`, `arrays`, `folder` | readers, a format each |
//! | `found`, `source`, `archive` | which of them a path is for |
//! | `open`, `files` | from a path to a set, and to its files |

mod align;
mod archive;
mod arrays;
mod cifar;
mod files;
mod folder;
mod found;
mod idx;
mod labels;
mod open;
mod pickled;
mod picture;
mod preprocess;
mod sample;
mod set;
mod source;
mod stl10;

pub use files::data_files;
pub use picture::Picture;
pub use preprocess::{byte_inputs, fitted, preprocess};
pub use sample::SEED;
pub use set::{DataSet, Split, listed};

#[cfg(test)]
mod tests;
