//! The accelerator survives what can go wrong around it: an error code and an interrupt, no hang, no write outside the
//! output regions, and a clean run afterwards without a reset.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vgg2rtl::config::{ArrayConfig, PAGE};
use vgg2rtl::cosim::{Bases, Device, MemoryOptions, Statistics, Traffic, compare};
use vgg2rtl::int::{Golden, Trace, random};
use vgg2rtl::isa::address;
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::schedule::program::{COMMAND_BYTES, Command};
use vgg2rtl::schedule::{Memory, Regions, Schedule, interpret, schedule};

const MAX_CYCLES: u64 = 20_000;

struct Setup {
    schedule: Schedule,
    memory: Memory,
    golden: Trace,
    device: Device,
    /// Runs so far: each has bases of its own.
    runs: u64,
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
        Self { schedule, memory, golden, device: Device::new(&config), runs: 0 }
    }

    /// Runs `memory` and checks that nothing outside the window has changed.
    fn run(&mut self, memory: &mut Memory, options: &MemoryOptions) -> Statistics {
        let first = self.schedule.write_window().start;
        let (regions, before) = (self.schedule.regions(), memory.bytes.clone());
        self.runs += 1;
        let drawn = Bases::drawn(&regions, 1, self.schedule.config.address_bits, self.runs);
        let options = MemoryOptions { bases: options.bases.clone().or(Some(drawn)), ..options.clone() };
        let run = self.device.run(&mut memory.bytes, &regions, None, &options, MAX_CYCLES).unwrap();
        assert_eq!(memory.bytes[..first], before[..first], "written outside the window");
        assert_eq!(run.violation, "");
        run
    }

    /// A run of the untouched program must give the golden words.
    fn clean(&mut self, after: &str) {
        let mut memory = self.memory.clone();
        let run = self.run(&mut memory, &MemoryOptions::default());
        assert!(!run.hang, "after {after}");
        assert_eq!((run.error(), run.completed(), run.refused_start()), (0, 2, false), "after {after}");
        assert_eq!(self.schedule.trace(&memory), self.golden, "after {after}");
    }

    /// A run with a fault must end with `code`, and a clean one must follow.
    fn fault(&mut self, what: &str, code: u32, options: MemoryOptions, change: impl Fn(&mut Memory)) {
        let mut memory = self.memory.clone();
        change(&mut memory);
        let run = self.run(&mut memory, &options);
        assert_eq!((run.hang, run.error()), (false, code), "{what}");
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
    let data = setup.schedule.data_at() as u32;
    let reads = [("command", 140), ("weights", command.weights), ("params", command.params), ("input", data)];
    for (what, at) in reads {
        setup.fault(what, 3, answering(|o| o.read_error_at = Some(at.into())), |_| ());
    }
    for (what, at) in [("map", data + command.x_base), ("logits", data + command.y_base)] {
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
    setup.command("pooled stripes of one row", 2, 0, |c| c.stripe = 1);
    setup.command("an odd number of pooled rows", 2, 0, |c| c.units = 5);
    setup.command("pooled accumulators", 2, 0, |c| c.raw = true);
}

#[test]
fn addresses_outside_the_regions_are_not_touched() {
    let mut setup = Setup::new();
    let Regions { model_bytes, window, .. } = setup.schedule.regions();
    let (model, first, end) = (model_bytes as u32, window.start as u32, window.end as u32);
    setup.command("weights beyond the model", 5, 0, |c| c.weights = model);
    setup.command("parameters beyond the model", 5, 0, |c| c.params = model);
    setup.command("input beyond the data", 5, 0, |c| c.x_base = end);
    let last_page = (setup.schedule.config.reach() - PAGE) as u32;
    setup.command("input at the end of what a command reaches", 5, 0, |c| c.x_base = last_page);
    setup.command("input before the data", 2, 0, |c| c.x_base = 0xffff_f000);
    setup.command("output below the window", 6, 0, |c| c.y_base = first - 4096);
    setup.command("output at the end of what a command reaches", 6, 0, |c| c.y_base = last_page);
    setup.command("output before the data", 2, 0, |c| c.y_base = 0xffff_f000);
    setup.command("output beyond the data", 6, 1, |c| c.y_base = end);
}

#[test]
fn a_misaligned_base_ends_the_run_before_anything_is_read() {
    let mut setup = Setup::new();
    let regions = setup.schedule.regions();
    for bit in 0..12 {
        for of_model in [false, true] {
            let mut bases = Bases::drawn(&regions, 1, 32, bit);
            let base = if of_model { &mut bases.model } else { &mut bases.data[0] };
            *base ^= 1 << bit;
            let mut memory = setup.memory.clone();
            let run = setup.run(&mut memory, &answering(|o| o.bases = Some(bases.clone())));
            assert_eq!(
                (run.hang, run.error(), run.completed(), run.counted()),
                (false, 9, 0, Traffic::default())
            );
            assert_eq!(run.commands.len(), 1, "a command was read");
        }
    }
    setup.clean("misaligned bases");
}

/// The model, and data areas for `areas` runs with the same input.
fn with_areas(setup: &Setup, areas: usize) -> Vec<u8> {
    let (model, data) = setup.memory.bytes.split_at(setup.schedule.data_at());
    [model, &data.repeat(areas)].concat()
}

/// Runs one model over three data areas at once: the trace of each area, which must be untouched where there was no run.
fn run_areas(setup: &mut Setup, seed: u64) -> (Statistics, Vec<Option<Trace>>) {
    let (regions, before) = (setup.schedule.regions(), with_areas(setup, 3));
    let bases = Bases::drawn(&regions, 3, setup.schedule.config.address_bits, seed);
    let (mut bytes, options) =
        (before.clone(), answering(|o| (o.bases, o.seed) = (Some(bases.clone()), seed)));
    let run = setup.device.run(&mut bytes, &regions, None, &options, 2 * MAX_CYCLES).unwrap();
    assert_eq!((run.violation.as_str(), run.hang), ("", false));
    let model = setup.schedule.data_at();
    assert_eq!(bytes[..model], before[..model]);
    let areas = bytes[model..].chunks(regions.window.end).zip(before[model..].chunks(regions.window.end));
    let trace = |(after, before): (&[u8], &[u8])| {
        assert_eq!(
            after[..regions.window.start],
            before[..regions.window.start],
            "written outside the window"
        );
        let mut memory = setup.memory.clone();
        memory.bytes.splice(model.., after.iter().copied());
        (after != before).then(|| setup.schedule.trace(&memory))
    };
    let traces = areas.map(trace).collect();
    (run, traces)
}

#[test]
fn two_data_areas_share_a_model_and_a_third_start_is_refused() {
    let mut setup = Setup::new();
    let mut runs = 0;
    for seed in 0..4 {
        let (run, traces) = run_areas(&mut setup, seed);
        assert_eq!((run.error(), run.completed(), run.refused_start()), (0, 2, true));
        assert_eq!(traces, [Some(setup.golden.clone()), Some(setup.golden.clone()), None]);
        let between = run.between_runs.unwrap();
        println!("{between} cycles from the end of a run to the first request of the next");
        assert!(between <= 100);
        runs += 2;
        assert_eq!(run.register(address::RUNS), runs);
    }
    setup.clean("queued runs");
}

#[test]
fn what_is_queued_behind_a_failure_is_refused() {
    let mut setup = Setup::new();
    let opcode = std::mem::replace(&mut setup.memory.bytes[COMMAND_BYTES], 0x7e);
    let (run, traces) = run_areas(&mut setup, 1);
    assert_eq!((run.error(), run.completed(), run.refused_start()), (1, 1, true));
    assert!(traces[0].is_some() && traces[1..] == [None, None]);
    assert_eq!(run.register(address::RUNS), 1);
    setup.memory.bytes[COMMAND_BYTES] = opcode;
    setup.clean("a failure with a start behind it");
}

#[test]
fn a_reset_in_mid_run_leaves_nothing() {
    let mut setup = Setup::new();
    let (regions, options) = (setup.schedule.regions(), MemoryOptions::default());
    for cycles in [20, 45, 120, 333, 700, 1100, 1500] {
        let mut memory = setup.memory.clone();
        let cut = setup.device.run(&mut memory.bytes, &regions, None, &options, cycles).unwrap();
        assert!(cut.hang);
        setup.device.reset();
        setup.clean(&format!("a reset in cycle {cycles}"));
    }
}

/// A flipped bit of weights, parameters or input: the words are those of the functional model on the same memory, so
/// the comparison sees every flip that changes a word at all.
#[test]
fn flipped_bits_of_the_memory_image_are_seen() {
    let mut setup = Setup::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let names =
        setup.schedule.layers.iter().flat_map(|l| ["weights", "params"].map(|r| format!("{}.{r}", l.name)));
    let (mut seen, mut harmless) = (0, 0);
    for name in names.chain(["input".into()]).collect::<Vec<_>>() {
        let (base, bytes) = {
            let region = setup.memory.region(&name);
            (region.base as usize, region.bytes)
        };
        for _ in 0..6 {
            let (at, bit) = (base + rng.random_range(0..bytes), rng.random_range(0..8));
            let mut memory = setup.memory.clone();
            memory.bytes[at] ^= 1 << bit;
            let mut model = memory.clone();
            interpret::execute(&setup.schedule, &mut model).unwrap();
            let want = setup.schedule.trace(&model);
            let run = setup.run(&mut memory, &MemoryOptions::default());
            assert_eq!((run.hang, run.error()), (false, 0), "{name}, byte {at}, bit {bit}");
            assert_eq!(setup.schedule.trace(&memory), want, "{name}, byte {at}, bit {bit}");
            match want == setup.golden {
                true => harmless += 1, // padding, or rounded away, or not the maximum
                false => seen += 1,
            }
        }
    }
    println!("memory image: {seen} flips seen, {harmless} change no word");
    assert!(seen >= 10);
}

/// Why a run may yield the right words although `bit` of word `word` of `command` is not what it should be.
fn harmless(setup: &Setup, command: usize, word: usize, bit: u32) -> Option<&'static str> {
    let layer = &setup.schedule.layers[command];
    let raised = layer.command.encode()[word] >> bit & 1 == 0;
    let below_a_word = bit < setup.schedule.config.bus_bytes().ilog2();
    match (word, bit / 16) {
        (1..=3 | 6..=8 | 11..=14 | 22 | 23, 0) if below_a_word => Some("addresses count words of the bus"),
        (4 | 9, _) if setup.schedule.images == 1 => Some("one image needs no pitch of images"),
        (22 | 23, _) if layer.tiling.stripes() == 1 => Some("one stripe needs no pitch of stripes"),
        (5, 0) if raised => Some("the row below the map is read, and memory holds 0 there"),
        (16, 0) if raised => Some("the output tiles hold no more blocks"),
        (17, 0) if raised => Some("a stripe ends with the last unit"),
        (17, 1) if raised => Some("the activation buffer has room for a longer patch"),
        _ => None,
    }
}

