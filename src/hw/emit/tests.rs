use super::emit;
use crate::hw::check::{Bench, random, random_value};
use crate::hw::comment;
use crate::hw::rt::{Flop, K, Lanes, LanesReg, Reg, Sig, s, u};
use rand::Rng;
use rust_hdl::prelude::*;

/// Every operator on operands of mixed widths and signs.
#[derive(LogicBlock)]
struct Operators {
    clk_i: Signal<In, Clock>,
    a_i: Sig<In>,
    b_i: Sig<In>,
    c_i: Sig<In>,
    k_i: Sig<In>,
    flag_i: Signal<In, Bit>,
    sum_o: Sig<Out>,
    difference_o: Sig<Out>,
    product_o: Sig<Out>,
    shifted_o: Sig<Out>,
    logic_o: Sig<Out>,
    mask_o: Sig<Out>,
    flags_o: Sig<Out>,
    nested_o: Sig<Out>,
    less_o: Signal<Out, Bit>,
    same_o: Signal<Out, Bit>,
    negative_o: Signal<Out, Bit>,
    mixed_o: Signal<Out, Bit>,
    limit: K,
    flag: Flop<Bit>,
    wide: Sig<Local>,
}

impl Operators {
    fn new(a: u32, b: u32) -> Self {
        Self {
            clk_i: Default::default(),
            a_i: Sig::new(s(a)),
            b_i: Sig::new(s(b)),
            c_i: Sig::new(u(b)),
            k_i: Sig::new(u(3)),
            flag_i: Default::default(),
            sum_o: Sig::new(s(a.max(b) + 3)),
            difference_o: Sig::new(s(a + b)),
            product_o: Sig::new(s(a + b + 4)),
            shifted_o: Sig::new(s(a + b)),
            logic_o: Sig::new(u(a)),
            mask_o: Sig::new(u(5)),
            flags_o: Sig::new(u(4)),
            nested_o: Sig::new(s(a + b + 3)),
            less_o: Default::default(),
            same_o: Default::default(),
            negative_o: Default::default(),
            mixed_o: Default::default(),
            limit: K::new(s(a), -2),
            flag: Default::default(),
            wide: Sig::new(s(a + b)),
        }
    }
}

impl Logic for Operators {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module operators: every operator");
        dff_setup!(self, clk_i, flag);
        self.flag.d.next = self.flag_i.val();
        self.wide.next = self.a_i.val() * self.b_i.val();
        self.sum_o.next = self.a_i.val() + self.b_i.val() + self.c_i.val() + 1;
        self.difference_o.next = self.c_i.val() - self.a_i.val();
        self.product_o.next = self.a_i.val() * self.b_i.val() + self.c_i.val();
        self.shifted_o.next = (self.wide.val() >> self.k_i.val()) + (self.a_i.val() >> 1);
        self.logic_o.next = (self.a_i.val() & !self.c_i.val()) ^ (self.b_i.val() | 3);
        self.mask_o.next = ((self.c_i.val() << 2) & 31) - (self.k_i.val() << 1);
        self.flags_o.next = (self.k_i.val() >> 1) & 1;
        self.nested_o.next = -(self.a_i.val() - self.b_i.val()) - (self.wide.val() - self.c_i.val());
        self.less_o.next = self.a_i.val() + 1 < self.b_i.val() && !self.flag_i.val();
        self.same_o.next = (self.a_i.val() == self.b_i.val()) | ((self.c_i.val() & 1) == 0);
        self.negative_o.next = self.a_i.val() < self.limit.val() || self.b_i.val() >= -1;
        self.mixed_o.next = (self.c_i.val() > self.a_i.val()) != self.flag.q.val();
    }
}

#[test]
fn operators_mean_what_the_integers_mean() {
    for (a, b) in [(2, 2), (5, 8), (8, 5), (16, 3)] {
        let mut bench = Bench::new(Operators::new(a, b), |b| &mut b.clk_i);
        let mut rng = random(1);
        for _ in 0..300 {
            let x = &mut bench.block;
            x.a_i.next = random_value(&mut rng, x.a_i.ty());
            x.b_i.next = random_value(&mut rng, x.b_i.ty());
            x.c_i.next = random_value(&mut rng, x.c_i.ty());
            x.k_i.next = rng.random_range(0..8);
            x.flag_i.next = rng.random();
            bench.cycle();
        }
        let modules = emit("operators", &bench.block, "a test", "").unwrap();
        assert_eq!(modules.len(), 1);
        bench.verilog("operators", 1);
    }
}

#[derive(LogicState, Copy, Clone, Debug, PartialEq)]
enum Phase {
    Idle,
    Run,
    Done,
}

/// Registers written in every way, a state machine, lanes, and a local rewritten on the way.
#[derive(LogicBlock)]
struct Machine {
    clk_i: Signal<In, Clock>,
    rst_ni: Signal<In, Bit>,
    start_i: Signal<In, Bit>,
    data_i: Lanes<In>,
    data_o: Lanes<Out>,
    busy_o: Signal<Out, Bit>,
    count_o: Sig<Out>,
    phase: Flop<Phase>,
    held: LanesReg,
    count: Reg,
    total: Reg,
    kept: Reg,
    step: Sig<Local>,
    late: Signal<Local, Bit>,
}

