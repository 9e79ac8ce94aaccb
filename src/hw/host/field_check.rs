//! Whether a command can be executed.

use crate::config::Bounds;
use crate::hw::rt::{Flop, K, LayerPort, Sig, u};
use crate::isa::{kernel, opcode, timing};
use rust_hdl::prelude::*;

/// Looks at the fields that would make the control hang or run away. The outputs follow the fields
/// [`FieldCheck::LATENCY`] cycles later.
#[derive(LogicBlock)]
pub struct FieldCheck {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// What the command says.
    pub layer_i: LayerPort<In>,
    /// The end mark.
    pub end_o: Signal<Out, Bit>,
    /// Neither a layer nor the end mark.
    pub unknown_o: Signal<Out, Bit>,
    /// Unknown kernel, a count of 0, a number beyond the build's bounds, a row that the folding block does not hold, or what
    /// cannot be pooled.
    pub bad_o: Signal<Out, Bit>,
    map_zero: Flop<Bit>,
    units_zero: Flop<Bit>,
    tiles_zero: Flop<Bit>,
    kernel_zero: Flop<Bit>,
    weights_zero: Flop<Bit>,
    // Beyond the bounds.
    map_wide: Flop<Bit>,
    units_wide: Flop<Bit>,
    tiles_wide: Flop<Bit>,
    beats_wide: Flop<Bit>,
    x_far: Flop<Bit>,
    y_far: Flop<Bit>,
    weights_far: Flop<Bit>,
    bad_kernel: Flop<Bit>,
    bad_pool: Flop<Bit>,
    layer: Flop<Bit>,
    end_mark: Flop<Bit>,
    unknown: Flop<Bit>,
    end_late: Flop<Bit>,
    bad: Flop<Bit>,
    low_unused: Sig<Local>,
    fold_width: K,
    map: K,
    row: K,
    units: K,
    images: K,
    ci_tiles: K,
    co_tiles: K,
    co_blocks: K,
    slots: K,
    x_row_beats: K,
    y_row_beats: K,
    weight_rows: K,
    params_pitch: K,
    offset: K,
}

impl FieldCheck {
    /// Cycles from the fields to the outputs.
    pub const LATENCY: usize = timing::FIELD_CHECK;

    /// A check for a folding block of rows up to `fold_width` pixels, 0 if there is none, on a build of these bounds.
    pub fn new(fold_width: usize, bounds: &Bounds) -> Self {
        let bits = |bits: u32| K::new(u(6), bits.into());
        Self {
            clk_i: Default::default(),
            layer_i: LayerPort::raw(),
            end_o: Default::default(),
            unknown_o: Default::default(),
            bad_o: Default::default(),
            map_zero: Default::default(),
            units_zero: Default::default(),
            tiles_zero: Default::default(),
            kernel_zero: Default::default(),
            weights_zero: Default::default(),
            map_wide: Default::default(),
            units_wide: Default::default(),
            tiles_wide: Default::default(),
            beats_wide: Default::default(),
            x_far: Default::default(),
            y_far: Default::default(),
            weights_far: Default::default(),
            bad_kernel: Default::default(),
            bad_pool: Default::default(),
            layer: Default::default(),
            end_mark: Default::default(),
            unknown: Default::default(),
            end_late: Default::default(),
            bad: Default::default(),
            low_unused: Sig::new(u(32)),
            fold_width: K::new(u(16), fold_width as i64),
            map: bits(bounds.map),
            row: bits(bounds.row),
            units: bits(bounds.units),
            images: bits(bounds.images),
            ci_tiles: bits(bounds.ci_tiles),
            co_tiles: bits(bounds.co_tiles),
            co_blocks: bits(bounds.co_blocks),
            slots: bits(bounds.slots),
            x_row_beats: bits(bounds.x_row_beats),
            y_row_beats: bits(bounds.y_row_beats),
            weight_rows: bits(bounds.weight_rows),
            params_pitch: bits(bounds.params_pitch),
            offset: bits(bounds.offset),
        }
    }
}

