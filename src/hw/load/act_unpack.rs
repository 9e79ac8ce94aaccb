//! From rows of pixels to words of the activation buffer.

use super::{Fold, StepGap, row};
use crate::config::Bounds;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use crate::isa::kernel;
use rust_hdl::prelude::*;

/// Follows the descriptions of the rows: takes their pixels and says which word of the activation buffer each becomes.
///
/// A row takes a cycle for each pixel, and one between rows; a folded one waits for its last window.
#[derive(LogicBlock)]
pub struct ActUnpack {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// A description is there.
    pub row_valid_i: Signal<In, Bit>,
    /// The description of a row.
    pub row_i: Sig<In>,
    /// It is taken.
    pub row_take_o: Signal<Out, Bit>,
    /// A pixel is there.
    pub pixel_valid_i: Signal<In, Bit>,
    /// It is taken.
    pub pixel_take_o: Signal<Out, Bit>,
    /// It is the last of its row.
    pub pixel_last_o: Signal<Out, Bit>,
    /// [`Fold::step_i`] and what goes with it.
    pub step_o: Signal<Out, Bit>,
    /// [`Fold::first_i`].
    pub first_o: Signal<Out, Bit>,
    /// [`Fold::tail_i`].
    pub tail_o: Signal<Out, Bit>,
    /// [`Fold::below_i`].
    pub below_o: Signal<Out, Bit>,
    /// [`Fold::above_i`].
    pub above_o: Signal<Out, Bit>,
    /// [`Fold::emit_i`].
    pub emit_o: Signal<Out, Bit>,
    /// [`Fold::x_i`].
    pub x_o: Sig<Out>,
    /// [`Fold::block_i`].
    pub block_o: Sig<Out>,
    /// [`Fold::valid_o`].
    pub window_valid_i: Signal<In, Bit>,
    /// The pixel, or the window, of the cycle before is to be written.
    pub write_o: Signal<Out, Bit>,
    /// Block of lanes to write.
    pub group_o: Sig<Out>,
    /// Word to write.
    pub addr_o: Sig<Out>,
    /// A patch is complete.
    pub patch_done_o: Signal<Out, Bit>,
    state: Flop<State>,
    x: Reg,
    // What `x` compares to, ready with it.
    last_pixel: Flop<Bit>,
    tail: Flop<Bit>,
    // Of the layer.
    before_last: Reg,
    one_pixel: Flop<Bit>,
    ends: Flop<Bit>,
    stored: Flop<Bit>,
    emit: Flop<Bit>,
    above: Flop<Bit>,
    group: Reg,
    block: Reg,
    word: Reg,
    base: Reg,
    slot: Reg,
    drain: Reg,
    write: Flop<Bit>,
    done: Flop<Bit>,
    folded: Signal<Local, Bit>,
    needs_pixel: Signal<Local, Bit>,
    step: Signal<Local, Bit>,
    finish: Signal<Local, Bit>,
    gap: Vec<StepGap>,
    latency: K,
    block_at: K,
    _planes: usize,
}

/// What the block does in a cycle.
#[derive(LogicState, Copy, Clone, Debug, PartialEq)]
enum State {
    Idle,
    Run,
    Wait,
}

impl ActUnpack {
    /// For patches of `groups` blocks of channels, `blocks` blocks of reduction lanes, lanes of `depth` words, and folded
    /// rows of up to `fold_width` pixels, whose windows come plane by plane if there are `planes`, on a build of these
    /// bounds.
    pub fn new(
        groups: usize,
        blocks: usize,
        depth: usize,
        fold_width: usize,
        planes: bool,
        bounds: &Bounds,
    ) -> Self {
        let (row, address, group) = (u(bounds.row), u(address_bits(depth)), u(address_bits(groups)));
        let block = u(address_bits(blocks));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::narrow(bounds, &[("patch", address)]),
            row_valid_i: Default::default(),
            row_i: Sig::new(row::ty(groups, blocks)),
            row_take_o: Default::default(),
            pixel_valid_i: Default::default(),
            pixel_take_o: Default::default(),
            pixel_last_o: Default::default(),
            step_o: Default::default(),
            first_o: Default::default(),
            tail_o: Default::default(),
            below_o: Default::default(),
            above_o: Default::default(),
            emit_o: Default::default(),
            x_o: Sig::new(u(address_bits(fold_width))),
            block_o: Sig::new(block),
            window_valid_i: Default::default(),
            write_o: Default::default(),
            group_o: Sig::new(group),
            addr_o: Sig::new(address),
            patch_done_o: Default::default(),
            state: Default::default(),
            x: Reg::new(row),
            last_pixel: Default::default(),
            tail: Default::default(),
            before_last: Reg::new(row),
            one_pixel: Default::default(),
            ends: Default::default(),
            stored: Default::default(),
            emit: Default::default(),
            above: Default::default(),
            group: Reg::new(group),
            block: Reg::new(block),
            word: Reg::new(address),
            base: Reg::new(address),
            slot: Reg::new(u(bounds.slots)),
            drain: Reg::new(u(3)),
            write: Default::default(),
            done: Default::default(),
            folded: Default::default(),
            needs_pixel: Default::default(),
            step: Default::default(),
            finish: Default::default(),
            gap: planes.then(StepGap::default).into_iter().collect(),
            latency: K::new(u(3), Fold::LATENCY as i64),
            block_at: K::new(u(4), row::block_at(groups).into()),
            _planes: planes as usize,
        }
    }
}

