//! Tensors that grow batch by batch: they lie on disk until all of them are there, and one file is made of them.

use super::{Element, Indexed, layout};
use crate::{Error, Result, output};
use safetensors::tensor::Dtype;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

/// Integers `(row, …)` of one type, on disk.
pub struct Spool {
    dtype: Dtype,
    /// Sizes of what has come; empty before the first batch.
    shape: Vec<usize>,
    file: BufWriter<File>,
}

impl Spool {
    /// An empty tensor of the narrowest of I8, I16, I32, I64 that has `bits` bits.
    ///
    /// # Errors
    /// The folder for temporary files (`TMPDIR`) that cannot be written.
    pub fn new(bits: u32) -> Result<Self> {
        let dtype = match bits {
            0..=8 => Dtype::I8,
            9..=16 => Dtype::I16,
            17..=32 => Dtype::I32,
            _ => Dtype::I64,
        };
        let file = BufWriter::new(tempfile::tempfile().map_err(temporary)?);
        Ok(Self { dtype, shape: vec![], file })
    }

    /// Appends a batch of sizes `(rows, …)`, row-major. Every element has the tensor's bits.
    ///
    /// # Errors
    /// A full disk.
    pub fn push(&mut self, shape: &[usize], elements: impl Iterator<Item = i64>) -> Result<()> {
        match self.shape.first_mut() {
            Some(rows) => *rows += shape[0],
            None => self.shape = shape.to_vec(),
        }
        let mut bytes = vec![];
        for e in elements {
            match self.dtype {
                Dtype::I8 => (e as i8).put(&mut bytes),
                Dtype::I16 => (e as i16).put(&mut bytes),
                Dtype::I32 => (e as i32).put(&mut bytes),
                _ => e.put(&mut bytes),
            }
        }
        self.file.write_all(&bytes).map_err(temporary)
    }
}

impl Indexed for Spool {
    fn info(&self) -> (Dtype, &[usize], usize) {
        let elements: usize = self.shape.iter().product();
        (self.dtype, &self.shape, elements * self.dtype.bitsize() / 8)
    }
}

fn temporary(error: io::Error) -> Error {
    Error::io(&std::env::temp_dir())(error)
}

/// As [`write()`](super::write), of tensors on disk.
///
/// # Errors
/// A full disk, a path that cannot be written.
pub fn write_spooled<H: Serialize>(path: &Path, header: &H, tensors: Vec<(String, Spool)>) -> Result<()> {
    let json = serde_json::to_string(header).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let (head, tensors) = layout(path, json, tensors)?;
    output::write_with(path, |to| {
        to.write_all(&head)?;
        for spool in tensors {
            let mut file = spool.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            io::copy(&mut file, to)?;
        }
        Ok(())
    })
}