/// A flipped bit of a command ends in an error code, in wrong words or in a run without end; or else there is a reason.
#[test]
fn flipped_bits_of_the_program_are_seen() {
    let mut setup = Setup::new();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut caught, mut unseen) = ([0; 3], vec![]);
    for _ in 0..40 {
        // 25 words of a command are in use.
        let (command, word) = (rng.random_range(0..2), rng.random_range(0..25));
        let used = setup.schedule.layers[command].command.encode()[word];
        let bit = rng.random_range(0..32 - used.leading_zeros().min(24));
        let mut memory = setup.memory.clone();
        memory.bytes[command * COMMAND_BYTES + 4 * word + bit as usize / 8] ^= 1 << (bit % 8);
        let run = setup.run(&mut memory, &MemoryOptions::default());
        if run.hang {
            setup.device.reset();
            caught[2] += 1;
        } else if (run.error(), run.completed()) != (0, 2) {
            setup.clean(&format!("a flip of bit {bit} in word {word} of command {command}"));
            caught[0] += 1;
        } else if setup.schedule.trace(&memory) != setup.golden {
            caught[1] += 1;
        } else {
            let reason = harmless(&setup, command, word, bit);
            unseen.push(format!(
                "command {command}, word {word}, bit {bit}: {}",
                reason.unwrap_or("unexplained")
            ));
        }
    }
    let [errors, words, endless] = caught;
    println!("program: {errors} flips end in an error, {words} in wrong words, {endless} do not end");
    println!("{} leave all words right:\n{}", unseen.len(), unseen.join("\n"));
    assert!(!unseen.iter().any(|flip| flip.ends_with("unexplained")), "{unseen:#?}");
}

#[test]
fn a_wrong_word_of_the_golden_trace_is_located() {
    let setup = Setup::new();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut memory = setup.memory.clone();
    interpret::execute(&setup.schedule, &mut memory).unwrap();
    let got = setup.schedule.trace(&memory);
    let names: Vec<String> = setup.schedule.layers.iter().map(|l| l.name.clone()).collect();
    for _ in 0..50 {
        let mut golden = setup.golden.clone();
        let (_, c, h, w) = golden.activations[0].dim();
        let at = [rng.random_range(0..c), rng.random_range(0..h), rng.random_range(0..w)];
        let class = rng.random_range(0..golden.logits.dim().1);
        golden.activations[0][[0, at[0], at[1], at[2]]] ^= 1 << rng.random_range(0..8);
        golden.logits[[0, class]] ^= 1 << rng.random_range(0..20);
        let layers = compare(&names, &golden, &got);
        let first = layers.iter().map(|l| (l.mismatches, l.first.clone().unwrap())).collect::<Vec<_>>();
        assert_eq!(
            (first[0].0, first[0].1.channel, first[0].1.row, first[0].1.column),
            (1, at[0], at[1], at[2])
        );
        assert_eq!((first[1].0, first[1].1.channel), (1, class));
    }
}
