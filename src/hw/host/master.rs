//! An AXI4-Lite master for tests: channels in any order, with stalls.

use super::{Host, Registers};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// One access.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Address, data, byte strobes.
    Write(i64, i64, i64),
    /// Address.
    Read(i64),
}

/// What a master drives in a cycle; `None` is not valid.
#[derive(Default)]
pub struct MasterPins {
    pub aw: Option<i64>,
    pub w: Option<(i64, i64)>,
    pub ar: Option<i64>,
    pub bready: bool,
    pub rready: bool,
}

/// What a slave shows.
pub struct SlavePins {
    pub awready: bool,
    pub wready: bool,
    pub arready: bool,
    /// Response, when valid.
    pub b: Option<i64>,
    /// Data and response, when valid.
    pub r: Option<(i64, i64)>,
}

/// A block with the pins `s_axil_*`.
pub trait Slave {
    /// Shows the slave what the master drives.
    fn drive(&mut self, pins: &MasterPins);
    /// What the slave shows; it follows registers only.
    fn shown(&self) -> SlavePins;
}

macro_rules! slave {
    ($ty:ty) => {
        impl Slave for $ty {
            fn drive(&mut self, pins: &MasterPins) {
                self.s_axil_awvalid_i.next = pins.aw.is_some();
                self.s_axil_awaddr_i.next = pins.aw.unwrap_or(0xff);
                self.s_axil_wvalid_i.next = pins.w.is_some();
                let (data, strobe) = pins.w.unwrap_or((-1, -1));
                self.s_axil_wdata_i.next = data;
                self.s_axil_wstrb_i.next = strobe;
                self.s_axil_arvalid_i.next = pins.ar.is_some();
                self.s_axil_araddr_i.next = pins.ar.unwrap_or(0xff);
                self.s_axil_bready_i.next = pins.bready;
                self.s_axil_rready_i.next = pins.rready;
            }
            fn shown(&self) -> SlavePins {
                let b = self.s_axil_bvalid_o.val().then(|| self.s_axil_bresp_o.val());
                let r = (self.s_axil_rvalid_o.val())
                    .then(|| (self.s_axil_rdata_o.val(), self.s_axil_rresp_o.val()));
                SlavePins {
                    awready: self.s_axil_awready_o.val(),
                    wready: self.s_axil_wready_o.val(),
                    arready: self.s_axil_arready_o.val(),
                    b,
                    r,
                }
            }
        }
    };
}
slave!(Registers);
slave!(Host);

/// Accesses on their way: several at once, each channel with its own stalls.
pub struct Master {
    /// Percent of cycles in which a channel waits.
    stall: u32,
    aw: VecDeque<i64>,
    w: VecDeque<(i64, i64)>,
    ar: VecDeque<i64>,
    pins: MasterPins,
    /// Writes whose address, whose data was taken, and that were answered.
    taken: [usize; 3],
    /// Reads that were taken, and that were answered.
    asked: [usize; 2],
    reads: Vec<i64>,
    /// What the slave showed and was not taken: it must stay.
    held: (Option<i64>, Option<(i64, i64)>),
}

impl Master {
    /// A master whose channels wait in `stall` percent of the cycles.
    pub fn new(stall: u32) -> Self {
        Self {
            stall,
            aw: VecDeque::new(),
            w: VecDeque::new(),
            ar: VecDeque::new(),
            pins: MasterPins::default(),
            taken: [0; 3],
            asked: [0; 2],
            reads: vec![],
            held: (None, None),
        }
    }

    /// Queues an access.
    pub fn push(&mut self, op: Op) {
        match op {
            Op::Write(address, data, strobe) => {
                self.aw.push_back(address);
                self.w.push_back((data, strobe));
            }
            Op::Read(address) => self.ar.push_back(address),
        }
    }

    /// Whether every access was answered.
    pub fn is_idle(&self) -> bool {
        let queued = self.aw.len() + self.w.len() + self.ar.len();
        let shown = self.pins.aw.is_some() || self.pins.w.is_some() || self.pins.ar.is_some();
        queued == 0 && !shown && self.taken[1] == self.taken[2] && self.asked[0] == self.asked[1]
    }

    /// The data of the reads that were answered.
    pub fn take_reads(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.reads)
    }

    /// Sets the pins of the next cycle and notes what its edge will transfer.
    pub fn drive(&mut self, slave: &mut impl Slave, rng: &mut ChaCha8Rng) {
        let stall = self.stall;
        let mut go = || rng.random_range(0..100) >= stall;
        let pins = &mut self.pins;
        pins.aw = pins.aw.or_else(|| if go() { self.aw.pop_front() } else { None });
        pins.w = pins.w.or_else(|| if go() { self.w.pop_front() } else { None });
        pins.ar = pins.ar.or_else(|| if go() { self.ar.pop_front() } else { None });
        (pins.bready, pins.rready) = (go(), go());
        slave.drive(pins);
        let shown = slave.shown();
        assert!(self.held.0.is_none() || shown.b == self.held.0, "B must stay until it is taken");
        assert!(self.held.1.is_none() || shown.r == self.held.1, "R must stay until it is taken");
        assert!(shown.b.is_none() || self.taken[2] < self.taken[0].min(self.taken[1]), "B before AW and W");
        assert!(shown.r.is_none() || self.asked[1] < self.asked[0], "R before AR");
        if shown.awready && pins.aw.is_some() {
            self.taken[0] += 1;
        }
        if shown.wready && pins.w.is_some() {
            self.taken[1] += 1;
        }
        self.asked[0] += (shown.arready && pins.ar.is_some()) as usize;
        self.held = (shown.b.filter(|_| !pins.bready), shown.r.filter(|_| !pins.rready));
        if let Some(response) = shown.b.filter(|_| pins.bready) {
            assert_eq!(response, 0);
            self.taken[2] += 1;
        }
        if let Some((data, response)) = shown.r.filter(|_| pins.rready) {
            assert_eq!(response, 0);
            self.asked[1] += 1;
            self.reads.push(data);
        }
        // What the edge takes is gone in the cycle after.
        pins.aw = pins.aw.filter(|_| !shown.awready);
        pins.w = pins.w.filter(|_| !shown.wready);
        pins.ar = pins.ar.filter(|_| !shown.arready);
    }

    /// Forgets everything: the slave is being reset.
    pub fn reset(&mut self, slave: &mut impl Slave) {
        *self = Self::new(self.stall);
        slave.drive(&self.pins);
    }
}
