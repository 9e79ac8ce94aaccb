//! The accelerator in rust_hdl's own simulator: no tool is needed.

use super::bases::Bases;
use super::memory::{AxiMemory, Driven, MemoryOptions, Seen};
use super::simulator::{Job, Mark, Simulator, Statistics};
use crate::config::ArrayConfig;
use crate::hw::{self, Accelerator};
use crate::isa::{COMMAND_BYTES, address, bit};
use crate::schedule::Regions;
use crate::{Error, Result, store};
use rust_hdl::prelude::*;

/// rust_hdl's simulator of a design point; some ten thousand cycles a second.
#[derive(Clone, Debug)]
pub struct InProcess {
    config: ArrayConfig,
    key: String,
}

impl InProcess {
    /// A simulator of `config`.
    pub fn new(config: &ArrayConfig) -> Result<Self> {
        let ours = [include_str!("in_process.rs"), include_str!("memory.rs"), include_str!("bases.rs")]
            .map(|text| text.as_bytes().to_vec());
        let modules = hw::verilog(config)?.into_iter().map(|m| m.text.into_bytes());
        let key = format!("in-process-{}", &store::digest(modules.chain(ours))[..32]);
        Ok(Self { config: config.clone(), key })
    }
}

impl Simulator for InProcess {
    fn key(&self) -> &str {
        &self.key
    }

    fn run(&self, job: &Job) -> Result<(Statistics, Vec<u8>)> {
        if job.waveform.is_some() {
            return Err(Error::usage(
                "--vcd",
                "the in-process simulator writes no waveforms: it takes Verilator",
            ));
        }
        let regions = job.schedule.regions();
        let mut bytes = job.image.to_vec();
        bytes.resize(regions.model_bytes + regions.window.end, 0);
        let mut device = Device::new(&self.config);
        let statistics = device.run(&mut bytes, &regions, job.expected, job.memory, job.max_cycles)?;
        Ok((statistics, bytes.split_off(regions.model_bytes + regions.window.start)))
    }
}

/// The simulated accelerator.
pub struct Device {
    top: Accelerator,
    config: ArrayConfig,
}

impl Device {
    /// The accelerator `config`, which is valid, after a reset.
    pub fn new(config: &ArrayConfig) -> Self {
        let mut top = Accelerator::new(config);
        top.connect_all();
        top.s_axil_bready.next = true;
        top.s_axil_rready.next = true;
        let mut new = Self { top, config: config.clone() };
        new.reset();
        new
    }

    /// Resets the accelerator, whatever it is doing, and its memory with it.
    pub fn reset(&mut self) {
        let top = &mut self.top;
        (top.m_axi_rvalid.next, top.m_axi_bvalid.next) = (false, false);
        (top.s_axil_awvalid.next, top.s_axil_wvalid.next, top.s_axil_arvalid.next) = (false, false, false);
        top.rst_n.next = false;
        for _ in 0..8 {
            for level in [false, true] {
                top.clk.next = level.into();
                simulate(top, SETTLE);
            }
        }
        top.rst_n.next = true;
    }

    /// Runs the program in `bytes`, the model and behind it the data, and waits for the end of every run that the bases of
    /// `options` ask for: one if they say nothing. `expected` are the bytes of the first window after its run.
    ///
    /// After `max_cycles` the run counts as hanging; then the accelerator must be [`Device::reset`].
    pub fn run(
        &mut self,
        bytes: &mut [u8],
        regions: &Regions,
        expected: Option<&[u8]>,
        options: &MemoryOptions,
        max_cycles: u64,
    ) -> Result<Statistics> {
        let drawn = || Bases::drawn(regions, 1, self.config.address_bits, options.seed);
        let bases = options.bases.clone().unwrap_or_else(drawn);
        let memory = AxiMemory::new(bytes, regions, &bases, expected, self.config.bus_bytes(), options);
        let statistics = Statistics::default();
        let model = bases.model;
        let mut bench =
            Bench { top: &mut self.top, memory, model, cycle: 0, max_cycles, first_end: None, statistics };
        match bench.host(regions, &bases) {
            Err(Stop::Hang) => bench.statistics.hang = true,
            Err(Stop::Unstable) => {
                let reason = format!("combinational signals do not settle in cycle {}", bench.cycle);
                return Err(Error::ToolFailed { tool: "in-process simulation".into(), reason });
            }
            Ok(()) => {}
        }
        let Bench { memory, cycle, mut statistics, .. } = bench;
        if statistics.hang {
            statistics.cycles = cycle;
        }
        statistics.violation = memory.violation.unwrap_or_default();
        statistics.wrong_cycle = memory.wrong_cycle;
        Ok(statistics)
    }
}

