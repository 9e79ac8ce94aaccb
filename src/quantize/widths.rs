//! Which levels each layer gets: a default, wider ends, and exceptions by name.

use super::exceptions::{Exception, check_exceptions, check_levels};
use crate::Result;
use crate::arith::Levels;
use crate::float::FloatModel;

/// Bits of the ends unless the user says otherwise.
pub const DEFAULT_ENDS: u32 = 8;

/// Levels of a network's weights and activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Widths {
    /// Weights of all layers not named otherwise.
    pub weights: Levels,
    /// Outputs of all layers not named otherwise.
    pub acts: Levels,
    /// Least bits of the image, of the weights of the first and the last layer, and of what the last layer reads.
    pub ends: u32,
    /// Exceptions; they win over `ends`.
    pub layers: Vec<Exception>,
}

/// Levels of one layer, all rules applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerLevels {
    /// Weights.
    pub weights: Levels,
    /// Output; unused in the last layer.
    pub output: Levels,
}

impl Widths {
    /// Two's complement weights of `weights` bits, unsigned activations of `acts` bits, at least 8 bits at the ends.
    pub fn bits(weights: u32, acts: u32) -> Self {
        Self {
            weights: Levels::signed(weights),
            acts: Levels::unsigned(acts),
            ends: DEFAULT_ENDS,
            layers: vec![],
        }
    }

    /// The image's levels, given whether any calibration pixel is negative.
    pub fn input(&self, signed: bool) -> Levels {
        let bits = self.acts.bits().max(self.ends);
        if signed { Levels::signed(bits) } else { Levels::unsigned(bits) }
    }

