//! Numbers of options: what they may be.

use clap::builder::{RangedU64ValueParser, TypedValueParser};
use std::ops::RangeInclusive;
use std::str::FromStr;
use vgg2rtl::arith::WIDTHS;

/// Most images of a run.
pub const MOST_BATCH: usize = 1 << 12;
/// Most cycles from an address to its first word.
pub const LONGEST_LATENCY: u64 = 1_000_000;

/// A number of something, within `range`.
pub fn count(range: RangeInclusive<usize>) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::new().range(*range.start() as u64..=*range.end() as u64)
}

/// A small number, within `range`.
pub fn small(range: RangeInclusive<usize>) -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(*range.start() as i64..=*range.end() as i64)
}

/// Images of a run.
pub fn batch() -> impl TypedValueParser<Value = usize> {
    count(1..=MOST_BATCH)
}

/// Cycles from an address to its first word.
pub fn latency() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(..=LONGEST_LATENCY)
}

/// Bits of weights or activations.
pub fn width() -> impl TypedValueParser<Value = u32> {
    small(*WIDTHS.start() as usize..=*WIDTHS.end() as usize)
}

/// A real number that `holds`, and is `what` in words.
pub fn real<T: FromStr + Copy + Into<f64>>(
    what: &'static str,
    holds: fn(f64) -> bool,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| match text.trim().parse::<T>() {
        Ok(number) if number.into().is_finite() && holds(number.into()) => Ok(number),
        _ => Err(format!("needs {what}")),
    }
}

/// A factor above 0 and up to 4, as in 1/8.
pub fn fraction(text: &str) -> Result<f64, String> {
    let number = |t: &str| t.trim().parse::<f64>().map_err(|e| format!("{t:?}: {e}"));
    match text.split_once('/') {
        Some((over, under)) => Ok(number(over)? / number(under)?),
        None => number(text),
    }
    .and_then(|width| match width > 0.0 && width <= 4.0 {
        true => Ok(width),
        false => Err(format!("{width} is not above 0 and up to 4")),
    })
}
