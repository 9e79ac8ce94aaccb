//! Which rows of the input maps to read, patch after patch.

use super::row;
use crate::config::Bounds;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use crate::isa::kernel;
use rust_hdl::prelude::*;

/// Asks for the rows of every patch of a layer in the order in which the core uses the patches, as far ahead as the
/// activation buffer has room for whole patches. For each row there is a description, see `row.rs`; a folded layer has one
/// more, without data, where the map ends.
///
/// Loops, from the outside in: image, stripe, output tile (once if the patches stay loaded), reduction tile, block of
/// channels, image of the stripe (dense), row.
#[derive(LogicBlock)]
pub struct ActWalk {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// One cycle for each patch that may be overwritten.
    pub patch_free_i: Signal<In, Bit>,
    /// Read a row.
    pub run_valid_o: Signal<Out, Bit>,
    /// Its address.
    pub run_addr_o: Sig<Out>,
    /// The row will be read.
    pub run_ready_i: Signal<In, Bit>,
    /// The description of a row; only with `row_ready_i`.
    pub row_push_o: Signal<Out, Bit>,
    /// The description.
    pub row_o: Sig<Out>,
    /// A description can be taken.
    pub row_ready_i: Signal<In, Bit>,
    state: Flop<State>,
    image: Reg,
    unit: Reg,
    co: Reg,
    ci: Reg,
    group: Reg,
    block: Reg,
    y: Reg,
    first_y: Reg,
    last_y: Reg,
    last_member: Reg,
    ends_map: Flop<Bit>,
    begins: Flop<Bit>,
    free: Reg,
    image_addr: Reg,
    unit_addr: Reg,
    stripe_addr: Reg,
    plane_addr: Reg,
    member_addr: Reg,
    row_addr: Reg,
    // What the counters compare to, a cycle after them.
    next_unit: Reg,
    end_unit: Reg,
    last_stripe: Flop<Bit>,
    last_ci: Flop<Bit>,
    last_co: Flop<Bit>,
    last_image: Flop<Bit>,
    halo_addr: Reg,
    before_last_y: Reg,
    // Ready with the counters.
    at_last_y: Flop<Bit>,
    members_left: Reg,
    at_last_member: Flop<Bit>,
    one_member: Flop<Bit>,
    folded: Signal<Local, Bit>,
    dense: Signal<Local, Bit>,
    after_unit: Sig<Local>,
    next_plane: Sig<Local>,
    next_image: Sig<Local>,
    at_row: Signal<Local, Bit>,
    at_below: Signal<Local, Bit>,
    push: Signal<Local, Bit>,
    takes_patch: Signal<Local, Bit>,
    is_last_row: Signal<Local, Bit>,
    flags: Sig<Local>,
    begins_flag: Sig<Local>,
    ends_flag: Sig<Local>,
    real_flag: Sig<Local>,
    emit_flag: Sig<Local>,
    above_flag: Sig<Local>,
    last_group: K,
    block_at: K,
}

/// What the walk does in a cycle.
#[derive(LogicState, Copy, Clone, Debug, PartialEq)]
enum State {
    Idle,
    Settle,
    Stripe,
    Patch,
    Row,
    Below,
    Next,
}