    /// Which parts of `model` need more bits than the widths of all layers say, and how many: `W4A4, ends 8: 8-bit weights
    /// because of conv1_1`. `None` where none does.
    ///
    /// # Errors
    /// Those of [`Widths::resolve`].
    pub fn wider_parts(&self, model: &FloatModel) -> Result<Option<String>> {
        let levels = self.resolve(model)?;
        let weights =
            levels.iter().zip(&model.layers).map(|(l, layer)| (l.weights.bits(), layer.name.clone()));
        let outputs = levels.iter().zip(&model.layers).take(levels.len() - 1); // the last layer's are logits
        let outputs = outputs.map(|(l, layer)| (l.output.bits(), format!("{}'s output", layer.name)));
        let image = (self.input(false).bits(), "the image".to_string());
        // The first of the widest, where it is wider than `bits`.
        let widest = |parts: &mut dyn Iterator<Item = (u32, String)>, bits: u32, what: &str| {
            let first =
                parts.fold((bits, None), |most, (n, name)| if n > most.0 { (n, Some(name)) } else { most });
            first.1.map(|name| format!("{}-bit {what} because of {name}", first.0))
        };
        let (w, a) = (self.weights.bits(), self.acts.bits());
        let reasons = [
            widest(&mut weights.into_iter(), w, "weights"),
            widest(&mut std::iter::once(image).chain(outputs), a, "activations"),
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        let text = || format!("W{w}A{a}, ends {}: {}", self.ends, reasons.join(" and "));
        Ok((!reasons.is_empty()).then(text))
    }

    /// Levels of each layer of `model`.
    ///
    /// # Errors
    /// An exception for a layer that does not exist, naming those that do; levels that make no sense.
    pub fn resolve(&self, model: &FloatModel) -> Result<Vec<LayerLevels>> {
        check_levels("--weights", self.weights, false)?;
        check_levels("--acts", self.acts, true)?;
        let last = model.layers.len() - 1;
        let default = |i: usize| LayerLevels {
            weights: if i == 0 || i == last { at_least(self.weights, self.ends) } else { self.weights },
            output: if i + 1 == last { at_least(self.acts, self.ends) } else { self.acts },
        };
        let mut levels: Vec<_> = (0..=last).map(default).collect();
        check_exceptions("--layer", &self.layers, model)?;
        for exception in &self.layers {
            let place = model.layers.iter().position(|l| l.name == exception.layer).expect("checked");
            levels[place].weights = exception.weights;
            if let Some(output) = exception.output {
                levels[place].output = output;
            }
        }
        Ok(levels)
    }
}

/// `levels` if they have `bits` bits, else all levels of `bits` bits of the same sign; of signed ones as many, on both sides
/// of 0, as balanced digits of the width of `levels` hold: ±119 for 8 bits in two digits of 4.
fn at_least(levels: Levels, bits: u32) -> Levels {
    match levels.bits() >= bits {
        true => levels,
        false if levels.is_signed() => {
            let (all, width) = (Levels::signed(bits), levels.bits());
            let held = Levels::balanced(width, bits.div_ceil(width));
            if all.is_within(held) { all } else { Levels { a: -held.b, b: held.b } }
        }
        false => Levels::unsigned(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::tests::chain;

    #[test]
    fn ends_are_wide_and_exceptions_win() {
        let model = chain(&[2, 2, 2, 2]);
        let mut widths = Widths::bits(4, 3);
        let exception = Exception { layer: "fc4".into(), weights: Levels::narrow(2), output: None };
        widths.layers.push(exception);
        let levels = widths.resolve(&model).unwrap();
        assert_eq!(levels.iter().map(|l| l.weights.bits()).collect::<Vec<_>>(), [8, 4, 4, 2]);
        assert_eq!(levels.iter().map(|l| l.output.bits()).collect::<Vec<_>>(), [3, 3, 8, 3]);
        // Two digits of 4 bits end at 119, three of 3 bits hold what 8 bits do.
        assert_eq!(levels[0].weights, Levels { a: -119, b: 119 });
        assert_eq!(at_least(Levels::signed(3), 8), Levels::signed(8));
        assert_eq!(at_least(Levels::signed(2), 8), Levels { a: -85, b: 85 });
        assert_eq!((widths.input(true), widths.input(false)), (Levels::signed(8), Levels::unsigned(8)));
        widths.ends = 2;
        assert_eq!(widths.resolve(&model).unwrap()[0].weights, Levels::signed(4));
    }

    #[test]
    fn wider_parts_are_named() {
        let model = chain(&[2, 2, 2]);
        let said = |widths: &Widths| widths.wider_parts(&model).unwrap();
        let want = "W4A6, ends 8: 8-bit weights because of fc1 and 8-bit activations because of the image";
        assert_eq!(said(&Widths::bits(4, 6)).as_deref(), Some(want));
        assert_eq!(said(&Widths::bits(8, 8)), None);
        assert_eq!(said(&Widths { ends: 2, ..Widths::bits(4, 6) }), None);
    }

    #[test]
    fn levels_that_make_no_sense_name_the_option() {
        let model = chain(&[2, 2]);
        let refused = |change: fn(&mut Widths), want: &str| {
            let mut widths = Widths::bits(8, 8);
            change(&mut widths);
            let error = widths.resolve(&model).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.exit_code()), (want, 2));
        };
        refused(
            |w| w.weights = Levels { a: 1, b: 3 },
            "--weights: levels 1..3, a ≤ 0 ≤ b and a < b are needed",
        );
        refused(
            |w| w.weights = Levels { a: -1, b: 70000 },
            "--weights: levels -1..70000 need 18 bits, at most 16",
        );
        refused(
            |w| w.acts = Levels::signed(8),
            "--acts: levels -128..127, activations after a ReLU start at 0",
        );
        let stranger = || Exception { layer: "conv9".into(), weights: Levels::signed(8), output: None };
        let mut widths = Widths::bits(8, 8);
        widths.layers.push(stranger());
        let error = widths.resolve(&model).unwrap_err().to_string();
        assert_eq!(error, "--layer: no layer \"conv9\"; the model has fc1, fc2");
    }
}
