//! Whether a network's description makes sense: what every reader of a file asks before it computes sizes.

use super::{Colour, Fit, Header, Preprocessing, Shape};

/// Longest side of a picture and of a network's input, and most channels of one.
pub const LONGEST: usize = 1 << 14;

impl Shape {
    /// Whether an input may have this shape: no extent is 0 or above [`LONGEST`].
    pub fn is_sensible(self) -> bool {
        [self.c, self.h, self.w].iter().all(|extent| (1..=LONGEST).contains(extent))
    }
}

impl Header {
    /// Whether the header fits a network of layers `names` whose last one has `outputs`; else why not.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>, outputs: usize) -> Result<(), String> {
        if !self.input.is_sensible() {
            return Err(format!("an input of {} makes no sense", self.input));
        }
        self.preprocessing.check(self.input).map_err(|reason| format!("preprocessing: {reason}"))?;
        if outputs > 0 && ![0, outputs].contains(&self.classes.len()) {
            return Err(format!("{} names of classes for {outputs} outputs", self.classes.len()));
        }
        let mut seen = std::collections::BTreeSet::new();
        match names.into_iter().find(|name| !seen.insert(*name)) {
            Some(name) => Err(format!("two layers have the name {name:?}")),
            None => Ok(()),
        }
    }
}

impl Preprocessing {
    /// Whether it makes an input of shape `input`; else why not.
    pub fn check(&self, input: Shape) -> Result<(), String> {
        let channels = if self.colour == Colour::Grey { 1 } else { 3 };
        let counts = (input.c, self.mean.len(), self.std.len());
        if counts != (channels, channels, channels) {
            let colour = format!("{:?}", self.colour).to_lowercase();
            return Err(format!("{colour} makes {channels} channels; input, mean, std have {counts:?}"));
        }
        let finite = self.mean.iter().chain(&self.std).chain([&self.scale]).all(|v| v.is_finite());
        if !finite || self.std.contains(&0.0) {
            return Err(format!(
                "scale {}, mean {:?}, std {:?} make no sense",
                self.scale, self.mean, self.std
            ));
        }
        match self.fit {
            Fit::Crop { shorter, .. } if !(1..=LONGEST).contains(&shorter) => {
                Err(format!("a shorter side of {shorter} pixels makes no sense"))
            }
            _ => Ok(()),
        }
    }
}
