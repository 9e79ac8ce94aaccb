//! The array is its elements, its Verilog, and a product of matrices.

use super::*;
use crate::hw::check::{Bench, Family, random, random_value};
use rand::Rng;

/// The same array, element by element.
struct Grid {
    elements: Vec<Vec<Bench<Pe>>>,
}

impl Grid {
    fn new(rows: usize, cols: usize, pe: Pe) -> Self {
        let row = |_| (0..cols).map(|_| Bench::new(pe.clone(), |b| &mut b.clk_i)).collect();
        Self { elements: (0..rows).map(row).collect() }
    }

    /// One cycle; returns the partial sums of the bottom row. Outputs are registers: all inputs are set first.
    fn cycle(&mut self, act: &[i64], swap: &[i64], shift: &[i64], weight: &[i64]) -> Vec<i64> {
        for r in (0..self.elements.len()).rev() {
            for c in (0..shift.len()).rev() {
                let left = (c > 0).then(|| &self.elements[r][c - 1].block);
                let (a, s) = left.map_or((act[r], swap[r] == 1), |p| (p.act_o.val(), p.swap_o.val()));
                let above = (r > 0).then(|| &self.elements[r - 1][c].block);
                let (w, p) = above.map_or((weight[c], 0), |p| (p.weight_o.val(), p.psum_o.val()));
                let pe = &mut self.elements[r][c].block;
                (pe.act_i.next, pe.swap_i.next, pe.weight_i.next, pe.psum_i.next) = (a, s, w, p);
                pe.shift_i.next = shift[c] == 1;
            }
        }
        self.elements.iter_mut().flatten().for_each(|pe| pe.cycle());
        self.elements.last().unwrap().iter().map(|pe| pe.block.psum_o.val()).collect()
    }
}

/// A driven array, and that it is its elements.
fn check(cycles: usize, rows: usize, cols: usize, w: u32, a: u32, p: u32) -> Bench<Array> {
    let mut grid = Grid::new(rows, cols, Pe::new(w, a, p, Multipliers::Dsp));
    let mut bench = Bench::new(Array::new(rows, cols, w, a, p, Multipliers::Dsp), |b| &mut b.clk_i);
    let mut rng = random(rows as u64);
    for t in 0..cycles {
        let x = &mut bench.block;
        let mut lanes = |n: usize, ty| (0..n).map(|_| random_value(&mut rng, ty)).collect::<Vec<_>>();
        let (act, weight) = (lanes(rows, s(a + 1)), lanes(cols, s(w)));
        let mut bits = |n: usize, on: bool| (0..n).map(|_| (on || rng.random()) as i64).collect::<Vec<_>>();
        let (swap, shift) = (bits(rows, t == 10), bits(cols, t < 10));
        x.act_i.drive(|i| act[i]);
        x.weight_i.drive(|i| weight[i]);
        x.swap_i.drive(|i| swap[i]);
        x.shift_i.drive(|i| shift[i]);
        bench.cycle();
        assert_eq!(*bench.block.psum_o.val(), grid.cycle(&act, &swap, &shift, &weight), "cycle {t}");
    }
    bench
}

#[test]
fn is_its_elements_and_its_verilog() {
    for (rows, cols, w, a, p) in [(3, 4, 8, 8, 18), (2, 2, 2, 2, 6), (4, 3, 16, 16, 35)] {
        check(80, rows, cols, w, a, p).verilog("array", 40);
    }
}

/// A group of columns, of one or several.
enum Element {
    One(Box<Bench<Pe>>),
    Several(Box<Bench<PackedPe>>),
}

/// The pins of an element: weights as digits and partial sums as a number where it has several columns.
type Pins = (i64, bool, bool, i64, i64);

impl Element {
    fn new(packing: Packing) -> Self {
        let Packing { weight_bits: w, act_bits: a, psum_bits: p, .. } = packing;
        match packing.lanes {
            1 => Self::One(Bench::new(Pe::new(w, a, p, Multipliers::Dsp), |b| &mut b.clk_i).into()),
            _ => Self::Several(Bench::new(PackedPe::new(packing), |b| &mut b.clk_i).into()),
        }
    }

