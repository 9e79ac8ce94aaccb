//! `vgg2rtl bench`: how fast the golden model is on this machine, and the accelerator by the cycle model.

use super::design::Design;
use super::print::out;
use super::{images, number, outputs, table};
use clap::{Parser, Subcommand};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Instant;
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::net::{Op, Shape, vgg_convs};
use vgg2rtl::output::Output;
use vgg2rtl::schedule::cycles::{self, Cycles, MemoryTiming};
use vgg2rtl::schedule::{Geometry, plan};
use vgg2rtl::{Error, Result};

/// How fast the golden model runs here, or the accelerator by its closed-form cycle model.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Subcommand)]
enum Stage {
    Golden(GoldenArgs),
    Accelerator(Box<AcceleratorArgs>),
}

/// Most threads.
const MOST_THREADS: usize = 1024;

/// Time the golden model on random images.
#[derive(Parser)]
struct GoldenArgs {
    /// Integer model file; a random VGG16 of 224×224, W8A8, per channel, when left out.
    model: Option<PathBuf>,
    /// Write the model that is measured.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Images of a batch.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number::count(1..=usize::MAX))]
    images: usize,
    /// Timed runs, after one that is not timed.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Threads; one a core by default.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number::count(0..=MOST_THREADS))]
    threads: usize,
    /// Wait for a line on standard input before each run, for comparing programs in turns.
    #[arg(long)]
    paced: bool,
    /// Print JSON, one line a run.
    #[arg(long)]
    json: bool,
}

/// Cycles and utilization of each layer on a design point, by the closed-form cycle model; `cosim` measures them.
#[derive(Parser)]
struct AcceleratorArgs {
    /// Integer model file; a VGG16 of 224×224, W8A8, per channel, when left out.
    model: Option<PathBuf>,
    /// Images of a run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number::batch())]
    batch: usize,
    /// Cycles of the memory from an address to its first word.
    #[arg(long, value_name = "CYCLES", default_value_t = 20, value_parser = number::latency())]
    latency: u64,
    /// Share of cycles in which a channel of the memory stalls.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=90))]
    stall_percent: u64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    design: Design,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let args = match &args.stage {
        Stage::Golden(args) => args,
        Stage::Accelerator(args) => return accelerator(args),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build();
    pool.map_err(|e| Error::usage("--threads", e.to_string()))?.install(|| golden(args))
}

fn golden(args: &GoldenArgs) -> Result<()> {
    let save = args.save.iter().map(|path| Output::file("--save", path));
    outputs::check(&save.collect::<Vec<_>>(), args.model.as_deref())?;
    let model = match &args.model {
        Some(path) => IntModel::load(path)?,
        None => random_vgg16(),
    };
    if let Some(path) = &args.save {
        model.save(path)?;
    }
    let golden = Golden::new(&model)?;
    images::check_memory("--images", &model, args.images)?;
    let codes = random::images(&model, args.images, 1);
    golden.logits(codes.view())?;
    let mut lines = std::io::stdin().lock().lines();
    let mut times = vec![];
    for _ in 0..args.runs {
        if args.paced && !matches!(lines.next(), Some(Ok(_))) {
            break;
        }
        let start = Instant::now();
        golden.logits(codes.view())?;
        times.push(start.elapsed().as_secs_f64() * 1e3 / args.images as f64);
        if args.json {
            let (ms, peak) = (times.last(), peak_memory());
            out!(
                "{}",
                serde_json::json!({ "ms_per_image": ms, "isa": golden.isa().to_string(), "peak_bytes": peak })
            )?;
        }
    }
    times.sort_by(f64::total_cmp);
    if let (false, Some(least)) = (args.json, times.first()) {
        let median = times[times.len() / 2];
        let threads = rayon::current_num_threads();
        out!("{}: {} on {threads} threads", model.header.name, golden.isa())?;
        out!("ms an image: least {least:.1}, median {median:.1}")?;
        if let Some(peak) = peak_memory() {
            out!("peak memory: {} MB", peak / 1_000_000)?;
        }
    }
    Ok(())
}

fn accelerator(args: &AcceleratorArgs) -> Result<()> {
    let model = match &args.model {
        Some(path) => IntModel::load(path)?,
        None => random_vgg16(),
    };
    let config = args.design.config(&model)?;
    let plan = plan(&Geometry::of(&model, &config)?, &config, args.batch)?;
    let timing = MemoryTiming { latency: args.latency, stall_percent: args.stall_percent };
    let cycles = cycles::of_layers(&plan.layers, &config, timing);
    let layers = || plan.layers.iter().zip(&cycles);
    if args.json {
        let layers = layers().map(|(layer, cycles)| {
            let share = layer.macs as f64 / (cycles.total * (config.rows * config.cols) as u64) as f64;
            serde_json::json!({
                "layer": layer.name, "macs": layer.macs, "cycles": cycles.total, "utilization": share,
                "weight_beats": cycles.weight_beats, "act_beats": cycles.act_beats, "write_beats": cycles.write_beats,
            })
        });
        let layers: Vec<_> = layers.collect();
        out!("{}", serde_json::json!({ "config": config, "batch": args.batch, "layers": layers }))?;
        return Ok(());
    }
    let row = |name: &str, macs: u64, c: &Cycles| {
        let numbers = [c.weight_beats, c.act_beats, c.write_beats].map(|n| n.to_string());
        let [weights, acts, written] = numbers;
        let share = table::utilization(macs, c.total, &config);
        vec![name.to_string(), macs.to_string(), c.total.to_string(), share, weights, acts, written]
    };
    let mut rows: Vec<_> = layers().map(|(layer, cycles)| row(&layer.name, layer.macs, cycles)).collect();
    let mut sum = Cycles::default();
    for c in &cycles {
        sum.total += c.total;
        sum.weight_beats += c.weight_beats;
        sum.act_beats += c.act_beats;
        sum.write_beats += c.write_beats;
    }
    rows.push(row("total", plan.layers.iter().map(|l| l.macs).sum(), &sum));
    out!("{} on {}×{}, {} images a run", model.header.name, config.rows, config.cols, args.batch)?;
    table::print_varying(
        &["layer", "MACs", "cycles", "utilization", "weight words", "act words", "written"],
        &rows,
    )
}

fn random_vgg16() -> IntModel {
    let convs = vgg_convs(16).into_iter().flatten().map(|(co, pool)| Op::Conv { co, pool });
    let dense = [4096, 4096, 1000].into_iter().map(|co| Op::Dense { co });
    random::model(&random::Recipe {
        input: Shape { c: 3, h: 224, w: 224 },
        ops: convs.chain(dense).collect(),
        w: 8,
        a: 8,
        power_of_two: false,
        per_channel: true,
        seed: 16,
    })
}

/// The most memory that this process ever had resident, in bytes; `None` where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kb| kb * 1024)
}
