//! The integer network: plain data, with its file format.

use crate::arith::{self, Levels, Multiplier, Quantizer, Step};
use crate::net::{Header, Op, Shape, check_chain, shapes};
use crate::store::{self, Tensor};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FORMAT: &str = "vgg2rtl-int";
/// Most bits of an accumulator.
const ACCUMULATOR_BITS: u32 = 48;

/// What becomes of a layer's accumulators.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// `clip(rne(acc · m / 2^s), a, b)`, then the layer's pool; `a = 0` is the ReLU.
    Requantized {
        /// Step and levels of the output codes.
        quantizer: Quantizer,
        /// One, or one an output channel.
        by: Vec<Multiplier>,
    },
    /// The accumulators themselves, with bias: the logits. Only and always the last layer.
    Logits,
}

/// One layer of integers.
#[derive(Clone, Debug, PartialEq)]
pub struct IntLayer {
    /// Name, as in the float model.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Codes, row-major `(co, ci, 3, 3)` or `(co, inputs)`; dense inputs in channel, row, column order.
    pub weight: Vec<i16>,
    /// Range of the weights' codes.
    pub weight_levels: Levels,
    /// One, or one an output channel.
    pub weight_steps: Vec<Step>,
    /// One an output channel, in units of `weight step · input step`.
    pub bias: Vec<i64>,
    /// Requantization, or logits.
    pub output: Output,
}

/// A network in integers. Plain data: everything that the golden model, the hardware and the tests compute
/// follows from it and the input codes.
#[derive(Clone, Debug, PartialEq)]
pub struct IntModel {
    /// Name, input, preprocessing, classes.
    pub header: Header,
    /// From the preprocessed image to the input codes.
    pub input: Quantizer,
    /// At least one.
    pub layers: Vec<IntLayer>,
}

impl IntLayer {
    /// The multiplier of output channel `c`, unless the layer yields logits.
    pub fn multiplier(&self, c: usize) -> Option<Multiplier> {
        match &self.output {
            Output::Requantized { by, .. } => Some(by[if by.len() == 1 { 0 } else { c }]),
            Output::Logits => None,
        }
    }

    /// The greatest magnitude that any accumulator of the layer can reach for input codes in `x`:
    /// max over channels of Σ|w|·max|x| + |bias|.
    pub fn accumulator_bound(&self, x: Levels) -> u64 {
        let per_channel = self.weight.len() / self.op.co();
        let sum = |w: &[i16]| w.iter().map(|w| w.unsigned_abs() as u64).sum::<u64>();
        let bounds = self.weight.chunks_exact(per_channel).zip(&self.bias);
        bounds.map(|(w, b)| sum(w) * x.magnitude() as u64 + b.unsigned_abs()).max().unwrap_or(0)
    }
}

