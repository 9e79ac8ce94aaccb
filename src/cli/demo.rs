//! `vgg2rtl demo`: the whole path on the small VGG16 of the repository.

use super::print::out;
use super::{outputs, table};
use ndarray::{Array4, s};
use rayon::prelude::*;
use std::fmt::Arguments;
use std::path::PathBuf;
use std::time::Instant;
use vgg2rtl::bundle::{self, Bundle};
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{self, Cache, Comparison, Engine, MemoryOptions, Network, Testbench};
use vgg2rtl::float::data::SEED;
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{Golden, IntModel, Trace};
use vgg2rtl::output::Output;
use vgg2rtl::quantize::{self, Recipe, Score, Widths, byte_codes, golden_logits, input_codes};
use vgg2rtl::schedule::{self, Schedule};
use vgg2rtl::{Error, Result, hw};

/// Quantize the small VGG16 of the repository to W8A8 and W4A4, measure its accuracy in integers, generate the Verilog of
/// a systolic array that runs it, simulate whole images, and compare every word with the golden model.
///
/// The first image runs in this program's own simulator; with Verilator installed, more run in it.
#[derive(clap::Args)]
pub struct Args {
    /// Float model.
    #[arg(long, default_value = "models/vgg16-small-fashion.safetensors")]
    model: PathBuf,
    /// Labelled images; a quarter calibrates, the rest measures.
    #[arg(long, default_value = "models/fashion-test-256-images-idx3-ubyte.gz")]
    data: PathBuf,
    /// Design point: tiny, ecp5-85k, 16x16 or zcu102.
    #[arg(long, default_value = "ecp5-85k")]
    preset: String,
    /// Images in Verilator, where it is installed.
    #[arg(long, default_value_t = 8)]
    images: usize,
    /// Folder for the models and for Verilog, programs and benches.
    #[arg(short, long, default_value = "out/demo")]
    output: PathBuf,
    /// Flip one bit of a weight in the memory image: the comparison must fail (exit code 4).
    #[arg(long)]
    inject_fault: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// A quantized network, ready to run.
struct Case {
    bits: u32,
    model: IntModel,
    schedule: Schedule,
    codes: Array4<i32>,
    trace: Trace,
    score: Score,
}

/// One layer in a simulator, images added up.
type Layer = (u64, Comparison);

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let preset = ArrayConfig::preset(&args.preset)?;
    outputs::check(&[Output::folder("-o", &args.output)], [])?;
    let model = FloatModel::load(&args.model)?;
    let data = DataSet::open(&args.data)?;
    let (calibration, test) = data.split(0.25);
    let test = test.sample(test.len(), SEED); // the first ones are simulated
    let most = test.len();
    if !(1..=most).contains(&args.images) {
        return Err(Error::usage("--images", format!("{} images, 1 to {most} are possible", args.images)));
    }
    std::fs::create_dir_all(&args.output).map_err(Error::io(&args.output))?;
    for bits in BITS {
        let (file, folder) = (args.model_file(bits), args.bundle(bits));
        outputs::check(&[Output::file("-o", &file)], [&*args.model, &args.data])?;
        outputs::check_bundle(&folder, [&*args.model, &args.data])?;
    }
    let calibration_images = calibration.batch(0..calibration.len(), &model.header)?;
    let test_images = test.batch(0..test.len(), &model.header)?;
    let labels: Vec<_> = (0..test.len()).map(|i| test.label(i)).collect();
    let float = score(&test_images, &labels, &|x| Ok(model.forward(x)?.mapv(f64::from)))?;
    let cases = BITS.map(|bits| args.case(bits, &model, &calibration_images, &test_images, &labels, &preset));
    let cases = cases.into_iter().collect::<Result<Vec<_>>>()?;
    let runs = args.runs(&cases)?;
    args.say_accuracy(&float, &cases)?;
    let sum = |count: fn(&Comparison) -> usize| {
        runs.iter().flat_map(|run| &run.layers).map(|(_, compared)| count(compared)).sum::<usize>()
    };
    let (words, wrong) = (sum(|c| c.words), sum(|c| c.mismatches));
    if args.json {
        out!("{}", args.described(&float, &cases, &runs))?;
    }
    match wrong {
        0 => args.say(format_args!("PASS: {words} words equal the golden model")),
        n => Err(Error::Mismatch(format!("FAIL: {n} of {words} words differ from the golden model"))),
    }
}

