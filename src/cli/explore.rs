//! `vgg2rtl explore`: what each bit costs and what it buys.

use super::design::{self, Sizes};
use super::explore_table::print;
use super::images::Reading;
use super::print::out;
use super::{number, outputs, progress};
use clap::ValueEnum;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::sync::Mutex;
use vgg2rtl::arith::WIDTHS;
use vgg2rtl::config::{Multipliers, Pack, Requantize};
use vgg2rtl::explore::report::{self, Report};
use vgg2rtl::explore::{
    Assignment, Axes, Axis, Budget, Distributed, Event, External, Family, Fixed, Images, Mixed, Network,
    Part, Task, Tuning, Watch,
};
use vgg2rtl::output::{self, Output};
use vgg2rtl::quantize::{DEFAULT_ENDS, Rounding};
use vgg2rtl::{Error, Result, explore, interrupt, store};

/// Compare many design points: area, clock, cycles, traffic and accuracy, and the points that nothing beats.
///
/// LISTS are numbers and inclusive ranges: 2..8, or 4,8,12..16. Areas come from an analytical model unless --synth says
/// otherwise; accuracy needs --data.
#[derive(clap::Args)]
pub struct Args {
    /// Float model file, or vgg11, vgg13, vgg16, vgg19: torchvision's shapes at 224×224, without accuracy.
    #[arg(required_unless_present = "task")]
    model: Option<PathBuf>,
    /// Labelled images: a data set in two parts, whose training part calibrates and whose test part measures, or one of which
    /// a quarter calibrates and the rest measures.
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Images to calibrate with, the training part where there is one; then all of --data measure.
    #[arg(long, value_name = "DATA", requires = "data")]
    calib: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Most images to measure with, a sample of them in which each class has its share.
    #[arg(long, value_name = "N", requires = "data", value_parser = number::count(1..=usize::MAX))]
    images: Option<usize>,
    /// Weight bits.
    #[arg(long, value_name = "LIST", default_value = "8", value_parser = list)]
    weights: List,
    /// Activation bits.
    #[arg(long, value_name = "LIST", default_value = "8", value_parser = list)]
    acts: List,
    /// Least bits of the image, of the first and last layer's weights, and of what the last layer reads. Above the
    /// widths that are swept, it is what the hardware must have.
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_ENDS)]
    ends: u32,
    /// Levels of single layers, beside the uniform widths, or a file of them, one a line; may be repeated.
    #[arg(long, value_name = "NAME=W[:A],…|FILE")]
    assign: Vec<String>,
    /// Search for weight bits of single layers: at the size of each of --weights, the assignment that is nearest to the
    /// float network on the calibration images.
    #[arg(long, requires = "data")]
    mixed: bool,
    /// Most weight bits of a layer in --mixed: the W of the build.
    #[arg(long, value_name = "BITS", default_value_t = 8, requires = "mixed", value_parser = number::width())]
    mixed_most: u32,
    /// Keep points of less accuracy off the front [default: half of the float network's], and say which codings of least
    /// weight size reach it.
    #[arg(long, value_name = "PERCENT", requires = "data", value_parser = number::real::<f64>("a percentage, 0 to 100", |p| (0.0..=100.0).contains(&p)))]
    floor: Option<f64>,
    /// Arrays.
    #[arg(long, value_name = "ROWSxCOLS,…", default_value = "8x8", value_delimiter = ',', value_parser = design::array)]
    array: Vec<(usize, usize)>,
    /// Bits of the bus: 64, 128, 256, 512 [default: the preset's that is nearest in size to the array].
    #[arg(long, value_name = "LIST", value_parser = list)]
    bus: Option<List>,
    /// Requantization: scale, pow2.
    #[arg(long, value_name = "MODES", default_value = "scale", value_delimiter = ',', value_parser = design::requantize)]
    requantize: Vec<Requantize>,
    /// Which codes weights get: gptq rounds those of a sum together, nearest each by itself (a tenth of the time).
    #[arg(long, value_enum, default_value_t, value_name = "ROUNDING")]
    rounding: Rounding,
    /// What the array's products are made of: dsp, lut.
    #[arg(long, value_name = "CELLS", default_value = "dsp", value_delimiter = ',', value_parser = design::multipliers)]
    multipliers: Vec<Multipliers>,
    /// Neighbouring columns that share a multiplier of the family: 1, 2, 3, 4, or auto, as many as it holds.
    #[arg(long, value_name = "COLUMNS,…", default_value = "1", value_delimiter = ',', value_parser = design::pack)]
    pack: Vec<Pack>,
    /// Builds as wide as the widest layer [default: of the widths swept, on which wider layers run by digits, as `generate`
    /// makes them].
    #[arg(long)]
    wide_builds: bool,
    /// The default.
    #[arg(long, hide = true, conflicts_with = "wide_builds")]
    digits: bool,
    /// FPGA families [default: that of --fit, or ecp5].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    family: Vec<String>,
    #[command(flatten)]
    sizes: Sizes,
    /// Clock where none is known from place and route, in MHz.
    #[arg(long, value_name = "MHZ", default_value_t = 100.0, value_parser = number::real::<f64>("a clock in MHz, up to 10000", |mhz| mhz > 0.0 && mhz <= 1e4))]
    clock: f64,
    /// Images of a run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number::batch())]
    batch: usize,
    /// Cycles from an address to its first word.
    #[arg(long, value_name = "CYCLES", default_value_t = 20, value_parser = number::latency())]
    latency: u64,
    /// Share of cycles in which a channel of the memory stalls.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=90))]
    stall_percent: u64,
    /// Rate of the memory each way, in millions of bytes a second [default: a word of the bus a cycle].
    #[arg(long, value_name = "MB/S", value_parser = number::real::<f64>("a rate in MB/s, up to 1000000", |rate| rate > 0.0 && rate <= 1e6))]
    bandwidth: Option<f64>,
    /// Areas by yosys instead of the model.
    #[arg(long)]
    synth: bool,
    /// Clocks by nextpnr, where there is one for the family.
    #[arg(long)]
    place: bool,
    /// Go on without a tool that --synth or --place asks for and that is missing.
    #[arg(long)]
    allow_missing: bool,
    /// Tools that run at a time; one a core by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Fine-tune each coding for so many epochs before its accuracy is measured.
    #[arg(long, value_name = "EPOCHS", requires_all = ["train", "data"], value_parser = clap::value_parser!(u16).range(1..))]
    qat: Option<u16>,
    /// Labelled pictures to fine-tune with: the training part of a data set.
    #[arg(long, value_name = "DATA")]
    train: Option<PathBuf>,
    /// Pictures to fine-tune with, a sample of them in which each class has its share; all by default.
    #[arg(long = "train-images", alias = "train-limit", value_name = "N", value_parser = number::count(1..=usize::MAX))]
    train_limit: Option<usize>,
    /// Axes of the Pareto front: names of columns.
    #[arg(long, value_name = "AXES", default_value = "lut,accuracy,images_per_s", value_delimiter = ',')]
    pareto: Vec<String>,
    /// A point is on the front only if it is better by more than this in some axis than each of the others there.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = number::real::<f64>("a percentage, 0 to 100", |p| (0.0..=100.0).contains(&p)))]
    tolerance: f64,
    /// Name the cheapest point of at least so many images a second: that which fills --fit or --budget least.
    #[arg(long, value_name = "FPS", value_parser = number::real::<f64>("images a second, above 0", |fps| fps > 0.0))]
    target_fps: Option<f64>,
    /// Keep what fits this part: ecp5-25k, ecp5-45k, ecp5-85k, up5k, hx8k, xc7a35t, xc7a100t, xc7z020, xc7k325t, zu9eg,
    /// gw2a-18.
    #[arg(long, value_name = "PART", conflicts_with = "budget")]
    fit: Option<String>,
    /// Keep what fits this budget, as in lut=20000,dsp=64,bram=100.
    #[arg(long, value_name = "BUDGET")]
    budget: Option<String>,
    /// Where points are run: here, as an array of Slurm jobs, or as a Snakemake workflow.
    #[arg(long, value_enum, default_value_t = Engine::Local)]
    engine: Engine,
    /// Folder that all machines of the engine see.
    #[arg(long, value_name = "DIR", default_value = "out/explore")]
    shared: PathBuf,
    /// Jobs of the Slurm array or of the workflow.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    array_jobs: u16,
    /// Argument for sbatch, as in --sbatch=--partition=short; may be repeated.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Argument for snakemake, as in --snakemake=--profile=cluster; may be repeated.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    snakemake: Vec<String>,
    /// A sweep in a file, as a job of an engine gets it.
    #[arg(long, value_name = "FILE", hide = true, requires_all = ["slice", "outcome"])]
    task: Option<PathBuf>,
    /// Which of how many parts of the sweep to run.
    #[arg(long, value_name = "I/N", hide = true, value_parser = slice)]
    slice: Option<(usize, usize)>,
    /// Where the part's results go.
    #[arg(long, value_name = "FILE", hide = true)]
    outcome: Option<PathBuf>,
    /// Folder of finished results [default: vgg2rtl in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Write a page that opens without a network: a table, the front, layers, widths.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write one line a point.
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Write plots as SVG and PNG files.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Print every point, not only the front.
    #[arg(long)]
    all: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Engine {
    /// Processes and threads of this machine.
    Local,
    /// `sbatch`.
    Slurm,
    /// `snakemake`; the Snakefile stays in --shared and can be run again by hand.
    Snakemake,
}