impl IntModel {
    /// Whether a model file says that it holds an integer model.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn is_in(path: &Path) -> Result<bool> {
        let description = store::File::open(path)?.description()?;
        Ok(description.as_ref().and_then(|d| d["format"].as_str()) == Some(FORMAT))
    }

    /// Number of logits an image.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |l| l.op.co())
    }

    /// Input shape of each layer, then the output's.
    pub fn shapes(&self) -> Vec<Shape> {
        shapes(self.header.input, self.layers.iter().map(|l| l.op))
    }

    /// Quantizer of each layer's input.
    pub fn input_quantizers(&self) -> Vec<Quantizer> {
        let outputs = self.layers.iter().filter_map(|l| match &l.output {
            Output::Requantized { quantizer, .. } => Some(*quantizer),
            Output::Logits => None,
        });
        std::iter::once(self.input).chain(outputs).collect()
    }

    /// The step of the logits: what 1 of them is in the float network's unit.
    pub fn logit_step(&self) -> Step {
        let (last, read) = (self.layers.last(), self.input_quantizers().pop());
        let step = last.zip(read).and_then(|(layer, read)| arith::sum_step(layer.weight_steps[0], read.step));
        step.expect("validated models have a layer, and sums with a step")
    }

    /// Two's complement bits that each layer's accumulator needs, proven from its integers.
    pub fn accumulator_bits(&self) -> Vec<u32> {
        let bound = |(l, x): (&IntLayer, Quantizer)| l.accumulator_bound(x.levels);
        self.layers.iter().zip(self.input_quantizers()).map(bound).map(arith::accumulator_bits).collect()
    }

    /// Multiply-accumulate operations for one image.
    pub fn macs(&self) -> u64 {
        self.layers.iter().zip(self.shapes()).map(|(l, x)| l.op.macs(x)).sum()
    }

    /// Checks what export, the golden model, the schedule and the hardware rely on; `docs/model-format.md` lists it.
    pub fn validate(&self) -> Result<()> {
        let names = self.layers.iter().map(|l| &l.name[..]);
        check_chain(self.header.input, names.clone().zip(self.layers.iter().map(|l| l.op)))?;
        let outputs = self.outputs();
        self.header.check(names, outputs).map_err(|reason| Error::bad_layer("-", reason))?;
        if !self.input.levels.is_valid() || self.input.levels.bits() > *arith::WIDTHS.end() {
            return Err(Error::bad_layer("input", format!("levels {:?} make no sense", self.input.levels)));
        }
        let last = self.layers.len() - 1;
        let mut layers = self.layers.iter().enumerate();
        if let Some((_, wrong)) = layers.find(|(i, l)| (*i == last) != (l.output == Output::Logits)) {
            return Err(Error::bad_layer(&wrong.name, "the last layer, and no other, yields logits"));
        }
        let logits = &self.layers[last];
        if logits.weight_steps.iter().any(|s| *s != logits.weight_steps[0]) {
            let reason = "its sums are the logits, which are compared with one another: they need a common weight step";
            return Err(Error::bad_layer(&logits.name, reason));
        }
        for ((layer, shape), x) in self.layers.iter().zip(self.shapes()).zip(self.input_quantizers()) {
            layer.validate(shape, x).map_err(|reason| Error::bad_layer(&layer.name, reason))?;
        }
        Ok(())
    }

    /// Writes the model file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let accumulators = self.accumulator_bits();
        let layers = self.layers.iter().zip(accumulators).map(|(l, bits)| LayerDescription::of(l, bits));
        let description = Description {
            format: FORMAT.into(),
            version: store::VERSION,
            header: self.header.clone(),
            input_quantizer: self.input,
            layers: layers.collect(),
        };
        let mut tensors = vec![];
        for (l, x) in self.layers.iter().zip(self.shapes()) {
            tensors.push((
                format!("{}.weight", l.name),
                Tensor::codes(l.op.weight_shape(x), &l.weight, l.weight_bits()),
            ));
            tensors.push((format!("{}.bias", l.name), Tensor::integers([l.op.co()], &l.bias)));
            if let Output::Requantized { by, .. } = &l.output {
                let column = |f: fn(&Multiplier) -> i32| Tensor::new([by.len()], by.iter().map(f));
                tensors.push((format!("{}.m", l.name), column(|m| m.m.into())));
                tensors.push((format!("{}.s", l.name), column(|m| m.s.into())));
            }
        }
        store::write(path, &description, &tensors)
    }

    /// Reads and validates a model file.
    pub fn load(path: &Path) -> Result<Self> {
        let file = store::File::open(path)?;
        let description: Description = file.header(FORMAT)?;
        let names = description.layers.iter().map(|l| l.name.as_str());
        let outputs = description.layers.last().map_or(0, |l| l.op.co());
        description.header.check_with_pictures(names, outputs).map_err(|reason| file.bad(reason))?;
        let claimed: Vec<(u32, u32)> =
            description.layers.iter().map(|l| (l.weight_bits, l.accumulator_bits)).collect();
        let inputs = shapes(description.header.input, description.layers.iter().map(|l| l.op));
        let layers = description.layers.into_iter().zip(inputs).map(|(l, x)| l.read(&file, x));
        let model = Self {
            header: description.header,
            input: description.input_quantizer,
            layers: layers.collect::<Result<_>>()?,
        };
        model.validate().map_err(|e| file.bad(e.to_string()))?;
        file.all_read()?;
        model.check_claims(&claimed).map_err(|e| file.bad(e.to_string()))?;
        Ok(model)
    }

    /// Checks `weight_bits` and `accumulator_bits` of a description, which follow from the integers.
    fn check_claims(&self, claimed: &[(u32, u32)]) -> Result<()> {
        for ((layer, need), &(weight_bits, have)) in
            self.layers.iter().zip(self.accumulator_bits()).zip(claimed)
        {
            let bits = layer.weight_bits();
            if weight_bits != bits {
                let Levels { a, b } = layer.weight_levels;
                let reason = format!("weight_bits {weight_bits} where levels {a} … {b} take {bits}");
                return Err(Error::bad_layer(&layer.name, reason));
            }
            if !(need..=ACCUMULATOR_BITS).contains(&have) {
                let reason = format!(
                    "accumulator_bits {have} where its integers need {need}, at most {ACCUMULATOR_BITS}"
                );
                return Err(Error::bad_layer(&layer.name, reason));
            }
        }
        Ok(())
    }
}

impl IntLayer {
    /// Bits of the weights: the fewest that hold their levels, and no fewer than [`arith::WIDTHS`] has.
    pub fn weight_bits(&self) -> u32 {
        self.weight_levels.bits().max(*arith::WIDTHS.start())
    }