/// Passes of the simulator in which combinational signals settle.
const SETTLE: usize = 1000;
/// Values of the control register.
const START: i64 = bit::START.put(1) as i64;
const CLEAR: i64 = bit::CLEAR.put(1) as i64;
/// Cycles for reading the registers after the interrupt.
const EPILOGUE: u64 = 10_000;

/// Why a run ends early.
enum Stop {
    Hang,
    Unstable,
}

struct Bench<'a> {
    top: &'a mut Accelerator,
    memory: AxiMemory<'a>,
    /// MODEL_BASE.
    model: u64,
    cycle: u64,
    max_cycles: u64,
    /// Cycle of the first interrupt.
    first_end: Option<u64>,
    statistics: Statistics,
}

impl Bench<'_> {
    fn host(&mut self, regions: &Regions, bases: &Bases) -> std::result::Result<(), Stop> {
        self.axil_write(address::READ_LIMIT, regions.model_bytes as i64)?;
        self.axil_write(address::WRITE_BASE, regions.window.start as i64)?;
        self.axil_write(address::WRITE_LIMIT, regions.window.end as i64)?;
        self.axil_write_base([address::MODEL_BASE, address::MODEL_BASE_HI], bases.model)?;
        for &base in &bases.data {
            self.axil_write_base([address::DATA_BASE, address::DATA_BASE_HI], base)?;
            self.axil_write(address::CONTROL, START)?;
        }
        while !self.top.irq.val() {
            self.cycle()?;
        }
        (self.statistics.cycles, self.first_end) = (self.cycle, Some(self.cycle));
        self.mark();
        while bit::BUSY.of(self.axil_read(address::STATUS as i64)?) == 1 {
            self.statistics.cycles = self.cycle;
        }
        self.max_cycles = self.cycle + EPILOGUE;
        for i in 0..self.statistics.registers.len() {
            self.statistics.registers[i] = self.axil_read(4 * i as i64)?;
        }
        self.axil_write(address::CONTROL, CLEAR)
    }

    fn mark(&mut self) {
        let mark = Mark { cycle: self.cycle, traffic: self.memory.traffic };
        self.statistics.commands.push(mark);
    }

    fn cycle(&mut self) -> std::result::Result<(), Stop> {
        if self.cycle == self.max_cycles {
            return Err(Stop::Hang);
        }
        drive(self.top, self.memory.drive());
        self.level(false)?;
        let seen = seen(self.top);
        let asked = seen.ar.filter(|_| self.memory_takes_address()).map(|ar| ar.0.wrapping_sub(self.model));
        match self.first_end {
            None if asked == Some((COMMAND_BYTES * self.statistics.commands.len()) as u64) => self.mark(),
            Some(end) if asked == Some(0) => self.statistics.between_runs = Some(self.cycle - end),
            _ => {}
        }
        self.level(true)?;
        self.memory.clock(seen);
        self.cycle += 1;
        Ok(())
    }

    fn memory_takes_address(&self) -> bool {
        self.top.m_axi_arready.val()
    }

    fn level(&mut self, level: bool) -> std::result::Result<(), Stop> {
        self.top.clk.next = level.into();
        if simulate(self.top, SETTLE) { Ok(()) } else { Err(Stop::Unstable) }
    }

    fn axil_write(&mut self, address: usize, value: i64) -> std::result::Result<(), Stop> {
        (self.top.s_axil_awaddr.next, self.top.s_axil_wdata.next) = (address as i64, value);
        self.top.s_axil_wstrb.next = 15;
        (self.top.s_axil_awvalid.next, self.top.s_axil_wvalid.next) = (true, true);
        while self.top.s_axil_awvalid.next || self.top.s_axil_wvalid.next {
            self.level(false)?;
            let (aw, w) = (self.top.s_axil_awready.val(), self.top.s_axil_wready.val());
            self.cycle()?;
            self.top.s_axil_awvalid.next &= !aw;
            self.top.s_axil_wvalid.next &= !w;
        }
        Ok(())
    }

    fn axil_write_base(&mut self, [lo, hi]: [usize; 2], base: u64) -> std::result::Result<(), Stop> {
        self.axil_write(lo, i64::from(base as u32))?;
        self.axil_write(hi, (base >> 32) as i64)
    }

    fn axil_read(&mut self, address: i64) -> std::result::Result<u32, Stop> {
        self.top.s_axil_araddr.next = address;
        self.top.s_axil_arvalid.next = true;
        while self.top.s_axil_arvalid.next {
            self.level(false)?;
            let taken = self.top.s_axil_arready.val();
            self.cycle()?;
            self.top.s_axil_arvalid.next = !taken;
        }
        while !self.top.s_axil_rvalid.val() {
            self.cycle()?;
        }
        Ok(self.top.s_axil_rdata.val() as u32)
    }
}

