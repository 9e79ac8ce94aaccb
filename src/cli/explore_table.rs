//! The table of `vgg2rtl explore`, and what is said below it.

use super::print::out;
use super::table;
use vgg2rtl::Result;
use vgg2rtl::explore::{Outcome, Resources, Row, Task, nearest};

/// Rows that are printed without --all.
const SHORT: usize = 40;

/// Prints the points, or the front where they are many and not `all` are wanted, and what else is to be known.
pub fn print(task: &Task, outcome: &Outcome, all: bool, floor: Option<f64>) -> Result<()> {
    let fitting: Vec<&Row> = outcome.rows.iter().filter(|r| r.is_candidate()).collect();
    let front: Vec<&Row> = fitting.iter().copied().filter(|r| r.pareto).collect();
    let shown = if all || fitting.len() <= SHORT { &fitting } else { &front };
    rows(shown)?;
    let refused: Vec<&Row> = outcome.rows.iter().filter(|r| r.refused.is_some()).collect();
    out!("\n{} points: {} shown, {} on the front", outcome.rows.len(), shown.len(), front.len())?;
    if let Some((images, correct)) = outcome.float {
        out!("float: {correct} of {images} images right")?;
    }
    if let Some((low, high)) =
        shown.iter().filter_map(|r| r.accuracy_interval).max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
    {
        out!("accuracies: ± {:.2} % at most, at 95 %", 50.0 * (high - low))?;
    }
    if let Some(fps) = task.target_fps {
        cheapest(outcome, &fitting, fps)?;
    }
    if let Some(floor) = floor {
        smallest(&fitting, floor)?;
    }
    if task.budget.is_some() {
        out!("{} fit", fitting.len())?;
        if fitting.is_empty() {
            out!("nothing fits; the nearest points lack:")?;
            for row in nearest(&outcome.rows, 5) {
                let lacks: Vec<String> = row.lacks.iter().map(ToString::to_string).collect();
                out!("  {} {}×{}: {}", row.coding(), row.rows, row.cols, lacks.join(", "))?;
            }
        }
    }
    if let Some(row) = outcome.knee.map(|place| &outcome.rows[place]) {
        out!(
            "knee of the front: point {}, {} {}×{}; it is made by",
            row.point,
            row.coding(),
            row.rows,
            row.cols
        )?;
        row.commands.iter().try_for_each(|command| out!("  {command}"))?;
    }
    assignments(task, shown)?;
    for (reason, count) in reasons(&refused) {
        out!("refused, {count} points: {reason}")?;
    }
    for row in outcome.rows.iter().filter(|r| r.failed.is_some()) {
        out!("point {}: {}", row.point, row.failed.as_deref().unwrap_or_default())?;
    }
    for note in &outcome.notes {
        out!("{note}")?;
    }
    if outcome.stopped {
        out!("stopped; the same command goes on from here")?;
    }
    Ok(())
}

/// Prints the cheapest point of at least `fps` images a second, or how fast the fastest is.
fn cheapest(outcome: &Outcome, fitting: &[&Row], fps: f64) -> Result<()> {
    let speed = |row: &Row| row.images_per_s.unwrap_or_default();
    if let Some(row) = outcome.cheapest.and_then(|point| outcome.rows.iter().find(|r| r.point == point)) {
        let Resources { lut, ff, dsp, bram, .. } = row.resources.unwrap_or_default();
        let (coding, array) = (row.coding(), format!("{}×{}", row.rows, row.cols));
        return out!(
            "cheapest of {fps} images/s: point {}, {coding} {array}: {lut} LUT, {ff} FF, {dsp} DSP, {bram} BRAM, {:.1} images/s",
            row.point,
            speed(row)
        );
    }
    match fitting.iter().copied().max_by(|a, b| speed(a).total_cmp(&speed(b))).filter(|row| speed(row) > 0.0)
    {
        Some(row) => {
            out!("no point of {fps} images/s; the fastest, point {}, gives {:.1}", row.point, speed(row))
        }
        None => out!("no point of {fps} images/s"),
    }
}

