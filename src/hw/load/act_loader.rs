//! From input maps in memory to patches in the activation buffer.

use super::{ActUnpack, ActWalk, Fold, FoldPlanes, OneHot, row};
use crate::config::ArrayConfig;
use crate::hw::datapath::address_bits;
use crate::hw::memory::{Queue, ReadStream, Unpacker};
use crate::hw::rt::{Lanes, LanesReg, LayerPort, Sig, u};
use crate::isa::kernel;
use rust_hdl::prelude::*;

/// Reads the patches of a layer one after the other, as far ahead as there is room, and writes them into the lanes of
/// the activation buffer. The layer's inputs are stable from `start_i` until the layer has ended.
#[derive(LogicBlock)]
pub struct ActLoader {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// A burst is wanted; see [`ReadStream`].
    pub ar_valid_o: Signal<Out, Bit>,
    /// Its address.
    pub ar_addr_o: Sig<Out>,
    /// Its words of the bus, less one.
    pub ar_len_o: Sig<Out>,
    /// It will be read.
    pub ar_ready_i: Signal<In, Bit>,
    /// A word of the bus has come.
    pub push_i: Signal<In, Bit>,
    /// The word.
    pub beat_i: Lanes<In>,
    /// Blocks of activation lanes to write.
    pub act_write_o: Lanes<Out>,
    /// Word to write.
    pub act_addr_o: Sig<Out>,
    /// A pixel's block of channels.
    pub act_data_o: Lanes<Out>,
    /// One cycle for each patch that has been loaded.
    pub patch_done_o: Signal<Out, Bit>,
    /// One cycle for each patch that may be overwritten.
    pub patch_free_i: Signal<In, Bit>,
    walk: ActWalk,
    rows: Queue,
    stream: ReadStream,
    pixels: Unpacker,
    fold_pixels: Vec<Unpacker>,
    fold: Vec<Fold>,
    fold_planes: Vec<FoldPlanes>,
    unpack: ActUnpack,
    group: OneHot,
    data: LanesReg,
    folded: Signal<Local, Bit>,
    _folds: usize,
    _whole: usize,
    _planes: usize,
}

impl ActLoader {
    /// Rows that may be described before their pixels have come.
    const ROWS: usize = 16;

    /// For the design point `config`.
    pub fn new(config: &ArrayConfig) -> Self {
        let (block, bus, channels) = (config.block(), config.bus_bits, config.fold_channels);
        let groups = config.rows / block;
        let blocks = (9 * channels).div_ceil(config.rows).max(1) * groups;
        let bounds = config.bounds();
        let (address, code) = (u(bounds.offset), u(config.act_bits));
        let stream = ReadStream::new(bus, bounds.offset, bounds.x_row_beats);
        let folds = (channels > 0) as usize;
        let (whole, planes) = (config.code_bits(), config.act_digits);
        let fold = || Fold::new(channels, whole, config.fold_width, block, blocks);
        let fold_pixels = || Unpacker::new(bus, channels, u(whole));
        let fold_planes = || FoldPlanes::new(block, whole, planes, config.act_bits);
        let cut = if planes > 1 { folds } else { 0 };
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::of(&bounds),
            ar_valid_o: Default::default(),
            ar_addr_o: Sig::new(address),
            ar_len_o: Sig::new(stream.ar_len_o.ty()),
            ar_ready_i: Default::default(),
            push_i: Default::default(),
            beat_i: Lanes::new(bus / 32, u(32)),
            act_write_o: Lanes::new(groups, u(1)),
            act_addr_o: Sig::new(u(address_bits(config.act_depth))),
            act_data_o: Lanes::new(block, code),
            patch_done_o: Default::default(),
            patch_free_i: Default::default(),
            walk: ActWalk::new(groups, blocks, &bounds),
            rows: Queue::new(Self::ROWS, row::ty(groups, blocks)),
            stream,
            pixels: Unpacker::new(bus, block, code),
            fold_pixels: std::iter::repeat_with(fold_pixels).take(folds).collect(),
            fold: std::iter::repeat_with(fold).take(folds).collect(),
            fold_planes: std::iter::repeat_with(fold_planes).take(cut).collect(),
            unpack: ActUnpack::new(groups, blocks, config.act_depth, config.fold_width, cut > 0, &bounds),
            group: OneHot::new(groups),
            data: LanesReg::new(block, code),
            folded: Default::default(),
            _folds: folds,
            _whole: folds - cut,
            _planes: cut,
        }
    }
}

