//! From an [`IntModel`] and a design point to what the accelerator reads: a program and a memory image.

pub mod bits;
pub mod cycles;
mod digits;
mod excerpt;
mod fit;
pub mod interpret;
mod layout;
mod memory;
mod part;
mod plan;
pub mod program;
mod tiling;

pub use digits::{Digits, weight_digit};
pub use excerpt::Excerpt;
pub use fit::{digits, fit, inside, with_digits};
pub use layout::Layout;
pub use memory::{Memory, Region};
pub use plan::{Geometry, LayerGeometry, LayerSchedule, Plan, plan};
pub use tiling::Tiling;

use crate::config::{ArrayConfig, Requantize};
use crate::int::{IntModel, Output, Trace};
use crate::isa::Area;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView4, Axis};
use program::Command;

/// Parts of the memory: of the model program, then weights and parameters; of the data input maps, then outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    /// First byte of weights and parameters, from the model's base.
    pub weights_at: u64,
    /// Bytes of the model: READ_LIMIT.
    pub model_bytes: usize,
    /// Bytes that a run may write, from the data's base, to the end of the data: WRITE_BASE … WRITE_LIMIT.
    pub window: std::ops::Range<usize>,
}

/// A scheduled network: everything that the accelerator and its host need.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Design point.
    pub config: ArrayConfig,
    /// Images of a run.
    pub images: usize,
    /// Layout of the input maps.
    pub input: Layout,
    /// Layers in order.
    pub layers: Vec<LayerSchedule>,
    /// Initial memory: program, parameters and weights; input and output regions are 0.
    pub memory: Memory,
}

/// Schedules `model` for runs of `images` images on the accelerator `config`.
///
/// Fails with the layer, the need and the have where the model does not fit the design point.
pub fn schedule(model: &IntModel, config: &ArrayConfig, images: usize) -> Result<Schedule> {
    config.validate()?;
    model.validate()?;
    check_widths(model, config)?;
    let Plan { input, layers, regions } = plan(&Geometry::of(model, config)?, config, images)?;
    let mut memory = Memory::of(config, regions);
    for ((layer, scheduled), x) in model.layers.iter().zip(&layers).zip(model.shapes()) {
        let (name, tiling) = (&layer.name, &scheduled.tiling);
        memory.write(&format!("{name}.weights"), &memory::weight_tiles(layer, x, tiling, config).concat());
        memory.write(&format!("{name}.params"), &memory::param_tiles(layer, tiling, config).concat());
    }
    let commands: Vec<Command> = layers.iter().map(|l| l.command).collect();
    memory.write("program", &program::encode(&commands));
    Ok(Schedule { config: config.clone(), images, input, layers, memory })
}

impl Schedule {
    /// Puts input codes `(image, channel, row, column)` into `memory`.
    pub fn put_images(&self, memory: &mut Memory, codes: ArrayView4<i32>) {
        let bytes: Vec<u8> = codes.outer_iter().flat_map(|image| self.input.pack(image)).collect();
        memory.write("input", &bytes);
    }

    /// Where in the image the data begin, which is where the model ends.
    pub fn data_at(&self) -> usize {
        self.memory.region("input").base as usize
    }

    /// Whose area `region` is in, and its address from that area's base.
    pub fn place(&self, region: &Region) -> (Area, u32) {
        match region.base.checked_sub(self.data_at() as u32) {
            Some(address) => (Area::Data, address),
            None => (Area::Model, region.base),
        }
    }

    /// Where in model and data is what.
    pub fn regions(&self) -> Regions {
        Regions {
            weights_at: self.layers[0].command.weights.into(),
            model_bytes: self.data_at(),
            window: self.write_window().start - self.data_at()..self.memory.bytes.len() - self.data_at(),
        }
    }