/// Prints the coding of least weight size that is at least `floor` percent right, with and without an assignment.
fn smallest(rows: &[&Row], floor: f64) -> Result<()> {
    for (what, mixed) in [("uniform", false), ("mixed", true)] {
        let good = rows.iter().filter(|r| r.assignment.is_some() == mixed);
        let good = good.filter(|r| r.accuracy.is_some_and(|a| 100.0 * a >= floor));
        match good.min_by_key(|r| (r.weight_bits_total, r.point)) {
            Some(r) => out!(
                "least weights at {floor} %, {what}: {} bits, {} ({:.2} %)",
                r.weight_bits_total,
                r.coding(),
                100.0 * r.accuracy.unwrap_or_default()
            )?,
            None => out!("least weights at {floor} %, {what}: no point reaches it")?,
        }
    }
    Ok(())
}

/// Prints the assignments that a search found for `rows`, as the option of `quantize`, `train` and `explore` takes them.
fn assignments(task: &Task, rows: &[&Row]) -> Result<()> {
    for assignment in &task.axes.assignments {
        let of = |r: &&&Row| {
            r.assignment.as_ref() == Some(&assignment.name)
                && assignment.found_for == Some((r.acts, r.requantize))
        };
        if let Some(row) = rows.iter().find(of) {
            out!("{}: --assign {}", row.coding(), assignment.option())?;
        }
    }
    Ok(())
}

/// Reasons of refusal with their numbers of points.
fn reasons<'a>(refused: &[&'a Row]) -> Vec<(&'a str, usize)> {
    let mut counts: Vec<(&str, usize)> = vec![];
    for row in refused {
        let reason = row.refused.as_deref().unwrap_or_default();
        match counts.iter_mut().find(|c| c.0 == reason) {
            Some(count) => count.1 += 1,
            None => counts.push((reason, 1)),
        }
    }
    counts
}

fn rows(rows: &[&Row]) -> Result<()> {
    let head = [
        "point",
        "coding",
        "array",
        "bus",
        "family",
        "mode",
        "products",
        "LUT",
        "FF",
        "carry",
        "DSP",
        "BRAM",
        "kbit",
        "MHz",
        "cycles",
        "images/s",
        "weights MB",
        "acts MB",
        "accuracy",
        "front",
    ];
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let cells = rows.iter().map(|r| {
        let area = |get: fn(&Resources) -> u64| or_none(r.resources.as_ref().map(|a| get(a).to_string()));
        let n = r.network.as_ref();
        let megabytes = |bytes: u64| format!("{:.3}", bytes as f64 / 1e6);
        vec![
            r.point.to_string(),
            r.coding(),
            format!("{}×{}", r.rows, r.cols),
            r.bus_bits.to_string(),
            r.family.name().into(),
            format!("{:?}", r.requantize).to_lowercase(),
            r.products(),
            area(|a| a.lut),
            area(|a| a.ff),
            area(|a| a.carry),
            area(|a| a.dsp),
            area(|a| a.bram),
            or_none(r.memory_bits.map(|b| (b / 1000).to_string())),
            format!("{:.0}{}", r.clock_mhz, if r.fmax_mhz.is_some() { "" } else { "*" }),
            or_none(n.map(|n| n.cycles.to_string())),
            or_none(r.images_per_s.map(|v| format!("{v:.1}"))),
            or_none(n.map(|n| megabytes(n.weight_bytes))),
            or_none(n.map(|n| megabytes(n.act_bytes))),
            or_none(r.accuracy.map(|a| format!("{:.2} %", 100.0 * a))),
            if r.pareto { "yes".into() } else { String::new() },
        ]
    });
    table::print_varying(&head, &cells.collect::<Vec<_>>())
}
