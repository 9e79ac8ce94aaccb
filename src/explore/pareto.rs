//! The points that no other point beats.

use super::Row;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What points are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Look-up tables; less is better.
    Lut,
    /// Flip-flops; less is better.
    Ff,
    /// Carry cells; less is better.
    Carry,
    /// Multipliers; less is better.
    Dsp,
    /// Block RAMs; less is better.
    Bram,
    /// Bits of on-chip memory; less is better.
    MemoryBits,
    /// Bits of all weights; less is better.
    WeightBitsTotal,
    /// Bytes of weights read an image; less is better.
    WeightBytes,
    /// Bytes of activations read and written an image; less is better.
    ActBytes,
    /// Cycles an image; less is better.
    Cycles,
    /// Images a second; more is better.
    ImagesPerS,
    /// Clock after place and route; more is better.
    FmaxMhz,
    /// Achieved share of the array's peak; more is better.
    Utilization,
    /// Accuracy; more is better.
    Accuracy,
}

impl Axis {
    /// Every axis.
    pub const ALL: [Self; 14] = [
        Self::Lut,
        Self::Ff,
        Self::Carry,
        Self::Dsp,
        Self::Bram,
        Self::MemoryBits,
        Self::WeightBitsTotal,
        Self::WeightBytes,
        Self::ActBytes,
        Self::Cycles,
        Self::ImagesPerS,
        Self::FmaxMhz,
        Self::Utilization,
        Self::Accuracy,
    ];

    /// The name that users type, and the column's key in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lut => "lut",
            Self::Ff => "ff",
            Self::Carry => "carry",
            Self::Dsp => "dsp",
            Self::Bram => "bram",
            Self::MemoryBits => "memory_bits",
            Self::WeightBitsTotal => "weight_bits_total",
            Self::WeightBytes => "weight_bytes",
            Self::ActBytes => "act_bytes",
            Self::Cycles => "cycles",
            Self::ImagesPerS => "images_per_s",
            Self::FmaxMhz => "fmax_mhz",
            Self::Utilization => "utilization",
            Self::Accuracy => "accuracy",
        }
    }

    /// The axis called `name`.
    pub fn named(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|a| a.name() == name);
        found.ok_or_else(|| Error::usage("--pareto", format!("no axis {name:?}; known: {}", known())))
    }

    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::ImagesPerS | Self::FmaxMhz | Self::Utilization | Self::Accuracy)
    }

    /// Its value in `row`.
    pub fn value(self, row: &Row) -> Option<f64> {
        let (r, n) = (row.resources.as_ref(), row.network.as_ref());
        match self {
            Self::Lut => r.map(|r| r.lut as f64),
            Self::Ff => r.map(|r| r.ff as f64),
            Self::Carry => r.map(|r| r.carry as f64),
            Self::Dsp => r.map(|r| r.dsp as f64),
            Self::Bram => r.map(|r| r.bram as f64),
            Self::MemoryBits => row.memory_bits.map(|b| b as f64),
            Self::WeightBitsTotal => Some(row.weight_bits_total as f64),
            Self::WeightBytes => n.map(|n| n.weight_bytes as f64),
            Self::ActBytes => n.map(|n| n.act_bytes as f64),
            Self::Cycles => n.map(|n| n.cycles as f64),
            Self::ImagesPerS => row.images_per_s,
            Self::FmaxMhz => row.fmax_mhz,
            Self::Utilization => n.map(|n| n.utilization),
            Self::Accuracy => row.accuracy,
        }
    }
}

