//! Where everything lies and what the program says, before any weight is packed: what a schedule is filled into,
//! and all that the cycle model needs.

use super::memory::{self, Region};
use super::program::{self, Command, Kernel};
use super::{Digits, Layout, Tiling};
use crate::arith::Quantizer;
use crate::config::ArrayConfig;
use crate::int::{IntLayer, IntModel, Output};
use crate::net::{Op, Shape, shapes};
use crate::{Error, Result};

/// A network as a plan sees it: shapes and names.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// Shape of an image.
    pub input: Shape,
    /// Input codes are two's complement.
    pub signed: bool,
    /// Layers in order.
    pub layers: Vec<LayerGeometry>,
}

/// A layer as a plan sees it.
#[derive(Clone, Debug)]
pub struct LayerGeometry {
    /// Name, as in the model.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Greatest output code; `None` for logits.
    pub clip: Option<u16>,
    /// Digits of its weights, planes of its input.
    pub digits: Digits,
}

/// One layer's place in the program and in memory.
#[derive(Clone, Debug)]
pub struct LayerSchedule {
    /// Name, as in the model.
    pub name: String,
    /// Multiply-accumulate operations for all images.
    pub macs: u64,
    /// How the layer is cut.
    pub tiling: Tiling,
    /// Its command.
    pub command: Command,
    /// Layout of its output; `None` for logits.
    pub output: Option<Layout>,
    /// Output channels.
    pub co: usize,
}

/// Tilings, commands and addresses of a network on a design point.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Layout of the input maps.
    pub input: Layout,
    /// Layers in order.
    pub layers: Vec<LayerSchedule>,
    /// Regions of the model and, from the input on, of the data, in the order of their addresses.
    pub regions: Vec<Region>,
}

impl Geometry {
    /// The geometry of `model` on `config`. Refuses a layer whose digits the build does not have.
    pub fn of(model: &IntModel, config: &ArrayConfig) -> Result<Self> {
        let layer = |(layer, x): (&IntLayer, Quantizer)| {
            let clip = match &layer.output {
                Output::Requantized { quantizer, .. } => Some(quantizer.levels.b as u16),
                Output::Logits => None,
            };
            let digits = Digits::held(&layer.name, layer.weight_levels, x.levels, config)?;
            Ok(LayerGeometry { name: layer.name.clone(), op: layer.op, clip, digits })
        };
        let layers = model.layers.iter().zip(model.input_quantizers()).map(layer);
        let signed = model.input.levels.is_signed();
        Ok(Self { input: model.header.input, signed, layers: layers.collect::<Result<_>>()? })
    }

    /// Input shape of each layer, then the output's.
    pub fn shapes(&self) -> Vec<Shape> {
        shapes(self.input, self.layers.iter().map(|l| l.op))
    }
}

/// Where a layer's weights and parameters lie.
#[derive(Clone, Copy)]
struct Constants {
    tiling: Tiling,
    weights: u32,
    params: u32,
}

/// Plans runs of `images` images of the network `geometry` on the accelerator `config`, which must be valid.
///
/// Fails with the layer, the need and the have where a layer does not fit the design point.
pub fn plan(geometry: &Geometry, config: &ArrayConfig, images: usize) -> Result<Plan> {
    if !(1..=config.max_images).contains(&images) {
        let reason = format!("{images} images a run, 1 … {} are possible (max_images)", config.max_images);
        return Err(Error::usage("--batch", reason));
    }
    let shapes = geometry.shapes();
    let (mut model, mut data) = (vec![], vec![]);
    memory::reserve(&mut model, "program", (geometry.layers.len() + 1) * program::COMMAND_BYTES)?;
    let mut constants = vec![];
    for (i, (layer, &x)) in geometry.layers.iter().zip(&shapes).enumerate() {
        check_bounds(layer, x, config)?;
        // Only the host writes maps in the layout of a folded layer.
        let folds =
            ArrayConfig { fold_channels: if i == 0 { config.fold_channels } else { 0 }, ..config.clone() };
        let tiling = Tiling::new(&layer.name, layer.op, x, (images, layer.digits), &folds)?;
        let mut reserve = |part: &str, pitch: usize| {
            memory::reserve(&mut model, &format!("{}.{part}", layer.name), pitch * tiling.co_tiles)
        };
        let weights = reserve("weights", memory::weight_pitch(&tiling, config))?;
        let params = reserve("params", memory::param_pitch(config))?;
        constants.push(Constants { tiling, weights, params });
    }
    let input = match constants[0].tiling.kernel {
        Kernel::Folded => Layout::folded(shapes[0], config),
        _ => Layout::new(shapes[0], geometry.layers[0].digits.acts, config),
    };
    let base = memory::reserve(&mut data, "input", images * input.image_pitch)?;
    let mut x = place(&input, base);
    let mut layers: Vec<LayerSchedule> = vec![];
    for (i, (layer, constants)) in geometry.layers.iter().zip(constants).enumerate() {
        let signed = i == 0 && geometry.signed;
        let y_planes = geometry.layers.get(i + 1).map_or(1, |reader| reader.digits.acts);
        let planned =
            plan_layer(layer, constants, (shapes[i], images), (x, signed), y_planes, config, &mut data)?;
        if let Some(layout) = &planned.output {
            x = place(layout, planned.command.y_base);
        }
        layers.push(planned);
    }
    check_reach(&model, config)?;
    check_reach(&data, config)?;
    Ok(Plan { input, layers, regions: memory::join(model, data)? })
}