impl Machine {
    fn new(lanes: usize, bits: u32) -> Self {
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            data_i: Lanes::new(lanes, s(bits)),
            data_o: Lanes::new(lanes, s(bits)),
            busy_o: Default::default(),
            count_o: Sig::new(u(8)),
            phase: Default::default(),
            held: LanesReg::new(lanes, s(bits)),
            count: Reg::new(u(3)),
            total: Reg::new(u(8)),
            kept: Reg::new(u(3)),
            step: Sig::new(u(3)),
            late: Default::default(),
        }
    }
}

impl Logic for Machine {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module machine: a counter that runs once");
        dff_setup!(self, clk_i, phase, held, count, total, kept);
        self.step.next = 1;
        self.late.next = false;
        self.busy_o.next = self.phase.q.val() != Phase::Idle;
        match self.phase.q.val() {
            Phase::Idle => {
                if self.start_i.val() {
                    self.phase.d.next = Phase::Run;
                    self.held.d.next = self.data_i.val();
                    self.count.d.next = 0;
                }
            }
            Phase::Run => {
                self.late.next = self.count.q.val() > 4;
                if self.late.val() {
                    self.step.next = 2;
                } else if self.start_i.val() {
                    self.step.next = 0;
                }
                self.count.d.next = self.count.q.val() + self.step.val();
                self.total.d.next = self.total.q.val() + self.step.val();
                if self.count.q.val() == 7 {
                    self.phase.d.next = Phase::Done;
                }
            }
            Phase::Done => {
                self.phase.d.next = Phase::Idle;
            }
        }
        if self.count.q.val() == 6 {
            self.kept.d.next = self.count.q.val();
        }
        if self.start_i.val() {
            self.kept.d.next = self.kept.q.val();
        }
        if !self.rst_ni.val() {
            self.phase.d.next = Phase::Idle;
            self.kept.d.next = 0;
            self.total.d.next = 0;
        }
        self.data_o.next = self.held.q.val();
        self.count_o.next = self.total.q.val() + self.kept.q.val();
    }
}

/// Two machines of one kind, one of another: two modules.
#[derive(LogicBlock)]
struct Pair {
    clk_i: Signal<In, Clock>,
    rst_ni: Signal<In, Bit>,
    start_i: Signal<In, Bit>,
    data_i: Lanes<In>,
    data_o: Lanes<Out>,
    sum_o: Sig<Out>,
    first: Machine,
    twins: Vec<Machine>,
}

impl Logic for Pair {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pair: machines in a row");
        self.first.clk_i.next = self.clk_i.val();
        self.first.rst_ni.next = self.rst_ni.val();
        self.first.start_i.next = self.start_i.val();
        self.first.data_i.next = self.data_i.val();
        for i in 0..2 {
            self.twins[i].clk_i.next = self.clk_i.val();
            self.twins[i].rst_ni.next = self.rst_ni.val();
            self.twins[i].start_i.next = self.start_i.val() && !self.first.busy_o.val();
        }
        self.twins[0].data_i.next = self.first.data_o.val();
        self.twins[1].data_i.next = self.twins[0].data_o.val();
        self.data_o.next = self.twins[1].data_o.val();
        self.sum_o.next =
            self.first.count_o.val() + self.twins[0].count_o.val() + self.twins[1].count_o.val();
    }
}

fn pair() -> Pair {
    Pair {
        clk_i: Default::default(),
        rst_ni: Default::default(),
        start_i: Default::default(),
        data_i: Lanes::new(3, s(7)),
        data_o: Lanes::new(3, s(7)),
        sum_o: Sig::new(u(10)),
        first: Machine::new(3, 7),
        twins: vec![Machine::new(3, 7), Machine::new(3, 7)],
    }
}

#[test]
fn machines_and_hierarchy_agree_with_their_verilog() {
    let mut bench = Bench::new(pair(), |b| &mut b.clk_i);
    let mut rng = random(2);
    for t in 0..400 {
        let x = &mut bench.block;
        x.rst_ni.next = t > 1 && t != 200;
        x.start_i.next = rng.random_bool(0.3);
        x.data_i.drive(|i| (t * 37 + i as i64 * 11) % 128);
        bench.cycle();
    }
    let modules = emit("pair", &bench.block, "a test", "").unwrap();
    assert_eq!(modules.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["machine", "pair"]);
    bench.verilog("pair", 120);
}

#[derive(LogicBlock)]
struct Faulty {
    reg_i: Sig<In>,
    y_o: Sig<Out>,
    begin: Sig<Local>,
}

impl Logic for Faulty {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module faulty: a name that Verilog reserves");
        self.begin.next = self.reg_i.val();
        self.y_o.next = self.begin.val();
    }
}

#[test]
fn faults_are_errors() {
    let mut faulty = Faulty { reg_i: Sig::new(u(4)), y_o: Sig::new(u(4)), begin: Sig::new(u(4)) };
    faulty.connect_all();
    let error = emit("faulty", &faulty, "a test", "").unwrap_err();
    assert!(error.contains("begin is a keyword"), "{error}");
    let unconnected = pair();
    assert!(emit("pair", &unconnected, "a test", "").is_err());
}
