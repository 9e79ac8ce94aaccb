//! `vgg2rtl cosim`: the accelerator's Verilog on a model, every word of every layer compared.

use super::design::Design;
use super::next;
use super::print::{note, out};
use super::simulation::Simulation;
use super::{images, outputs, progress, table};
use ndarray::Array4;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{self, Fault, LayerReport, MemoryOptions, Testbench};
use vgg2rtl::int::{Golden, IntModel, Trace};
use vgg2rtl::output::Output;
use vgg2rtl::{Error, Result};

/// Simulate the accelerator on a model, in Verilator where it is there, and compare every word of every layer with the golden model.
///
/// Layers run by themselves on golden inputs, several at a time; --chain runs the network from start to interrupt.
#[derive(clap::Args)]
pub struct Args {
    /// Integer model file.
    model: PathBuf,
    /// Images: CIFAR-10 binary, IDX, or a folder of pictures; random codes when left out.
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Number of images, a sample of DATA.
    #[arg(long, value_name = "N", default_value_t = 1)]
    images: usize,
    #[command(flatten)]
    design: Design,
    #[command(flatten)]
    simulation: Simulation,
    /// Run the network in one go rather than layer by layer.
    #[arg(long)]
    chain: bool,
    /// Run this layer only.
    #[arg(long, value_name = "NAME", conflicts_with = "chain")]
    layer: Option<String>,
    /// Write a waveform (VCD) of the cycles around the first wrong word.
    #[arg(long, value_name = "FILE")]
    vcd: Option<PathBuf>,
    /// Flip one bit of a weight in the memory image: the comparison must fail (exit code 4).
    #[arg(long)]
    inject_fault: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    images: usize,
    batch: usize,
    chain: bool,
    config: &'a ArrayConfig,
    memory: MemoryOptions,
    simulator: &'static str,
    build_seconds: f64,
    seconds: f64,
    pass: bool,
    layers: &'a [LayerReport],
    #[serde(skip)]
    shapes: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    args.simulation.check_images(args.images)?;
    let vcd = args.vcd.iter().map(|path| Output::file("--vcd", path));
    let cache = args.simulation.cache().map(|path| Output::folder("--cache", path));
    let inputs = [Some(&*args.model), args.data.as_deref(), args.design.file()];
    outputs::check(&vcd.chain(cache).collect::<Vec<_>>(), inputs.into_iter().flatten())?;
    let model = IntModel::load(&args.model)?;
    images::check_memory("--images", &model, args.images)?;
    let layers = args.selected(&model)?;
    let data = images::drawn(args.data.as_deref(), args.images, args.simulation.seed)?;
    let codes = images::codes(&model, data.as_ref(), args.images, args.simulation.seed)?;
    let (mut bench, build_seconds) = args.simulation.testbench(&model, &args.design)?;
    let trace = Golden::new(&model)?.trace(codes.view())?;
    if args.inject_fault {
        let fault = cosim::inject(&mut bench.schedule, &model, codes.view(), &trace, layers.clone())?;
        let Fault { layer, channel, term, codes: (from, to), .. } = fault;
        let name = &model.layers[layer].name;
        note!("injected: layer {name}, channel {channel}, weight {term}: {to} instead of {from}");
    }
    let network = args.simulation.network(&bench);
    let runs = (args.images / bench.schedule.images) as u64;
    let bar = progress::cycles(network.model_cycles()[layers.clone()].iter().sum::<u64>() * runs);
    let start = Instant::now();
    let reports = match args.chain {
        true => network.chain(codes.view(), &trace, &|cycles| bar.inc(cycles))?,
        false => network.layers(layers.clone(), codes.view(), &trace, &|cycles| bar.inc(cycles))?,
    };
    bar.finish_and_clear();
    let report = Report {
        model: &model.header.name,
        images: args.images,
        batch: bench.schedule.images,
        chain: args.chain,
        config: bench.config(),
        memory: args.simulation.memory(),
        simulator: bench.engine().name(),
        build_seconds,
        seconds: start.elapsed().as_secs_f64(),
        pass: reports.iter().all(|r| r.comparison.mismatches == 0),
        layers: &reports,
        shapes: model.shapes()[1..][layers].iter().map(|s| s.to_string()).collect(),
    };
    match args.json {
        true => out!("{}", serde_json::json!(report))?,
        false => print(&report)?,
    }
    if args.vcd.is_some() {
        args.waveform(&model, &bench, &codes, &trace)?;
    }
    match reports.iter().find(|r| r.comparison.mismatches > 0) {
        Some(first) => Err(args.mismatch(first)),
        None if args.inject_fault => Err(unseen(bench.engine().name())),
        None if args.json => Ok(()),
        None => {
            next::after_cosim(&args.model, args.data.as_deref());
            Ok(())
        }
    }
}