    /// A cycle with weight, shift, swap, activation, partial sum; gives what it hands on.
    fn cycle(&mut self, (weight, shift, swap, act, psum): Pins) -> Pins {
        macro_rules! cycle {
            ($bench:expr) => {{
                let x = &mut $bench.block;
                (x.weight_i.next, x.act_i.next, x.psum_i.next) = (weight, act, psum);
                (x.shift_i.next, x.swap_i.next) = (shift, swap);
                $bench.cycle();
                let x = &$bench.block;
                (x.weight_o.val(), shift, x.swap_o.val(), x.act_o.val(), x.psum_o.val())
            }};
        }
        match self {
            Self::One(bench) => cycle!(bench),
            Self::Several(bench) => cycle!(bench),
        }
    }
}

/// A driven array of groups, and that it is its elements; activations are codes of A bits.
fn check_packed(cycles: usize, rows: usize, cols: usize, packing: Packing) -> Bench<Array> {
    let Packing { lanes, weight_bits: w, act_bits: a, .. } = packing;
    let groups: Vec<Packing> = (0..cols).step_by(lanes).map(|c| packing.of(lanes.min(cols - c))).collect();
    let mut elements: Vec<Vec<Element>> =
        (0..rows).map(|_| groups.iter().map(|&g| Element::new(g)).collect()).collect();
    let mut outputs = vec![vec![(0, false, false, 0, 0); groups.len()]; rows];
    let mut bench = Bench::new(Array::packed(rows, cols, packing), |b| &mut b.clk_i);
    let mut rng = random(cols as u64);
    for t in 0..cycles {
        let weight: Vec<i64> = (0..cols).map(|_| random_value(&mut rng, s(w))).collect();
        let act: Vec<i64> = (0..rows)
            .map(|_| if rng.random() { random_value(&mut rng, s(a)) } else { random_value(&mut rng, u(a)) })
            .collect();
        let swap: Vec<bool> = (0..rows).map(|_| t == 10 || rng.random()).collect();
        let shift: Vec<bool> = groups.iter().map(|_| t < 10 || rng.random()).collect();
        let x = &mut bench.block;
        x.act_i.drive(|i| act[i]);
        x.weight_i.drive(|i| weight[i]);
        x.swap_i.drive(|i| swap[i] as i64);
        x.shift_i.drive(|i| shift[i] as i64);
        bench.cycle();
        let before = outputs.clone();
        for (r, row) in elements.iter_mut().enumerate() {
            for (g, element) in row.iter_mut().enumerate() {
                let (swap, act) =
                    if g == 0 { (swap[r], act[r]) } else { (before[r][g - 1].2, before[r][g - 1].3) };
                let top = || groups[g].digits(&weight[g * lanes..][..groups[g].lanes]);
                let of_one = |digits: i64| if groups[g].lanes == 1 { s(w).wrap(digits) } else { digits };
                let (weight, psum) =
                    if r == 0 { (of_one(top()), 0) } else { (before[r - 1][g].0, before[r - 1][g].4) };
                outputs[r][g] = element.cycle((weight, shift[g], swap, act, psum));
            }
        }
        for c in 0..cols {
            let want = groups[c / lanes].split(outputs[rows - 1][c / lanes].4, c % lanes);
            assert_eq!(bench.block.psum_o.val()[c], want, "column {c}, cycle {t}");
        }
    }
    bench
}

#[test]
fn groups_of_columns_are_their_elements_and_their_verilog() {
    for (rows, cols, lanes, w, a, multiplier) in [
        (3, 4, 2, 4, 4, 18),
        (3, 5, 2, 4, 8, 18), // one column is left
        (2, 8, 3, 3, 3, 18), // two are
        (4, 4, 4, 2, 2, 18),
        (2, 7, 4, 2, 3, 18),
        (3, 3, 2, 8, 8, 25),
        (3, 4, 2, 4, 8, 25), // lanes as far apart as partial sums
    ] {
        let packing = Packing::new(lanes, w, a, w + a + 2, multiplier);
        check_packed(200, rows, cols, packing).verilog("array", 40);
    }
}

