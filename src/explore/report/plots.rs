//! Plots for papers, as SVG and PNG files.

use super::Report;
use crate::explore::{Axis, Family, Row};
use crate::{Error, Result, output};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use resvg::{tiny_skia, usvg};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Width and height, in pixels of 1/96 inch.
const SIZE: (u32, u32) = (720, 480);
/// Colours of the families, in the order of [`Family::ALL`].
const COLOURS: [RGBColor; 5] = [
    RGBColor(22, 104, 199),
    RGBColor(230, 129, 25),
    RGBColor(46, 139, 87),
    RGBColor(160, 60, 160),
    RGBColor(120, 90, 60),
];

/// Pixels of a PNG for one of the SVG.
const ZOOM: f32 = 2.0;

type Drawn<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Draw = fn(&Report, &mut String) -> Drawn;

/// Writes the plots into `folder`, which is made where needed; their files:
///
/// * `front.svg` and `.png`: accuracy (or speed, where accuracy is not known) over look-up tables, the Pareto front of these two as
///   a line a family;
/// * `layers`: cycles of each layer at the fastest point;
/// * `widths`: the best accuracy (or the least area) at each W and A, of uniform widths.
pub fn plots(report: &Report, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let plots: [(&str, Draw); 3] = [("front", front), ("layers", layers), ("widths", widths)];
    let fonts = fonts();
    let mut files = vec![];
    for (name, draw) in plots {
        let path = folder.join(name);
        let undrawn = |e| Error::bad_file(&path, format!("cannot be drawn: {e}"));
        let mut svg = String::new();
        draw(report, &mut svg).map_err(undrawn)?;
        let png = png(&svg, &fonts).map_err(undrawn)?;
        for (extension, bytes) in [("svg", svg.into_bytes()), ("png", png)] {
            let path = path.with_extension(extension);
            output::write(&path, &bytes)?;
            files.push(path);
        }
    }
    Ok(files)
}

/// The font of the PNGs, which do not depend on those of the machine.
fn fonts() -> usvg::Options<'static> {
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first()).map(|f| f.0.clone());
    fonts.set_sans_serif_family(family.unwrap_or_default());
    options
}

