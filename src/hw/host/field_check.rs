//! Whether a command can be executed.

use crate::hw::rt::{Flop, K, Sig, u};
use rust_hdl::prelude::*;

/// Looks at the fields that would make the control hang or run away. The outputs follow the fields
/// [`FieldCheck::LATENCY`] cycles later.
#[derive(LogicBlock)]
pub struct FieldCheck {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// What the command is.
    pub opcode_i: Sig<In>,
    /// 0: conv, 1: folded, 2: dense.
    pub kernel_i: Sig<In>,
    /// Written rows are pooled: an even number of units a stripe, and no raw accumulators.
    pub pool_i: Signal<In, Bit>,
    /// Accumulators go out as they are.
    pub raw_i: Signal<In, Bit>,
    /// Rows of the input.
    pub in_h_i: Sig<In>,
    /// Columns of the input.
    pub in_w_i: Sig<In>,
    /// Units of the layer.
    pub units_i: Sig<In>,
    /// How often the units come.
    pub outer_i: Sig<In>,
    /// Units of a stripe.
    pub stripe_i: Sig<In>,
    /// Words of a patch.
    pub patch_i: Sig<In>,
    /// Patches that the activation buffer holds.
    pub slots_i: Sig<In>,
    /// Kernel rows.
    pub kernel_h_i: Sig<In>,
    /// Kernel columns.
    pub kernel_w_i: Sig<In>,
    /// Positions of a unit.
    pub unit_positions_i: Sig<In>,
    /// Tiles of the reduction.
    pub ci_tiles_i: Sig<In>,
    /// Tiles of output channels.
    pub co_tiles_i: Sig<In>,
    /// Blocks of output channels that are written.
    pub co_blocks_i: Sig<In>,
    /// Pixels of a written row.
    pub out_w_i: Sig<In>,
    /// Words of the bus in an input row.
    pub x_row_beats_i: Sig<In>,
    /// Words of the bus in a written row.
    pub y_row_beats_i: Sig<In>,
    /// Rows of weights of an output tile.
    pub weight_rows_i: Sig<In>,
    /// The end mark.
    pub end_o: Signal<Out, Bit>,
    /// Neither a layer nor the end mark.
    pub unknown_o: Signal<Out, Bit>,
    /// Unknown kernel, a count of 0, a row that the folding block does not hold, or what cannot be pooled.
    pub bad_o: Signal<Out, Bit>,
    map_zero: Flop<Bit>,
    units_zero: Flop<Bit>,
    tiles_zero: Flop<Bit>,
    kernel_zero: Flop<Bit>,
    weights_zero: Flop<Bit>,
    bad_kernel: Flop<Bit>,
    bad_pool: Flop<Bit>,
    layer: Flop<Bit>,
    end_mark: Flop<Bit>,
    unknown: Flop<Bit>,
    end_late: Flop<Bit>,
    bad: Flop<Bit>,
    fold_width: K,
}

impl FieldCheck {
    /// Cycles from the fields to the outputs.
    pub const LATENCY: usize = 2;

