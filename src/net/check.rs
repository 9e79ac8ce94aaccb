//! Whether a network's description makes sense: what every reader of a file asks before it computes sizes.

use super::{Colour, Fit, Header, Op, Preprocessing, Shape, shapes};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// Longest side of a picture and of a network's input, and most channels of one.
pub const LONGEST: usize = 1 << 14;
/// Most elements of a feature map.
pub const MOST_ELEMENTS: usize = 1 << 29;
/// Longest name of a layer; names for people may be four times as long.
const LONGEST_NAME: usize = 64;
/// Regions of the memory image that belong to no layer, and what stands behind a layer's name in those that do.
const REGIONS: [&str; 2] = ["program", "input"];
const PARTS: [&str; 2] = [".weights", ".params"];

/// Whether the layers, name and operation, are a chain that every stage can run on `input`: convolutions, then dense
/// layers, no map empty or beyond [`MOST_ELEMENTS`], and 1×1 maps in the end, the logits.
pub fn check_chain<'a>(input: Shape, layers: impl Iterator<Item = (&'a str, Op)> + Clone) -> Result<()> {
    let Some((last, end)) = layers.clone().last() else {
        return Err(Error::bad_layer("-", "the network has no layers"));
    };
    let maps = shapes(input, layers.clone().map(|l| l.1));
    let mut dense = false;
    for ((name, op), map) in layers.zip(maps.windows(2)) {
        let is_dense = matches!(op, Op::Dense { .. });
        if dense && !is_dense {
            return Err(Error::bad_layer(name, "a convolution after a dense layer"));
        }
        dense = is_dense;
        if map[0].is_empty() || map[1].is_empty() {
            let reason = format!("its feature map {} → {} is empty; the input is too small", map[0], map[1]);
            return Err(Error::bad_layer(name, reason));
        }
        let sums = if is_dense { map[1] } else { Shape { c: op.co(), ..map[0] } }; // before the pool
        if map[0].elements().max(sums.elements()) > MOST_ELEMENTS as u128 {
            let reason = format!("a feature map of {} or {sums} exceeds {MOST_ELEMENTS} elements", map[0]);
            return Err(Error::bad_layer(name, reason));
        }
    }
    let out = maps[maps.len() - 1];
    match end {
        Op::Conv { pool: true, .. } => {
            Err(Error::bad_layer(last, "its sums are the logits, no pool can follow"))
        }
        Op::Conv { .. } if (out.h, out.w) != (1, 1) => {
            let reason = format!(
                "the network ends in maps of {out}, logits are 1×1: it needs a dense layer in the end"
            );
            Err(Error::bad_layer(last, reason))
        }
        _ => Ok(()),
    }
}

/// Whether `name` may be a layer's: it stands in programs, tables, pages, command lines and names of regions.
fn check_layer_name(name: &str) -> std::result::Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let bad = |reason: &str| Err(format!("a layer has the name {name:?}: {reason}"));
    if name.is_empty() || name.len() > LONGEST_NAME {
        return bad(&format!("1 … {LONGEST_NAME} characters are needed"));
    }
    if !name.chars().all(plain) {
        return bad("only letters, digits and _ - . are possible");
    }
    if REGIONS.contains(&name) || PARTS.iter().any(|part| name.ends_with(part)) {
        return bad("it is kept for a region of the memory image");
    }
    Ok(())
}

/// Whether `text` may be a name for people.
fn check_text(what: &str, text: &str) -> std::result::Result<(), String> {
    match text.chars().any(char::is_control) || text.len() > 4 * LONGEST_NAME {
        true => Err(format!("{what} {text:?} has control characters or over {} bytes", 4 * LONGEST_NAME)),
        false => Ok(()),
    }
}

impl Shape {
    /// Whether an input may have this shape: no extent is 0 or above [`LONGEST`].
    pub fn is_sensible(self) -> bool {
        [self.c, self.h, self.w].iter().all(|extent| (1..=LONGEST).contains(extent))
    }

    /// As [`Shape::len`], whatever the extents are.
    fn elements(self) -> u128 {
        [self.h, self.w]
            .iter()
            .fold(self.c as u128, |product, &extent| product.saturating_mul(extent as u128))
    }
}

impl Header {
    /// Whether the header fits a network of layers `names` whose last one has `outputs`; else why not.
    pub fn check<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        outputs: usize,
    ) -> std::result::Result<(), String> {
        if !self.input.is_sensible() {
            return Err(format!("an input of {} makes no sense", self.input));
        }
        if outputs > 0 && ![0, outputs].contains(&self.classes.len()) {
            return Err(format!("{} names of classes for {outputs} outputs", self.classes.len()));
        }
        check_text("the name", &self.name)?;
        self.classes.iter().try_for_each(|class| check_text("the class", class))?;
        let mut seen = BTreeSet::new();
        for name in names {
            check_layer_name(name)?;
            if !seen.insert(name) {
                return Err(format!("two layers have the name {name:?}"));
            }
        }
        Ok(())
    }

    /// As [`Header::check`], and whether pictures can become the input.
    pub fn check_with_pictures<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        outputs: usize,
    ) -> std::result::Result<(), String> {
        self.check(names, outputs)?;
        self.preprocessing.check(self.input).map_err(|reason| format!("preprocessing: {reason}"))
    }
}

impl Preprocessing {
    /// Whether it makes an input of shape `input`; else why not.
    pub fn check(&self, input: Shape) -> std::result::Result<(), String> {
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
