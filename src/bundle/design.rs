//! What a program needs to know of a bundle: `design.json`, and the same for make.

use super::contents::{Bundle, MEMORY};
use super::selftest::SelfTest;
use super::{runs, selftest};
use crate::arith::Quantizer;
use crate::config::ArrayConfig;
use crate::hw;
use crate::isa::identity;
use crate::net::{Preprocessing, Shape};
use crate::schedule::cycles;
use crate::schedule::{Excerpt, Regions};
use serde::Serialize;
use std::path::Path;

/// Name of the description.
pub const FILE: &str = "design.json";
const FORMAT: &str = "vgg2rtl-bundle";

#[derive(Serialize)]
struct Design<'a> {
    format: &'a str,
    version: u32,
    tool: String,
    /// The module to instantiate.
    top: &'a str,
    configuration_hash: String,
    configuration: &'a ArrayConfig,
    /// Columns that share a multiplier.
    pack: usize,
    on_chip_memory_bits: usize,
    model: &'a str,
    images: usize,
    address_bits: u32,
    id_bits: u32,
    /// Registers whose values say what was built: address and value.
    identity: [(usize, u32); 8],
    /// Registers READ_LIMIT, which is the bytes of the model, WRITE_BASE and WRITE_LIMIT, which is the bytes of the data.
    read_limit: usize,
    write_base: usize,
    write_limit: usize,
    max_cycles: u64,
    /// Integers of the golden model that a run writes.
    words: usize,
    /// The short run of slow benches.
    #[serde(skip_serializing_if = "Option::is_none")]
    short: Option<runs::Short<'a>>,
    preprocessing: &'a Preprocessing,
    input: Input<'a>,
    logits: Logits,
    classes: &'a [String],
    selftest: selftest::Design,
    regions: Vec<Region<'a>>,
    layers: Vec<Layer<'a>>,
}

/// The input: step and levels of its codes, and its layout, as a layer's output has one.
#[derive(Serialize)]
struct Input<'a> {
    #[serde(flatten)]
    quantizer: &'a Quantizer,
    address: u32,
    row_pitch: usize,
    plane_pitch: usize,
    image_pitch: usize,
    block: usize,
    /// Planes of a code, and bits of an element: of a code in one plane.
    planes: usize,
    bits: u32,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Serialize)]
struct Logits {
    /// First byte from DATA_BASE, and bytes from image to image and from class to class.
    address: u32,
    image_pitch: u32,
    class_pitch: usize,
    /// A logit is worth mantissa · 2^exponent, where a number of 32 bits holds that.
    step: Option<(u32, i32)>,
}

#[derive(Serialize)]
struct Region<'a> {
    name: &'a str,
    /// The base of its address.
    base: &'a str,
    address: u32,
    bytes: usize,
}

#[derive(Serialize)]
struct Layer<'a> {
    name: &'a str,
    channels: usize,
    macs: u64,
    /// Cycles of the closed-form model, latency 20, 10 % stalls.
    model_cycles: u64,
    /// Output: first byte from DATA_BASE, and bytes from row to row, block to block, image to image.
    address: u32,
    row_pitch: u32,
    plane_pitch: u32,
    image_pitch: u32,
    /// Channels of a block, planes of a code, and bits of an element; logits are 64 bits in a word of the bus each.
    block: usize,
    planes: usize,
    bits: u32,
}

/// Whether `path` describes a bundle.
pub fn is_bundle(path: &Path) -> bool {
    let json = std::fs::read(path).ok().and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok());
    json.is_some_and(|json| json["format"] == FORMAT)
}

impl Bundle<'_> {
    pub(super) fn design(&self, selftest: &SelfTest, short: Option<&Excerpt>) -> String {
        let schedule = self.schedule;
        let Regions { model_bytes, window, .. } = schedule.regions();
        let regions = schedule.memory.regions.iter().map(|r| {
            let (area, address) = schedule.place(r);
            Region { name: &r.name, base: area.base(), address, bytes: r.bytes }
        });
        let layers =
            schedule.layers.iter().zip(cycles::estimate(schedule, MEMORY)).map(|(l, cycles)| Layer {
                name: &l.name,
                channels: l.co,
                macs: l.macs,
                model_cycles: cycles.total,
                address: l.command.y_base,
                row_pitch: l.command.y_row_pitch,
                plane_pitch: l.command.y_plane_pitch,
                image_pitch: l.command.y_image_pitch,
                block: schedule.config.block(),
                planes: l.output.map_or(1, |layout| layout.planes),
                bits: l.output.map_or(64, |layout| layout.bits),
            });
        let (layout, last) = (&schedule.input, schedule.layers.last().expect("a schedule has layers"));
        let input = Input {
            quantizer: &self.model.input,
            address: 0,
            row_pitch: layout.row_pitch,
            plane_pitch: layout.plane_pitch,
            image_pitch: layout.image_pitch,
            block: layout.block,
            planes: layout.planes,
            bits: layout.bits,
            shape: layout.shape,
        };
        let logits = Logits {
            address: last.command.y_base,
            image_pitch: last.command.y_image_pitch,
            class_pitch: schedule.config.bus_bytes(),
            step: self.driven().logit_step(),
        };
        let design = Design {
            format: FORMAT,
            version: 2,
            tool: format!("vgg2rtl {}", env!("CARGO_PKG_VERSION")),
            top: self.top(),
            configuration_hash: hw::hash(&schedule.config),
            configuration: &schedule.config,
            pack: schedule.config.pack,
            on_chip_memory_bits: schedule.config.memory_bits(),
            model: &self.model.header.name,
            images: schedule.images,
            address_bits: schedule.config.address_bits,
            id_bits: schedule.config.id_bits,
            identity: identity(&schedule.config),
            read_limit: model_bytes,
            write_base: window.start,
            write_limit: window.end,
            max_cycles: cycles::limit(self.schedule, MEMORY),
            words: self.trace.words(),
            short: short.map(runs::Short::of),
            preprocessing: &self.model.header.preprocessing,
            input,
            logits,
            classes: &self.model.header.classes,
            selftest: selftest.design(),
            regions: regions.collect(),
            layers: layers.collect(),
        };
        serde_json::to_string_pretty(&design).expect("a design is plain data") + "\n"
    }
}
