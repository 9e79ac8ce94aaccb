//! Points to take: the cheapest that is good enough, and those that nearly fit.

use super::budget::{Budget, Lack};
use super::row::Row;

/// The cheapest of the points that give at least `fps` images a second and `floor`, a share, of right answers: that which fills
/// the budget least, by the resource that it takes the greatest share of, or has the fewest look-up tables without a budget.
pub fn cheapest<'a>(rows: &'a [Row], fps: f64, floor: f64, budget: Option<&Budget>) -> Option<&'a Row> {
    let is_enough = |row: &&Row| {
        let (speed, accuracy) = (row.images_per_s, row.accuracy);
        row.is_candidate()
            && row.has_result()
            && speed.is_some_and(|s| s >= fps)
            && accuracy.is_none_or(|a| a >= floor)
    };
    let cost = |row: &Row| {
        let design = row.resources?;
        Some((budget.map_or(0.0, |b| b.filled_by(&design)), design.lut))
    };
    let known = rows.iter().filter(is_enough).filter_map(|row| Some((cost(row)?, row)));
    known.min_by(|((a, lut), _), ((b, other), _)| a.total_cmp(b).then(lut.cmp(other))).map(|(_, row)| row)
}

/// The points that lack least, the nearest first: by the greatest share that any resource is over its budget.
pub fn nearest(rows: &[Row], count: usize) -> Vec<&Row> {
    let over = |row: &Row| {
        let share = |l: &Lack| l.needs as f64 / l.has as f64; // infinite where the part has none
        row.lacks.iter().map(share).fold(0.0, f64::max)
    };
    let mut lacking: Vec<&Row> = rows.iter().filter(|r| !r.lacks.is_empty()).collect();
    lacking.sort_by(|a, b| over(a).total_cmp(&over(b)).then(a.lacks.len().cmp(&b.lacks.len())));
    lacking.truncate(count);
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Resources;

    #[test]
    fn the_cheapest_fills_a_part_least() {
        let mut rows: Vec<Row> = (0..4).map(crate::explore::tests::row).collect();
        let designs = [(90, 1, 30.0, 0.9), (80, 8, 30.0, 0.9), (10, 1, 29.0, 0.9), (10, 1, 40.0, 0.3)];
        for (row, (lut, dsp, fps, accuracy)) in rows.iter_mut().zip(designs) {
            row.resources = Some(Resources { lut, dsp, ..Resources::default() });
            (row.images_per_s, row.accuracy) = (Some(fps), Some(accuracy));
        }
        let budget = Budget::parse("lut=100,dsp=8").unwrap();
        let found = |fps: f64, budget: Option<&Budget>| cheapest(&rows, fps, 0.45, budget).map(|r| r.point);
        assert_eq!(found(30.0, Some(&budget)), Some(0), "90 % of the look-up tables, not all of the DSPs");
        assert_eq!(found(30.0, None), Some(1), "fewer look-up tables");
        assert_eq!(found(20.0, None), Some(2));
        assert_eq!(found(31.0, None), None, "the fourth is hardly ever right");
    }
}