/// Whether a layer of input shape `x` keeps to the build's bounds.
fn check_bounds(layer: &LayerGeometry, x: Shape, config: &ArrayConfig) -> Result<()> {
    let needs = [
        (format!("its map of {}×{}", x.h, x.w), "max_map", x.h.max(x.w), config.max_map),
        ("its input".into(), "max_channels", x.c, config.max_channels),
        ("its output".into(), "max_channels", layer.op.co(), config.max_channels),
    ];
    match needs.into_iter().find(|(.., need, have)| need > have) {
        Some((what, bound, need, have)) => {
            Err(Error::bad_layer(&layer.name, format!("{what} needs {bound} ≥ {need}; the build has {have}")))
        }
        None => Ok(()),
    }
}

/// Whether `regions`, those from one base on, lie where the build's addresses reach.
fn check_reach(regions: &[Region], config: &ArrayConfig) -> Result<()> {
    let end = |region: &Region| region.base as usize + region.bytes;
    match regions.iter().find(|region| end(region) > config.reach()) {
        Some(region) => {
            let need = end(region).next_power_of_two().ilog2();
            let have = config.offset_bits;
            Err(Error::bad_layer(&region.name, format!("needs offset_bits ≥ {need}; the build has {have}")))
        }
        None => Ok(()),
    }
}

/// Feature maps in memory; bytes.
#[derive(Clone, Copy)]
struct Map {
    /// Address of the first image, from the data's base.
    base: u32,
    /// From row to row.
    row_pitch: u32,
    /// From block to block of channels.
    plane_pitch: u32,
    /// From image to image.
    image_pitch: u32,
}

/// Maps of `layout` from address `base` on.
fn place(layout: &Layout, base: u32) -> Map {
    Map {
        base,
        row_pitch: layout.row_pitch as u32,
        plane_pitch: layout.plane_pitch as u32,
        image_pitch: layout.image_pitch as u32,
    }
}

