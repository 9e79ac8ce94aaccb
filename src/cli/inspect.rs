//! `vgg2rtl inspect`: a model as a table.

use super::print::out;
use super::{quantize::steps, table};
use serde::Serialize;
use std::path::PathBuf;
use vgg2rtl::Result;
use vgg2rtl::arith::{Levels, Step, accumulator_bits};
use vgg2rtl::float::FloatModel;
use vgg2rtl::int::{IntLayer, IntModel, Output, Quantizer};
use vgg2rtl::net::{Op, Shape};

/// Print a float or integer model as a table.
#[derive(clap::Args)]
pub struct Args {
    /// Model file.
    model: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let table = if IntModel::is_in(&args.model)? {
        int_table(&IntModel::load(&args.model)?)
    } else {
        float_table(&FloatModel::load(&args.model)?)
    };
    match args.json {
        true => out!("{}", serde_json::json!(table)),
        false => print(&table),
    }
}

/// A model, row by row.
#[derive(Serialize)]
struct Table {
    name: String,
    kind: &'static str,
    input: Shape,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_quantizer: Option<Quantizer>,
    macs: u64,
    weights: usize,
    layers: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    layer: String,
    #[serde(flatten)]
    op: Op,
    output: Shape,
    macs: u64,
    weights: usize,
    #[serde(flatten)]
    numbers: Option<Numbers>,
}

/// What integers add to a row.
#[derive(Serialize)]
struct Numbers {
    weight_bits: u32,
    weight_levels: Levels,
    weight_steps: (Step, Step),
    /// `None`: logits.
    act_bits: Option<u32>,
    act_step: Option<Step>,
    /// Accumulator bits proven from the weights.
    accumulator_bits: u32,
    /// Accumulator bits that any weights of these levels could need.
    accumulator_bits_by_type: u32,
}

fn float_table(model: &FloatModel) -> Table {
    let shapes = model.shapes();
    let rows = model.layers.iter().zip(&shapes).map(|(l, &x)| row(&l.name, l.op, x, None));
    Table {
        name: model.header.name.clone(),
        kind: "float",
        input: model.header.input,
        input_quantizer: None,
        macs: model.macs(),
        weights: model.layers.iter().map(|l| l.weight.len()).sum(),
        layers: rows.collect(),
    }
}

fn int_table(model: &IntModel) -> Table {
    let (shapes, inputs, proven) = (model.shapes(), model.input_quantizers(), model.accumulator_bits());
    let rows = model.layers.iter().enumerate();
    let rows = rows.map(|(i, l)| {
        row(&l.name, l.op, shapes[i], Some(numbers(l, shapes[i], inputs[i].levels, proven[i])))
    });
    Table {
        name: model.header.name.clone(),
        kind: "int",
        input: model.header.input,
        input_quantizer: Some(model.input),
        macs: model.macs(),
        weights: model.layers.iter().map(|l| l.weight.len()).sum(),
        layers: rows.collect(),
    }
}

fn row(name: &str, op: Op, x: Shape, numbers: Option<Numbers>) -> Row {
    let weights = op.weight_shape(x).iter().product();
    Row { layer: name.into(), op, output: op.output(x), macs: op.macs(x), weights, numbers }
}

fn numbers(layer: &IntLayer, x: Shape, read: Levels, proven: u32) -> Numbers {
    let magnitude = u64::from(layer.weight_levels.magnitude()) * u64::from(read.magnitude());
    let steps = layer.weight_steps.iter().copied();
    let ends = |a: (Step, Step), s: Step| (if s < a.0 { s } else { a.0 }, if s > a.1 { s } else { a.1 });
    let first = layer.weight_steps[0];
    let output = match &layer.output {
        Output::Requantized { quantizer, .. } => Some(quantizer),
        Output::Logits => None,
    };
    Numbers {
        weight_bits: layer.weight_bits(),
        weight_levels: layer.weight_levels,
        weight_steps: steps.fold((first, first), ends),
        act_bits: output.map(|q| q.levels.bits()),
        act_step: output.map(|q| q.step),
        accumulator_bits: proven,
        accumulator_bits_by_type: accumulator_bits(magnitude * layer.op.reduction(x) as u64),
    }
}

fn print(table: &Table) -> Result<()> {
    out!("{}: {} model, input {}", table.name, table.kind, table.input)?;
    if let Some(q) = table.input_quantizer {
        out!("input codes {}..{}, step {}", q.levels.a, q.levels.b, steps((q.step, q.step)))?;
    }
    out!("{} multiply-accumulates an image, {} weights\n", table.macs, table.weights)?;
    let mut head = vec!["layer", "op", "output", "MACs", "weights"];
    if table.kind == "int" {
        head.extend(["W", "weight step", "A", "output step", "acc", "acc by type"]);
    }
    table::print_varying(&head, &table.layers.iter().map(cells).collect::<Vec<_>>())
}

fn cells(row: &Row) -> Vec<String> {
    let op = match row.op {
        Op::Conv { pool: false, .. } => "conv",
        Op::Conv { pool: true, .. } => "conv+pool",
        Op::Dense { .. } => "dense",
    };
    let mut cells = vec![
        row.layer.clone(),
        op.into(),
        row.output.to_string(),
        row.macs.to_string(),
        row.weights.to_string(),
    ];
    if let Some(n) = &row.numbers {
        cells.extend([
            n.weight_bits.to_string(),
            steps(n.weight_steps),
            n.act_bits.map_or("-".into(), |b| b.to_string()),
            n.act_step.map_or("logits".into(), |s| steps((s, s))),
            n.accumulator_bits.to_string(),
            n.accumulator_bits_by_type.to_string(),
        ]);
    }
    cells
}
