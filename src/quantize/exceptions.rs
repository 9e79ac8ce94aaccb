//! Levels of single layers, as they are written in options and in files: `conv1_1=8`, `conv3_2=-7..7:4`.

use crate::arith::{Levels, WIDTHS};
use crate::float::FloatModel;
use crate::{Error, Result, store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// The option that names a whole assignment.
const ASSIGN: &str = "--assign";

/// Levels of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exception {
    /// Name of the layer.
    pub layer: String,
    /// Its weights.
    pub weights: Levels,
    /// Its output; `None` leaves the default.
    #[serde(default)]
    pub output: Option<Levels>,
}

impl Exception {
    /// Two's complement weights of `bits` bits.
    pub fn of_bits(layer: &str, bits: u32) -> Self {
        Self { layer: layer.into(), weights: Levels::signed(bits), output: None }
    }

    /// Of the form `NAME=W` or `NAME=W:A`.
    ///
    /// # Errors
    /// A usage error of `option` for anything else.
    pub fn parse(option: &str, text: &str) -> Result<Self> {
        one(text).map_err(|reason| Error::usage(option, reason))
    }

    /// All of `NAME=W[:A],…`, or of the file that `text` names: one a line or several with commas between, `#` before remarks.
    ///
    /// # Errors
    /// A usage error of --assign, or of the file with its line.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        let path = Path::new(text);
        if !path.is_file() {
            if !text.contains('=') {
                let reason = format!("{text:?} is neither NAME=W or NAME=W:A,… nor a file of it");
                return Err(Error::usage(ASSIGN, reason));
            }
            let all = text.split(',').map(one).collect::<Read<_>>().and_then(distinct);
            return all.map_err(|reason| Error::usage(ASSIGN, reason));
        }
        let mut all = vec![];
        for (i, line) in store::read_text(path)?.lines().enumerate() {
            let said = line.split('#').next().unwrap_or_default().split(',');
            for part in said.map(str::trim).filter(|part| !part.is_empty()) {
                all.push(
                    one(part).map_err(|reason| Error::bad_file(path, format!("line {}: {reason}", i + 1)))?,
                );
            }
        }
        match all.is_empty() {
            true => {
                Err(Error::bad_file(path, "names no layer; lines of the form NAME=W or NAME=W:A are needed"))
            }
            false => distinct(all).map_err(|reason| Error::bad_file(path, reason)),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = |levels: Levels, of_bits: fn(u32) -> Levels| match levels == of_bits(levels.bits()) {
            true => levels.bits().to_string(),
            false => format!("{}..{}", levels.a, levels.b),
        };
        write!(f, "{}={}", self.layer, text(self.weights, Levels::signed))?;
        self.output.map_or(Ok(()), |output| write!(f, ":{}", text(output, Levels::unsigned)))
    }
}

/// Levels from bits (`8`, as `of_bits` makes them) or a range of codes (`-7..7`); those of `activations` start at 0.
///
/// # Errors
/// A usage error of `option` for anything else.
pub fn parse_levels(
    option: &str,
    text: &str,
    of_bits: fn(u32) -> Levels,
    activations: bool,
) -> Result<Levels> {
    levels(text, of_bits, activations).map_err(|reason| Error::usage(option, reason))
}

/// Refuses levels outside the contract with the option's name.
pub fn check_levels(option: &str, levels: Levels, activations: bool) -> Result<()> {
    fault(levels, activations).map_or(Ok(()), |reason| Err(Error::usage(option, reason)))
}

/// Refuses exceptions that `model` cannot have: of no layer, twice of one, or of levels that make no sense.
pub fn check_exceptions(option: &str, exceptions: &[Exception], model: &FloatModel) -> Result<()> {
    let mut seen = BTreeSet::new();
    for exception in exceptions {
        check_levels(option, exception.weights, false)?;
        exception.output.map_or(Ok(()), |output| check_levels(option, output, true))?;
        let name = &exception.layer;
        if !model.layers.iter().any(|l| l.name == *name) {
            let known: Vec<&str> = model.layers.iter().map(|l| l.name.as_str()).collect();
            let reason = format!("no layer {name:?}; the model has {}", known.join(", "));
            return Err(Error::usage(option, reason));
        }
        if !seen.insert(name) {
            return Err(Error::usage(option, format!("{name:?} is there twice")));
        }
    }
    Ok(())
}

