//! What labels mean: names in files, outputs of a network.

use super::labels;
use super::set::{DataSet, Pictures, listed};
use crate::net::Header;
use crate::{Error, Result};
use std::path::Path;

impl DataSet {
    /// Takes labels from `file`, in which a line is `PICTURE,LABEL` or, for a set with class names, `CLASS,OUTPUT`; a label or
    /// output is a number from 0, or one of the `names` of the network's outputs.
    ///
    /// # Errors
    /// A picture or a class without a line, and names that are not among `names`.
    pub fn relabel(&mut self, file: &Path, names: &[String]) -> Result<()> {
        let lines = labels::read(file)?;
        let output = |label: &String| {
            let found = labels::number(label).or_else(|| names.iter().position(|n| n == label));
            found.ok_or_else(|| Error::bad_file(file, format!("{label:?} is no number and no output's name")))
        };
        let line = |class: &String| lines.iter().find(|(key, _)| key == class);
        if self.classes.iter().any(|class| line(class).is_some()) {
            let to = |class: &String| match line(class) {
                Some((_, label)) => output(label),
                None => Err(Error::bad_file(file, format!("has no line for class {class:?}"))),
            };
            let to = self.classes.iter().map(to).collect::<Result<Vec<_>>>()?;
            self.labels.iter_mut().for_each(|l| *l = to[*l]);
        } else {
            let Pictures::Files(files) = &*self.pictures else {
                return Err(Error::bad_file(file, format!("names no class of {}", self.path.display())));
            };
            let pictures = self.places.iter().map(|&i| files[i].clone()).collect();
            let labelled = labels::of_pictures(file, &lines, pictures)?;
            self.labels = labelled.iter().map(|(_, label)| output(label)).collect::<Result<_>>()?;
        }
        self.classes = names.to_vec();
        Ok(())
    }

    /// Makes the labels mean the outputs of the network of `header`: by class names where both have some. Where the network
    /// has none, as many names as outputs are taken to be in their order, and a note says so.
    ///
    /// # Errors
    /// Names that the network does not have or has twice, more or fewer classes than outputs where only their order could
    /// tell, labels that are no outputs, and a network of one output, which is right whatever it says.
    pub fn align(&mut self, header: &Header, outputs: usize) -> Result<()> {
        if !self.is_labelled() {
            return Ok(());
        }
        if outputs < 2 {
            return Err(self.bad(format!("labels mean nothing to a network of {outputs} outputs")));
        }
        match (self.classes.is_empty(), header.classes.is_empty()) {
            (false, false) if self.classes != header.classes => self.rename(&header.classes)?,
            (false, true) if self.classes.len() != outputs => {
                let (classes, names) = (self.classes.len(), listed(&self.classes));
                return Err(self.bad(format!(
                    "{classes} classes ({names}) for a network of {outputs} outputs without names: \
                     say with --labels FILE which output each is, a line each: CLASS,OUTPUT"
                )));
            }
            (false, true) => self.notes.push(format!(
                "the network has no class names: its outputs are taken for {} in this order",
                listed(&self.classes)
            )),
            _ => {}
        }
        match self.labels.iter().position(|&l| l >= outputs) {
            None => Ok(()),
            Some(i) => {
                let label = self.labels[i];
                let reason =
                    format!("label {label} of picture {i} is not below the network's {outputs} outputs");
                Err(self.bad(reason))
            }
        }
    }

    /// Changes labels to the places of their classes' names among `names`.
    fn rename(&mut self, names: &[String]) -> Result<()> {
        let place = |name: &String| {
            let mut found = names.iter().enumerate().filter(|(_, n)| *n == name).map(|(i, _)| i);
            match (found.next(), found.next()) {
                (Some(place), None) => Ok(place),
                (None, _) => {
                    Err(self.bad(format!("the network knows no class {name:?}, only {}", listed(names))))
                }
                (Some(one), Some(other)) => {
                    Err(self
                        .bad(format!("outputs {one} and {other} of the network both have the name {name:?}")))
                }
            }
        };
        let to = self.classes.iter().map(place).collect::<Result<Vec<_>>>()?;
        self.labels.iter_mut().for_each(|l| *l = to[*l]);
        self.classes = names.to_vec();
        Ok(())
    }
}
