//! `vgg2rtl demo`: the whole path on the small VGG16 of the repository.

use super::table;
use ndarray::Array4;
use std::path::PathBuf;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{Comparison, compare};
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{Golden, IntModel};
use vgg2rtl::quantize::{self, Method, Mode, Recipe, Score, Widths, golden_logits, input_codes};
use vgg2rtl::schedule::cycles::{self, MemoryTiming};
use vgg2rtl::schedule::{self, Schedule};
use vgg2rtl::{Error, Result};

/// Quantize the small VGG16 of the repository to W8A8 and W4A4, measure its accuracy in integers, schedule it for a
/// systolic array, execute program and memory image, and compare every word with the golden model.
#[derive(clap::Args)]
pub struct Args {
    /// Float model.
    #[arg(long, default_value = "models/vgg16-small-fashion.safetensors")]
    model: PathBuf,
    /// Labelled images; the first quarter calibrates, the rest measures.
    #[arg(long, default_value = "models/fashion-test-256-images-idx3-ubyte.gz")]
    data: PathBuf,
    /// Design point: tiny, ecp5-85k, 16x16 or zcu102.
    #[arg(long, default_value = "ecp5-85k")]
    preset: String,
    /// Images whose every word is compared.
    #[arg(long, default_value_t = 4)]
    images: usize,
    /// Flip one bit of a weight in the memory image: the comparison must fail (exit code 4).
    #[arg(long)]
    inject_fault: bool,
}

/// Memory against which cycles are estimated.
const MEMORY: MemoryTiming = MemoryTiming { latency: 20, stall_percent: 10 };

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let preset = ArrayConfig::preset(&args.preset)?;
    let model = FloatModel::load(&args.model)?;
    let data = DataSet::open(&args.data)?;
    let calibration = data.len() / 4;
    if args.images == 0 || calibration + args.images > data.len() {
        let most = data.len() - calibration;
        return Err(Error::usage("--images", format!("{} images, 1 to {most} are possible", args.images)));
    }
    let calibration_images = data.batch(0..calibration, &model.header)?;
    let test_images = data.batch(calibration..data.len(), &model.header)?;
    let labels: Vec<_> = (calibration..data.len()).map(|i| data.label(i)).collect();
    let float = score(&test_images, &labels, &|x| Ok(model.forward(x)?.mapv(f64::from)))?;
    println!("{}: {} of {} test images right in float", model.header.name, float.correct, float.labelled);
    let mut mismatches = 0;
    for bits in [8, 4] {
        let recipe = recipe(bits);
        let int = quantize::quantize(&model, &recipe, [Ok(calibration_images.clone())])?.int;
        let golden = Golden::new(&int)?;
        let integer = score(&test_images, &labels, &|x| golden_logits(&int, &golden, x))?;
        let config = schedule::fit(&int, &preset);
        let schedule = schedule::schedule(&int, &config, 1)?;
        let images = test_images.slice(ndarray::s![..args.images, .., .., ..]).to_owned();
        let compared = execute(&schedule, &golden, &input_codes(&int, &images), args.inject_fault)?;
        println!(
            "\nW{bits}A{bits}: {} of {} right in integers (golden model)",
            integer.correct, integer.labelled
        );
        report(&schedule, &int, &compared);
        mismatches += compared.iter().map(|c| c.mismatches).sum::<usize>();
    }
    match mismatches {
        0 => println!("\nPASS: every word equals the golden model"),
        n => return Err(Error::Mismatch(format!("FAIL: {n} words differ from the golden model"))),
    }
    Ok(())
}

fn recipe(bits: u32) -> Recipe {
    Recipe {
        mode: Mode::Free,
        per_channel: true,
        method: Method::Mse,
        widths: Widths::bits(bits, bits),
        equalise: false,
        correct_biases: true,
    }
}

fn score(images: &Array4<f32>, labels: &[Option<usize>], run: &quantize::Executor) -> Result<Score> {
    let mut score = Score::default();
    score.add(images, labels, run, None)?;
    Ok(score)
}

/// Executes the program on each image and compares every layer, images added up.
fn execute(
    schedule: &Schedule,
    golden: &Golden,
    codes: &Array4<i32>,
    inject_fault: bool,
) -> Result<Vec<Comparison>> {
    let names: Vec<String> = schedule.layers.iter().map(|l| l.name.clone()).collect();
    let mut sum: Vec<Comparison> = vec![];
    for image in codes.axis_chunks_iter(ndarray::Axis(0), 1) {
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, image);
        if inject_fault {
            let second = &schedule.layers[1]; // the first one's tiles are mostly padding
            memory.bytes[second.command.weights as usize + second.command.weights_pitch as usize / 2] ^= 0x40;
        }
        schedule::interpret::execute(schedule, &mut memory)?;
        let comparisons = compare(&names, &golden.trace(image)?, &schedule.trace(&memory));
        match sum.is_empty() {
            true => sum = comparisons,
            false => sum.iter_mut().zip(comparisons).for_each(|(sum, c)| sum.absorb(c)),
        }
    }
    Ok(sum)
}

fn report(schedule: &Schedule, model: &IntModel, compared: &[Comparison]) {
    let config = &schedule.config;
    println!(
        "array {}×{}, {} kbit on chip, W {} A {} ACC {}",
        config.rows,
        config.cols,
        config.memory_bits() / 1000,
        config.weight_bits,
        config.act_bits,
        config.acc_bits
    );
    let estimates = cycles::estimate(schedule, MEMORY);
    let shapes = model.shapes();
    let layers = schedule.layers.iter().zip(&estimates).zip(compared).zip(&shapes[1..]);
    let row =
        |(((layer, cycles), compared), shape): (((&schedule::LayerSchedule, &cycles::Cycles), _), _)| {
            let compared: &Comparison = compared;
            let utilization = cycles.utilization(layer.macs, config);
            vec![
                layer.name.clone(),
                format!("{shape}"),
                layer.macs.to_string(),
                cycles.total.to_string(),
                format!("{}.{:02} %", utilization / 100, utilization % 100),
                compared.words.to_string(),
                compared.mismatches.to_string(),
            ]
        };
    let head = ["layer", "output", "MACs", "cycles (model)", "utilization", "words compared", "mismatches"];
    table::print(&head, &layers.map(row).collect::<Vec<_>>());
}
