//! One line a point, for spreadsheets and scripts.

use super::Report;
use crate::explore::Row;

/// A column: its name, and its text in a row.
type Column = (&'static str, fn(&Row) -> String);

fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

const COLUMNS: &[Column] = &[
    ("point", |r| r.point.to_string()),
    ("family", |r| r.family.name().into()),
    ("weights", |r| r.weights.to_string()),
    ("acts", |r| r.acts.to_string()),
    ("assignment", |r| number(r.assignment.clone())),
    ("layer_bits", |r| r.layer_bits.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")),
    ("requantize", |r| format!("{:?}", r.requantize).to_lowercase()),
    ("multipliers", |r| format!("{:?}", r.multipliers).to_lowercase()),
    ("pack", |r| number(r.config.as_ref().map(|c| c.pack))),
    ("rows", |r| r.rows.to_string()),
    ("cols", |r| r.cols.to_string()),
    ("bus_bits", |r| r.bus_bits.to_string()),
    ("acc_bits", |r| number(r.config.as_ref().map(|c| c.acc_bits))),
    ("lut", |r| number(r.resources.map(|a| a.lut))),
    ("ff", |r| number(r.resources.map(|a| a.ff))),
    ("carry", |r| number(r.resources.map(|a| a.carry))),
    ("dsp", |r| number(r.resources.map(|a| a.dsp))),
    ("bram", |r| number(r.resources.map(|a| a.bram))),
    ("source", |r| number(r.source.map(|s| format!("{s:?}").to_lowercase()))),
    ("memory_bits", |r| number(r.memory_bits)),
    ("fmax_mhz", |r| number(r.fmax_mhz)),
    ("clock_mhz", |r| r.clock_mhz.to_string()),
    ("cycles", |r| number(r.network.as_ref().map(|n| n.cycles))),
    ("images_per_s", |r| number(r.images_per_s)),
    ("utilization", |r| number(r.network.as_ref().map(|n| n.utilization))),
    ("weight_bytes", |r| number(r.network.as_ref().map(|n| n.weight_bytes))),
    ("act_bytes", |r| number(r.network.as_ref().map(|n| n.act_bytes))),
    ("weight_bits_total", |r| r.weight_bits_total.to_string()),
    ("accuracy", |r| number(r.accuracy)),
    ("correct", |r| number(r.correct)),
    ("accuracy_least", |r| number(r.accuracy_interval.map(|i| i.0))),
    ("accuracy_greatest", |r| number(r.accuracy_interval.map(|i| i.1))),
    ("pareto", |r| r.pareto.to_string()),
    ("fits", |r| number(r.fits)),
    ("lacks", |r| r.lacks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    ("refused", |r| number(r.refused.clone())),
    ("failed", |r| number(r.failed.clone())),
    ("exit_code", |r| number(r.exit_code)),
    ("commands", |r| r.commands.join(" && ")),
];

/// RFC 4180: a head, then one line a point; what is not known is empty.
pub fn csv(report: &Report) -> String {
    let mut table = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(vec![]);
    let head = COLUMNS.iter().map(|c| c.0.to_string()).collect();
    let rows = report.points.iter().map(|row| COLUMNS.iter().map(|c| c.1(row)).collect());
    std::iter::once(head).chain(rows).for_each(|cells: Vec<String>| {
        table.write_record(cells).expect("all lines have the columns' number of cells");
    });
    String::from_utf8(table.into_inner().expect("memory takes all")).expect("cells are text")
}