impl Logic for FieldCheck {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module field_check: whether a command can be executed");
        dff_setup!(
            self,
            clk_i,
            map_zero,
            units_zero,
            tiles_zero,
            kernel_zero,
            weights_zero,
            map_wide,
            units_wide,
            tiles_wide,
            beats_wide,
            x_far,
            y_far,
            weights_far,
            bad_kernel,
            bad_pool,
            layer,
            end_mark,
            unknown,
            end_late,
            bad
        );
        self.map_zero.d.next = (self.layer_i.in_h.val() == 0)
            || (self.layer_i.in_w.val() == 0)
            || (self.layer_i.patch.val() == 0)
            || (self.layer_i.slots.val() == 0);
        self.units_zero.d.next = (self.layer_i.units.val() == 0)
            || (self.layer_i.outer.val() == 0)
            || (self.layer_i.stripe.val() == 0)
            || (self.layer_i.unit_positions.val() == 0);
        self.tiles_zero.d.next = (self.layer_i.ci_tiles.val() == 0)
            || (self.layer_i.co_tiles.val() == 0)
            || (self.layer_i.co_blocks.val() == 0)
            || (self.layer_i.out_w.val() == 0);
        self.kernel_zero.d.next = (self.layer_i.kernel_h.val() == 0)
            || (self.layer_i.kernel_w.val() == 0)
            || (self.layer_i.x_row_beats.val() == 0)
            || (self.layer_i.y_row_beats.val() == 0);
        self.weights_zero.d.next = self.layer_i.weight_rows.val() == 0;
        self.map_wide.d.next = ((self.layer_i.in_h.val() >> self.map.val()) != 0)
            || ((self.layer_i.out_w.val() >> self.map.val()) != 0)
            || ((self.layer_i.kernel_h.val() >> self.map.val()) != 0)
            || ((self.layer_i.kernel_w.val() >> self.map.val()) != 0)
            || ((self.layer_i.unit_positions.val() >> self.map.val()) != 0)
            || ((self.layer_i.in_w.val() >> self.row.val()) != 0);
        self.units_wide.d.next = ((self.layer_i.units.val() >> self.units.val()) != 0)
            || ((self.layer_i.stripe.val() >> self.units.val()) != 0)
            || ((self.layer_i.outer.val() >> self.images.val()) != 0)
            || ((self.layer_i.slots.val() >> self.slots.val()) != 0);
        self.tiles_wide.d.next = ((self.layer_i.ci_tiles.val() >> self.ci_tiles.val()) != 0)
            || ((self.layer_i.co_tiles.val() >> self.co_tiles.val()) != 0)
            || ((self.layer_i.co_blocks.val() >> self.co_blocks.val()) != 0)
            || ((self.layer_i.weight_rows.val() >> self.weight_rows.val()) != 0);
        self.beats_wide.d.next = ((self.layer_i.x_row_beats.val() >> self.x_row_beats.val()) != 0)
            || ((self.layer_i.y_row_beats.val() >> self.y_row_beats.val()) != 0)
            || ((self.layer_i.params_pitch.val() >> self.params_pitch.val()) != 0);
        self.x_far.d.next = ((self.layer_i.x_base.val() >> self.offset.val()) != 0)
            || ((self.layer_i.x_row_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.x_plane_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.x_image_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.x_stripe_pitch.val() >> self.offset.val()) != 0);
        self.y_far.d.next = ((self.layer_i.y_base.val() >> self.offset.val()) != 0)
            || ((self.layer_i.y_row_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.y_plane_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.y_image_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.y_stripe_pitch.val() >> self.offset.val()) != 0);
        self.weights_far.d.next = ((self.layer_i.weights.val() >> self.offset.val()) != 0)
            || ((self.layer_i.weights_pitch.val() >> self.offset.val()) != 0)
            || ((self.layer_i.params.val() >> self.offset.val()) != 0);
        self.low_unused.next = self.layer_i.x_base.val()
            | self.layer_i.x_row_pitch.val()
            | self.layer_i.x_plane_pitch.val()
            | self.layer_i.x_image_pitch.val()
            | self.layer_i.x_stripe_pitch.val()
            | self.layer_i.y_base.val()
            | self.layer_i.y_row_pitch.val()
            | self.layer_i.y_plane_pitch.val()
            | self.layer_i.y_image_pitch.val()
            | self.layer_i.y_stripe_pitch.val()
            | self.layer_i.weights.val()
            | self.layer_i.weights_pitch.val()
            | self.layer_i.params.val()
            | self.layer_i.params_pitch.val();
        self.bad_kernel.d.next = (self.layer_i.kernel.val() > kernel::DENSE)
            || ((self.layer_i.kernel.val() == kernel::FOLDED)
                && (self.layer_i.in_w.val() > self.fold_width.val()));
        self.bad_pool.d.next = (self.layer_i.pool.val() == 1)
            && ((self.layer_i.raw.val() == 1)
                || ((self.layer_i.units.val() & 1) != 0)
                || ((self.layer_i.stripe.val() & 1) != 0));
        self.layer.d.next = self.layer_i.opcode.val() == opcode::LAYER;
        self.end_mark.d.next = self.layer_i.opcode.val() == opcode::END;