/// Marks the rows that no other row of their family beats: is nowhere worse and somewhere better, over `axes`. In the order of
/// their values, a row that is in no axis better than a marked one by more than `tolerance`, a share, is not marked.
///
/// Rows that are refused or failed, do not fit, lack a value, or whose accuracy is below `floor` are no candidates. Areas of
/// different families are different units, so each family has its own front.
pub fn mark(rows: &mut [Row], axes: &[Axis], tolerance: f64, floor: f64) {
    let is_candidate = |row: &Row| {
        row.is_candidate() && row.has_result() && row.accuracy.is_none_or(|accuracy| accuracy >= floor)
    };
    let cost = |row: &Row| -> Option<Vec<f64>> {
        let signed = |a: &Axis| a.value(row).map(|v| if a.more_is_better() { -v } else { v });
        axes.iter().map(signed).collect::<Option<_>>().filter(|_| is_candidate(row))
    };
    let mut candidates: Vec<_> =
        rows.iter().enumerate().filter_map(|(i, row)| Some((cost(row)?, row.family, i))).collect();
    rows.iter_mut().for_each(|row| row.pareto = false);
    // Whoever beats a row comes before it in this order, so that a row is compared with the front so far only.
    candidates.sort_by(|a, b| a.0.iter().map(Total).cmp(b.0.iter().map(Total)));
    let mut front: Vec<&(Vec<f64>, super::Family, usize)> = vec![];
    for candidate in &candidates {
        let beats =
            |other: &Vec<f64>| other.iter().zip(&candidate.0).all(|(o, c)| o <= c) && *other != candidate.0;
        if !front.iter().any(|(other, family, _)| *family == candidate.1 && beats(other)) {
            front.push(candidate);
        }
    }
    let mut marked: Vec<&(Vec<f64>, super::Family, usize)> = vec![];
    for candidate in front {
        let covers = |other: &Vec<f64>| {
            tolerance > 0.0 && other.iter().zip(&candidate.0).all(|(o, c)| *o <= c + tolerance * c.abs())
        };
        if !marked.iter().any(|(other, family, _)| *family == candidate.1 && covers(other)) {
            marked.push(candidate);
            rows[candidate.2].pareto = true;
        }
    }
}

/// The place of the knee of the front over `axes`, of the first family that has one: of the marked rows the one that is nearest
/// to the best of all axes together, which no row reaches. Each axis is scaled from 0, the front's best, to 1, its worst.
pub fn knee(rows: &[Row], axes: &[Axis]) -> Option<usize> {
    let family = rows.iter().find(|row| row.pareto)?.family;
    let front: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].pareto && rows[i].family == family).collect();
    let costs = axes.iter().map(|axis| -> Vec<f64> {
        let values: Vec<f64> = front.iter().filter_map(|&i| axis.value(&rows[i])).collect();
        let (least, most) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
        let share = |v: &f64| if most > least { (v - least) / (most - least) } else { 0.0 };
        values.iter().map(share).map(|s| if axis.more_is_better() { 1.0 - s } else { s }).collect()
    });
    let costs: Vec<Vec<f64>> = costs.collect();
    let distance = |place: usize| costs.iter().map(|of_axis| of_axis[place].powi(2)).sum::<f64>();
    let place = (0..front.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b)))?;
    Some(front[place])
}

/// Numbers in their total order.
#[derive(PartialEq)]
struct Total<'a>(&'a f64);

impl Eq for Total<'_> {}

