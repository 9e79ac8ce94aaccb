//! A short program of some layers of a network, for simulators that take long for all of it: for each kind of operation that the
//! network has, the layer that does it in the fewest cycles.
//!
//! Each layer reads codes of the golden model, of a convolution the first rows, and gives one tile of its output channels. Its
//! command, weights and parameters are otherwise those of the whole program.

use super::cycles::{self, MemoryTiming};
use super::memory::Memory;
use super::part::narrowed;
use super::plan::{Geometry, LayerSchedule, Plan, plan};
use super::program::{self, Kernel};
use super::{Layout, Schedule};
use crate::Result;
use crate::config::ArrayConfig;
use crate::int::{Golden, IntModel, Output, Trace};
use crate::net::{Header, Op, Shape};
use ndarray::{Array2, Array4, ArrayView4, s};

/// Rows that a convolution reads, at the most.
const ROWS: usize = 4;
/// Kinds of operation, those that bring others with them first: each has a layer if any layer of the network is of it.
const KINDS: [fn(&LayerSchedule) -> bool; 10] = [
    |l| l.command.raw,
    |l| l.command.pool,
    |l| l.tiling.kernel == Kernel::Folded,
    |l| l.command.y_planes > 1,
    |l| l.command.planes > 1,
    |l| l.command.digits > 1,
    |l| l.tiling.kernel == Kernel::Dense && !l.command.raw,
    |l| l.tiling.kernel == Kernel::Dense,
    |l| l.tiling.kernel != Kernel::Dense,
    |l| l.command.ci_tiles > 1,
];

/// A short program with what it reads, and what the golden model says that it writes.
pub struct Excerpt {
    /// Layers, the quickest first, logits last.
    pub schedule: Schedule,
    /// Output codes of each layer, and logits.
    pub trace: Trace,
}

/// A layer that is cut.
struct Cut {
    layer: usize,
    input: Layout,
    scheduled: LayerSchedule,
    cycles: u64,
}

impl Excerpt {
    /// Of the first image of a run of `model`, scheduled as `whole`, whose golden trace for `codes` is `trace`.
    ///
    /// # Errors
    /// None where `whole` is a schedule.
    pub fn of(
        model: &IntModel,
        whole: &Schedule,
        codes: ArrayView4<i32>,
        trace: &Trace,
        memory: MemoryTiming,
    ) -> Result<Self> {
        let geometry = Geometry::of(model, &whole.config)?;
        let cuts = (0..model.layers.len()).map(|layer| Cut::new(&geometry, whole, layer, memory));
        let cuts = chosen(cuts.collect::<Result<_>>()?);
        let inputs: Vec<Array4<i32>> = cuts.iter().map(|cut| cut.codes(codes, trace)).collect();
        let outputs = cuts.iter().zip(&inputs).filter_map(|(cut, x)| cut.output(model, x));
        let classes =
            cuts.last().map_or(0, |cut| if cut.scheduled.command.raw { cut.scheduled.co } else { 0 });
        let logits = trace.logits.slice(s![..1, ..classes]);
        let logits = if classes == 0 { Array2::zeros((1, 0)) } else { logits.to_owned() };
        let trace = Trace { activations: outputs.collect(), logits };
        Ok(Self { schedule: joined(cuts, &inputs, whole)?, trace })
    }

    /// Integers that a run writes.
    pub fn words(&self) -> usize {
        self.trace.words()
    }
}

impl Cut {
    fn new(geometry: &Geometry, whole: &Schedule, layer: usize, memory: MemoryTiming) -> Result<Self> {
        let x = geometry.shapes()[layer];
        let rows = if matches!(geometry.layers[layer].op, Op::Conv { .. }) { ROWS.min(x.h) } else { x.h };
        // The layer, and the one that reads what it writes: its planes.
        let layers = geometry.layers[layer..].iter().take(2).cloned().collect();
        let geometry =
            Geometry { input: Shape { h: rows, ..x }, signed: layer == 0 && geometry.signed, layers };
        let fold_channels = if layer == 0 { whole.config.fold_channels } else { 0 };
        let config = ArrayConfig { fold_channels, ..whole.config.clone() };
        let Plan { input, layers, .. } = plan(&geometry, &config, 1)?;
        let scheduled = narrowed(&layers[0], 1, whole.channels(layer, &(0..1)).len(), &config);
        let cycles = cycles::of_layers(std::slice::from_ref(&scheduled), &config, memory)[0].total;
        Ok(Self { layer, input, scheduled, cycles })
    }

