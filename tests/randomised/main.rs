//! Random networks on random design points, in every simulator: every word of every layer is the golden model's.
//!
//! `VGG2RTL_POINTS` and `VGG2RTL_NETWORKS` set how many (`sim/nightly.sh` takes more), `VGG2RTL_SEED=7` runs design
//! point 7 alone, `VGG2RTL_SEED=7.3` its network 3.

mod problem;

use problem::{Problem, design_point, problem};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use vgg2rtl::config::{self, ArrayConfig, Requantize};
use vgg2rtl::cosim::{Cache, Engine, MemoryOptions, Network, Simulator, build_quickly, tools};
use vgg2rtl::hw;
use vgg2rtl::hw::emit::Module;
use vgg2rtl::schedule::cycles::{self, MemoryTiming};

/// Runs `problem`; gives the words compared, or what is wrong.
fn run(simulator: &dyn Simulator, problem: &Problem, cache: &Cache) -> Result<usize, String> {
    let Problem { schedule, golden, memory, .. } = problem;
    let network = Network { simulator, schedule, cache, memory: memory.clone(), jobs: 1, resume: false };
    let layers = network.chain(problem.codes.view(), golden, &|_| ()).map_err(|e| e.to_string())?;
    match layers.iter().find(|l| l.comparison.mismatches > 0) {
        Some(wrong) => Err(format!("{wrong:?}")),
        None => Ok(layers.iter().map(|l| l.comparison.words).sum()),
    }
}

/// A simulator, or what is wrong with it.
type Started = Result<Box<dyn Simulator>, String>;

/// Seeds of design points, and the networks of each.
struct Plan {
    points: Vec<u64>,
    networks: Vec<u64>,
    /// Networks of more cycles, by the model, are left out.
    longest: u64,
}

impl Plan {
    fn new(points: u64, networks: u64, longest: u64) -> Self {
        let number = |name, default| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
            Err(_) => default,
        };
        let mut plan = Self {
            points: (0..number("VGG2RTL_POINTS", points)).collect(),
            networks: (0..number("VGG2RTL_NETWORKS", networks)).collect(),
            longest,
        };
        if let Ok(seed) = std::env::var("VGG2RTL_SEED") {
            let (point, network) = seed.split_once('.').map_or((&*seed, None), |(p, n)| (p, Some(n)));
            plan.points = vec![point.parse().expect("VGG2RTL_SEED is a number, or two with a point")];
            plan.networks = network.map_or(plan.networks, |n| vec![n.parse().expect("a number")]);
        }
        plan
    }

    /// Runs all in simulators that `start` makes, on two threads; prints a line a design point and panics with what failed.
    fn run(&self, engine: &str, start: impl Fn(&[Module], &ArrayConfig, &Cache) -> Started + Sync) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let begun = Instant::now();
        let (next, failures) = (AtomicU64::new(0), Mutex::new(vec![]));
        let (runs, words) = (AtomicU64::new(0), AtomicU64::new(0));
        let worker = || {
            while let Some(&seed) = self.points.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let config = design_point(seed);
                let begun = Instant::now();
                let simulator = match start(&hw::verilog(&config).unwrap(), &config, &cache) {
                    Ok(simulator) => simulator,
                    Err(e) => {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{engine}, VGG2RTL_SEED={seed}: {e}\n  {config:?}"));
                        continue;
                    }
                };
                let built = begun.elapsed();
                let mut compared = 0;
                for &number in &self.networks {
                    let problem = problem(&config, seed, number);
                    if cycles(&problem) > self.longest {
                        continue;
                    }
                    runs.fetch_add(1, Ordering::Relaxed);
                    match run(&*simulator, &problem, &cache) {
                        Ok(words) => compared += words,
                        Err(e) => failures.lock().unwrap().push(report(engine, seed, number, &problem, &e)),
                    }
                }
                words.fetch_add(compared as u64, Ordering::Relaxed);
                let (built, ran) = (built.as_secs_f64(), (begun.elapsed() - built).as_secs_f64());
                println!(
                    "{engine} seed {seed:3} {}: {compared} words, built in {built:.1} s, ran {ran:.1} s",
                    name(&config)
                );
            }
        };
        std::thread::scope(|scope| (0..2.min(self.points.len())).for_each(|_| _ = scope.spawn(worker)));
        let failures = failures.into_inner().unwrap();
        println!(
            "{engine}: {} configurations on {} design points, {} words compared, {} failures, {:.0} s",
            runs.into_inner(),
            self.points.len(),
            words.into_inner(),
            failures.len(),
            begun.elapsed().as_secs_f64()
        );
        assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    }
}

/// Cycles of the whole run, by the model.
fn cycles(problem: &Problem) -> u64 {
    let MemoryOptions { latency, stall_percent, .. } = problem.memory;
    let timing = MemoryTiming { latency, stall_percent: stall_percent.into() };
    cycles::estimate(&problem.schedule, timing).iter().map(|c| c.total).sum()
}