/// Images of one case in one simulator.
struct Run {
    bits: u32,
    simulator: &'static str,
    images: usize,
    layers: Vec<Layer>,
}

impl Args {
    /// Prints a line, where it is not JSON that is wanted.
    fn say(&self, text: Arguments) -> Result<()> {
        if self.json { Ok(()) } else { out!("{text}") }
    }

    /// One image of each case in process, then more in Verilator, where it is installed.
    fn runs(&self, cases: &[Case]) -> Result<Vec<Run>> {
        let (start, inside) = (Instant::now(), Engine::InProcess);
        let mut runs = cases.par_iter().map(|case| case.run(inside, 1)).collect::<Result<Vec<_>>>()?;
        let seconds = start.elapsed().as_secs_f64();
        cases.iter().zip(&runs).try_for_each(|(case, run)| self.report(case, run))?;
        self.say(format_args!("\nsimulated in process in {seconds:.1} s"))?;
        match Engine::fastest() {
            (Engine::InProcess, missing) => {
                let tool = missing.unwrap_or("Verilator");
                self.say(format_args!("no more images: {tool} is not installed (see `vgg2rtl doctor`)"))?;
            }
            (engine, _) => {
                for case in cases {
                    runs.push(case.run(engine, self.images)?);
                    self.report(case, &runs[runs.len() - 1])?;
                }
            }
        }
        Ok(runs)
    }

    fn say_accuracy(&self, float: &Score, cases: &[Case]) -> Result<()> {
        self.say(format_args!("\naccuracy on {} test images", float.labelled))?;
        self.say(format_args!("  float {} right", float.correct))?;
        for case in cases {
            self.say(format_args!("  W{0}A{0} {1} right in integers", case.bits, case.score.correct))?;
        }
        let folder = self.output.display();
        self.say(format_args!("Verilog, programs, golden traces and benches: {folder}"))
    }

    /// The report of --json.
    fn described(&self, float: &Score, cases: &[Case], runs: &[Run]) -> serde_json::Value {
        let case = |case: &Case| {
            let (bits, file, folder) = (case.bits, self.model_file(case.bits), self.bundle(case.bits));
            serde_json::json!({ "bits": bits, "correct": case.score.correct, "output": file, "bundle": folder })
        };
        let layer = |(cycles, c): &Layer| {
            serde_json::json!({
                "layer": c.layer, "cycles": cycles, "words": c.words, "mismatches": c.mismatches,
            })
        };
        let run = |run: &Run| {
            let layers: Vec<_> = run.layers.iter().map(layer).collect();
            let (bits, images) = (run.bits, run.images);
            serde_json::json!({ "bits": bits, "simulator": run.simulator, "images": images, "layers": layers })
        };
        let pass = runs.iter().flat_map(|run| &run.layers).all(|(_, c)| c.mismatches == 0);
        serde_json::json!({
            "model": self.model,
            "labelled": float.labelled,
            "float_correct": float.correct,
            "cases": cases.iter().map(case).collect::<Vec<_>>(),
            "runs": runs.iter().map(run).collect::<Vec<_>>(),
            "pass": pass,
        })
    }