    /// The codes that it reads, `(1, channel, row, column)`.
    fn codes(&self, codes: ArrayView4<i32>, trace: &Trace) -> Array4<i32> {
        let map = match self.layer.checked_sub(1) {
            Some(before) => trace.activations[before].view(),
            None => codes,
        };
        map.slice(s![..1, .., ..self.input.shape.h, ..]).to_owned()
    }

    /// The codes that it writes, unless it yields logits.
    fn output(&self, model: &IntModel, x: &Array4<i32>) -> Option<Array4<i32>> {
        let layer = &model.layers[self.layer];
        if layer.output == Output::Logits {
            return None;
        }
        let alone = IntModel {
            header: Header { input: self.input.shape, ..model.header.clone() },
            input: model.input_quantizers()[self.layer],
            layers: vec![layer.clone()],
        };
        let y = Golden::unfinished(&alone).hidden(x.view());
        Some(y.slice(s![.., ..self.scheduled.co, .., ..]).to_owned())
    }
}

/// Of each kind the layer of the fewest cycles, if none is there yet; the quickest first, logits last.
fn chosen(cuts: Vec<Cut>) -> Vec<Cut> {
    let mut layers: Vec<usize> = vec![];
    for kind in KINDS {
        if !layers.iter().any(|&layer| kind(&cuts[layer].scheduled)) {
            let of_kind = cuts.iter().filter(|cut| kind(&cut.scheduled));
            layers.extend(of_kind.min_by_key(|cut| cut.cycles).map(|cut| cut.layer));
        }
    }
    let mut chosen: Vec<Cut> = cuts.into_iter().filter(|cut| layers.contains(&cut.layer)).collect();
    chosen.sort_by_key(|cut| (cut.scheduled.command.raw, cut.cycles));
    chosen
}