impl Logic for ActLoader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module act_loader: from input maps in memory to patches in the activation buffer");
        dff_setup!(self, clk_i, data);
        self.walk.clk_i.next = self.clk_i.val();
        self.rows.clk_i.next = self.clk_i.val();
        self.stream.clk_i.next = self.clk_i.val();
        self.pixels.clk_i.next = self.clk_i.val();
        self.unpack.clk_i.next = self.clk_i.val();
        self.walk.rst_ni.next = self.rst_ni.val();
        self.rows.rst_ni.next = self.rst_ni.val();
        self.stream.rst_ni.next = self.rst_ni.val();
        self.pixels.rst_ni.next = self.rst_ni.val();
        self.unpack.rst_ni.next = self.rst_ni.val();
        self.walk.start_i.next = self.start_i.val();
        self.unpack.start_i.next = self.start_i.val();

        self.folded.next = self.layer_i.kernel.val() == kernel::FOLDED;
        self.walk.layer_i.next = self.layer_i.val();
        self.walk.patch_free_i.next = self.patch_free_i.val();
        self.unpack.layer_i.next = self.layer_i.val();

        self.stream.run_valid_i.next = self.walk.run_valid_o.val();
        self.stream.run_addr_i.next = self.walk.run_addr_o.val();
        self.stream.run_beats_i.next = self.layer_i.x_row_beats.val();
        self.walk.run_ready_i.next = self.stream.run_ready_o.val();
        self.ar_valid_o.next = self.stream.ar_valid_o.val();
        self.ar_addr_o.next = self.stream.ar_addr_o.val();
        self.ar_len_o.next = self.stream.ar_len_o.val();
        self.stream.ar_ready_i.next = self.ar_ready_i.val();
        self.stream.push_i.next = self.push_i.val();
        self.stream.beat_i.next = self.beat_i.val();

        self.rows.push_i.next = self.walk.row_push_o.val();
        self.rows.data_i.next = self.walk.row_o.val();
        self.walk.row_ready_i.next = self.rows.room_o.val();
        self.unpack.row_valid_i.next = self.rows.valid_o.val();
        self.unpack.row_i.next = self.rows.data_o.val();
        self.rows.take_i.next = self.unpack.row_take_o.val();

        comment!("Pixels of one block of channels, or all channels of a folded layer.");
        self.pixels.beat_valid_i.next = self.stream.valid_o.val() && !self.folded.val();
        self.pixels.beat_i.next = self.stream.beat_o.val();
        self.pixels.take_i.next = self.unpack.pixel_take_o.val() && !self.folded.val();
        self.pixels.flush_i.next = self.unpack.pixel_last_o.val();
        self.stream.take_i.next = self.pixels.beat_take_o.val();
        self.unpack.pixel_valid_i.next = self.pixels.valid_o.val();
        self.unpack.window_valid_i.next = false;
        self.data.d.next = self.pixels.item_o.val();
        for i in 0..self._folds {
            self.fold_pixels[i].clk_i.next = self.clk_i.val();
            self.fold_pixels[i].rst_ni.next = self.rst_ni.val();
            self.fold_pixels[i].beat_valid_i.next = self.stream.valid_o.val() && self.folded.val();
            self.fold_pixels[i].beat_i.next = self.stream.beat_o.val();
            self.fold_pixels[i].take_i.next = self.unpack.pixel_take_o.val() && self.folded.val();
            self.fold_pixels[i].flush_i.next = self.unpack.pixel_last_o.val();
            self.fold[i].clk_i.next = self.clk_i.val();
            self.fold[i].step_i.next = self.unpack.step_o.val();
            self.fold[i].first_i.next = self.unpack.first_o.val();
            self.fold[i].tail_i.next = self.unpack.tail_o.val();
            self.fold[i].below_i.next = self.unpack.below_o.val();
            self.fold[i].above_i.next = self.unpack.above_o.val();
            self.fold[i].emit_i.next = self.unpack.emit_o.val();
            self.fold[i].x_i.next = self.unpack.x_o.val();
            self.fold[i].block_i.next = self.unpack.block_o.val();
            self.fold[i].pixel_i.next = self.fold_pixels[i].item_o.val();
            if self.folded.val() {
                self.stream.take_i.next = self.fold_pixels[i].beat_take_o.val();
                self.unpack.pixel_valid_i.next = self.fold_pixels[i].valid_o.val();
            }
        }
        for i in 0..self._whole {
            self.unpack.window_valid_i.next = self.fold[i].valid_o.val();
            if self.folded.val() {
                self.data.d.next = self.fold[i].item_o.val();
            }
        }
        for i in 0..self._planes {
            self.fold_planes[i].clk_i.next = self.clk_i.val();
            self.fold_planes[i].rst_ni.next = self.rst_ni.val();
            self.fold_planes[i].layer_i.next = self.layer_i.val();
            self.fold_planes[i].valid_i.next = self.fold[i].valid_o.val();
            self.fold_planes[i].window_i.next = self.fold[i].item_o.val();
            self.unpack.window_valid_i.next = self.fold_planes[i].valid_o.val();
            if self.folded.val() {
                self.data.d.next = self.fold_planes[i].item_o.val();
            }
        }

        self.group.valid_i.next = self.unpack.write_o.val();
        self.group.index_i.next = self.unpack.group_o.val();
        self.act_write_o.next = self.group.lanes_o.val();
        self.act_addr_o.next = self.unpack.addr_o.val();
        self.act_data_o.next = self.data.q.val();
        self.patch_done_o.next = self.unpack.patch_done_o.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use crate::hw::load::reader::Reader;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Kind {
        Conv,
        Folded,
        Dense,
    }

    /// Maps in memory: image, plane, row (padded to the bus), pixel, channel.
    struct Maps {
        channels: usize,
        h: usize,
        w: usize,
        row_bytes: usize,
        bytes: Vec<u8>,
        codes: Vec<i64>,
    }

    impl Maps {
        fn random(
            rng: &mut ChaCha8Rng,
            config: &ArrayConfig,
            channels: usize,
            (planes, h, w): (usize, usize, usize),
        ) -> Self {
            let images = 3;
            let bits = config.act_bits as usize;
            let row_bytes = (w * channels * bits).div_ceil(config.bus_bits) * config.bus_bytes();
            let mut bytes = vec![0; images * planes * h * row_bytes];
            let mut codes = vec![];
            for row in 0..images * planes * h {
                for element in 0..w * channels {
                    let code = rng.random_range(0..1i64 << bits);
                    for bit in 0..bits {
                        let at = row * row_bytes * 8 + element * bits + bit;
                        bytes[at / 8] |= ((code >> bit & 1) as u8) << (at % 8);
                    }
                    codes.push(code);
                }
            }
            Self { channels, h, w, row_bytes, bytes, codes }
        }

        /// Channel `c` of a pixel; `plane` counts through all images. 0 outside.
        fn code(&self, plane: usize, y: i64, x: i64, c: usize) -> i64 {
            let inside = (0..self.h as i64).contains(&y) && (0..self.w as i64).contains(&x);
            let pixel = || (plane * self.h + y as usize) * self.w + x as usize;
            if inside { self.codes[pixel() * self.channels + c] } else { 0 }
        }
    }

    /// One layer on one configuration; every patch is compared when it is complete.
    fn check(config: &ArrayConfig, kind: Kind, seed: u64) {
        let mut rng = random(seed);
        let (block, groups) = (config.block(), config.rows / config.block());
        let (h, w) = (rng.random_range(2..=5), rng.random_range(2..=6));
        let (channels, ci_tiles) = match kind {
            Kind::Folded => (config.fold_channels, (9 * config.fold_channels).div_ceil(config.rows)),
            _ => (block, 2),
        };
        let planes = if kind == Kind::Folded { 1 } else { ci_tiles * groups };
        let maps = Maps::random(&mut rng, config, channels, (planes, h, w));
        let (units, outer) = if kind == Kind::Dense { (3, 1) } else { (h, 2) };
        let stripe = rng.random_range(1..=units);
        let patch = match kind {
            Kind::Conv => (stripe + 2).min(h) * w,
            Kind::Folded => stripe * w,
            Kind::Dense => stripe * h * w,
        };
        let slots = (config.act_depth / patch).min(3);
        let mut bench = Bench::new(ActLoader::new(config), |b| &mut b.clk_i);
        bench.cycle();
        let b = &mut bench.block;
        b.rst_ni.next = true;
        b.layer_i.next.kernel = kind as i64;
        let (row, plane) = (maps.row_bytes, maps.row_bytes * h);
        let pitch = if kind == Kind::Dense { plane * planes } else { row };
        let fields = &mut *b.layer_i.next;
        for (field, value) in [
            (&mut fields.in_h, h),
            (&mut fields.in_w, w),
            (&mut fields.units, units),
            (&mut fields.outer, outer),
            (&mut fields.stripe, stripe),
            (&mut fields.patch, patch),
            (&mut fields.slots, slots),
            (&mut fields.ci_tiles, ci_tiles),
            (&mut fields.co_tiles, 2),
            (&mut fields.x_row_pitch, row),
            (&mut fields.x_plane_pitch, plane),
            (&mut fields.x_image_pitch, plane * planes),
            (&mut fields.x_stripe_pitch, stripe * pitch),
            (&mut fields.x_row_beats, row / config.bus_bytes()),
        ] {
            *field = value as i64;
        }
        b.start_i.next = true;
        bench.cycle();
        bench.block.start_i.next = false;

        let mut reader = Reader::new(&maps.bytes, config.bus_bits, seed);
        let mut lanes = vec![vec![vec![0; block]; config.act_depth]; groups];
        let stripes = (0..outer).flat_map(|i| (0..units).step_by(stripe).map(move |u| (i, u)));
        let patches = stripes.flat_map(|(i, u)| (0..2 * ci_tiles).map(move |ci| (i, u, ci % ci_tiles)));
        for (number, (image, unit, ci)) in patches.enumerate() {
            for cycle in 0.. {
                assert!(cycle < 20_000, "{kind:?}: hangs at patch {number}");
                let b = &mut bench.block;
                b.patch_free_i.next = cycle == 0 && number >= 1; // the one before
                reader.drive(&mut b.ar_ready_i, &mut b.push_i, &mut b.beat_i);
                assert!(simulate(b, 100));
                reader.clock(b.ar_valid_o.val(), b.ar_addr_o.val(), b.ar_len_o.val());
                for group in (0..groups).filter(|&g| b.act_write_o.val()[g] == 1) {
                    lanes[group][b.act_addr_o.val() as usize] = b.act_data_o.val().to_vec();
                }
                let done = b.patch_done_o.val();
                bench.cycle();
                if done {
                    break;
                }
            }
            let end = (unit + stripe).min(units);
            let words: Vec<(usize, i64, i64)> = match kind {
                Kind::Dense => (unit..end).flat_map(|n| pixels(n, 0..h, w)).collect(),
                Kind::Conv => pixels(image, unit.saturating_sub(1)..(end + 1).min(h), w).collect(),
                Kind::Folded => pixels(image, unit..end, w).collect(),
            };
            for (at, &(image, y, x)) in words.iter().enumerate() {
                for lane in 0..config.rows {
                    let reduction = ci * config.rows + lane;
                    let want = match kind {
                        Kind::Folded => {
                            let (k, c) = (reduction / channels, reduction % channels);
                            let (ky, kx) = ((k / 3) as i64, (k % 3) as i64);
                            if k < 9 { maps.code(image, y + ky - 1, x + kx - 1, c) } else { 0 }
                        }
                        _ => maps.code(image * planes + reduction / block, y, x, reduction % block),
                    };
                    let got = lanes[lane / block][number % slots * patch + at][lane % block];
                    assert_eq!(got, want, "{kind:?}, patch {number}, word {at}, lane {lane}");
                }
            }
        }
        bench.verilog("act_loader", 1 << 20); // memories have no value before they are written
    }

    fn pixels(
        image: usize,
        rows: std::ops::Range<usize>,
        w: usize,
    ) -> impl Iterator<Item = (usize, i64, i64)> {
        rows.flat_map(move |y| (0..w).map(move |x| (image, y as i64, x as i64)))
    }

    #[test]
    fn patches_hold_the_pixels_of_their_rows() {
        let base = ArrayConfig { act_depth: 128, fold_width: 8, requantizers: 1, ..ArrayConfig::default() };
        for (seed, rows, cols, act_bits, bus_bits, fold_channels) in [
            (1, 8, 4, 8, 64, 3),
            (2, 6, 4, 5, 128, 1),
            (3, 4, 4, 3, 64, 4),
            (4, 12, 8, 12, 256, 2),
            (5, 16, 8, 8, 64, 0),
        ] {
            let config = ArrayConfig { rows, cols, act_bits, bus_bits, fold_channels, ..base.clone() };
            for kind in [Kind::Conv, Kind::Dense] {
                check(&config, kind, seed);
            }
            if fold_channels > 0 {
                check(&config, Kind::Folded, seed);
            }
        }
    }
}
