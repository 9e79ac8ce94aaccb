//! What a pickle holds.

use std::ops::Range;

/// A pickled value; containers hold indices into the machine's arena.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`, and whatever does not matter here.
    Opaque,
    /// An integer; booleans are 0 and 1.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(String),
    /// Where the bytes of a bytes object, or of Python 2's str that is no text, stand in the pickle.
    Bytes(Range<usize>),
    /// A tuple, list or set.
    Sequence(Vec<usize>),
    /// Keys and values.
    Dict(Vec<(usize, usize)>),
    /// `module.name`.
    Global(String),
    /// Where a tensor's elements lie.
    Storage(Storage),
    /// A tensor.
    Tensor(Tensor),
    /// A numpy element type, such as `f4`, and whether it is big-endian.
    Dtype(String, bool),
    /// A numpy array.
    Array(Array),
    /// An object of class `class`, with what its BUILD got.
    Object {
        /// `module.name`.
        class: String,
        /// Index of its state.
        state: Option<usize>,
    },
}

/// A storage: an entry of a zip, or the data behind a legacy file's pickles.
#[derive(Clone, Debug)]
pub struct Storage {
    /// For example `FloatStorage`.
    pub kind: String,
    /// Name of the entry.
    pub key: String,
    /// Elements.
    pub len: usize,
    /// First element of a legacy view into the storage.
    pub start: usize,
}

/// A strided view of a storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its storage.
    pub storage: Storage,
    /// First element.
    pub offset: usize,
    /// Sizes, outermost first.
    pub size: Vec<usize>,
    /// Elements from one index to the next, for each size.
    pub stride: Vec<usize>,
}

/// A numpy array.
#[derive(Clone, Debug, Default)]
pub struct Array {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Element type, such as `u1` or `f4`; empty for an array that was never filled.
    pub dtype: String,
    /// Whether elements are big-endian.
    pub big_endian: bool,
    /// Whether the first index runs fastest.
    pub fortran: bool,
    /// Index of its elements: [`Value::Bytes`], or a [`Value::Sequence`] of objects.
    pub data: Option<usize>,
}

/// Whether a name may be copied; a file could otherwise repeat one huge string without end.
pub fn short(name: &str) -> bool {
    name.len() <= LONGEST_NAME
}

/// Longest text that is a name.
pub const LONGEST_NAME: usize = 1024;