fn name(c: &ArrayConfig) -> String {
    let mode = if c.requantize == Requantize::Pow2 { "pow2" } else { "scale" };
    format!(
        "{}×{} W{} A{} pack {} acc {} bus {} {mode}×{} fold {}",
        c.rows,
        c.cols,
        c.weight_bits,
        c.act_bits,
        c.pack,
        c.acc_bits,
        c.bus_bits,
        c.requantizers,
        c.fold_channels
    )
}

fn report(engine: &str, seed: u64, number: u64, problem: &Problem, reason: &str) -> String {
    let Problem { model, schedule, memory, .. } = problem;
    let ops: Vec<_> = model.layers.iter().map(|l| l.op).collect();
    format!(
        "{engine}, VGG2RTL_SEED={seed}.{number}: {reason}\n  {:?}\n  {:?} {ops:?} images {} latency {} stalls {} %",
        schedule.config, model.header.input, schedule.images, memory.latency, memory.stall_percent
    )
}

fn present(programs: &[&str]) -> bool {
    let missing = programs.iter().find_map(|p| tools::version(p).err());
    if let Some(e) = &missing {
        assert!(std::env::var_os("CI").is_none(), "{e}");
        println!("skipped: {e}");
    }
    missing.is_none()
}

#[test]
fn verilator() {
    if present(Engine::Verilator.programs()) {
        Plan::new(24, 16, u64::MAX).run("Verilator", |modules, config, cache| {
            Ok(Box::new(build_quickly(modules, config, cache).map_err(|e| e.to_string())?))
        });
    }
}

/// Every warning of Verilator is an error; the presets, and the design points of the suite.
#[test]
fn lint() {
    if present(&["verilator"]) {
        println!("{}", tools::version("verilator").unwrap());
        let presets = config::presets().into_iter().map(|(_, _, config)| config);
        let points = presets.chain((0..50).map(design_point)).collect::<Vec<_>>();
        for config in &points {
            warnings(&hw::verilog(config).unwrap()).unwrap_or_else(|e| panic!("{e}\n{config:?}"));
        }
        println!("{} design points", points.len());
    }
}

/// All of Verilator's warnings.
fn warnings(modules: &[Module]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    modules.iter().for_each(|m| fs::write(folder.path().join(format!("{}.v", m.name)), &m.text).unwrap());
    let mut arguments: Vec<String> =
        ["--lint-only", "-Wall", "--top-module", "accelerator"].map(String::from).into();
    arguments.extend(modules.iter().map(|m| format!("{}.v", m.name)));
    let said = tools::call("verilator", &arguments, Some(folder.path())).map_err(|e| e.to_string())?;
    if said.status.success() { Ok(()) } else { Err(tools::first_error(&said.stderr)) }
}

#[test]
fn icarus_verilog() {
    if present(Engine::Icarus.programs()) {
        Plan::new(4, 4, 2_000).run("Icarus", |modules, config, cache| {
            Engine::Icarus.start(modules, config, cache).map_err(|e| e.to_string())
        });
    }
}

#[test]
fn in_process() {
    Plan::new(4, 4, 2_000).run("in process", |modules, config, cache| {
        Engine::InProcess.start(modules, config, cache).map_err(|e| e.to_string())
    });
}

/// What the suite is there for occurs in it.
#[test]
fn the_suite_holds_every_kind_of_network() {
    let mut kinds = BTreeSet::new();
    for seed in 0..40 {
        let config = design_point(seed);
        for number in 0..3 {
            let Problem { model, schedule, .. } = problem(&config, seed, number);
            kinds.insert(format!("{:?}", config.requantize));
            kinds.insert(format!("pack {}, left over {}", config.pack, config.cols % config.pack));
            kinds.insert(format!("bus {}", config.bus_bits));
            kinds.insert(format!("batch {}", schedule.images > 1));
            kinds.insert(format!("signed input {}", model.input.levels.is_signed()));
            for layer in &schedule.layers {
                let (c, t) = (&layer.command, &layer.tiling);
                kinds.insert(format!("{:?}", t.kernel));
                kinds.insert(format!("pool {} of {} rows", c.pool, ["even", "odd"][c.in_h as usize % 2]));
                kinds.insert(format!("{:?} resident {}", t.kernel, t.resident));
                kinds.insert(format!("{:?} stripes {}", t.kernel, (t.stripes() / t.outer).min(2)));
                kinds.insert(format!("{:?} aligned {}", t.kernel, c.aligned));
                kinds.insert(format!("tiles {} {}", t.ci_tiles.min(2), t.co_tiles.min(2)));
                kinds.insert(format!("channels fill tiles {}", layer.co % config.cols == 0));
            }
        }
    }
    for pack in 1..=4 {
        assert!(kinds.iter().any(|k| k.starts_with(&format!("pack {pack},"))), "no pack {pack}: {kinds:?}");
    }
    let listed: Vec<_> = kinds.iter().map(String::as_str).collect();
    println!("{}", listed.join("\n"));
    assert!(kinds.len() >= 30, "{} kinds", kinds.len());
}
