//! The accelerator survives what can go wrong around it: an error code and an interrupt, no hang, no write outside the
//! output regions, and a clean run afterwards without a reset.

use vgg2rtl::Error;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{InProcess, MemoryOptions, Run};
use vgg2rtl::int::{Golden, Trace, random};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::schedule::program::{COMMAND_BYTES, Command};
use vgg2rtl::schedule::{Memory, Schedule, schedule};

const MAX_CYCLES: u64 = 60_000;

struct Setup {
    schedule: Schedule,
    memory: Memory,
    golden: Trace,
    device: InProcess,
}

impl Setup {
    fn new() -> Self {
        let config = ArrayConfig::preset("tiny").unwrap();
        let model = random::model(&random::Recipe {
            input: Shape { c: 3, h: 6, w: 7 },
            ops: vec![Op::Conv { co: 5, pool: true }, Op::Dense { co: 6 }],
            w: 8,
            a: 8,
            power_of_two: false,
            per_channel: true,
            seed: 11,
        });
        let codes = random::images(&model, 1, 5);
        let schedule = schedule(&model, &config, 1).unwrap();
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, codes.view());
        let golden = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        Self { schedule, memory, golden, device: InProcess::new(&config) }
    }

    /// Runs `memory` and checks that nothing outside the window has changed.
    fn run(&mut self, memory: &mut Memory, options: &MemoryOptions) -> Result<Run, Error> {
        let window = self.schedule.write_window();
        let before = memory.bytes.clone();
        let run = self.device.run(&mut memory.bytes, window.clone(), options, MAX_CYCLES);
        assert_eq!(memory.bytes[..window.start], before[..window.start], "written outside the window");
        run
    }

    /// A run of the untouched program must give the golden words.
    fn clean(&mut self, after: &str) {
        let mut memory = self.memory.clone();
        let run = self.run(&mut memory, &MemoryOptions::default()).unwrap();
        assert_eq!((run.error, run.commands, run.refused_start), (0, 2, false), "after {after}");
        assert_eq!(self.schedule.trace(&memory), self.golden, "after {after}");
    }

    /// A run with a fault must end with `code`, and a clean one must follow.
    fn fault(&mut self, what: &str, code: u32, options: MemoryOptions, change: impl Fn(&mut Memory)) {
        let mut memory = self.memory.clone();
        change(&mut memory);
        let run = self.run(&mut memory, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(run.error, code, "{what}");
        self.clean(what);
    }

    /// Changes command `index` of the program.
    fn command(&mut self, what: &str, code: u32, index: usize, change: impl Fn(&mut Command)) {
        let mut command = self.schedule.layers[index].command;
        change(&mut command);
        self.fault(what, code, MemoryOptions::default(), |memory| {
            let bytes = command.encode().into_iter().flat_map(u32::to_le_bytes);
            memory.bytes.splice(index * COMMAND_BYTES..(index + 1) * COMMAND_BYTES, bytes);
        });
    }
}

fn answering(change: impl Fn(&mut MemoryOptions)) -> MemoryOptions {
    let mut options = MemoryOptions::default();
    change(&mut options);
    options
}

#[test]
fn memory_errors_end_the_run() {
    let mut setup = Setup::new();
    setup.clean("reset");
    let command = setup.schedule.layers[1].command;
    let reads = [
        ("command", 140),
        ("weights", command.weights),
        ("params", command.params),
        ("input", command.x.base),
    ];
    for (what, at) in reads {
        setup.fault(what, 3, answering(|o| o.read_error_at = Some(at.into())), |_| ());
    }
    for (what, at) in [("map", command.x.base), ("logits", command.y.base)] {
        setup.fault(what, 4, answering(|o| o.write_error_at = Some(at.into())), |_| ());
    }
}

#[test]
fn malformed_programs_are_refused() {
    let mut setup = Setup::new();
    let plain = MemoryOptions::default();
    setup.fault("opcode", 1, plain.clone(), |m| m.bytes[0] = 0x7e);
    setup.fault("second opcode", 1, plain.clone(), |m| m.bytes[COMMAND_BYTES] = 0);
    setup.fault("no end mark", 1, plain.clone(), |m| m.bytes[2 * COMMAND_BYTES] = 0);
    setup.fault("kernel", 2, plain, |m| m.bytes[1] = 3);
    setup.command("no output tiles", 2, 1, |c| c.co_tiles = 0);
    setup.command("no units", 2, 0, |c| c.units = 0);
    setup.command("row too long to fold", 2, 0, |c| c.in_w = 33);
}

#[test]
fn addresses_outside_the_regions_are_not_touched() {
    let mut setup = Setup::new();
    let end = setup.memory.bytes.len() as u32;
    let first = setup.schedule.write_window().start as u32;
    setup.command("weights beyond memory", 5, 0, |c| c.weights = end);
    setup.command("input beyond memory", 5, 0, |c| c.x.base = 0xffff_f000);
    setup.command("output below the window", 6, 0, |c| c.y.base = first - 4096);
    setup.command("output beyond memory", 6, 1, |c| c.y.base = end);
}

#[test]
fn a_start_while_busy_is_refused_and_a_reset_in_mid_run_leaves_nothing() {
    let mut setup = Setup::new();
    let mut memory = setup.memory.clone();
    let run = setup.run(&mut memory, &answering(|o| o.extra_starts = 2)).unwrap();
    assert_eq!((run.error, run.refused_start), (0, true));
    assert_eq!(setup.schedule.trace(&memory), setup.golden);
    setup.clean("a refused start");
    let window = setup.schedule.write_window();
    for cycles in [20, 45, 120, 333, 700, 1100, 1500] {
        let mut memory = setup.memory.clone();
        let cut = setup.device.run(&mut memory.bytes, window.clone(), &MemoryOptions::default(), cycles);
        assert!(cut.unwrap_err().to_string().contains("no interrupt after"));
        setup.device.reset();
        setup.clean(&format!("a reset in cycle {cycles}"));
    }
}