    /// A check for a folding block of rows up to `fold_width` pixels, 0 if there is none.
    pub fn new(fold_width: usize) -> Self {
        Self {
            clk_i: Default::default(),
            opcode_i: Sig::new(u(8)),
            kernel_i: Sig::new(u(8)),
            pool_i: Default::default(),
            raw_i: Default::default(),
            in_h_i: Sig::new(u(16)),
            in_w_i: Sig::new(u(16)),
            units_i: Sig::new(u(16)),
            outer_i: Sig::new(u(16)),
            stripe_i: Sig::new(u(16)),
            patch_i: Sig::new(u(16)),
            slots_i: Sig::new(u(16)),
            kernel_h_i: Sig::new(u(16)),
            kernel_w_i: Sig::new(u(16)),
            unit_positions_i: Sig::new(u(16)),
            ci_tiles_i: Sig::new(u(16)),
            co_tiles_i: Sig::new(u(16)),
            co_blocks_i: Sig::new(u(16)),
            out_w_i: Sig::new(u(16)),
            x_row_beats_i: Sig::new(u(16)),
            y_row_beats_i: Sig::new(u(16)),
            weight_rows_i: Sig::new(u(32)),
            end_o: Default::default(),
            unknown_o: Default::default(),
            bad_o: Default::default(),
            map_zero: Default::default(),
            units_zero: Default::default(),
            tiles_zero: Default::default(),
            kernel_zero: Default::default(),
            weights_zero: Default::default(),
            bad_kernel: Default::default(),
            bad_pool: Default::default(),
            layer: Default::default(),
            end_mark: Default::default(),
            unknown: Default::default(),
            end_late: Default::default(),
            bad: Default::default(),
            fold_width: K::new(u(16), fold_width as i64),
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
            bad_kernel,
            bad_pool,
            layer,
            end_mark,
            unknown,
            end_late,
            bad
        );
        self.map_zero.d.next = (self.in_h_i.val() == 0)
            || (self.in_w_i.val() == 0)
            || (self.patch_i.val() == 0)
            || (self.slots_i.val() == 0);
        self.units_zero.d.next = (self.units_i.val() == 0)
            || (self.outer_i.val() == 0)
            || (self.stripe_i.val() == 0)
            || (self.unit_positions_i.val() == 0);
        self.tiles_zero.d.next = (self.ci_tiles_i.val() == 0)
            || (self.co_tiles_i.val() == 0)
            || (self.co_blocks_i.val() == 0)
            || (self.out_w_i.val() == 0);
        self.kernel_zero.d.next = (self.kernel_h_i.val() == 0)
            || (self.kernel_w_i.val() == 0)
            || (self.x_row_beats_i.val() == 0)
            || (self.y_row_beats_i.val() == 0);
        self.weights_zero.d.next = self.weight_rows_i.val() == 0;
        self.bad_kernel.d.next = (self.kernel_i.val() > 2)
            || ((self.kernel_i.val() == 1) && (self.in_w_i.val() > self.fold_width.val()));
        self.bad_pool.d.next = self.pool_i.val()
            && (self.raw_i.val() || ((self.units_i.val() & 1) != 0) || ((self.stripe_i.val() & 1) != 0));
        self.layer.d.next = self.opcode_i.val() == 0x01;
        self.end_mark.d.next = self.opcode_i.val() == 0xff;

        self.unknown.d.next = !self.layer.q.val() && !self.end_mark.q.val();
        self.end_late.d.next = self.end_mark.q.val();
        self.bad.d.next = self.map_zero.q.val()
            || self.units_zero.q.val()
            || self.tiles_zero.q.val()
            || self.kernel_zero.q.val()
            || self.weights_zero.q.val()
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
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    /// Every field that must not be 0.
    fn counts(check: &mut FieldCheck) -> [&mut Sig<In>; 17] {
        [
            &mut check.in_h_i,
            &mut check.in_w_i,
            &mut check.units_i,
            &mut check.outer_i,
            &mut check.stripe_i,
            &mut check.patch_i,
            &mut check.slots_i,
            &mut check.kernel_h_i,
            &mut check.kernel_w_i,
            &mut check.unit_positions_i,
            &mut check.ci_tiles_i,
            &mut check.co_tiles_i,
            &mut check.co_blocks_i,
            &mut check.out_w_i,
            &mut check.x_row_beats_i,
            &mut check.y_row_beats_i,
            &mut check.weight_rows_i,
        ]
    }

    #[test]
    fn each_fault_alone_is_found() {
        for fold_width in [0, 40] {
            let mut rng = random(fold_width as u64);
            let mut bench = Bench::new(FieldCheck::new(fold_width), |c| &mut c.clk_i);
            for round in 0..200 {
                let zero = round % 40; // from 17 on, no field is 0
                let opcode = [1, 1, 1, 0xff, 0, 0x7e][rng.random_range(0..6)];
                let kernel = [0, 0, 1, 2, 2, 3, 129][rng.random_range(0..7)];
                let in_w = if zero == 1 { 0 } else { [1, 39, 40, 41, 65535][rng.random_range(0..5)] };
                let c = &mut bench.block;
                for (i, field) in counts(c).into_iter().enumerate() {
                    let most = field.ty().range().1;
                    let low = 1 << rng.random_range(0..field.ty().bits);
                    field.next = if i == zero { 0 } else { [1, low, most - 1, most][rng.random_range(0..4)] };
                }
                (c.opcode_i.next, c.kernel_i.next, c.in_w_i.next) = (opcode, kernel, in_w);
                (c.pool_i.next, c.raw_i.next) = (rng.random_bool(0.4), rng.random_bool(0.4));
                let odd = (c.units_i.next | c.stripe_i.next) % 2 == 1;
                let bad_pool = c.pool_i.next && (c.raw_i.next || odd);
                (0..FieldCheck::LATENCY).for_each(|_| bench.cycle());
                let c = &bench.block;
                let bad_kernel = kernel > 2 || (kernel == 1 && in_w > fold_width as i64);
                let bad = zero < 17 || bad_kernel || bad_pool;
                let want = (opcode == 0xff, ![1, 0xff].contains(&opcode), bad);
                assert_eq!((c.end_o.val(), c.unknown_o.val(), c.bad_o.val()), want, "field {zero}");
            }
            bench.verilog("field_check", FieldCheck::LATENCY);
        }
    }
}