/// Puts on the accelerator's pins what memory drives.
fn drive(top: &mut Accelerator, driven: &Driven) {
    top.m_axi_arready.next = driven.arready;
    top.m_axi_awready.next = driven.awready;
    top.m_axi_wready.next = driven.wready;
    top.m_axi_rvalid.next = driven.r.is_some();
    if let Some((word, response, last)) = &driven.r {
        let lane =
            |i: usize| word[4 * i..4 * i + 4].iter().rev().fold(0, |x, &byte| x << 8 | i64::from(byte));
        top.m_axi_rdata.drive(lane);
        (top.m_axi_rresp.next, top.m_axi_rlast.next) = (*response, *last);
    }
    top.m_axi_bvalid.next = driven.b.is_some();
    top.m_axi_bresp.next = driven.b.unwrap_or_default();
}

/// What the accelerator drives.
fn seen(top: &Accelerator) -> Seen {
    let burst = |valid: bool, addr: i64, len: i64| valid.then_some((addr as u64, len as u64));
    let word = || top.m_axi_wdata.val().iter().flat_map(|&lane| (lane as u32).to_le_bytes()).collect();
    Seen {
        ar: burst(top.m_axi_arvalid.val(), top.m_axi_araddr.val(), top.m_axi_arlen.val()),
        rready: top.m_axi_rready.val(),
        aw: burst(top.m_axi_awvalid.val(), top.m_axi_awaddr.val(), top.m_axi_awlen.val()),
        w: top.m_axi_wvalid.val().then(|| (word(), top.m_axi_wlast.val())),
        bready: top.m_axi_bready.val(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Requantize;
    use crate::int::{Golden, random};
    use crate::net::{Op, Shape};
    use crate::schedule::schedule;

    fn recipe(ops: Vec<Op>, input: Shape, bits: u32, power_of_two: bool) -> random::Recipe {
        random::Recipe { input, ops, w: bits, a: bits, power_of_two, per_channel: true, seed: 7 }
    }

    fn check(config: &ArrayConfig, recipe: &random::Recipe, images: usize) -> Statistics {
        let model = random::model(recipe);
        let codes = random::images(&model, images, 3);
        let schedule = schedule(&model, config, images).unwrap();
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, codes.view());
        let names: Vec<&str> = model.layers.iter().map(|l| l.name.as_str()).collect();
        let options = MemoryOptions::default();
        let run =
            Device::new(config).run(&mut memory.bytes, &schedule.regions(), None, &options, 400_000).unwrap();
        run.check(&names).unwrap();
        let end = run.commands.last().unwrap();
        assert_eq!((run.completed() as usize, run.counted()), (names.len(), end.traffic));
        let golden = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        let names: Vec<String> = model.layers.iter().map(|l| l.name.clone()).collect();
        for layer in super::super::compare(&names, &golden, &schedule.trace(&memory)) {
            assert_eq!(layer.mismatches, 0, "{layer:?}");
        }
        run
    }

    #[test]
    fn a_tiny_network_equals_the_golden_model() {
        let config = ArrayConfig::preset("tiny").unwrap();
        let ops = vec![Op::Conv { co: 6, pool: true }, Op::Conv { co: 9, pool: false }, Op::Dense { co: 5 }];
        let run = check(&config, &recipe(ops, Shape { c: 3, h: 8, w: 9 }, 8, false), 2);
        println!("{run:?}");
        let pow2 = ArrayConfig { requantize: Requantize::Pow2, fold_channels: 0, bus_bits: 128, ..config };
        let ops = vec![Op::Conv { co: 6, pool: false }, Op::Conv { co: 4, pool: true }, Op::Dense { co: 3 }];
        check(&pow2, &recipe(ops, Shape { c: 2, h: 7, w: 5 }, 4, true), 1);
    }
    /// Cycle by cycle, pin by pin.
    #[test]
    fn its_verilog_does_the_same() {
        use crate::hw::check::Bench;
        // Buffers so small that every part waits for another one.
        let tiny = ArrayConfig::preset("tiny").unwrap();
        let config = ArrayConfig { act_depth: 64, weight_depth: 9, acc_depth: 16, address_bits: 48, ..tiny };
        let ops = vec![Op::Conv { co: 10, pool: true }, Op::Conv { co: 5, pool: false }, Op::Dense { co: 5 }];
        let model = random::model(&recipe(ops, Shape { c: 3, h: 6, w: 7 }, 8, false));
        let schedule = schedule(&model, &config, 2).unwrap();
        let mut bytes = schedule.memory.clone();
        schedule.put_images(&mut bytes, random::images(&model, 2, 3).view());
        let regions = schedule.regions();
        let bases = Bases::drawn(&regions, 1, config.address_bits, 1);
        let word = |base: u64| i64::from(base as u32);
        let writes = [
            (address::READ_LIMIT, regions.model_bytes as i64),
            (address::WRITE_BASE, regions.window.start as i64),
            (address::WRITE_LIMIT, regions.window.end as i64),
            (address::MODEL_BASE, word(bases.model)),
            (address::MODEL_BASE_HI, word(bases.model >> 32)),
            (address::DATA_BASE, word(bases.data[0])),
            (address::DATA_BASE_HI, word(bases.data[0] >> 32)),
            (address::CONTROL, START),
        ];
        let mut bench = Bench::new(Accelerator::new(&config), |b| &mut b.clk);
        let options = MemoryOptions::default();
        let mut memory =
            AxiMemory::new(&mut bytes.bytes, &regions, &bases, None, config.bus_bytes(), &options);
        let mut cycle = |bench: &mut Bench<Accelerator>| {
            drive(&mut bench.block, memory.drive());
            bench.settle();
            let (seen, aw) = (seen(&bench.block), bench.block.s_axil_awready.val());
            let (w, ar) = (bench.block.s_axil_wready.val(), bench.block.s_axil_arready.val());
            bench.cycle();
            memory.clock(seen);
            let top = &mut bench.block;
            top.s_axil_awvalid.next &= !aw;
            top.s_axil_wvalid.next &= !w;
            top.s_axil_arvalid.next &= !ar;
        };
        (bench.block.s_axil_bready.next, bench.block.s_axil_rready.next) = (true, true);
        for reset in 0..8 {
            bench.block.rst_n.next = reset == 7;
            cycle(&mut bench);
        }
        for (address, value) in writes {
            let top = &mut bench.block;
            (top.s_axil_awaddr.next, top.s_axil_wdata.next, top.s_axil_wstrb.next) =
                (address as i64, value, 15);
            (top.s_axil_awvalid.next, top.s_axil_wvalid.next) = (true, true);
            (0..8).for_each(|_| cycle(&mut bench));
        }
        while !bench.block.irq.val() {
            assert!(bench.vectors() < 30_000, "no interrupt");
            cycle(&mut bench);
        }
        for address in (0..0x40).step_by(4) {
            (bench.block.s_axil_araddr.next, bench.block.s_axil_arvalid.next) = (address, true);
            (0..6).for_each(|_| cycle(&mut bench));
        }
        println!("{} cycles", bench.vectors());
        bench.known_when("m_axi_wvalid", "m_axi_wdata");
        bench.known_when("m_axi_arvalid", "m_axi_araddr");
        bench.known_when("m_axi_awvalid", "m_axi_awaddr");
        bench.verilog("accelerator", 1 << 20); // memories have no value before they are written
    }
}
