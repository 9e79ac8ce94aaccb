//! What a state dict cannot say of a network, and `export --torch` writes beside it: the way back is exact.

use crate::arith::{Levels, Multiplier, Quantizer, Step};
use crate::float::import::facts::{Facts, Origin};
use crate::float::import::imported::{Imported, Outcome};
use crate::float::import::options::{Activation, Flatten, Habits, Head, Options, Pools};
use crate::float::import::pickle::{Machine, Value};
use crate::float::import::quantized::{Quantized, QuantizedLayer};
use crate::float::import::state_dict;
use crate::float::import::taps::Taps;
use crate::float::import::tensors::Tensors;
use crate::float::{FloatLayer, FloatModel};
use crate::net::{Header, Op, Shape, check_chain, shapes};
use serde::{Deserialize, Serialize};

/// Key of the description beside the state dict.
pub const KEY: &str = "vgg2rtl";
/// Key of the state dict.
pub const STATE_DICT: &str = "state_dict";
/// How the tensors of the input's quantizer begin.
pub const INPUT: &str = "input";

/// The description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// Name, input, preprocessing, classes.
    #[serde(flatten)]
    pub header: Header,
    /// Whether the weights are codes.
    pub integers: bool,
    /// In order of execution.
    pub layers: Vec<Layer>,
}

/// What is said of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
    /// Where its ReLU saturates; an integer layer's levels say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<f32>,
}

/// torchvision's names of the modules with weights: `features.0` …, `classifier.0` ….
pub fn modules(ops: impl Iterator<Item = Op>) -> Vec<String> {
    let (mut features, mut classifier) = (0, 0);
    let name = |op| match op {
        Op::Conv { pool, .. } => {
            let at = features;
            features += 2 + usize::from(pool); // ReLU, max pool
            format!("features.{at}")
        }
        Op::Dense { .. } => {
            let at = classifier;
            classifier += 3; // ReLU, Dropout
            format!("classifier.{at}")
        }
    };
    ops.map(name).collect()
}

impl Own {
    /// The description in a checkpoint, if this program wrote one.
    pub fn of(machine: &Machine) -> Outcome<Option<Self>> {
        let Some(Value::Str(json)) = machine.get(machine.top(), KEY) else { return Ok(None) };
        serde_json::from_str(json).map(Some).map_err(|e| format!("its description {KEY}: {e}"))
    }

    /// The network that it and its state dict describe.
    pub fn model(self, mut tensors: Tensors, name: &str, options: &Options) -> Outcome<Imported> {
        options.refuse_what_the_file_says()?;
        let mut facts = Facts::default();
        let ops = self.layers.iter().map(|l| l.op);
        check_chain(self.header.input, self.layers.iter().map(|l| &l.name[..]).zip(ops))
            .map_err(|e| format!("its description {KEY}: {e}"))?;
        let mut imported = match self.integers {
            true => self.int(&mut tensors, &mut facts)?,
            false => self.float(tensors, name)?,
        };
        facts.note("exported by vgg2rtl", "layers, names, input, classes", Origin::File);
        self.header.clone_into(&mut imported.model.header);
        let header = &mut imported.model.header;
        header.preprocessing = options.stored_preprocessing(&self.header.preprocessing, &mut facts);
        if !options.classes.is_empty() {
            header.classes.clone_from(&options.classes);
        }
        Ok(Imported { facts, ..imported })
    }

    /// A state dict whose layers, input and pools are known.
    fn float(&self, tensors: Tensors, name: &str) -> Outcome<Imported> {
        let channels = |l: &Layer| match l.op {
            Op::Conv { co, pool: true } => vec![Some(co), None],
            Op::Conv { co, pool: false } => vec![Some(co)],
            Op::Dense { .. } => vec![],
        };
        let known = Options {
            input: Some(self.header.input),
            pools: Some(Pools::Configuration(self.layers.iter().flat_map(channels).collect())),
            head: Some(Head::Flat),
            flatten: Some(Flatten::ChannelsFirst),
            activation: Some(Activation::Relu),
            outputs: self.layers.last().map(|l| l.op.co()),
            ..Options::default()
        };
        let mut imported = state_dict::model(tensors, name, &known, Habits::TORCH, Facts::default())?;
        if imported.model.layers.len() != self.layers.len() {
            return Err(format!("its description {KEY} and its tensors are of different networks"));
        }
        for (layer, said) in imported.model.layers.iter_mut().zip(&self.layers) {
            layer.name.clone_from(&said.name);
            layer.saturation = said.saturation;
        }
        Ok(imported)
    }