/// What is read, or why it is not.
type Read<T> = std::result::Result<T, String>;

fn one(text: &str) -> Read<Exception> {
    let form = || format!("{text:?} is not of the form NAME=W or NAME=W:A");
    let (layer, widths) = text.split_once('=').ok_or_else(form)?;
    let (weights, output) = match widths.split_once(':') {
        None => (widths, None),
        Some((weights, output)) => (weights, Some(output)),
    };
    Ok(Exception {
        layer: layer.trim().into(),
        weights: levels(weights, Levels::signed, false)?,
        output: output.map(|text| levels(text, Levels::unsigned, true)).transpose()?,
    })
}

fn levels(text: &str, of_bits: fn(u32) -> Levels, activations: bool) -> Read<Levels> {
    let text = text.trim();
    if let Some((a, b)) = text.split_once("..").or(text.split_once(',')) {
        let number = |s: &str| s.trim().parse::<i32>().ok();
        if let (Some(a), Some(b)) = (number(a), number(b)) {
            let levels = Levels { a, b };
            return fault(levels, activations).map_or(Ok(levels), Err);
        }
    } else if let Some(bits) = text.parse().ok().filter(|bits| WIDTHS.contains(bits)) {
        return Ok(of_bits(bits));
    }
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    Err(format!("{text:?} is neither {least} to {most} bits nor codes A..B"))
}

/// Why levels are outside the contract.
fn fault(levels: Levels, activations: bool) -> Option<String> {
    let Levels { a, b } = levels;
    if !levels.is_valid() {
        return Some(format!("levels {a}..{b}, a ≤ 0 ≤ b and a < b are needed"));
    }
    if levels.bits() > *WIDTHS.end() {
        return Some(format!("levels {a}..{b} need {} bits, at most {}", levels.bits(), WIDTHS.end()));
    }
    (activations && a != 0).then(|| format!("levels {a}..{b}, activations after a ReLU start at 0"))
}

fn distinct(exceptions: Vec<Exception>) -> Read<Vec<Exception>> {
    let mut seen = BTreeSet::new();
    match exceptions.iter().find(|e| !seen.insert(&e.layer)) {
        Some(twice) => Err(format!("names {:?} twice", twice.layer)),
        None => Ok(exceptions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_in_options_and_files() {
        let want = [
            Exception::of_bits("conv1_1", 8),
            Exception {
                layer: "fc8".into(),
                weights: Levels { a: -7, b: 7 },
                output: Some(Levels { a: 0, b: 15 }),
            },
        ];
        assert_eq!(Exception::parse_all("conv1_1=8, fc8=-7..7:4").unwrap(), want);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bits");
        std::fs::write(&path, "# of the first hour\nconv1_1=8\n\nfc8=-7..7:4 # narrow\n").unwrap();
        assert_eq!(Exception::parse_all(path.to_str().unwrap()).unwrap(), want);
        let text: Vec<String> = want.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["conv1_1=8", "fc8=-7..7:4"]);
    }

    #[test]
    fn what_is_refused_names_option_or_file_and_line() {
        for bad in ["", "conv1_1", "conv1_1=x", "a=8;b=4", "a=8,a=4", "a=1", "a=4:-1..3", "none.txt"] {
            let error = Exception::parse_all(bad).unwrap_err();
            assert!(error.to_string().starts_with("--assign: ") && error.exit_code() == 2, "{bad}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bits");
        for (text, want) in [
            ("a=8\nb=17\n", "line 2: \"17\" is neither 2 to 16 bits nor codes A..B"),
            ("a=8\na=4\n", "names \"a\" twice"),
            ("# nothing\n", "names no layer"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Exception::parse_all(path.to_str().unwrap()).unwrap_err();
            assert!(error.to_string().contains(want) && error.exit_code() == 5, "{text}: {error}");
        }
    }
}