/// The drawing as a PNG file of [`ZOOM`] times its size.
fn png(svg: &str, fonts: &usvg::Options) -> Drawn<Vec<u8>> {
    let tree = usvg::Tree::from_str(svg, fonts)?;
    let side = |length: f32| (length * ZOOM).ceil() as u32;
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or("it has no pixels")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(ZOOM, ZOOM), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

/// Least and greatest value, with a margin; 0 to 1 for none.
fn range(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    match least <= most {
        true => {
            let margin = 0.05 * (most - least).max(1e-9 + most.abs() * 0.01);
            least - margin..most + margin
        }
        false => 0.0..1.0,
    }
}

/// The axis across and the axis up that say most: area against accuracy, or against speed where there is none.
fn axes(report: &Report) -> (Axis, Axis) {
    let known = |axis: Axis| report.points.iter().any(|row| axis.value(row).is_some());
    (Axis::Lut, if known(Axis::Accuracy) { Axis::Accuracy } else { Axis::ImagesPerS })
}

/// What an axis shows, with its unit: look-up tables are those of the families, images a second those at a clock.
fn title(axis: Axis, report: &Report) -> String {
    let same = |first: &f64| report.points.iter().all(|row| row.clock_mhz == *first);
    match axis {
        Axis::Lut => {
            let has = |family: &Family| report.points.iter().any(|row| row.family == *family);
            let units =
                Family::ALL.into_iter().filter(has).map(|f| format!("{} LUT{}", f.name(), f.lut_inputs()));
            format!("look-up tables ({})", units.collect::<Vec<_>>().join(", "))
        }
        Axis::Accuracy => {
            report.images.map_or("accuracy, %".into(), |images| format!("accuracy, % of {images} images"))
        }
        Axis::ImagesPerS => match report.points.first().map(|row| row.clock_mhz).filter(same) {
            Some(mhz) => format!("images a second at {mhz:.0} MHz"),
            None => "images a second".into(),
        },
        other => other.name().into(),
    }
}

fn front(report: &Report, svg: &mut String) -> Drawn {
    let (across, up) = axes(report);
    let scale = if up == Axis::Accuracy { 100.0 } else { 1.0 };
    let place = |r: &Row| Some((across.value(r)?, scale * up.value(r)?));
    let points: Vec<(Family, (f64, f64))> = report
        .points
        .iter()
        .filter(|r| r.is_candidate())
        .filter_map(|r| Some((r.family, place(r)?)))
        .collect();
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(range(points.iter().map(|p| p.1.0)), range(points.iter().map(|p| p.1.1)))?;
    let whole = |v: &f64| format!("{v:.0}");
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(title(across, report))
        .y_desc(title(up, report))
        .x_label_formatter(&whole)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (family, colour) in Family::ALL.into_iter().zip(COLOURS) {
        let own: Vec<(f64, f64)> = points.iter().filter(|p| p.0 == family).map(|p| p.1).collect();
        if own.is_empty() {
            continue;
        }
        let dots = own.iter().map(|&at| Circle::new(at, 3, colour.mix(0.45).filled()));
        let key = move |(x, y)| Circle::new((x + 10, y), 4, colour.filled());
        chart.draw_series(dots)?.label(family.name()).legend(key);
        chart.draw_series(LineSeries::new(staircase(own), colour.stroke_width(2)))?;
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK.mix(0.3)).draw()?;
    root.present()?;
    Ok(())
}

/// The points that have more upwards than every point to their left.
fn staircase(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut most = f64::NEG_INFINITY;
    points.retain(|p| {
        let better = p.1 > most;
        most = most.max(p.1);
        better
    });
    points
}

fn layers(report: &Report, svg: &mut String) -> Drawn {
    let fastest = report.points.iter().filter(|r| r.network.is_some() && r.is_candidate());
    let fastest = fastest.min_by_key(|r| r.network.as_ref().map(|n| n.cycles));
    let cycles = fastest.and_then(|r| r.network.as_ref()).map_or(vec![], |n| n.layer_cycles.clone());
    let names: Vec<&str> = report.layers.iter().map(|l| l.layer.as_str()).collect();
    let width = SIZE.0.max(100 + 56 * names.len() as u32); // room for every name
    let root = SVGBackend::with_string(svg, (width, SIZE.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let what = |r: &Row| format!("{} on {}×{}, {}", r.coding(), r.rows, r.cols, r.family.name());
    let what = fastest.map_or("no point".into(), what);
    let top = cycles.iter().copied().max().unwrap_or(1) as f64 * 1.05;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .caption(what, ("sans-serif", 16))
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d((0..names.len().max(2) - 1).into_segmented(), 0.0..top)?;
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(i) | SegmentValue::Exact(i) => {
            names.get(*i).copied().unwrap_or("").to_string()
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("layer")
        .y_desc("cycles an image")
        .x_labels(names.len() + 1)
        .x_label_formatter(&name)
        .light_line_style(TRANSPARENT)
        .y_label_formatter(&|v| format!("{v:.0}"))
        .x_label_style(("sans-serif", 10))
        .draw()?;
    let bars = cycles.iter().enumerate().map(|(i, &c)| {
        let corners = [(SegmentValue::Exact(i), 0.0), (SegmentValue::Exact(i + 1), c as f64)];
        let mut bar = Rectangle::new(corners, COLOURS[0].filled());
        bar.set_margin(0, 0, 4, 4);
        bar
    });
    chart.draw_series(bars)?;
    root.present()?;
    Ok(())
}

fn widths(report: &Report, svg: &mut String) -> Drawn {
    let (_, up) = axes(report);
    let axis = if up == Axis::Accuracy { up } else { Axis::Lut };
    let mut best: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for row in report.points.iter().filter(|r| r.refused.is_none() && r.assignment.is_none()) {
        let Some(value) = axis.value(row) else { continue };
        let cell = best.entry((row.weights, row.acts)).or_insert(value);
        *cell = if axis.more_is_better() { cell.max(value) } else { cell.min(value) };
    }
    let of = |pick: fn(&(u32, u32)) -> u32| {
        let values = best.keys().map(pick);
        (values.clone().min().unwrap_or(2), values.max().unwrap_or(2) + 1)
    };
    let (w, a, values) = (of(|k| k.0), of(|k| k.1), range(best.values().copied()));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .caption(title(axis, report), ("sans-serif", 16))
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d((w.0..w.1 - 1).into_segmented(), (a.0..a.1 - 1).into_segmented())?;
    chart.configure_mesh().disable_mesh().x_desc("weight bits W").y_desc("activation bits A").draw()?;
    let exact = SegmentValue::Exact;
    let shade = |v: f64| {
        let share = (v - values.start) / (values.end - values.start);
        COLOURS[0].mix(0.1 + 0.6 * if axis.more_is_better() { share } else { 1.0 - share }).filled()
    };
    let cell = |(&(w, a), &v): (&(u32, u32), &f64)| {
        Rectangle::new([(exact(w), exact(a)), (exact(w + 1), exact(a + 1))], shade(v))
    };
    chart.draw_series(best.iter().map(cell))?;
    let label = |(&(w, a), &v): (&(u32, u32), &f64)| {
        let text = if axis == Axis::Accuracy { format!("{:.1}", 100.0 * v) } else { format!("{v:.0}") };
        let centre = Pos::new(HPos::Center, VPos::Center);
        let style = ("sans-serif", 12).into_font().color(&BLACK).pos(centre);
        Text::new(text, (SegmentValue::CenterOf(w), SegmentValue::CenterOf(a)), style)
    };
    chart.draw_series(best.iter().map(label))?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_follows_the_front() {
        let points = vec![(3.0, 1.0), (1.0, 0.5), (2.0, 2.0), (1.0, 1.0), (4.0, 3.0)];
        assert_eq!(staircase(points), [(1.0, 1.0), (2.0, 2.0), (4.0, 3.0)]);
        assert_eq!(range([].into_iter()), 0.0..1.0);
    }
}
