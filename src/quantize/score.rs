//! How well an executor classifies, and how often it agrees with the float network.

use crate::Result;
use crate::arith;
use crate::float::data::byte_inputs;
use crate::int::{Golden, IntModel};
use ndarray::{Array2, Array4, ArrayView1, Axis};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Anything that turns preprocessed images `(image, channel, row, column)` into logits `(image, class)`.
pub type Executor<'a> = dyn Fn(&Array4<f32>) -> Result<Array2<f64>> + 'a;

/// Counts over a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Images seen.
    pub images: usize,
    /// Images with a label.
    pub labelled: usize,
    /// Labelled images whose label has the greatest logit.
    pub correct: usize,
    /// Labelled images whose label is among the five greatest logits.
    pub top5: usize,
    /// Images on which the reference has the same greatest logit.
    pub agreeing: usize,
    /// Labelled images, by label and greatest logit.
    pub confusion: Vec<Vec<usize>>,
    /// Time that the executor took.
    #[serde(skip)]
    pub time: Duration,
}

impl Score {
    /// Runs `executor` on `images` and compares with labels, `None` where there is none, and with `reference`; gives the logits.
    pub fn add(
        &mut self,
        images: &Array4<f32>,
        labels: &[Option<usize>],
        executor: &Executor,
        reference: Option<&Executor>,
    ) -> Result<Array2<f64>> {
        let start = Instant::now();
        let logits = executor(images)?;
        self.time += start.elapsed();
        let reference = reference.map(|run| run(images)).transpose()?;
        for (i, (logits, label)) in logits.outer_iter().zip(labels).enumerate() {
            self.images += 1;
            let best = arg_max(logits);
            if reference.as_ref().is_some_and(|r| arg_max(r.row(i)) == best) {
                self.agreeing += 1;
            }
            if let &Some(label) = label {
                self.count(label, best, rank(logits, label), logits.len());
            }
        }
        Ok(logits)
    }

    fn count(&mut self, label: usize, best: usize, rank: usize, classes: usize) {
        self.confusion.resize(classes, vec![0; classes]);
        self.confusion[label][best] += 1;
        self.labelled += 1;
        self.correct += (rank == 0) as usize;
        self.top5 += (rank < 5) as usize;
    }

    /// Why the accuracy may come from wrong pictures, labels or preprocessing: the network answers no better than chance, that
    /// is, the 95 % interval of its accuracy is not above one over the number of classes; or it gives the same answer to all.
    pub fn doubts(&self) -> Vec<String> {
        let classes = self.confusion.len();
        let mut doubts = vec![];
        let chance = 1.0 / classes.max(1) as f64;
        if interval(self.correct, self.labelled).is_some_and(|(low, _)| low <= chance) {
            let (right, all) = (self.correct, self.labelled);
            doubts.push(format!(
                "{right} of {all} right is not above chance, 1 of {classes} classes (95 % interval)"
            ));
        }
        let answered = |c: &usize| self.confusion.iter().any(|row| row[*c] > 0);
        let labels = self.confusion.iter().filter(|row| row.iter().any(|&n| n > 0)).count();
        if let [only] = (0..classes).filter(answered).collect::<Vec<_>>()[..]
            && labels > 1
        {
            doubts.push(format!("class {only} is the answer to all of {} images", self.labelled));
        }
        doubts
    }