impl Logic for ActUnpack {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module act_unpack: from rows of pixels to words of the activation buffer");
        dff_setup!(
            self,
            clk_i,
            state,
            x,
            last_pixel,
            tail,
            before_last,
            one_pixel,
            ends,
            stored,
            emit,
            above,
            group,
            block,
            word,
            base,
            slot,
            drain,
            write,
            done
        );
        self.folded.next = self.layer_i.kernel.val() == kernel::FOLDED;
        self.before_last.d.next = self.layer_i.in_w.val() - 2;
        self.one_pixel.d.next = self.layer_i.in_w.val() == 1;
        self.needs_pixel.next = self.stored.q.val() && !self.tail.q.val();
        self.step.next =
            (self.state.q.val() == State::Run) && (self.pixel_valid_i.val() || !self.needs_pixel.val());
        for i in 0..self._planes {
            self.gap[i].clk_i.next = self.clk_i.val();
            self.gap[i].restart_i.next = self.start_i.val() || !self.rst_ni.val();
            self.gap[i].layer_i.next = self.layer_i.val();
            if !self.gap[i].open_o.val() {
                self.step.next = false;
            }
            self.gap[i].step_i.next = self.step.val() && self.folded.val();
        }
        self.pixel_take_o.next = self.step.val() && self.needs_pixel.val();
        self.pixel_last_o.next = self.last_pixel.q.val();
        self.step_o.next = self.step.val() && self.folded.val();
        self.first_o.next = self.x.q.val() == 0;
        self.tail_o.next = self.tail.q.val();
        self.below_o.next = !self.stored.q.val();
        self.above_o.next = self.above.q.val();
        self.emit_o.next = self.emit.q.val();
        self.x_o.next = self.x.q.val();
        self.block_o.next = self.block.q.val();

        self.write.d.next = self.window_valid_i.val();
        if !self.folded.val() {
            self.write.d.next = self.step.val();
        }
        self.write_o.next = self.write.q.val();
        self.addr_o.next = self.word.q.val();
        self.group_o.next = self.group.q.val();
        if self.write.q.val() {
            self.word.d.next = self.word.q.val() + 1;
        }

