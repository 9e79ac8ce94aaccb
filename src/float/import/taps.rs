//! Names under which a network's source knows the values at its points.

use crate::float::Point;

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Tap {
    /// Module of a state dict, or value of an ONNX graph.
    pub name: String,
    /// Layer and point; `None` for a value that the imported network does not have, such as sums before batch norm.
    pub at: Option<(usize, Point)>,
}

/// All names of a network, in order of execution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taps(pub Vec<Tap>);

impl Taps {
    /// `name` is the value at `point` of layer `layer`.
    pub fn add(&mut self, name: &str, layer: usize, point: Point) {
        self.0.push(Tap { name: name.into(), at: Some((layer, point)) });
    }

    /// `name` is a value that the network does not have.
    pub fn skip(&mut self, name: &str) {
        self.0.push(Tap { name: name.into(), at: None });
    }

    /// As [`Taps::add`], and the names that the point had so far are values from before.
    pub fn replace(&mut self, name: &str, layer: usize, point: Point) {
        self.0.iter_mut().filter(|t| t.at == Some((layer, point))).for_each(|t| t.at = None);
        self.add(name, layer, point);
    }

    /// What is known of `name`.
    pub fn find(&self, name: &str) -> Option<&Tap> {
        self.0.iter().find(|t| t.name == name)
    }
}