/// Every column's sums, by the definition of a matrix product, extremes among the operands.
#[test]
fn packed_columns_multiply_matrices() {
    for (lanes, w, a) in [(2, 4, 8), (2, 4, 4), (3, 3, 3), (4, 2, 2), (4, 2, 3)] {
        let (rows, cols, positions) = (4, 7, 60);
        let mut rng = random(w as u64);
        let mut pick = |least: i64, most: i64| match rng.random_range(0..3) {
            0 => least,
            1 => most,
            _ => rng.random_range(least..=most),
        };
        let top = 1i64 << (w - 1);
        let weights: Vec<Vec<i64>> =
            (0..rows).map(|_| (0..cols).map(|_| pick(-top, top - 1)).collect()).collect();
        let mut act = |p: usize| match p {
            0 => -(1i64 << (a - 1)),
            1 => (1 << a) - 1,
            _ => pick(-(1 << (a - 1)), (1 << a) - 1),
        };
        let acts: Vec<Vec<i64>> = (0..positions).map(|p| (0..rows).map(|_| act(p)).collect()).collect();
        let packing = Packing::new(lanes, w, a, w + a + 2, 18);
        let mut bench = Bench::new(Array::packed(rows, cols, packing), |b| &mut b.clk_i);
        let start = 20;
        for t in 0..start + positions + 20 {
            let x = &mut bench.block;
            let row = |c: usize| t.checked_sub(c / lanes).filter(|&r| r < rows);
            x.shift_i.drive(|g| row(g * lanes).is_some() as i64);
            x.weight_i.drive(|c| row(c).map_or(0, |r| weights[rows - 1 - r][c]));
            let position = |r: usize| t.checked_sub(start + r).filter(|&p| p < positions);
            x.act_i.drive(|r| position(r).map_or(0, |p| acts[p][r]));
            x.swap_i.drive(|r| (position(r) == Some(0)) as i64);
            for c in 0..cols {
                let Some(p) = t.checked_sub(start + Array::latency(rows) + c / lanes) else { continue };
                if p < positions {
                    let want: i64 = (0..rows).map(|r| acts[p][r] * weights[r][c]).sum();
                    assert_eq!(bench.block.psum_o.val()[c], want, "position {p}, column {c}");
                }
            }
            bench.cycle();
        }
    }
}

#[test]
fn netlists_equal_it() {
    let bench = check(10_000, 4, 4, 8, 8, 18);
    for (family, cell) in [(Family::Xc7, "DSP48E1"), (Family::Ice40, "SB_MAC16")] {
        let netlist = bench.netlist("array", 40, family);
        assert!(netlist.is_none_or(|text| text.contains(cell)), "no {cell}");
    }
}

/// Two matrices through skewed streams: results appear where and when [`Array::latency`] says.
#[test]
fn multiplies_matrices_with_the_stated_latency() {
    let (rows, cols, positions) = (3, 4, 5);
    let weight = |r: usize, c: usize| (r * 7 + c * 5) as i64 % 11 - 5;
    let act = |p: usize, r: usize| (p * 3 + r) as i64 % 9 - 4;
    let mut bench = Bench::new(Array::new(rows, cols, 4, 4, 12, Multipliers::Lut), |b| &mut b.clk_i);
    let start = 20;
    for t in 0..60usize {
        let x = &mut bench.block;
        x.shift_i.drive(|c| (t >= c && t < c + rows) as i64);
        x.weight_i.drive(|c| if t >= c && t < c + rows { weight(rows - 1 - (t - c), c) } else { 0 });
        let position = |r: usize| t.checked_sub(start + r).filter(|&p| p < positions);
        x.act_i.drive(|r| position(r).map_or(0, |p| act(p, r)));
        x.swap_i.drive(|r| (position(r) == Some(0)) as i64);
        for c in 0..cols {
            let Some(p) = t.checked_sub(start + Array::latency(rows) + c) else { continue };
            if p < positions {
                let want: i64 = (0..rows).map(|r| act(p, r) * weight(r, c)).sum();
                assert_eq!(bench.block.psum_o.val()[c], want, "position {p}, column {c}");
            }
        }
        bench.cycle();
    }
}
