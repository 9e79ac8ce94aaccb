//! The course of a training run as files: a table and a picture.

use super::{Curve, Point};
use crate::{Error, Result, output};
use plotters::prelude::*;
use std::path::{Path, PathBuf};

/// Width and height of the picture, in pixels of 1/96 inch.
const SIZE: (u32, u32) = (640, 360);

impl Curve {
    /// What [`Curve::save`] writes: `stem.csv` and `stem.svg`.
    pub fn files(stem: &Path) -> [PathBuf; 2] {
        ["csv", "svg"].map(|extension| stem.with_extension(extension))
    }

    /// Writes [`Curve::files`].
    pub fn save(&self, stem: &Path) -> Result<()> {
        let ([csv, path], mut svg) = (Self::files(stem), String::new());
        output::write(&csv, self.csv().as_bytes())?;
        self.draw(&mut svg).map_err(|e| Error::bad_file(&path, format!("cannot be drawn: {e}")))?;
        output::write(&path, svg.as_bytes())
    }

    /// The accuracies over the epochs of all stages, with a rule where a stage begins.
    fn draw(&self, svg: &mut String) -> std::result::Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let accuracies = || self.0.iter().flat_map(|p| [Some(p.train), p.validation, p.test]).flatten();
        let floor = (accuracies().fold(1.0, f64::min) * 10.0).floor().min(9.0) * 10.0;
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0..self.0.len().max(1), floor..100.0)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("epochs").y_desc("accuracy, %").light_line_style(TRANSPARENT).draw()?;
        for (i, p) in self.0.iter().enumerate().filter(|(_, p)| p.epoch == 1) {
            chart.draw_series(LineSeries::new([(i, floor), (i, 100.0)], BLACK.mix(0.4)))?;
            chart.draw_series([Text::new(p.stage.clone(), (i, floor), ("sans-serif", 13))])?;
        }
        type Share = fn(&Point) -> Option<f64>;
        let lines: [(&str, RGBColor, Share); 3] = [
            ("train", RGBColor(22, 104, 199), |p| Some(p.train)),
            ("validation", RGBColor(230, 159, 0), |p| p.validation),
            ("test", RGBColor(214, 39, 40), |p| p.test),
        ];
        for (name, colour, share) in lines {
            let known = self.0.iter().enumerate().filter_map(|(i, p)| Some((i + 1, 100.0 * share(p)?)));
            let points: Vec<_> = known.collect();
            if points.is_empty() {
                continue;
            }
            let key = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour);
            let line = LineSeries::new(points, colour.stroke_width(2)).point_size(2);
            chart.draw_series(line)?.label(name).legend(key);
        }
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE).draw()?;
        root.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_accuracies_are_drawn() {
        let (validation, test) = (None, Some(0.875));
        let point = Point { stage: "W4A4".into(), epoch: 1, loss: 0.5, train: 0.75, validation, test };
        let folder = tempfile::tempdir().unwrap();
        let drawn = |curve: &Curve| {
            curve.save(&folder.path().join("curve")).unwrap();
            std::fs::read_to_string(folder.path().join("curve.svg")).unwrap()
        };
        let picture = drawn(&Curve(vec![point]));
        assert!(picture.contains("W4A4") && picture.contains("polyline"));
        assert!(drawn(&Curve::default()).ends_with("</svg>\n"));
    }
}