    /// Prints what a run gave, layer by layer.
    fn report(&self, case: &Case, run: &Run) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let what = match run.images {
            1 => format!("1 image, {}", run.simulator),
            n => format!("{n} images, {}", run.simulator),
        };
        case.report(&what, &run.layers)
    }

    fn bundle(&self, bits: u32) -> PathBuf {
        self.output.join(format!("w{bits}a{bits}"))
    }

    fn model_file(&self, bits: u32) -> PathBuf {
        self.output.join(format!("w{bits}a{bits}.safetensors"))
    }

    /// Quantizes, schedules and writes the bundle of one image.
    fn case(
        &self,
        bits: u32,
        model: &FloatModel,
        calibration: &Array4<f32>,
        images: &Array4<f32>,
        labels: &[Option<usize>],
        preset: &ArrayConfig,
    ) -> Result<Case> {
        let int = quantize::quantize(model, &recipe(bits), [Ok(calibration.clone())])?.int;
        let golden = Golden::new(&int)?;
        let score = score(images, labels, &|x| golden_logits(&int, &golden, x))?;
        let config = schedule::fit(&int, preset);
        let mut schedule = schedule::schedule(&int, &config, 1)?;
        let codes = input_codes(&int, &images.slice(s![..self.images, .., .., ..]).to_owned());
        let trace = golden.trace(codes.view())?;
        let modules = hw::prefixed(&config, &hw::Prefix::of(&config))?;
        let mut case = Case { bits, model: int, schedule: schedule.clone(), codes, trace, score };
        let (codes, trace) = case.images(1);
        let bundle = Bundle {
            model: &case.model,
            schedule: &schedule,
            modules: &modules,
            codes: codes.view(),
            trace: &trace,
            byte_codes: byte_codes(&case.model),
            pictures: None,
        };
        bundle::write(&bundle, &self.bundle(bits))?;
        case.model.save(&self.model_file(bits))?;
        if self.inject_fault {
            cosim::inject(&mut schedule, &case.model, codes.view(), &trace, 0..case.model.layers.len())?;
            case.schedule = schedule;
        }
        Ok(case)
    }
}

/// Weight and activation bits of the models.
const BITS: [u32; 2] = [8, 4];

impl Case {
    /// The first `count` images and what the golden model gives for them.
    fn images(&self, count: usize) -> (Array4<i32>, Trace) {
        let maps = self.trace.activations.iter().map(|x| x.slice(s![..count, .., .., ..]).to_owned());
        let logits = self.trace.logits.slice(s![..count, ..]).to_owned();
        (self.codes.slice(s![..count, .., .., ..]).to_owned(), Trace { activations: maps.collect(), logits })
    }

    fn run(&self, engine: Engine, images: usize) -> Result<Run> {
        let bench = Testbench::new(self.schedule.clone(), engine, Cache::open(None)?)?;
        let network = Network { resume: false, ..bench.network(MemoryOptions::default()) };
        let (codes, trace) = self.images(images);
        let reports = network.chain(codes.view(), &trace, &|_| ())?;
        let layers = reports.into_iter().map(|r| (r.cycles / images as u64, r.comparison));
        Ok(Run { bits: self.bits, simulator: bench.engine().name(), images, layers: layers.collect() })
    }

    fn report(&self, what: &str, layers: &[Layer]) -> Result<()> {
        let config = &self.schedule.config;
        out!(
            "\nW{0}A{0}, {what}: array {1}×{2}, ACC {3}, {4} kbit on chip",
            self.bits,
            config.rows,
            config.cols,
            config.acc_bits,
            config.memory_bits() / 1000
        )?;
        let shapes = self.model.shapes();
        let rows = self.schedule.layers.iter().zip(layers).zip(&shapes[1..]);
        let rows = rows.map(|((layer, (cycles, compared)), shape)| {
            vec![
                layer.name.clone(),
                format!("{shape}"),
                layer.macs.to_string(),
                cycles.to_string(),
                table::utilization(layer.macs, *cycles, config),
                compared.words.to_string(),
                compared.mismatches.to_string(),
            ]
        });
        let head = ["layer", "output", "MACs", "cycles", "utilization", "words compared", "mismatches"];
        table::print(&head, &rows.collect::<Vec<_>>())
    }
}

fn recipe(bits: u32) -> Recipe {
    Recipe { equalise: false, ..Recipe::of(Widths::bits(bits, bits)) }
}

fn score(images: &Array4<f32>, labels: &[Option<usize>], run: &quantize::Executor) -> Result<Score> {
    let mut score = Score::default();
    score.add(images, labels, run, None)?;
    Ok(score)
}