    fn int(&self, tensors: &mut Tensors, facts: &mut Facts) -> Outcome<Imported> {
        let input = quantizer(tensors, INPUT)?;
        let shapes = shapes(self.header.input, self.layers.iter().map(|l| l.op));
        let modules = modules(self.layers.iter().map(|l| l.op));
        let (mut layers, mut codes, mut x) = (vec![], vec![], input);
        for (i, ((said, module), shape)) in self.layers.iter().zip(&modules).zip(shapes).enumerate() {
            let last = i + 1 == self.layers.len();
            let own = one(tensors, module, said.op, shape, last)?;
            let mut layer = FloatLayer {
                name: said.name.clone(),
                op: said.op,
                weight: vec![0.0; own.weight.len()],
                bias: vec![0.0; own.bias.len()],
                batch_norm: None,
                quantizer: None,
                saturation: None,
            };
            own.give_reals(&mut layer, x.step);
            x = own.output.as_ref().map_or(x, |(to, _)| *to);
            layers.push(layer);
            codes.push(own);
        }
        if let Some((name, _)) = tensors.iter().next() {
            return Err(format!("tensor {name} belongs to no layer of its description {KEY}"));
        }
        facts.note("integers", format!("{} layers, codes, steps and biases", layers.len()), Origin::File);
        let model = FloatModel { header: self.header.clone(), layers };
        let quantized = Some(Quantized { input, layers: codes });
        Ok(Imported { model, facts: Facts::default(), taps: Taps::default(), scaling: None, quantized })
    }
}

/// The integers of the layer `module`, which reads `x`.
fn one(tensors: &mut Tensors, module: &str, op: Op, x: Shape, last: bool) -> Outcome<QuantizedLayer> {
    let name = |part: &str| format!("{module}.{part}");
    let mut take = |part: &str, shape: &[usize]| {
        let (found, values) = tensors.take_integers(&name(part))?;
        match found == shape {
            true => Ok(values),
            false => Err(format!("tensor {} has shape {found:?}, must be {shape:?}", name(part))),
        }
    };
    let weight: Option<Vec<i16>> =
        take("weight", &op.weight_shape(x))?.into_iter().map(|w| i16::try_from(w).ok()).collect();
    let bias = take("bias", &[op.co()])?;
    let weight_steps = steps(tensors, &name("weight_step"))?;
    if ![1, op.co()].contains(&weight_steps.len()) {
        return Err(format!("tensor {} has {} steps", name("weight_step"), weight_steps.len()));
    }
    let output = match last {
        true => None,
        false => Some((quantizer(tensors, &name("output"))?, multipliers(tensors, &name)?)),
    };
    Ok(QuantizedLayer {
        weight: weight.ok_or_else(|| format!("tensor {} needs more than 16 bits", name("weight")))?,
        weight_levels: levels(tensors, &name("weight_levels"))?,
        weight_steps,
        bias,
        output,
    })
}

fn multipliers(tensors: &mut Tensors, name: &impl Fn(&str) -> String) -> Outcome<Vec<Multiplier>> {
    let (_, m) = tensors.take_integers(&name("m"))?;
    let (_, s) = tensors.take_integers(&name("s"))?;
    let pair = |(m, s): (i64, i64)| Some(Multiplier { m: u16::try_from(m).ok()?, s: u8::try_from(s).ok()? });
    let all: Option<Vec<Multiplier>> = m.iter().copied().zip(s.iter().copied()).map(pair).collect();
    all.filter(|_| m.len() == s.len())
        .ok_or_else(|| format!("tensors {} and {} make no sense", name("m"), name("s")))
}

fn quantizer(tensors: &mut Tensors, name: &str) -> Outcome<Quantizer> {
    let found = steps(tensors, &format!("{name}_step"))?;
    let [step] = found[..] else { return Err(format!("tensor {name}_step must be one number")) };
    Ok(Quantizer { step, levels: levels(tensors, &format!("{name}_levels"))? })
}

fn steps(tensors: &mut Tensors, name: &str) -> Outcome<Vec<Step>> {
    let (_, values) = tensors.take(name)?;
    let step = |&v: &f32| Step::new(v).ok_or_else(|| format!("tensor {name} holds {v}, which is no step"));
    values.iter().map(step).collect()
}

fn levels(tensors: &mut Tensors, name: &str) -> Outcome<Levels> {
    let (_, values) = tensors.take_integers(name)?;
    let bound = |v: i64| i32::try_from(v).ok();
    match values[..] {
        [a, b] => bound(a).zip(bound(b)).map(|(a, b)| Levels { a, b }),
        _ => None,
    }
    .filter(|l| l.is_valid())
    .ok_or_else(|| format!("tensor {name} holds {values:?}, must be the least and the greatest code"))
}
