//! What a network answers, picture by picture, as a CSV file.

use super::images;
use ndarray::Array2;
use std::path::Path;
use vgg2rtl::float::DataSet;
use vgg2rtl::{Error, Result, output};

/// Lines of `picture, label, answer` and the logits of all outputs; labels and answers are numbers of outputs.
pub struct Predictions<'a> {
    path: &'a Path,
    table: csv::Writer<Vec<u8>>,
    /// Pictures that have a line.
    lines: usize,
}

impl<'a> Predictions<'a> {
    /// A table for the file `path`, with a head that names the `outputs` logits after `classes` where there are names.
    pub fn new(path: &'a Path, classes: &[String], outputs: usize) -> Result<Self> {
        let mut predictions = Self { path, table: csv::Writer::from_writer(vec![]), lines: 0 };
        let head = ["picture", "label", "answer"].map(String::from);
        let logits = (0..outputs).map(|c| format!("logit {}", images::class_name(classes, c)));
        predictions.put(head.into_iter().chain(logits))?;
        Ok(predictions)
    }

    /// Adds the next pictures of `data`, as many as there are rows of `logits`.
    pub fn add(&mut self, data: &DataSet, logits: &Array2<f64>) -> Result<()> {
        for logits in logits.outer_iter() {
            let picture = data.name(self.lines).display().to_string();
            let label = data.label(self.lines).map_or(String::new(), |l| l.to_string());
            let answer = images::ranked(logits)[0].to_string();
            let logits = logits.iter().map(f64::to_string);
            self.put([picture, label, answer].into_iter().chain(logits))?;
            self.lines += 1;
        }
        Ok(())
    }

    fn put(&mut self, cells: impl Iterator<Item = String>) -> Result<()> {
        let failed = |e: csv::Error| Error::bad_file(self.path, e.to_string());
        self.table.write_record(cells.collect::<Vec<_>>()).map_err(failed)
    }

    /// Writes the file.
    pub fn save(self) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| Error::bad_file(self.path, e.to_string());
        let bytes = self.table.into_inner().map_err(|e| failed(&e.error()))?;
        output::write(self.path, &bytes)
    }
}