impl ActWalk {
    /// For reduction tiles of `groups` blocks of channels, which are `blocks` altogether in a folded layer, on a build of these
    /// bounds.
    pub fn new(groups: usize, blocks: usize, bounds: &Bounds) -> Self {
        let (field, unit, address) = (u(bounds.map), u(bounds.units), u(bounds.offset));
        let group = u(address_bits(groups));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::of(bounds),
            patch_free_i: Default::default(),
            run_valid_o: Default::default(),
            run_addr_o: Sig::new(address),
            run_ready_i: Default::default(),
            row_push_o: Default::default(),
            row_o: Sig::new(row::ty(groups, blocks)),
            row_ready_i: Default::default(),
            state: Default::default(),
            image: Reg::new(u(bounds.images)),
            unit: Reg::new(unit),
            co: Reg::new(u(bounds.co_tiles)),
            ci: Reg::new(u(bounds.ci_tiles)),
            group: Reg::new(group),
            block: Reg::new(u(address_bits(blocks))),
            y: Reg::new(field),
            first_y: Reg::new(field),
            last_y: Reg::new(field),
            last_member: Reg::new(unit),
            ends_map: Default::default(),
            begins: Default::default(),
            free: Reg::new(u(bounds.slots)),
            image_addr: Reg::new(address),
            unit_addr: Reg::new(address),
            stripe_addr: Reg::new(address),
            plane_addr: Reg::new(address),
            member_addr: Reg::new(address),
            row_addr: Reg::new(address),
            next_unit: Reg::new(unit),
            end_unit: Reg::new(unit),
            last_stripe: Default::default(),
            last_ci: Default::default(),
            last_co: Default::default(),
            last_image: Default::default(),
            halo_addr: Reg::new(address),
            before_last_y: Reg::new(field),
            at_last_y: Default::default(),
            members_left: Reg::new(unit),
            at_last_member: Default::default(),
            one_member: Default::default(),
            folded: Default::default(),
            dense: Default::default(),
            after_unit: Sig::new(u(bounds.units + 1)),
            next_plane: Sig::new(address),
            next_image: Sig::new(address),
            at_row: Default::default(),
            at_below: Default::default(),
            push: Default::default(),
            takes_patch: Default::default(),
            is_last_row: Default::default(),
            flags: Sig::new(row::ty(groups, blocks)),
            begins_flag: Sig::new(u(row::FLAGS)),
            ends_flag: Sig::new(u(row::FLAGS)),
            real_flag: Sig::new(u(row::FLAGS)),
            emit_flag: Sig::new(u(row::FLAGS)),
            above_flag: Sig::new(u(row::FLAGS)),
            last_group: K::new(group, groups as i64 - 1),
            block_at: K::new(u(4), row::block_at(groups).into()),
        }
    }
}

impl Logic for ActWalk {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module act_walk: the rows of the input maps, patch after patch");
        dff_setup!(
            self,
            clk_i,
            state,
            image,
            unit,
            co,
            ci,
            group,
            block,
            y,
            first_y,
            last_y,
            last_member,
            ends_map,
            begins,
            free,
            image_addr,
            unit_addr,
            stripe_addr,
            plane_addr,
            member_addr,
            row_addr,
            next_unit,
            end_unit,
            last_stripe,
            last_ci,
            last_co,
            last_image,
            halo_addr,
            before_last_y,
            at_last_y,
            members_left,
            at_last_member,
            one_member
        );
        self.folded.next = self.layer_i.kernel.val() == kernel::FOLDED;
        self.dense.next = self.layer_i.kernel.val() == kernel::DENSE;
        self.after_unit.next = self.unit.q.val() + self.layer_i.stripe.val();
        self.next_unit.d.next = self.after_unit.val();
        self.end_unit.d.next = self.after_unit.val();
        self.last_stripe.d.next = self.after_unit.val() >= self.layer_i.units.val();
        if self.after_unit.val() >= self.layer_i.units.val() {
            self.end_unit.d.next = self.layer_i.units.val();
        }
        self.last_ci.d.next = (self.ci.q.val() + 1) == self.layer_i.ci_tiles.val();
        self.last_co.d.next = (self.co.q.val() + 1) == self.layer_i.co_tiles.val();
        self.last_image.d.next = (self.image.q.val() + 1) == self.layer_i.outer.val();
        self.halo_addr.d.next = self.unit_addr.q.val();
        if !self.dense.val() && (self.unit.q.val() != 0) {
            self.halo_addr.d.next = self.unit_addr.q.val() - self.layer_i.x_row_pitch.val();
        }
        self.before_last_y.d.next = self.last_y.q.val() - 1;
        self.one_member.d.next = self.last_member.q.val() == 0;
        self.next_image.next = self.image_addr.q.val() + self.layer_i.x_image_pitch.val();
        self.next_plane.next = self.plane_addr.q.val();
        if !self.folded.val() {
            self.next_plane.next = self.plane_addr.q.val() + self.layer_i.x_plane_pitch.val();
        }