/// The alarm is silent: an injected fault changes a golden word, and no simulated word differs.
fn unseen(simulator: &str) -> Error {
    let reason = "the injected fault changes a word, but every word is equal to the golden model's";
    Error::ToolFailed { tool: simulator.into(), reason: reason.into() }
}

impl Args {
    fn selected(&self, model: &IntModel) -> Result<std::ops::Range<usize>> {
        let Some(name) = &self.layer else { return Ok(0..model.layers.len()) };
        let names = || model.layers.iter().map(|l| &l.name[..]).collect::<Vec<_>>().join(", ");
        let index = model.layers.iter().position(|l| &l.name == name);
        let index = index
            .ok_or_else(|| Error::usage("--layer", format!("no layer {name}; there are {}", names())))?;
        Ok(index..index + 1)
    }

    fn waveform(
        &self,
        model: &IntModel,
        bench: &Testbench,
        codes: &Array4<i32>,
        trace: &Trace,
    ) -> Result<()> {
        let Some(path) = &self.vcd else { return Ok(()) };
        let layer = self.layer.as_ref().and_then(|name| model.layers.iter().position(|l| &l.name == name));
        let network = self.simulation.network(bench);
        match network.waveform(&bench.traced()?, layer, codes.view(), trace, path)? {
            Some(cycle) => {
                note!("{}: around cycle {cycle}, in which a wrong word is written", path.display())
            }
            None => note!("no wrong word, no waveform"),
        }
        Ok(())
    }

    /// The first difference, and the command that shows it.
    fn mismatch(&self, report: &LayerReport) -> Error {
        let c = &report.comparison;
        let mut text = format!("layer {}: {} of {} words differ", c.layer, c.mismatches, c.words);
        if let Some(m) = &c.first {
            text += &format!(
                ", the first at image {}, channel {}, row {}, column {}: expected {}, got {}",
                m.image, m.channel, m.row, m.column, m.expected, m.got
            );
        }
        if let Some(cycle) = report.wrong_cycle {
            text += &format!("; the first wrong word is written in cycle {cycle}");
        }
        if self.vcd.is_none() {
            let layer = if self.chain || self.layer.is_some() {
                String::new()
            } else {
                format!(" --layer {}", c.layer)
            };
            let same: Vec<String> = std::env::args().collect();
            text += &format!("\nto see it: {}{layer} --vcd {}.vcd", same.join(" "), c.layer);
        }
        Error::Mismatch(text)
    }
}

fn print(report: &Report) -> Result<()> {
    let (config, memory) = (report.config, &report.memory);
    out!(
        "{}: array {}×{}, W {} A {} ACC {}, bus {} bits, {} kbit on chip",
        report.model,
        config.rows,
        config.cols,
        config.weight_bits,
        config.act_bits,
        config.acc_bits,
        config.bus_bits,
        config.memory_bits() / 1000
    )?;
    out!(
        "memory: latency {}, {} % stalls, seed {}; {} images, {} a run, {}",
        memory.latency,
        memory.stall_percent,
        memory.seed,
        report.images,
        report.batch,
        if report.chain { "start to interrupt" } else { "layer by layer" }
    )?;
    out!(
        "simulator: {}, ready in {:.1} s, simulated in {:.1} s\n",
        report.simulator,
        report.build_seconds,
        report.seconds
    )?;
    let head = [
        "layer",
        "output",
        "MACs",
        "cycles",
        "model",
        "utilization",
        "words compared",
        "mismatches",
        "weight words",
        "act words",
        "written",
    ];
    let rows = report.layers.iter().zip(&report.shapes).map(|(r, shape)| {
        let mut cells = vec![r.comparison.layer.clone(), shape.clone(), r.macs.to_string()];
        cells.extend([
            r.cycles.to_string(),
            r.model_cycles.to_string(),
            table::utilization(r.macs, r.cycles, config),
        ]);
        cells.extend([r.comparison.words, r.comparison.mismatches].map(|n| n.to_string()));
        cells.extend([r.weight_beats, r.act_beats, r.write_beats].map(|n| n.to_string()));
        cells
    });
    let sum = |f: fn(&LayerReport) -> u64| report.layers.iter().map(f).sum::<u64>();
    let (macs, cycles) = (sum(|r| r.macs), sum(|r| r.cycles));
    let mut total = vec!["total".into(), String::new(), macs.to_string()];
    total.extend([
        cycles.to_string(),
        sum(|r| r.model_cycles).to_string(),
        table::utilization(macs, cycles, config),
    ]);
    total.extend(
        [sum(|r| r.comparison.words as u64), sum(|r| r.comparison.mismatches as u64)].map(|n| n.to_string()),
    );
    total.extend(
        [sum(|r| r.weight_beats), sum(|r| r.act_beats), sum(|r| r.write_beats)].map(|n| n.to_string()),
    );
    table::print(&head, &rows.chain([total]).collect::<Vec<_>>())?;
    out!("\n{}", if report.pass { "PASS: every word equals the golden model" } else { "FAIL" })
}