    fn validate(&self, shape: Shape, x: Quantizer) -> std::result::Result<(), String> {
        let co = self.op.co();
        let want: usize = self.op.weight_shape(shape).iter().product();
        if self.weight.len() != want || self.bias.len() != co {
            let have = (self.weight.len(), self.bias.len());
            return Err(format!("{have:?} weights and biases where {:?} are needed", (want, co)));
        }
        if !self.weight_levels.is_valid() || self.weight_levels.bits() > *arith::WIDTHS.end() {
            return Err(format!("weight levels {:?} make no sense", self.weight_levels));
        }
        let Levels { a, b } = self.weight_levels;
        if let Some(w) = self.weight.iter().find(|w| !(a..=b).contains(&i32::from(**w))) {
            return Err(format!("weight {w} outside its levels {a} … {b}"));
        }
        if ![1, co].contains(&self.weight_steps.len()) {
            return Err(format!("{} weight steps where 1 or {co} are needed", self.weight_steps.len()));
        }
        let bits = arith::accumulator_bits(self.accumulator_bound(x.levels));
        if bits > ACCUMULATOR_BITS {
            return Err(format!(
                "its accumulator needs {bits} bits, at most {ACCUMULATOR_BITS} are supported"
            ));
        }
        if let Some(w) = self.weight_steps.iter().find(|w| arith::sum_step(**w, x.step).is_none()) {
            return Err(format!(
                "weight step {w} times input step {} is no number that a float holds",
                x.step
            ));
        }
        self.validate_output(x)
    }

    fn validate_output(&self, x: Quantizer) -> std::result::Result<(), String> {
        let co = self.op.co();
        let Output::Requantized { quantizer, by } = &self.output else { return Ok(()) };
        if ![1, co].contains(&by.len()) || !by.iter().all(|m| m.is_valid()) {
            return Err(format!("{} multipliers where 1 or {co} in range are needed", by.len()));
        }
        if quantizer.levels.a != 0 || !quantizer.levels.is_valid() {
            return Err(format!("output levels {:?} where 0 … b is needed (ReLU)", quantizer.levels));
        }
        if quantizer.levels.bits() > *arith::WIDTHS.end() {
            return Err(format!("output levels {:?} need more than 16 bits", quantizer.levels));
        }
        let step = |c: usize| self.weight_steps[if self.weight_steps.len() == 1 { 0 } else { c }];
        let by = |c: usize| by[if by.len() == 1 { 0 } else { c }];
        match (0..co).find(|&c| !by(c).agrees(step(c), x.step, quantizer.step)) {
            Some(c) => Err(format!(
                "channel {c} requantizes by {} / 2^{}, not by what its steps {} and {} over {} give",
                by(c).m,
                by(c).s,
                step(c),
                x.step,
                quantizer.step
            )),
            None => Ok(()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Description {
    format: String,
    version: u32,
    #[serde(flatten)]
    header: Header,
    input_quantizer: Quantizer,
    layers: Vec<LayerDescription>,
}

#[derive(Serialize, Deserialize)]
struct LayerDescription {
    name: String,
    #[serde(flatten)]
    op: Op,
    weight_bits: u32,
    weight_levels: Levels,
    weight_steps: Vec<Step>,
    /// Bits proven from the integers.
    accumulator_bits: u32,
    /// `None`: logits.
    output_quantizer: Option<Quantizer>,
    /// Number of multipliers: 1 or the output channels.
    multipliers: usize,
}

impl LayerDescription {
    fn of(l: &IntLayer, accumulator_bits: u32) -> Self {
        let (output_quantizer, multipliers) = match &l.output {
            Output::Requantized { quantizer, by } => (Some(*quantizer), by.len()),
            Output::Logits => (None, 0),
        };
        Self {
            name: l.name.clone(),
            op: l.op,
            weight_bits: l.weight_bits(),
            weight_levels: l.weight_levels,
            weight_steps: l.weight_steps.clone(),
            accumulator_bits,
            output_quantizer,
            multipliers,
        }
    }

    fn read(self, file: &store::File, x: Shape) -> Result<IntLayer> {
        let get = |part: &str, shape: &[usize]| file.integers(&format!("{}.{part}", self.name), shape);
        let weight =
            file.codes(&format!("{}.weight", self.name), &self.op.weight_shape(x), self.weight_bits)?;
        let output = match self.output_quantizer {
            None => Output::Logits,
            Some(quantizer) => {
                let (m, s) = (get("m", &[self.multipliers])?, get("s", &[self.multipliers])?);
                let pair = |(m, s): (i64, i64)| match (u16::try_from(m), u8::try_from(s)) {
                    (Ok(m), Ok(s)) => Ok(Multiplier { m, s }),
                    _ => Err(file.bad(format!("{}: multiplier {m} / 2^{s} out of range", self.name))),
                };
                let by = m.into_iter().zip(s).map(pair).collect::<Result<_>>()?;
                Output::Requantized { quantizer, by }
            }
        };
        let bias = get("bias", &[self.op.co()])?;
        Ok(IntLayer {
            name: self.name,
            op: self.op,
            weight,
            weight_levels: self.weight_levels,
            weight_steps: self.weight_steps,
            bias,
            output,
        })
    }
}
