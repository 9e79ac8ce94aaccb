//! The course of a training run, as CSV and as a picture.

use crate::Result;
use crate::store::write_atomic;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What is being trained, for example `float` or `W4A4`.
    pub stage: String,
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss of the epoch's steps.
    pub loss: f64,
    /// Share of correct answers on the augmented training images.
    pub train: f64,
    /// Share of correct answers on the test images.
    pub test: f64,
}

/// One point an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve(pub Vec<Point>);

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 40.0;

impl Curve {
    /// Writes `stem.csv` and `stem.svg`.
    pub fn save(&self, stem: &Path) -> Result<()> {
        write_atomic(&stem.with_extension("csv"), self.csv().as_bytes())?;
        write_atomic(&stem.with_extension("svg"), self.svg().as_bytes())
    }

    /// `stage,epoch,loss,train,test`.
    pub fn csv(&self) -> String {
        let line =
            |p: &Point| format!("{},{},{:.6},{:.6},{:.6}\n", p.stage, p.epoch, p.loss, p.train, p.test);
        "stage,epoch,loss,train,test\n".to_string() + &self.0.iter().map(line).collect::<String>()
    }

    /// Both accuracies over the epochs of all stages, with a rule where a stage begins.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let accuracies = self.0.iter().flat_map(|p| [p.train, p.test]);
        let floor = (accuracies.fold(1.0, f64::min) * 10.0) as u32;
        let y = |share: f64| {
            let rise = (share - f64::from(floor) / 10.0) / (1.0 - f64::from(floor) / 10.0).max(0.1);
            HEIGHT - MARGIN - rise * (HEIGHT - 2.0 * MARGIN)
        };
        let x = |i: usize| MARGIN + (i as f64 + 0.5) * (WIDTH - 2.0 * MARGIN) / self.0.len().max(1) as f64;
        for tenth in floor..=10 {
            let (share, at) = (f64::from(tenth) / 10.0, y(f64::from(tenth) / 10.0));
            let right = WIDTH - MARGIN;
            let _ = writeln!(
                svg,
                "<path d=\"M{MARGIN} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"4\" y=\"{:.1}\">{:.0} %</text>",
                at + 4.0,
                100.0 * share
            );
        }
        for (i, p) in self.0.iter().enumerate().filter(|(_, p)| p.epoch == 1) {
            let (at, bottom, stage) = (x(i), HEIGHT - MARGIN, &p.stage);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {MARGIN}V{bottom}\" stroke=\"#bbb\"/><text x=\"{at:.1}\" y=\"{:.1}\">{stage}</text>",
                bottom + 16.0
            );
        }
        type Share = fn(&Point) -> f64;
        let lines: [(&str, &str, Share); 2] =
            [("train", "#1f77b4", |p| p.train), ("test", "#d62728", |p| p.test)];
        for (k, (name, colour, share)) in lines.into_iter().enumerate() {
            let points: Vec<String> =
                self.0.iter().enumerate().map(|(i, p)| format!("{:.1},{:.1}", x(i), y(share(p)))).collect();
            let points = points.join(" ");
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
            let at = MARGIN + 60.0 * k as f64;
            let _ = writeln!(svg, "<text x=\"{at}\" y=\"24\" fill=\"{colour}\">{name}</text>");
        }
        svg + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_one_line_an_epoch() {
        let point = Point { stage: "W4A4".into(), epoch: 1, loss: 0.5, train: 0.75, test: 0.875 };
        let curve = Curve(vec![point]);
        assert_eq!(curve.csv(), "stage,epoch,loss,train,test\nW4A4,1,0.500000,0.750000,0.875000\n");
        assert!(curve.svg().contains("W4A4") && curve.svg().ends_with("</svg>\n"));
        assert!(Curve::default().svg().contains("svg"));
    }
}