fn slice(text: &str) -> std::result::Result<(usize, usize), String> {
    let (i, n) = text.split_once('/').ok_or("needs a part and a number of parts, as in 0/8")?;
    let number = |t: &str| t.parse::<usize>().map_err(|e| format!("{t:?}: {e}"));
    match (number(i)?, number(n)?) {
        (i, n) if i < n => Ok((i, n)),
        (i, n) => Err(format!("part {i} of {n} does not exist")),
    }
}

/// Numbers of a list option.
#[derive(Clone, Debug)]
struct List(Vec<usize>);

/// Most numbers of a list.
const LONGEST_LIST: usize = 1000;

fn list(text: &str) -> std::result::Result<List, String> {
    let number = |t: &str| t.trim().parse::<usize>().map_err(|e| format!("{t:?}: {e}"));
    let mut numbers = vec![];
    for part in text.split(',') {
        let (first, last) = match part.split_once("..") {
            Some((first, last)) => (number(first)?, number(last.trim_start_matches('='))?),
            None => (number(part)?, number(part)?),
        };
        if first > last || last - first >= LONGEST_LIST {
            return Err(format!("{part:?} is no range of up to {LONGEST_LIST} numbers"));
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(List(numbers))
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let screen = Screen::default();
    let hear = |event: Event| screen.hear(event);
    let watch = Watch { hear: &hear, stop: interrupt::flag() };
    args.check_outputs()?;
    let deferred = interrupt::defer();
    if let (Some(task), Some(slice), Some(to)) = (&args.task, args.slice, &args.outcome) {
        let text = store::read_text(task)?;
        let task: Task = serde_json::from_str(&text).map_err(|e| Error::bad_file(task, e.to_string()))?;
        let outcome = task.run(slice, watch)?;
        let json = serde_json::to_vec(&outcome).map_err(|e| Error::bad_file(to, e.to_string()))?;
        output::write(to, &json)?;
        return interrupt::check();
    }
    let mut task = args.task()?;
    args.check_report(&task)?;
    let beaten = task.search(watch)?;
    let mut outcome = match args.engine {
        Engine::Local => task.run((0, 1), watch)?,
        Engine::Slurm => args.distributed(explore::Engine::Slurm, &args.sbatch)?.run(&task)?,
        Engine::Snakemake => args.distributed(explore::Engine::Snakemake, &args.snakemake)?.run(&task)?,
    };
    drop(deferred);
    outcome.notes.extend(beaten);
    task.finish(&mut outcome);
    screen.end();
    let report = Report::new(&task, &Network::open(&task.model)?, &outcome);
    args.write(&report)?;
    match args.json {
        true => out!("{}", report.json())?,
        false => print(&task, &outcome, args.all, args.floor)?,
    }
    interrupt::check()?;
    outcome.check()
}

impl Args {
    fn distributed(&self, engine: explore::Engine, options: &[String]) -> Result<Distributed> {
        let program = std::env::current_exe().map_err(Error::io("vgg2rtl"))?;
        let (folder, options) = (self.shared.clone(), options.to_vec());
        Ok(Distributed { engine, folder, jobs: self.array_jobs.into(), program, options })
    }

    /// Refuses outputs that cannot be written, before the work.
    fn check_outputs(&self) -> Result<()> {
        let files =
            [("--report", &self.report), ("--csv", &self.csv), ("--outcome", &self.outcome)].into_iter();
        let mut outputs: Vec<_> =
            files.filter_map(|(option, path)| Some(Output::file(option, path.as_deref()?))).collect();
        outputs.extend(self.plots.iter().map(|path| Output::folder("--plots", path)));
        outputs.extend(self.cache.iter().map(|path| Output::folder("--cache", path)));
        if self.engine != Engine::Local {
            outputs.push(Output::folder("--shared", &self.shared));
        }
        let inputs = [&self.model, &self.data, &self.calib, &self.train, &self.task];
        outputs::check(&outputs, inputs.into_iter().flatten().map(|path| path.as_path()))
    }

    /// Refuses a page of more points than it may hold.
    fn check_report(&self, task: &Task) -> Result<()> {
        let points = task.axes.count();
        if self.report.is_some() && points > report::MOST_ROWS {
            let reason = format!("{points} points, a page holds at most {}", report::MOST_ROWS);
            return Err(Error::usage("--report", reason));
        }
        Ok(())
    }

    /// Writes what is asked for.
    fn write(&self, report: &Report) -> Result<()> {
        if let Some(path) = &self.report {
            output::write(path, report::page(report).as_bytes())?;
        }
        if let Some(path) = &self.csv {
            output::write(path, report::csv(report).as_bytes())?;
        }
        if let Some(folder) = &self.plots {
            report::plots(report, folder)?;
        }
        Ok(())
    }

    fn task(&self) -> Result<Task> {
        let part = self.fit.as_deref().map(Part::named).transpose()?;
        let mut families = self.family.iter().map(|name| Family::named(name)).collect::<Result<Vec<_>>>()?;
        if families.is_empty() {
            families.push(part.map_or(Family::Ecp5, |p| p.family));
        }
        if let Some(part) = part
            && families.iter().any(|&f| f != part.family)
        {
            let reason = format!("{} is of family {}", part.name, part.family.name());
            return Err(Error::usage("--family", reason));
        }
        let budget = match (part, &self.budget) {
            (Some(part), _) => Some(part.budget()),
            (None, Some(text)) => Some(Budget::parse(text)?),
            (None, None) => None,
        };
        let bits = |option: &str, list: &List| {
            let narrow = |&n: &usize| u32::try_from(n).map_err(|e| Error::usage(option, e.to_string()));
            list.0.iter().map(narrow).collect::<Result<Vec<_>>>()
        };
        let pareto = self.pareto.iter().map(|name| Axis::named(name)).collect::<Result<Vec<_>>>()?;
        if distinct(&pareto).len() < pareto.len() {
            return Err(Error::usage("--pareto", "an axis is there twice"));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let sizes = &self.sizes;
        Ok(Task {
            model: self.model.clone().unwrap_or_default(),
            images: self.data.clone().map(|data| Images {
                data,
                calibration: self.calib.clone(),
                most: self.images,
                labels: self.reading.labels.clone(),
                turned: self.reading.turn,
            }),
            qat: self.qat.zip(self.train.clone()).map(|(epochs, train)| Tuning {
                train,
                epochs: epochs.into(),
                limit: self.train_limit.unwrap_or(usize::MAX),
            }),
            axes: Axes {
                weights: bits("--weights", &self.weights)?,
                acts: bits("--acts", &self.acts)?,
                ends: self.ends,
                assignments: self.assign.iter().map(|a| Assignment::parse(a)).collect::<Result<_>>()?,
                requantize: distinct(&self.requantize),
                rounding: self.rounding,
                multipliers: distinct(&self.multipliers),
                packs: distinct(&self.pack),
                digits: !self.wide_builds,
                arrays: distinct(&self.array),
                buses: match &self.bus {
                    Some(list) => list.0.iter().map(|&b| Some(b)).collect(),
                    None => vec![None],
                },
                families: distinct(&families),
                fixed: Fixed {
                    act_depth: sizes.act_depth,
                    weight_depth: sizes.weight_depth,
                    acc_depth: sizes.acc_depth,
                    requantizers: sizes.requantizers,
                    acc_bits: sizes.acc_bits,
                    fold_width: sizes.fold_width,
                },
            },
            mixed: self.mixed.then_some(Mixed { least: *WIDTHS.start(), most: self.mixed_most }),
            external: External {
                latency: self.latency,
                stall_percent: self.stall_percent,
                megabytes_per_s: self.bandwidth,
            },
            batch: self.batch,
            clock_mhz: self.clock,
            synth: self.synth,
            place: self.place,
            allow_missing: self.allow_missing,
            budget,
            pareto,
            tolerance: self.tolerance / 100.0,
            floor: self.floor.map(|percent| percent / 100.0),
            target_fps: self.target_fps,
            jobs: self.jobs.map_or(cores, usize::from),
            cache: self.cache.clone(),
        })
    }
}

/// `values` without repetitions, in their order.
fn distinct<T: PartialEq + Clone>(values: &[T]) -> Vec<T> {
    values.iter().fold(vec![], |mut seen, v| {
        if !seen.contains(v) {
            seen.push(v.clone());
        }
        seen
    })
}

/// Progress on the terminal.
#[derive(Default)]
struct Screen(Mutex<Option<ProgressBar>>);

impl Screen {
    fn hear(&self, event: Event) {
        let Ok(mut bar) = self.0.lock() else { return };
        match event {
            Event::Begin(count, unit) => {
                if let Some(before) = bar.replace(progress::bar(count, unit)) {
                    before.finish_and_clear();
                }
            }
            Event::Done => bar.iter().for_each(|b| b.inc(1)),
        }
    }

    fn end(&self) {
        if let Ok(mut bar) = self.0.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}