impl PartialOrd for Total<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::tests::row;
    use crate::explore::{Family, Resources};
    use rand::{Rng, SeedableRng};

    /// Against the definition, pair by pair.
    #[test]
    fn the_front_is_what_no_point_beats() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut rows: Vec<Row> = (0..200).map(row).collect();
        for row in &mut rows {
            row.family = if rng.random() { Family::Ecp5 } else { Family::Xc7 };
            let lut = rng.random_range(0..30);
            row.resources = Some(Resources { lut, ..Resources::default() });
            row.accuracy = Some(f64::from(rng.random_range(0..30)) / 30.0);
            row.images_per_s = rng.random_bool(0.9).then(|| f64::from(rng.random_range(0..30)));
        }
        let axes = [Axis::Lut, Axis::Accuracy, Axis::ImagesPerS];
        mark(&mut rows, &axes, 0.0, 0.0);
        let beats = |a: &Row, b: &Row| {
            let sign = |x: Axis| if x.more_is_better() { -1.0 } else { 1.0 };
            let pairs: Option<Vec<_>> =
                axes.iter().map(|&x| Some((x.value(a)? * sign(x), x.value(b)? * sign(x)))).collect();
            a.family == b.family
                && pairs.is_some_and(|p| p.iter().all(|(a, b)| a <= b) && p.iter().any(|(a, b)| a < b))
        };
        for r in &rows {
            let beaten = r.images_per_s.is_none() || rows.iter().any(|other| beats(other, r));
            assert_eq!(r.pareto, !beaten, "{r:?}");
        }
        assert!(rows.iter().any(|r| r.pareto));
    }

    /// Look-up tables and accuracies by hand.
    #[test]
    fn differences_below_the_tolerance_keep_no_point() {
        let points = [(1000, 0.900), (1003, 0.903), (1004, 0.950), (1100, 0.9501), (1200, 0.960), (500, 0.3)];
        let marked = |tolerance: f64, floor: f64| -> Vec<usize> {
            let mut rows: Vec<Row> = (0..points.len()).map(row).collect();
            for (row, (lut, accuracy)) in rows.iter_mut().zip(points) {
                row.resources = Some(Resources { lut, ..Resources::default() });
                row.accuracy = Some(accuracy);
            }
            mark(&mut rows, &[Axis::Lut, Axis::Accuracy], tolerance, floor);
            (0..rows.len()).filter(|&i| rows[i].pareto).collect()
        };
        assert_eq!(marked(0.0, 0.0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(marked(0.005, 0.0), [0, 2, 4, 5]);
        assert_eq!(marked(0.005, 0.45), [0, 2, 4]);
        assert_eq!(marked(0.02, 0.45), [0, 2]);
    }

    /// Points whose knees can be seen: the corner of an L, the middle of a line, and distances by hand.
    #[test]
    fn the_knee_is_the_corner_of_the_front() {
        let knee_of = |points: &[(u64, f64)]| {
            let mut rows: Vec<Row> = (0..points.len()).map(row).collect();
            for (row, &(lut, accuracy)) in rows.iter_mut().zip(points) {
                row.resources = Some(Resources { lut, ..Resources::default() });
                (row.accuracy, row.pareto) = (Some(accuracy), true);
            }
            rows[0].pareto = points[0].0 > 0;
            let axes = [Axis::Lut, Axis::Accuracy];
            knee(&rows, &axes)
        };
        assert_eq!(knee_of(&[(100, 0.2), (110, 0.89), (500, 0.9), (1000, 0.91)]), Some(1));
        assert_eq!(knee_of(&[(100, 0.2), (200, 0.3), (300, 0.4)]), Some(1));
        // Squares of the inner ones: 0.01 + 0.49, 0.16 + 0.1225, 0.36 + 0.0625, 0.49 + 0.3025; of the ends 1.
        assert_eq!(knee_of(&[(10, 0.0), (11, 0.3), (14, 0.65), (16, 0.75), (17, 0.45), (20, 1.0)]), Some(2));
        assert_eq!(knee_of(&[(0, 1.0)]), None, "no front, no knee");
        assert_eq!(knee_of(&[(7, 0.5)]), Some(0));
    }

    #[test]
    fn refused_failed_and_misfits_are_no_candidates() {
        let mut rows: Vec<Row> = (0..4).map(row).collect();
        rows[0].refused = Some("no".into());
        rows[1].fits = Some(false);
        rows[2].fail("no tool", 3);
        mark(&mut rows, &[Axis::WeightBitsTotal], 0.0, 0.0);
        assert_eq!(rows.iter().map(|r| r.pareto).collect::<Vec<_>>(), [false, false, false, true]);
        assert!(Axis::named("speed").unwrap_err().to_string().contains("images_per_s"));
    }
}