        comment!("A row, or the one of zeros below the map.");
        self.at_row.next = self.state.q.val() == State::Row;
        self.at_below.next = self.state.q.val() == State::Below;
        self.run_valid_o.next = self.at_row.val() && self.row_ready_i.val();
        self.run_addr_o.next = self.row_addr.q.val();
        self.push.next =
            self.row_ready_i.val() && (self.at_below.val() || (self.at_row.val() && self.run_ready_i.val()));
        self.row_push_o.next = self.push.val();
        self.is_last_row.next = self.at_below.val() || (self.at_last_y.q.val() && !self.ends_map.q.val());
        self.begins_flag.next = 0;
        if self.begins.q.val() {
            self.begins_flag.next = 1;
        }
        self.ends_flag.next = 0;
        if self.is_last_row.val()
            && (self.group.q.val() == self.last_group.val())
            && self.at_last_member.q.val()
        {
            self.ends_flag.next = 2;
        }
        self.real_flag.next = 0;
        if self.at_row.val() {
            self.real_flag.next = 4;
        }
        self.emit_flag.next = 0;
        if self.y.q.val() > self.unit.q.val() {
            self.emit_flag.next = 8;
        }
        self.above_flag.next = 0;
        if self.y.q.val() == 1 {
            self.above_flag.next = 16;
        }
        self.flags.next = self.begins_flag.val()
            | self.ends_flag.val()
            | self.real_flag.val()
            | self.emit_flag.val()
            | self.above_flag.val();
        self.row_o.next =
            self.flags.val() | (self.group.q.val() << 5) | (self.block.q.val() << self.block_at.val());

        self.takes_patch.next = (self.state.q.val() == State::Patch) && (self.free.q.val() != 0);
        if self.patch_free_i.val() && !self.takes_patch.val() {
            self.free.d.next = self.free.q.val() + 1;
        }
        if !self.patch_free_i.val() && self.takes_patch.val() {
            self.free.d.next = self.free.q.val() - 1;
        }