fn plan_layer(
    layer: &LayerGeometry,
    constants: Constants,
    (shape, images): (Shape, usize),
    (x, x_signed): (Map, bool),
    y_planes: usize,
    config: &ArrayConfig,
    data: &mut Vec<Region>,
) -> Result<LayerSchedule> {
    let Constants { tiling, weights, params } = constants;
    let out = layer.op.output(shape);
    let co_blocks = out.c.div_ceil(config.block());
    let bus = config.bus_bytes();
    let logit_maps = [bus, bus * config.block(), bus * config.block() * co_blocks]; // pitches
    let output = layer.clip.map(|_| Layout::new(out, y_planes, config));
    let [row_pitch, plane_pitch, image_pitch] = match output {
        Some(l) => [l.row_pitch, l.plane_pitch, l.image_pitch],
        None => logit_maps,
    };
    let base = memory::reserve(data, &layer.name, images * image_pitch)?;
    let (dense, planes) = (tiling.kernel == Kernel::Dense, tiling.digits.acts);
    let in_w = if tiling.kernel == Kernel::Folded { shape.w } else { shape.w * planes };
    let pool = matches!(layer.op, Op::Conv { pool: true, .. });
    let y = Map {
        base,
        row_pitch: if dense { image_pitch } else { row_pitch } as u32,
        plane_pitch: plane_pitch as u32,
        image_pitch: image_pitch as u32,
    };
    let y_row_beats = if output.is_some() { row_pitch / bus } else { config.block() };
    let field = |what: &str, count: usize| {
        let reason = || format!("{count} {what} do not fit a field of 16 bits");
        u16::try_from(count).map_err(|_| Error::bad_layer(&layer.name, reason()))
    };
    let command = Command {
        kernel: tiling.kernel,
        pool,
        x_signed,
        raw: output.is_none(),
        resident: tiling.resident,
        aligned: tiling.stripe * tiling.unit_positions <= config.rows,
        x_base: x.base,
        x_row_pitch: x.row_pitch,
        x_plane_pitch: x.plane_pitch,
        x_image_pitch: x.image_pitch,
        in_h: shape.h as u16,
        in_w: in_w as u16,
        y_base: y.base,
        y_row_pitch: y.row_pitch,
        y_plane_pitch: y.plane_pitch,
        y_image_pitch: y.image_pitch,
        units: tiling.units as u16,
        outer: tiling.outer as u16,
        weights,
        weights_pitch: memory::weight_pitch(&tiling, config) as u32,
        weight_rows: (tiling.weight_tiles() * config.rows) as u32,
        params,
        params_pitch: memory::param_pitch(config) as u32,
        ci_tiles: tiling.ci_tiles as u16,
        co_tiles: tiling.co_tiles as u16,
        co_blocks: field("blocks of channels", co_blocks)?,
        out_w: out.w as u16,
        stripe: tiling.stripe as u16,
        patch: tiling.patch as u16,
        slots: tiling.slots as u16,
        clip: layer.clip.unwrap_or(0),
        kernel_h: tiling.window.0 as u16,
        kernel_w: tiling.window.1 as u16,
        unit_positions: tiling.unit_positions as u16,
        step: if dense { shape.h * in_w } else { planes } as u16,
        x_row_beats: field("words of an input row", x.row_pitch as usize / bus)?,
        y_row_beats: field("words of an output row", y_row_beats)?,
        x_stripe_pitch: tiling.stripe as u32 * if dense { x.image_pitch } else { x.row_pitch },
        y_stripe_pitch: (tiling.stripe / (1 + pool as usize)) as u32 * y.row_pitch,
        digits: tiling.digits.weights as u8,
        planes: planes as u8,
        y_planes: y_planes as u8,
    };
    let macs = layer.op.macs(shape) * images as u64;
    Ok(LayerSchedule { name: layer.name.clone(), macs, tiling, command, output, co: out.c })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::random;
    use crate::schedule::schedule;

    /// A plan is made from shapes alone, and a schedule is what it says.
    #[test]
    fn a_schedule_is_its_plan() {
        let recipe = random::Recipe {
            input: Shape { c: 3, h: 10, w: 9 },
            ops: vec![Op::Conv { co: 13, pool: true }, Op::Conv { co: 9, pool: false }, Op::Dense { co: 10 }],
            w: 5,
            a: 6,
            power_of_two: false,
            per_channel: true,
            seed: 2,
        };
        let model = random::model(&recipe);
        let config = ArrayConfig { rows: 6, cols: 4, ..ArrayConfig::default() };
        let plan = plan(&Geometry::of(&model, &config).unwrap(), &config, 2).unwrap();
        let schedule = schedule(&model, &config, 2).unwrap();
        assert_eq!((plan.input, &plan.regions), (schedule.input, &schedule.memory.regions));
        for (planned, scheduled) in plan.layers.iter().zip(&schedule.layers) {
            assert_eq!((planned.command, planned.macs), (scheduled.command, scheduled.macs));
        }
    }

    #[test]
    fn images_and_memory_have_limits() {
        let layer =
            |co| LayerGeometry { name: "fc1".into(), op: Op::Dense { co }, clip: None, digits: Digits::ONE };
        let geometry =
            |co| Geometry { input: Shape { c: 512, h: 7, w: 7 }, signed: true, layers: vec![layer(co)] };
        let config = ArrayConfig::default();
        let refused = |co, images| plan(&geometry(co), &config, images).unwrap_err().to_string();
        assert!(refused(10, 0).contains("--batch") && refused(10, 257).contains("--batch"));
        let config = ArrayConfig { max_channels: 1 << 18, ..ArrayConfig::default() };
        let far = plan(&geometry(200_000), &config, 1).unwrap_err().to_string();
        assert_eq!(far, "layer fc1.weights: the memory image exceeds 4 GiB");
    }

    /// What is beyond a bound, and just within it.
    #[test]
    fn bounds_are_refused_with_need_and_have() {
        let planned = |(c, h, w): (usize, usize, usize), co, images, config: &ArrayConfig| {
            let op = Op::Dense { co };
            let layers = vec![LayerGeometry { name: "fc1".into(), op, clip: None, digits: Digits::ONE }];
            plan(&Geometry { input: Shape { c, h, w }, signed: true, layers }, config, images)
        };
        let refused = |x, co, config: &ArrayConfig| planned(x, co, 1, config).unwrap_err().to_string();
        let config = ArrayConfig {
            max_map: 20,
            max_channels: 40,
            max_images: 3,
            offset_bits: 20,
            ..Default::default()
        };
        assert_eq!(
            refused((3, 4, 21), 9, &config),
            "layer fc1: its map of 4×21 needs max_map ≥ 21; the build has 20"
        );
        let channels =
            |what: &str| format!("layer fc1: its {what} needs max_channels ≥ 41; the build has 40");
        assert_eq!(refused((41, 2, 2), 9, &config), channels("input"));
        assert_eq!(refused((3, 2, 2), 41, &config), channels("output"));
        // 5 · 5 tiles of 8 × 8 weights for each of 400 positions are 640,000 bytes.
        assert!(planned((40, 20, 20), 40, 3, &config).is_ok());
        let narrow = ArrayConfig { offset_bits: 19, ..config };
        assert_eq!(
            refused((40, 20, 20), 40, &narrow),
            "layer fc1.weights: needs offset_bits ≥ 20; the build has 19"
        );
    }
}