        self.finish.next = false;
        self.row_take_o.next = false;
        match self.state.q.val() {
            State::Idle => {
                self.row_take_o.next = self.row_valid_i.val();
                self.x.d.next = 0;
                self.last_pixel.d.next = self.one_pixel.q.val();
                self.tail.d.next = false;
                self.drain.d.next = 0;
                self.ends.d.next = ((self.row_i.val() >> 1) & 1) != 0;
                self.stored.d.next = ((self.row_i.val() >> 2) & 1) != 0;
                self.emit.d.next = ((self.row_i.val() >> 3) & 1) != 0;
                self.above.d.next = ((self.row_i.val() >> 4) & 1) != 0;
                if self.row_valid_i.val() {
                    self.state.d.next = State::Run;
                    self.group.d.next = self.row_i.val() >> 5;
                    self.block.d.next = self.row_i.val() >> self.block_at.val();
                    if (self.row_i.val() & 1) != 0 {
                        self.word.d.next = self.base.q.val();
                    }
                }
            }
            State::Run => {
                if self.step.val() {
                    self.x.d.next = self.x.q.val() + 1;
                    self.last_pixel.d.next = self.x.q.val() == self.before_last.q.val();
                    self.tail.d.next = self.folded.val() && self.last_pixel.q.val();
                    if self.folded.val() {
                        if self.tail.q.val() || (self.last_pixel.q.val() && !self.emit.q.val()) {
                            self.state.d.next = State::Wait;
                        }
                    } else if self.last_pixel.q.val() {
                        self.state.d.next = State::Idle;
                        self.finish.next = true;
                    }
                }
            }
            State::Wait => {
                self.drain.d.next = self.drain.q.val() + 1;
                for i in 0..self._planes {
                    if !self.gap[i].open_o.val() {
                        self.drain.d.next = self.drain.q.val();
                    }
                }
                if self.drain.q.val() == self.latency.val() {
                    self.state.d.next = State::Idle;
                    self.finish.next = true;
                }
            }
        }
        self.done.d.next = self.finish.val() && self.ends.q.val();
        self.patch_done_o.next = self.done.q.val();
        if self.finish.val() && self.ends.q.val() {
            self.slot.d.next = self.slot.q.val() + 1;
            self.base.d.next = self.base.q.val() + self.layer_i.patch.val();
            if (self.slot.q.val() + 1) == self.layer_i.slots.val() {
                self.slot.d.next = 0;
                self.base.d.next = 0;
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.state.d.next = State::Idle;
            self.slot.d.next = 0;
            self.base.d.next = 0;
            self.write.d.next = false;
            self.done.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    /// Patches of two blocks of channels: which words are written, in which order, and when a patch is complete.
    fn check(folded: bool, width: usize, slots: usize) {
        const GROUPS: usize = 2;
        let (depth, rows) = (64, 3);
        let windows = |row: usize| if row == 0 { 0 } else { width };
        let patch = if folded { 2 * width } else { 3 * width };
        let mut bench =
            Bench::new(ActUnpack::new(GROUPS, 4, depth, 8, false, &Bounds::WIDEST), |b| &mut b.clk_i);
        let mut rng = random(width as u64);
        bench.cycle();
        let b = &mut bench.block;
        (b.rst_ni.next, b.start_i.next) = (true, true);
        b.layer_i.next.kernel = if folded { kernel::FOLDED } else { kernel::CONV };
        (b.layer_i.next.in_w, b.layer_i.next.patch, b.layer_i.next.slots) =
            (width as i64, patch as i64, slots as i64);
        bench.cycle();
        bench.block.start_i.next = false;
        let (mut queue, mut want) = (vec![], vec![]);
        for n in 0..5 {
            for group in 0..GROUPS {
                for row in 0..rows {
                    let last = group + 1 == GROUPS && row + 1 == rows;
                    let stored = !folded || row + 1 < rows;
                    let flags = [row == 0, last, stored, row > 0, row == 1];
                    let flags: usize = flags.iter().enumerate().map(|(i, &on)| (on as usize) << i).sum();
                    queue.push((flags | group << 5 | group << row::block_at(GROUPS)) as i64);
                    let before = if folded { (0..row).map(windows).sum() } else { row * width };
                    let words = if folded { windows(row) } else { width };
                    want.extend((0..words).map(|i| (group, n % slots * patch + before + i)));
                }
            }
        }
        let (mut next, mut got, mut patches, mut steps) = (0, vec![], 0, [false; Fold::LATENCY]);
        for _ in 0..2000 {
            let b = &mut bench.block;
            b.row_valid_i.next = next < queue.len() && rng.random_bool(0.8);
            b.row_i.next = queue.get(next).copied().unwrap_or(0);
            b.pixel_valid_i.next = rng.random_bool(0.7);
            b.window_valid_i.next = steps[Fold::LATENCY - 1];
            assert!(simulate(b, 100));
            assert!(!b.pixel_take_o.val() || b.pixel_valid_i.next);
            next += b.row_take_o.val() as usize;
            steps.rotate_right(1);
            steps[0] = b.step_o.val() && b.emit_o.val() && !b.first_o.val();
            if b.write_o.val() {
                got.push((b.group_o.val() as usize, b.addr_o.val() as usize));
            }
            if b.patch_done_o.val() {
                patches += 1;
                assert_eq!(got.len(), patches * GROUPS * patch, "a patch is not complete");
            }
            bench.cycle();
        }
        assert_eq!((got, patches), (want, 5));
        bench.verilog("act_unpack", 1 << 20); // descriptions have no value before the first
    }

    #[test]
    fn every_pixel_becomes_the_next_word_of_its_block() {
        check(false, 5, 3);
        check(false, 1, 2);
        check(true, 4, 3);
        check(true, 7, 2);
    }
}
