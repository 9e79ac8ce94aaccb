//! The course of a training run.

use serde::{Deserialize, Serialize};

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
    /// Share of correct answers on the validation images, where there are any.
    pub validation: Option<f64>,
    /// Share of correct answers on the test images, where they were measured.
    pub test: Option<f64>,
}

/// One point an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve(pub Vec<Point>);

impl Curve {
    /// `stage,epoch,loss,train,validation,test`; an empty cell where nothing was measured.
    pub fn csv(&self) -> String {
        let share = |share: Option<f64>| share.map_or(String::new(), |share| format!("{share:.6}"));
        let line = |p: &Point| {
            let (validation, test) = (share(p.validation), share(p.test));
            format!("{},{},{:.6},{:.6},{validation},{test}\n", p.stage, p.epoch, p.loss, p.train)
        };
        "stage,epoch,loss,train,validation,test\n".to_string() + &self.0.iter().map(line).collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_one_line_an_epoch() {
        let (validation, test) = (None, Some(0.875));
        let point = Point { stage: "W4A4".into(), epoch: 1, loss: 0.5, train: 0.75, validation, test };
        let want = "stage,epoch,loss,train,validation,test\nW4A4,1,0.500000,0.750000,,0.875000\n";
        assert_eq!(Curve(vec![point]).csv(), want);
    }
}