    /// What a bench around the accelerator must know, by the names that the benches use.
    pub fn bench_numbers(&self) -> [(&'static str, u64); 8] {
        let Regions { weights_at, model_bytes, window } = self.regions();
        [
            ("BUS_BITS", self.config.bus_bits as u64),
            ("ADDRESS_BITS", self.config.address_bits.into()),
            ("ID_BITS", self.config.id_bits.into()),
            ("OFFSET_BITS", self.config.offset_bits.into()),
            ("WEIGHTS_AT", weights_at),
            ("MODEL_BYTES", model_bytes as u64),
            ("WRITE_BASE", window.start as u64),
            ("WRITE_LIMIT", window.end as u64),
        ]
    }

    /// Bytes of the image that the accelerator may write: the outputs of the layers.
    pub fn write_window(&self) -> std::ops::Range<usize> {
        let input = self.memory.region("input");
        (input.base as usize + input.bytes).next_multiple_of(4096)..self.memory.bytes.len()
    }

    /// Reads every layer's output from `memory`, in the form of the golden model's trace.
    pub fn trace(&self, memory: &Memory) -> Trace {
        let maps = self.layers.iter().filter_map(|l| l.output.map(|layout| (&l.name, layout)));
        let activations = maps.map(|(name, layout)| {
            let base = memory.region(name).base as usize;
            let image = |i: usize| &memory.bytes[base + i * layout.image_pitch..][..layout.image_pitch];
            let maps: Vec<_> = (0..self.images).map(|i| layout.unpack(image(i), false)).collect();
            let views: Vec<_> = maps.iter().map(|m| m.view()).collect();
            ndarray::stack(Axis(0), &views).expect("maps of one layer have one shape")
        });
        Trace { activations: activations.collect(), logits: self.logits(memory) }
    }

    /// Reads the logits `(image, class)` from `memory`; no classes where the last layer does not yield logits.
    pub fn logits(&self, memory: &Memory) -> Array2<i64> {
        let last = self.layers.last().expect("a schedule has layers");
        let (command, classes) = (last.command, if last.output.is_none() { last.co } else { 0 });
        let base = self.memory.region(&last.name).base as usize;
        Array2::from_shape_fn((self.images, classes), |(i, c)| {
            let at = base + i * command.y_image_pitch as usize + c * self.config.bus_bytes();
            bits::field(&memory.bytes[at..], 0, 64, true)
        })
    }
}

/// Refuses models whose codes or accumulators the design point cannot hold.
fn check_widths(model: &IntModel, config: &ArrayConfig) -> Result<()> {
    let quantizers = model.input_quantizers();
    for ((layer, x), acc) in model.layers.iter().zip(&quantizers).zip(model.accumulator_bits()) {
        let too_wide = |what: &str, need: u32, have: u32| {
            Err(Error::bad_layer(&layer.name, format!("{what} of {need} bits, the build has {have}")))
        };
        Digits::held(&layer.name, layer.weight_levels, x.levels, config)?;
        if acc > config.acc_bits {
            return too_wide("accumulators", acc, config.acc_bits);
        }
        if let Output::Requantized { quantizer, by } = &layer.output {
            if quantizer.levels.bits() > config.code_bits() {
                return too_wide("output activations", quantizer.levels.bits(), config.code_bits());
            }
            if config.requantize == Requantize::Pow2 && by.iter().any(|by| by.m != 1) {
                let reason =
                    "needs multipliers; the build requantizes by powers of two (`requantize: scale`)";
                return Err(Error::bad_layer(&layer.name, reason));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::Levels;
    use crate::int::{Golden, random};
    use crate::net::{Op, Shape};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn config(rng: &mut ChaCha8Rng) -> ArrayConfig {
        let (rows, cols) = (rng.random_range(3..=12), rng.random_range(2..=12));
        let (weight_bits, act_bits) = (rng.random_range(2..=16), rng.random_range(2..=16));
        let mut config = ArrayConfig {
            rows,
            cols,
            weight_bits,
            act_bits,
            acc_bits: 48,
            act_depth: rng.random_range(384..=1024),
            weight_depth: (2 * rows).max(cols + 4),
            acc_depth: rng.random_range(32..=128),
            bus_bits: 64 << rng.random_range(0..4),
            ..ArrayConfig::default()
        };
        let fits =
            |n: &usize| config.block().is_multiple_of(*n) && n * config.act_bits as usize <= config.bus_bits;
        config.requantizers = (1..=config.block()).rev().find(fits).unwrap();
        config.fold_channels = rng.random_range(0..=4);
        config
    }

    fn recipe(rng: &mut ChaCha8Rng, config: &ArrayConfig) -> random::Recipe {
        let conv = |rng: &mut ChaCha8Rng| Op::Conv { co: rng.random_range(1..=20), pool: rng.random() };
        let mut ops: Vec<Op> = (0..rng.random_range(1..=3)).map(|_| conv(rng)).collect();
        ops.extend((0..rng.random_range(1..=2)).map(|_| Op::Dense { co: rng.random_range(1..=20) }));
        random::Recipe {
            input: Shape {
                c: rng.random_range(1..=4),
                h: rng.random_range(8..=13),
                w: rng.random_range(8..=13),
            },
            ops,
            w: rng.random_range(2..=config.weight_bits),
            a: rng.random_range(2..=config.act_bits),
            power_of_two: rng.random(),
            per_channel: rng.random(),
            seed: rng.random(),
        }
    }

    /// The program of `model` gives the golden model's integers for random images of `seed`, and writes nothing else.
    fn check(model: &IntModel, config: &ArrayConfig, images: usize, seed: u64) {
        let codes = random::images(model, images, seed);
        let schedule = schedule(model, config, images).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, codes.view());
        interpret::execute(&schedule, &mut memory).unwrap();
        let golden = Golden::new(model).unwrap().trace(codes.view()).unwrap();
        assert_eq!(schedule.trace(&memory), golden, "seed {seed}: {config:?}");
        assert_eq!(memory.bytes[schedule.write_window()], schedule.expected(&golden));
    }

    #[test]
    fn random_networks_on_random_arrays_equal_the_golden_model() {
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let config = config(&mut rng);
            let model = random::model(&recipe(&mut rng, &config));
            check(&model, &config, rng.random_range(1..=3), seed);
        }
    }

    /// `config` with as many digits as codes of `w` and `a` bits take, if it has `weight_bits` and `act_bits`.
    fn narrow(config: ArrayConfig, (w, a): (u32, u32), weight_bits: u32, act_bits: u32) -> ArrayConfig {
        let digits = Digits::of(Levels::signed(w), Levels::unsigned(a), weight_bits, act_bits);
        let config = ArrayConfig { weight_bits, act_bits, act_depth: 4096, ..config };
        ArrayConfig { weight_digits: digits.weights, act_digits: digits.acts, ..config }
    }

    #[test]
    fn networks_wider_than_the_build_equal_the_golden_model() {
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut config = config(&mut rng);
            let mut recipe = recipe(&mut rng, &config);
            let wide = [(8, 8), (8, 4), (6, 9), (16, 16), (4, 8)][seed as usize % 5];
            (recipe.w, recipe.a) = wide;
            let narrow_to = (rng.random_range(2..=wide.0 / 2), rng.random_range(2..=wide.1 / 2));
            config = narrow(config, wide, narrow_to.0, narrow_to.1);
            config.requantizers = config.most_requantizers();
            let mut model = random::model(&recipe);
            if rng.random() {
                model = random::narrow_inside(model, narrow_to.0, narrow_to.1);
            }
            check(&model, &config, rng.random_range(1..=3), seed);
        }
    }

    #[test]
    fn a_flipped_weight_bit_is_seen() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let config = config(&mut rng);
        let model = random::model(&recipe(&mut rng, &config));
        let codes = random::images(&model, 1, 3);
        let schedule = schedule(&model, &config, 1).unwrap();
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, codes.view());
        let weights = schedule.layers.last().unwrap().command.weights as usize;
        let bit = (config.rows - 1) * config.cols * config.weight_bits as usize; // row 0, column 0
        memory.bytes[weights + bit / 8] ^= 1 << (bit % 8);
        interpret::execute(&schedule, &mut memory).unwrap();
        let golden = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        let trace = schedule.trace(&memory);
        assert_eq!(trace.activations, golden.activations);
        assert_ne!(trace.logits, golden.logits);
    }

    #[test]
    fn models_wider_than_the_build_are_refused() {
        let wide = ArrayConfig { weight_bits: 16, act_bits: 16, acc_bits: 48, ..ArrayConfig::default() };
        let recipe = random::Recipe {
            input: Shape { c: 3, h: 8, w: 8 },
            ops: vec![Op::Conv { co: 4, pool: true }, Op::Dense { co: 3 }],
            w: 8,
            a: 8,
            power_of_two: false,
            per_channel: true,
            seed: 5,
        };
        let model = random::model(&recipe);
        let refused = |config: ArrayConfig| schedule(&model, &config, 1).unwrap_err().to_string();
        let narrow = |weight_bits, act_bits| ArrayConfig { weight_bits, act_bits, ..wide.clone() };
        assert!(refused(narrow(7, 8)).contains("conv1: weights of 8 bits, the build has 7"));
        assert!(refused(narrow(8, 6)).contains("conv1: input activations of 8 bits, the build has 6"));
        assert!(
            refused(ArrayConfig { requantize: Requantize::Pow2, ..wide.clone() }).contains("powers of two")
        );
        assert!(schedule(&model, &wide, 1).is_ok());
    }
}