    /// Images a second.
    pub fn rate(&self) -> f64 {
        self.images as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

/// The 95 % interval of a share of which `part` of `whole` were seen (Wilson 1927); `None` where nothing was.
pub fn interval(part: usize, whole: usize) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_963_985; // of the normal distribution, 2.5 % on either side
    let (n, share) = (whole as f64, part as f64 / whole as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    let within = |x: f64| (x / scale).clamp(0.0, 1.0);
    (whole > 0).then(|| (within(centre - half), within(centre + half)))
}

/// First of the greatest values.
fn arg_max(logits: ArrayView1<f64>) -> usize {
    (0..logits.len()).find(|&c| rank(logits, c) == 0).unwrap_or(0)
}

/// Classes before `class` when sorted by logit, the first of equals in front.
fn rank(logits: ArrayView1<f64>, class: usize) -> usize {
    let own = logits[class];
    logits.iter().enumerate().filter(|&(c, &v)| v > own || (v == own && c < class)).count()
}

/// Codes of preprocessed images for an integer network.
pub fn input_codes(model: &IntModel, images: &Array4<f32>) -> Array4<i32> {
    images.mapv(|x| arith::quantize(x, model.input.step, model.input.levels))
}

/// The code of each byte of a picture, `(channel, byte)`.
pub fn byte_codes(model: &IntModel) -> Array2<i32> {
    let codes = input_codes(model, &byte_inputs(&model.header).insert_axis(Axis(0)));
    codes.into_shape_with_order((model.header.input.c, 256)).expect("a row of 256 bytes a channel")
}

/// The golden model as an executor: its logits are integers below 2^48, exact in f64.
pub fn golden_logits(model: &IntModel, golden: &Golden, images: &Array4<f32>) -> Result<Array2<f64>> {
    Ok(golden.logits(input_codes(model, images).view())?.mapv(|v| v as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    /// Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, 1 of 29 gives 0.0061 to 0.1718.
    #[test]
    fn intervals_as_published() {
        for (part, whole, want) in [
            (81, 263, (0.2553, 0.3662)),
            (15, 148, (0.0624, 0.1605)),
            (0, 20, (0.0, 0.1611)),
            (1, 29, (0.0061, 0.1718)),
        ] {
            let (low, high) = interval(part, whole).unwrap();
            assert!(
                (low - want.0).abs() < 5e-5 && (high - want.1).abs() < 5e-5,
                "{part} of {whole}: {low} {high}"
            );
        }
        assert_eq!(interval(0, 0), None);
    }

    #[test]
    fn chance_and_one_answer_are_doubted() {
        let score = |confusion: [[usize; 2]; 2]| Score {
            labelled: confusion.iter().flatten().sum(),
            correct: confusion[0][0] + confusion[1][1],
            confusion: confusion.map(Vec::from).into(),
            ..Score::default()
        };
        assert!(score([[45, 5], [5, 45]]).doubts().is_empty());
        let chance = score([[27, 23], [23, 27]]).doubts();
        assert!(
            chance.len() == 1 && chance[0].starts_with("54 of 100 right is not above chance"),
            "{chance:?}"
        );
        let one = score([[95, 0], [5, 0]]).doubts();
        assert_eq!(one, ["class 0 is the answer to all of 100 images"]);
        assert!(score([[20, 0], [0, 0]]).doubts().is_empty(), "one class, and right");
    }

    #[test]
    fn counts_by_hand() {
        let run = |_: &Array4<f32>| {
            Ok(arr2(&[
                [0.0, 1.0, 5.0, 2.0, 3.0, 4.0],
                [9.0, 1.0, 9.0, 0.0, 0.0, 0.0], // a tie: the first wins
                [0.0, 0.0, 0.0, 7.0, 0.0, 0.0],
            ]))
        };
        let reference = |_: &Array4<f32>| {
            let mut logits = Array2::zeros((3, 6));
            (logits[[0, 2]], logits[[1, 2]], logits[[2, 3]]) = (1.0, 1.0, 1.0);
            Ok(logits)
        };
        let mut score = Score::default();
        let labels = [Some(0), Some(2), None];
        score.add(&Array4::zeros((3, 1, 1, 1)), &labels, &run, Some(&reference)).unwrap();
        assert_eq!((score.images, score.labelled, score.correct), (3, 2, 0));
        assert_eq!((score.top5, score.agreeing), (1, 2)); // label 0 is last of six
        assert_eq!((score.confusion[0][2], score.confusion[2][0]), (1, 1));
    }
}
