//! The bases of the run under way, and of the one that is queued.

use crate::config::PAGE_BITS;
use crate::hw::rt::{Flop, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Keeps what the registers said when a start was queued, and when a run began. Addresses are pages of 4096 bytes.
#[derive(LogicBlock)]
pub struct Bases {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// MODEL_BASE as the register has it.
    pub model_i: Sig<In>,
    /// DATA_BASE as the register has it.
    pub data_i: Sig<In>,
    /// One of them is no multiple of a page.
    pub misaligned_i: Signal<In, Bit>,
    /// One cycle: a start is queued.
    pub queue_i: Signal<In, Bit>,
    /// One cycle: a run begins,
    pub begin_i: Signal<In, Bit>,
    /// the queued one.
    pub queued_i: Signal<In, Bit>,
    /// MODEL_BASE of the run.
    pub model_o: Sig<Out>,
    /// DATA_BASE of the run.
    pub data_o: Sig<Out>,
    /// One of them is no multiple of a page.
    pub misaligned_o: Signal<Out, Bit>,
    model: Reg,
    data: Reg,
    misaligned: Flop<Bit>,
    next_model: Reg,
    next_data: Reg,
    next_misaligned: Flop<Bit>,
}

impl Bases {
    /// For addresses of `address_bits`.
    pub fn new(address_bits: u32) -> Self {
        let page = u(address_bits - PAGE_BITS);
        Self {
            clk_i: Default::default(),
            model_i: Sig::new(page),
            data_i: Sig::new(page),
            misaligned_i: Default::default(),
            queue_i: Default::default(),
            begin_i: Default::default(),
            queued_i: Default::default(),
            model_o: Sig::new(page),
            data_o: Sig::new(page),
            misaligned_o: Default::default(),
            model: Reg::new(page),
            data: Reg::new(page),
            misaligned: Default::default(),
            next_model: Reg::new(page),
            next_data: Reg::new(page),
            next_misaligned: Default::default(),
        }
    }
}

impl Logic for Bases {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module bases: of the run under way, and of the queued one");
        dff_setup!(self, clk_i, model, data, misaligned, next_model, next_data, next_misaligned);
        self.model_o.next = self.model.q.val();
        self.data_o.next = self.data.q.val();
        self.misaligned_o.next = self.misaligned.q.val();
        if self.queue_i.val() {
            self.next_model.d.next = self.model_i.val();
            self.next_data.d.next = self.data_i.val();
            self.next_misaligned.d.next = self.misaligned_i.val();
        }
        if self.begin_i.val() {
            self.model.d.next = self.model_i.val();
            self.data.d.next = self.data_i.val();
            self.misaligned.d.next = self.misaligned_i.val();
            if self.queued_i.val() {
                self.model.d.next = self.next_model.q.val();
                self.data.d.next = self.next_data.q.val();
                self.misaligned.d.next = self.next_misaligned.q.val();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn a_run_has_the_bases_of_its_start() {
        for bits in [32, 64] {
            let mut rng = random(bits);
            let mut bench = Bench::new(Bases::new(bits as u32), |b| &mut b.clk_i);
            let (mut run, mut waiting) = ((0, 0, false), None);
            let mut runs = 0;
            for _ in 0..300 {
                let now =
                    (rng.random_range(0..1 << 20), rng.random_range(0..1i64 << (bits - 12)), rng.random());
                let (ends, starts) = (rng.random_bool(0.2), rng.random_bool(0.3));
                let begins = ends && (waiting.is_some() || starts);
                let queues = starts && (if ends { waiting.is_some() } else { waiting.is_none() });
                let b = &mut bench.block;
                (b.model_i.next, b.data_i.next, b.misaligned_i.next) = now;
                (b.begin_i.next, b.queued_i.next, b.queue_i.next) = (begins, waiting.is_some(), queues);
                bench.cycle();
                if begins {
                    run = waiting.take().unwrap_or(now);
                    runs += 1;
                }
                if queues {
                    waiting = Some(now);
                }
                let b = &bench.block;
                assert!(runs == 0 || (b.model_o.val(), b.data_o.val(), b.misaligned_o.val()) == run);
            }
            bench.verilog("bases", 40);
        }
    }
}
