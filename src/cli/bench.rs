//! `vgg2rtl bench`: how fast a stage is on this machine.

use clap::{Parser, Subcommand};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Instant;
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::net::{Op, Shape, vgg_convs};
use vgg2rtl::{Error, Result};

/// Measure the speed of a stage.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Subcommand)]
enum Stage {
    Golden(GoldenArgs),
}

/// Time the golden model on random images.
#[derive(Parser)]
struct GoldenArgs {
    /// Integer model file; a random VGG16 of 224×224, W8A8, per channel, when left out.
    model: Option<PathBuf>,
    /// Write the model that is measured.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Images of a batch.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Timed runs, after one that is not timed.
    #[arg(long, value_name = "N", default_value_t = 10)]
    runs: u32,
    /// Threads; one a core by default.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Wait for a line on standard input before each run, for comparing programs in turns.
    #[arg(long)]
    paced: bool,
    /// Print JSON, one line a run.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let Stage::Golden(args) = &args.stage;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build();
    pool.map_err(|e| Error::usage("--threads", e.to_string()))?.install(|| golden(args))
}

fn golden(args: &GoldenArgs) -> Result<()> {
    let model = match &args.model {
        Some(path) => IntModel::load(path)?,
        None => random_vgg16(),
    };
    if let Some(path) = &args.save {
        model.save(path)?;
    }
    let golden = Golden::new(&model)?;
    let codes = random::images(&model, args.images as usize, 1);
    golden.logits(codes.view())?;
    let mut lines = std::io::stdin().lock().lines();
    let mut times = vec![];
    for _ in 0..args.runs {
        if args.paced && !matches!(lines.next(), Some(Ok(_))) {
            break;
        }
        let start = Instant::now();
        golden.logits(codes.view())?;
        times.push(start.elapsed().as_secs_f64() * 1e3 / f64::from(args.images));
        if args.json {
            let (ms, peak) = (times.last(), peak_memory());
            println!(
                "{}",
                serde_json::json!({ "ms_per_image": ms, "isa": golden.isa().to_string(), "peak_bytes": peak })
            );
        }
    }
    times.sort_by(f64::total_cmp);
    if let (false, Some(least)) = (args.json, times.first()) {
        let median = times[times.len() / 2];
        let threads = rayon::current_num_threads();
        println!("{}: {} on {threads} threads", model.header.name, golden.isa());
        println!("ms an image: least {least:.1}, median {median:.1}");
        if let Some(peak) = peak_memory() {
            println!("peak memory: {} MB", peak / 1_000_000);
        }
    }
    Ok(())
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
