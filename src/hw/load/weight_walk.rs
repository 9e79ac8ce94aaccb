//! Which weights and parameters to read, output tile after output tile.

use crate::config::Bounds;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Asks for the weight stream and then the parameter records of every output tile, for every stripe of a layer again.
#[derive(LogicBlock)]
pub struct WeightWalk {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// Read a run of words of the bus.
    pub run_valid_o: Signal<Out, Bit>,
    /// Its address.
    pub run_addr_o: Sig<Out>,
    /// Words of the bus.
    pub run_beats_o: Sig<Out>,
    /// The run will be read.
    pub run_ready_i: Signal<In, Bit>,
    busy: Flop<Bit>,
    params: Flop<Bit>,
    image: Reg,
    unit: Reg,
    co: Reg,
    weights_addr: Reg,
    params_addr: Reg,
    // What the counters say, a cycle after them.
    settled: Flop<Bit>,
    next_unit: Reg,
    last_co: Flop<Bit>,
    last_stripe: Flop<Bit>,
    last_image: Flop<Bit>,
    run_addr: Reg,
    run_beats: Reg,
    after_unit: Sig<Local>,
    bus_shift: K,
}

impl WeightWalk {
    /// For a bus of `bus_bytes`, on a build of these bounds.
    pub fn new(bus_bytes: usize, bounds: &Bounds) -> Self {
        let (unit, address, beats) = (u(bounds.units), u(bounds.offset), u(bounds.weight_beats));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::of(bounds),
            run_valid_o: Default::default(),
            run_addr_o: Sig::new(address),
            run_beats_o: Sig::new(beats),
            run_ready_i: Default::default(),
            busy: Default::default(),
            params: Default::default(),
            image: Reg::new(u(bounds.images)),
            unit: Reg::new(unit),
            co: Reg::new(u(bounds.co_tiles)),
            weights_addr: Reg::new(address),
            params_addr: Reg::new(address),
            settled: Default::default(),
            next_unit: Reg::new(unit),
            last_co: Default::default(),
            last_stripe: Default::default(),
            last_image: Default::default(),
            run_addr: Reg::new(address),
            run_beats: Reg::new(beats),
            after_unit: Sig::new(u(bounds.units + 1)),
            bus_shift: K::new(u(3), bus_bytes.ilog2() as i64),
        }
    }
}

impl Logic for WeightWalk {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module weight_walk: weights and parameters, output tile after output tile");
        dff_setup!(
            self,
            clk_i,
            busy,
            params,
            image,
            unit,
            co,
            weights_addr,
            params_addr,
            settled,
            next_unit,
            last_co,
            last_stripe,
            last_image,
            run_addr,
            run_beats
        );
        self.after_unit.next = self.unit.q.val() + self.layer_i.stripe.val();
        self.next_unit.d.next = self.after_unit.val();
        self.last_stripe.d.next = self.after_unit.val() >= self.layer_i.units.val();
        self.last_co.d.next = (self.co.q.val() + 1) == self.layer_i.co_tiles.val();
        self.last_image.d.next = (self.image.q.val() + 1) == self.layer_i.outer.val();
        self.run_addr.d.next = self.weights_addr.q.val();
        self.run_beats.d.next = self.layer_i.weights_pitch.val() >> self.bus_shift.val();
        if self.params.q.val() {
            self.run_addr.d.next = self.params_addr.q.val();
            self.run_beats.d.next = self.layer_i.params_pitch.val() >> self.bus_shift.val();
        }
        self.run_valid_o.next = self.busy.q.val() && self.settled.q.val();
        self.run_addr_o.next = self.run_addr.q.val();
        self.run_beats_o.next = self.run_beats.q.val();
        self.settled.d.next = true;
        if self.run_valid_o.val() && self.run_ready_i.val() {
            self.settled.d.next = false;
            self.params.d.next = !self.params.q.val();
            if self.params.q.val() {
                self.co.d.next = self.co.q.val() + 1;
                self.weights_addr.d.next = self.weights_addr.q.val() + self.layer_i.weights_pitch.val();
                self.params_addr.d.next = self.params_addr.q.val() + self.layer_i.params_pitch.val();
                if self.last_co.q.val() {
                    self.co.d.next = 0;
                    self.weights_addr.d.next = self.layer_i.weights.val();
                    self.params_addr.d.next = self.layer_i.params.val();
                    self.unit.d.next = self.next_unit.q.val();
                    if self.last_stripe.q.val() {
                        self.unit.d.next = 0;
                        self.image.d.next = self.image.q.val() + 1;
                        self.busy.d.next = !self.last_image.q.val();
                    }
                }
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.busy.d.next = self.rst_ni.val();
            self.settled.d.next = false;
            self.params.d.next = false;
            self.image.d.next = 0;
            self.unit.d.next = 0;
            self.co.d.next = 0;
            self.weights_addr.d.next = self.layer_i.weights.val();
            self.params_addr.d.next = self.layer_i.params.val();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn weights_and_parameters_of_every_tile_of_every_stripe() {
        for bus_bytes in [8, 16, 64] {
            let mut bench = Bench::new(WeightWalk::new(bus_bytes, &Bounds::WIDEST), |b| &mut b.clk_i);
            let mut rng = random(bus_bytes as u64);
            bench.cycle();
            bench.block.rst_ni.next = true;
            for _ in 0..20 {
                let (units, outer, co_tiles) =
                    (rng.random_range(1..=5), rng.random_range(1..=2), rng.random_range(1..=3));
                let stripe = rng.random_range(1..=units);
                let b = &mut bench.block;
                (b.layer_i.next.units, b.layer_i.next.outer, b.layer_i.next.stripe) = (units, outer, stripe);
                (b.layer_i.next.co_tiles, b.layer_i.next.weights, b.layer_i.next.params) =
                    (co_tiles, 0x1000, 0x8000);
                (b.layer_i.next.weights_pitch, b.layer_i.next.params_pitch) =
                    (9 * bus_bytes as i64, 2 * bus_bytes as i64);
                let runs = |co: i64| {
                    let pitch = |beats: i64| co * beats * bus_bytes as i64;
                    [(0x1000 + pitch(9), 9), (0x8000 + pitch(2), 2)]
                };
                let stripes = outer * ((units + stripe - 1) / stripe);
                let mut want = (0..stripes).flat_map(|_| (0..co_tiles).flat_map(runs));
                b.start_i.next = true;
                bench.cycle();
                bench.block.start_i.next = false;
                for _ in 0..stripes * co_tiles * 8 + 40 {
                    bench.block.run_ready_i.next = rng.random_bool(0.7);
                    if bench.block.run_valid_o.val() && bench.block.run_ready_i.next {
                        let run = (bench.block.run_addr_o.val(), bench.block.run_beats_o.val());
                        assert_eq!(Some(run), want.next());
                    }
                    bench.cycle();
                }
                assert_eq!(want.next(), None);
            }
            bench.verilog("weight_walk", 2);
        }
    }
}
