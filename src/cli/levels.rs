//! How levels of codes are written on the command line.

use vgg2rtl::arith::{Levels, WIDTHS};
use vgg2rtl::quantize::{Exception, check_levels};
use vgg2rtl::{Error, Result};

/// `NAME=W` or `NAME=W:A`.
pub fn exception(text: &str) -> Result<Exception> {
    let form = || Error::usage("--layer", format!("{text:?} is not of the form NAME=W or NAME=W:A"));
    let (layer, widths) = text.split_once('=').ok_or_else(form)?;
    let (weights, output) = match widths.split_once(':') {
        None => (widths, None),
        Some((weights, output)) => (weights, Some(output)),
    };
    Ok(Exception {
        layer: layer.into(),
        weights: levels("--layer", weights, Levels::signed)?,
        output: output.map(|text| levels("--layer", text, Levels::unsigned)).transpose()?,
    })
}

/// Levels from bits (`8`, as `of_bits` makes them) or a range of codes (`-7..7`, or `-7,7`).
pub fn levels(option: &str, text: &str, of_bits: fn(u32) -> Levels) -> Result<Levels> {
    if let Some((a, b)) = text.split_once("..").or(text.split_once(',')) {
        let number = |s: &str| s.parse::<i32>().ok();
        if let (Some(a), Some(b)) = (number(a), number(b)) {
            let levels = Levels { a, b };
            return check_levels(option, levels, option == "--acts").map(|()| levels);
        }
    } else if let Some(bits) = text.parse().ok().filter(|bits| WIDTHS.contains(bits)) {
        return Ok(of_bits(bits));
    }
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    Err(Error::usage(option, format!("{text:?} is neither {least} to {most} bits nor codes A..B")))
}

/// Bits of --ends.
pub fn ends(bits: u32) -> Result<u32> {
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    match WIDTHS.contains(&bits) {
        true => Ok(bits),
        false => Err(Error::usage("--ends", format!("{bits} bits where {least} … {most} are possible"))),
    }
}