        self.unknown.d.next = !self.layer.q.val() && !self.end_mark.q.val();
        self.end_late.d.next = self.end_mark.q.val();
        self.bad.d.next = self.map_zero.q.val()
            || self.units_zero.q.val()
            || self.tiles_zero.q.val()
            || self.kernel_zero.q.val()
            || self.weights_zero.q.val()
            || self.map_wide.q.val()
            || self.units_wide.q.val()
            || self.tiles_wide.q.val()
            || self.beats_wide.q.val()
            || self.x_far.q.val()
            || self.y_far.q.val()
            || self.weights_far.q.val()
            || self.bad_kernel.q.val()
            || self.bad_pool.q.val();
        self.end_o.next = self.end_late.q.val();
        self.unknown_o.next = self.unknown.q.val();
        self.bad_o.next = self.bad.q.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ArrayConfig;
    use crate::hw::check::{Bench, random};
    use crate::hw::rt::Fields;
    use crate::isa::{FIELDS, Field, Layer};
    use rand::Rng;

    /// Every field that must not be 0.
    const COUNTS: [&str; 17] = [
        "in_h",
        "in_w",
        "units",
        "outer",
        "stripe",
        "patch",
        "slots",
        "kernel_h",
        "kernel_w",
        "unit_positions",
        "ci_tiles",
        "co_tiles",
        "co_blocks",
        "out_w",
        "x_row_beats",
        "y_row_beats",
        "weight_rows",
    ];

    #[test]
    fn each_fault_alone_is_found() {
        check(40, &Bounds::WIDEST);
        for fold_width in [0, 40] {
            check(fold_width, &ArrayConfig::default().bounds()).verilog("field_check", FieldCheck::LATENCY);
        }
    }

    fn check(fold_width: usize, bounds: &Bounds) -> Bench<FieldCheck> {
        let kept = |field: &Field| bounds.bits(field.name).unwrap_or(field.bits);
        let narrow: Vec<_> = FIELDS.iter().filter(|f| kept(f) < f.bits).collect();
        let mut rng = random(fold_width as u64);
        let mut bench = Bench::new(FieldCheck::new(fold_width, bounds), |c| &mut c.clk_i);
        for round in 0..240usize {
            let zero = round % 60; // from 17 on, no field is 0
            let wide = zero.checked_sub(17).and_then(|at| narrow.get(at)); // one beyond its bounds
            let opcode = [1, 1, 1, 0xff, 0, 0x7e][rng.random_range(0..6)];
            let kernel = [0, 0, 1, 2, 2, 3, 129][rng.random_range(0..7)];
            let in_w = if zero == 1 { 0 } else { [1, 39, 40, 41, 500][rng.random_range(0..5)] };
            let in_w = if bounds.row < 16 { in_w.min(255) } else { in_w };
            let mut layer = Layer::new(|field| {
                let bits = kept(field);
                let most = u(bits).range().1;
                let low = 1 << rng.random_range(0..bits);
                match COUNTS.iter().position(|name| *name == field.name) {
                    Some(i) if i == zero => 0,
                    _ => [1, low, most - 1, most][rng.random_range(0..4)].max(1),
                }
            });
            (layer.opcode, layer.kernel, layer.in_w) = (opcode, kernel, in_w);
            if let Some(field) = wide {
                let bit = rng.random_range(kept(field)..field.bits);
                let at = FIELDS.iter().position(|f| f.name == field.name).unwrap();
                *layer.each_mut()[at] |= 1 << bit;
            }
            let [pool, raw] = [0.4, 0.4].map(|p| rng.random_bool(p));
            (layer.pool, layer.raw) = (pool.into(), raw.into());
            let odd = (layer.units | layer.stripe) % 2 == 1;
            let bad_pool = pool && (raw || odd);
            let bad_kernel = kernel > 2 || (kernel == 1 && layer.in_w > fold_width as i64);
            bench.block.layer_i.next = Fields::new(layer);
            (0..FieldCheck::LATENCY).for_each(|_| bench.cycle());
            let c = &bench.block;
            let bad = zero < 17 || wide.is_some() || bad_kernel || bad_pool;
            let want = (opcode == 0xff, ![1, 0xff].contains(&opcode), bad);
            let got = (c.end_o.val(), c.unknown_o.val(), c.bad_o.val());
            assert_eq!(got, want, "field {zero}, {:?}", wide.map(|field| field.name));
        }
        bench
    }
}