        match self.state.q.val() {
            State::Idle => {}
            State::Settle => {
                self.state.d.next = State::Stripe;
            }
            State::Stripe => {
                self.first_y.d.next = 0;
                self.last_y.d.next = self.layer_i.in_h.val() - 1;
                self.last_member.d.next = 0;
                self.ends_map.d.next = false;
                if !self.dense.val() {
                    if self.unit.q.val() != 0 {
                        self.first_y.d.next = self.unit.q.val() - 1;
                    }
                    if self.end_unit.q.val() < self.layer_i.in_h.val() {
                        self.last_y.d.next = self.end_unit.q.val();
                    } else {
                        self.ends_map.d.next = self.folded.val();
                    }
                }
                if self.dense.val() {
                    self.last_member.d.next = self.end_unit.q.val() - self.unit.q.val() - 1;
                }
                self.stripe_addr.d.next = self.halo_addr.q.val();
                self.plane_addr.d.next = self.halo_addr.q.val();
                self.member_addr.d.next = self.halo_addr.q.val();
                self.row_addr.d.next = self.halo_addr.q.val();
                self.block.d.next = 0;
                self.state.d.next = State::Patch;
            }
            State::Patch => {
                self.begins.d.next = true;
                self.y.d.next = self.first_y.q.val();
                self.at_last_y.d.next = self.first_y.q.val() == self.last_y.q.val();
                self.members_left.d.next = self.last_member.q.val();
                self.at_last_member.d.next = self.last_member.q.val() == 0;
                if self.takes_patch.val() {
                    self.state.d.next = State::Row;
                }
            }
            State::Row => {
                if self.push.val() {
                    self.begins.d.next = false;
                    self.y.d.next = self.y.q.val() + 1;
                    self.at_last_y.d.next = self.y.q.val() == self.before_last_y.q.val();
                    self.row_addr.d.next = self.row_addr.q.val() + self.layer_i.x_row_pitch.val();
                    if self.at_last_y.q.val() {
                        self.state.d.next = State::Next;
                        if self.ends_map.q.val() {
                            self.state.d.next = State::Below;
                        }
                    }
                }
            }
            State::Below => {
                if self.push.val() {
                    self.state.d.next = State::Next;
                }
            }
            State::Next => {
                self.y.d.next = self.first_y.q.val();
                self.at_last_y.d.next = self.first_y.q.val() == self.last_y.q.val();
                self.state.d.next = State::Row;
                if !self.at_last_member.q.val() {
                    self.members_left.d.next = self.members_left.q.val() - 1;
                    self.at_last_member.d.next = self.members_left.q.val() == 1;
                    self.member_addr.d.next = self.member_addr.q.val() + self.layer_i.x_image_pitch.val();
                    self.row_addr.d.next = self.member_addr.q.val() + self.layer_i.x_image_pitch.val();
                } else {
                    self.members_left.d.next = self.last_member.q.val();
                    self.at_last_member.d.next = self.one_member.q.val();
                    self.begins.d.next = true;
                    self.block.d.next = self.block.q.val() + 1;
                    self.group.d.next = self.group.q.val() + 1;
                    self.plane_addr.d.next = self.next_plane.val();
                    self.member_addr.d.next = self.next_plane.val();
                    self.row_addr.d.next = self.next_plane.val();
                    if self.group.q.val() == self.last_group.val() {
                        self.group.d.next = 0;
                        self.ci.d.next = self.ci.q.val() + 1;
                        self.state.d.next = State::Patch;
                        if self.last_ci.q.val() {
                            self.ci.d.next = 0;
                            self.co.d.next = self.co.q.val() + 1;
                            self.block.d.next = 0;
                            self.plane_addr.d.next = self.stripe_addr.q.val();
                            self.member_addr.d.next = self.stripe_addr.q.val();
                            self.row_addr.d.next = self.stripe_addr.q.val();
                            if (self.layer_i.resident.val() == 1) || self.last_co.q.val() {
                                self.co.d.next = 0;
                                self.state.d.next = State::Settle;
                                self.unit.d.next = self.next_unit.q.val();
                                self.unit_addr.d.next =
                                    self.unit_addr.q.val() + self.layer_i.x_stripe_pitch.val();
                                if self.last_stripe.q.val() {
                                    self.unit.d.next = 0;
                                    self.image.d.next = self.image.q.val() + 1;
                                    self.image_addr.d.next = self.next_image.val();
                                    self.unit_addr.d.next = self.next_image.val();
                                    if self.last_image.q.val() {
                                        self.state.d.next = State::Idle;
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        if self.start_i.val() {
            self.state.d.next = State::Settle;
            self.image.d.next = 0;
            self.unit.d.next = 0;
            self.co.d.next = 0;
            self.ci.d.next = 0;
            self.group.d.next = 0;
            self.free.d.next = self.layer_i.slots.val();
            self.image_addr.d.next = self.layer_i.x_base.val();
            self.unit_addr.d.next = self.layer_i.x_base.val();
        }
        if !self.rst_ni.val() {
            self.state.d.next = State::Idle;
            self.begins.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    #[derive(Clone, Copy, Debug)]
    struct Layer {
        folded: bool,
        dense: bool,
        resident: bool,
        in_h: i64,
        units: i64,
        outer: i64,
        stripe: i64,
        ci_tiles: i64,
        co_tiles: i64,
    }

    const BASE: i64 = 0x10000;
    const ROW: i64 = 0x40;
    const PLANE: i64 = 0x400;
    const IMAGE: i64 = 0x4000;

    fn layer(rng: &mut ChaCha8Rng) -> Layer {
        let kind = rng.random_range(0..3);
        let in_h = rng.random_range(1..=6);
        let dense = kind == 2;
        let units = if dense { rng.random_range(1..=4) } else { (in_h - rng.random_range(0..=1)).max(1) };
        Layer {
            folded: kind == 1,
            dense,
            resident: rng.random(),
            in_h,
            units,
            outer: if dense { 1 } else { rng.random_range(1..=2) },
            stripe: rng.random_range(1..=units),
            ci_tiles: rng.random_range(1..=3),
            co_tiles: rng.random_range(1..=2),
        }
    }

    /// Addresses of the rows (none for one below the map), their flags, group and block.
    fn rows(l: &Layer, groups: i64) -> Vec<(Option<i64>, i64)> {
        let mut rows = vec![];
        for image in 0..l.outer {
            for unit in (0..l.units).step_by(l.stripe as usize) {
                let end = (unit + l.stripe).min(l.units);
                for _ in 0..if l.resident { 1 } else { l.co_tiles } {
                    for block in 0..l.ci_tiles * groups {
                        let ends = block % groups == groups - 1;
                        let plane = BASE + if l.folded { 0 } else { block * PLANE };
                        let mut of_block = vec![];
                        if l.dense {
                            for member in unit..end {
                                of_block
                                    .extend((0..l.in_h).map(|y| (Some(plane + member * IMAGE + y * ROW), y)));
                            }
                        } else {
                            let wanted = (unit - 1).max(0)..=end.min(l.in_h - (!l.folded) as i64);
                            let addr = |y| (y < l.in_h).then_some(plane + image * IMAGE + y * ROW);
                            of_block.extend(wanted.map(|y| (addr(y), y)));
                        }
                        let last = of_block.len() - 1;
                        for (i, (addr, y)) in of_block.into_iter().enumerate() {
                            let flags = (i == 0) as i64
                                | ((ends && i == last) as i64) << 1
                                | (addr.is_some() as i64) << 2
                                | ((y > unit) as i64) << 3
                                | ((y == 1) as i64) << 4;
                            rows.push((
                                addr,
                                flags | (block % groups) << 5 | block << row::block_at(groups as usize),
                            ));
                        }
                    }
                }
            }
        }
        rows
    }

    #[test]
    fn asks_for_every_row_of_every_patch() {
        for groups in [1, 3] {
            let mut bench = Bench::new(ActWalk::new(groups, 16, &Bounds::WIDEST), |b| &mut b.clk_i);
            let mut rng = random(groups as u64);
            bench.cycle();
            bench.block.rst_ni.next = true;
            for _ in 0..30 {
                let l = layer(&mut rng);
                let slots = rng.random_range(1..=4);
                let b = &mut bench.block;
                b.layer_i.next.kernel = match (l.folded, l.dense) {
                    (true, _) => kernel::FOLDED,
                    (_, true) => kernel::DENSE,
                    _ => kernel::CONV,
                };
                b.layer_i.next.resident = l.resident.into();
                let stripe = l.stripe * if l.dense { IMAGE } else { ROW };
                let fields = &mut *b.layer_i.next;
                for (field, value) in [
                    (&mut fields.in_h, l.in_h),
                    (&mut fields.units, l.units),
                    (&mut fields.outer, l.outer),
                    (&mut fields.stripe, l.stripe),
                    (&mut fields.slots, slots),
                    (&mut fields.ci_tiles, l.ci_tiles),
                    (&mut fields.co_tiles, l.co_tiles),
                    (&mut fields.x_base, BASE),
                    (&mut fields.x_row_pitch, ROW),
                    (&mut fields.x_plane_pitch, PLANE),
                    (&mut fields.x_image_pitch, IMAGE),
                    (&mut fields.x_stripe_pitch, stripe),
                ] {
                    *field = value;
                }
                b.start_i.next = true;
                bench.cycle();
                bench.block.start_i.next = false;
                let (mut left, mut free, mut in_patch) = (rows(&l, groups as i64).into_iter(), slots, false);
                for cycle in 0.. {
                    let b = &mut bench.block;
                    (b.run_ready_i.next, b.row_ready_i.next) = (rng.random_bool(0.8), rng.random_bool(0.8));
                    let frees = free < slots && !in_patch && rng.random_bool(0.2);
                    b.patch_free_i.next = frees;
                    free += frees as i64;
                    assert!(simulate(b, 100));
                    if b.row_push_o.val() {
                        let (addr, row) = left.next().unwrap_or_else(|| panic!("{l:?}: a row too many"));
                        assert_eq!(b.row_o.val(), row_of(&b.row_o, row), "{l:?}");
                        assert_eq!(
                            (b.run_valid_o.val() && b.run_ready_i.next).then(|| b.run_addr_o.val()),
                            addr
                        );
                        free -= (!in_patch) as i64;
                        in_patch = row & 2 == 0;
                        assert!(free >= 0, "{l:?}: a patch without a slot");
                    }
                    bench.cycle();
                    if left.as_slice().is_empty() {
                        break;
                    }
                    assert!(cycle < 20_000, "{l:?}: hangs");
                }
            }
            bench.verilog("act_walk", 5);
        }
    }

    /// `row` as the port holds it.
    fn row_of(port: &Sig<Out>, row: i64) -> i64 {
        port.ty().wrap(row)
    }
}
