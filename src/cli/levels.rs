//! Levels of codes on the command line.

use vgg2rtl::arith::{Levels, WIDTHS};
use vgg2rtl::float::FloatModel;
use vgg2rtl::quantize::{Exception, check_exceptions, parse_levels};
use vgg2rtl::{Error, Result};

/// Layers with levels of their own.
#[derive(clap::Args, Clone, Debug)]
pub struct Exceptions {
    /// Exception for one layer: levels of its weights and of its output; may be repeated.
    #[arg(long = "layer", value_name = "NAME=W[:A]")]
    layers: Vec<String>,
    /// Exceptions for many layers: as of --layer with commas between, or a file of them, one a line.
    #[arg(long, value_name = "NAME=W[:A],…|FILE")]
    assign: Option<String>,
}

impl Exceptions {
    /// All of them.
    pub fn all(&self) -> Result<Vec<Exception>> {
        Ok([self.of_layers()?, self.assigned()?].concat())
    }

    /// Refuses layers that `model` does not have, by the option that names them.
    pub fn check(&self, model: &FloatModel) -> Result<()> {
        check_exceptions("--layer", &self.of_layers()?, model)?;
        check_exceptions("--assign", &self.assigned()?, model)
    }

    fn of_layers(&self) -> Result<Vec<Exception>> {
        self.layers.iter().map(|text| Exception::parse("--layer", text)).collect()
    }

    fn assigned(&self) -> Result<Vec<Exception>> {
        self.assign.as_deref().map_or(Ok(vec![]), Exception::parse_all)
    }
}

/// Levels of weights.
pub fn weights(option: &str, text: &str) -> Result<Levels> {
    parse_levels(option, text, Levels::signed, false)
}

/// Levels of activations.
pub fn acts(option: &str, text: &str) -> Result<Levels> {
    parse_levels(option, text, Levels::unsigned, true)
}

/// Bits of --ends.
pub fn ends(bits: u32) -> Result<u32> {
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    match WIDTHS.contains(&bits) {
        true => Ok(bits),
        false => Err(Error::usage("--ends", format!("{bits} bits where {least} … {most} are possible"))),
    }
}