/// One program of all `cuts`, whose inputs are `inputs`, in a memory of its own. Weights and parameters are those of `whole`.
fn joined(cuts: Vec<Cut>, inputs: &[Array4<i32>], whole: &Schedule) -> Result<Schedule> {
    let mut memory = Memory::new(&whole.config);
    memory.reserve("program", (cuts.len() + 1) * program::COMMAND_BYTES)?;
    let (first, mut packed, mut layers) = (cuts[0].input, vec![], vec![]);
    for (cut, codes) in cuts.into_iter().zip(inputs) {
        let (mut layer, from) = (cut.scheduled, whole.layers[cut.layer].command);
        let mut copy = |part: &str, base: u32, pitch: u32| {
            let name = format!("{}.{part}", layer.name);
            let at = memory.reserve(&name, pitch as usize)?;
            memory.write(&name, &whole.memory.bytes[base as usize..][..pitch as usize]);
            Ok::<u32, crate::Error>(at)
        };
        layer.command.weights = copy("weights", from.weights, from.weights_pitch)?;
        layer.command.params = copy("params", from.params, from.params_pitch)?;
        layer.command.x_base = packed.len() as u32;
        packed.extend(codes.outer_iter().flat_map(|image| cut.input.pack(image)));
        packed.resize(packed.len().max(layer.command.x_base as usize + cut.input.image_pitch), 0);
        packed.resize(packed.len().next_multiple_of(crate::config::PAGE), 0);
        layers.push(layer);
    }
    let data = memory.reserve("input", packed.len())?;
    memory.write("input", &packed);
    for layer in &mut layers {
        layer.command.y_base = memory.reserve(&layer.name, layer.command.y_image_pitch as usize)? - data;
    }
    let commands: Vec<_> = layers.iter().map(|layer| layer.command).collect();
    memory.write("program", &program::encode(&commands));
    Ok(Schedule { config: whole.config.clone(), images: 1, input: first, layers, memory })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::random;
    use crate::schedule::{interpret, schedule, with_digits};

    const TIMING: MemoryTiming = MemoryTiming { latency: 20, stall_percent: 10 };

    fn model(w: u32, a: u32) -> IntModel {
        random::model(&random::Recipe {
            input: Shape { c: 1, h: 16, w: 12 },
            ops: vec![
                Op::Conv { co: 13, pool: false },
                Op::Conv { co: 9, pool: true },
                Op::Conv { co: 9, pool: false },
                Op::Conv { co: 5, pool: true },
                Op::Dense { co: 10 },
                Op::Dense { co: 21 },
                Op::Dense { co: 11 },
            ],
            w,
            a,
            power_of_two: false,
            per_channel: true,
            seed: 2,
        })
    }

    /// The excerpt of `model` on `config`; what the interpreter of programs makes of it is its trace.
    fn checked(model: &IntModel, config: &ArrayConfig) -> Excerpt {
        let whole = schedule(model, config, 2).unwrap();
        let codes = random::images(model, 2, 1);
        let trace = Golden::new(model).unwrap().trace(codes.view()).unwrap();
        let excerpt = Excerpt::of(model, &whole, codes.view(), &trace, TIMING).unwrap();
        let mut memory = excerpt.schedule.memory.clone();
        interpret::execute(&excerpt.schedule, &mut memory).unwrap();
        assert_eq!(excerpt.schedule.trace(&memory), excerpt.trace);
        assert_eq!(memory.bytes[excerpt.schedule.write_window()], excerpt.schedule.expected(&excerpt.trace));
        // Whole rows of a layer that is not cut are those of the whole network.
        let dense =
            excerpt.schedule.layers.iter().position(|l| ["fc5", "fc6"].contains(&&l.name[..])).unwrap();
        let at = model.layers.iter().position(|l| l.name == excerpt.schedule.layers[dense].name).unwrap();
        let co = excerpt.schedule.layers[dense].co;
        assert_eq!(excerpt.trace.activations[dense], trace.activations[at].slice(s![..1, ..co, .., ..]));
        excerpt
    }

    fn names(excerpt: &Excerpt) -> Vec<&str> {
        excerpt.schedule.layers.iter().map(|l| &l.name[..]).collect()
    }

    #[test]
    fn every_kind_of_layer_is_there_and_gives_the_golden_codes() {
        let config = ArrayConfig { rows: 6, cols: 4, fold_channels: 3, ..ArrayConfig::default() };
        let excerpt = checked(&model(5, 6), &config);
        let names = names(&excerpt);
        assert!(names.contains(&"conv1") && names.last() == Some(&"fc7") && names.len() < 7, "{names:?}");
        assert!(excerpt.schedule.layers.iter().any(|l| l.command.pool));
        assert!(excerpt.words() < 1000);
    }

    #[test]
    fn digits_and_planes_are_there_where_the_network_has_them() {
        let narrow = ArrayConfig {
            rows: 8,
            cols: 8,
            weight_bits: 4,
            act_bits: 4,
            acc_bits: 32,
            fold_channels: 0,
            ..ArrayConfig::default()
        };
        let model = random::narrow_inside(model(8, 8), 4, 4);
        let config = with_digits(&model, &narrow);
        let excerpt = checked(&model, &config);
        let any = |has: fn(&LayerSchedule) -> bool| excerpt.schedule.layers.iter().any(has);
        assert!(any(|l| l.command.digits > 1) && any(|l| l.command.planes > 1), "{:?}", names(&excerpt));
        let written = schedule(&model, &config, 1).unwrap().layers.iter().any(|l| l.command.y_planes > 1);
        assert_eq!(any(|l| l.command.y_planes > 1), written);
    }
}
