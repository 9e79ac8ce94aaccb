//! Element-wise work and sums over all cores, with results that do not depend on their number.

use crate::autograd::Real;
use rayon::prelude::*;

/// Elements that one task handles.
const BLOCK: usize = 1 << 14;

/// `out[i] = f(x[i])`.
pub(crate) fn map<T: Real>(out: &mut [T], x: &[T], f: impl Fn(T) -> T + Sync) {
    let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
    blocks.for_each(|(out, x)| out.iter_mut().zip(x).for_each(|(o, &x)| *o = f(x)));
}

/// `out[i] = f(out[i], x[i])`.
pub(super) fn zip_map<T: Real>(out: &mut [T], x: &[T], f: impl Fn(T, T) -> T + Sync) {
    let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
    blocks.for_each(|(out, x)| out.iter_mut().zip(x).for_each(|(o, &x)| *o = f(*o, x)));
}

/// Calls `f(rows of out, rows of x, first row)` on blocks of whole rows of `width` elements.
pub(crate) fn by_rows<T: Real>(
    out: &mut [T],
    x: &[T],
    width: usize,
    f: impl Fn(&mut [T], &[T], usize) + Sync,
) {
    let rows = (BLOCK / width).max(1);
    let blocks = out.par_chunks_mut(rows * width).zip(x.par_chunks(rows * width)).enumerate();
    blocks.for_each(|(i, (out, x))| f(out, x, i * rows));
}

/// For each channel `c` the `N` sums over rows of `f(c, x)`, in `f64`; `x` are the row's elements of that channel in
/// each of the `M` inputs `(rows, channels)`.
pub(crate) fn per_channel_sum<T: Real, const M: usize, const N: usize>(
    inputs: [&[T]; M],
    channels: usize,
    f: impl Fn(usize, [T; M]) -> [f64; N] + Sync,
) -> Vec<[f64; N]> {
    let rows = inputs[0].len() / channels;
    let block = rows.div_ceil(64).max(1); // cut by shape, never by threads
    let partial = |b: usize| {
        let mut sums = vec![[0.0; N]; channels];
        for r in b * block..rows.min((b + 1) * block) {
            let row = inputs.map(|x| &x[r * channels..][..channels]);
            for (c, sum) in sums.iter_mut().enumerate() {
                let terms = f(c, row.map(|x| x[c]));
                (0..N).for_each(|n| sum[n] += terms[n]);
            }
        }
        sums
    };
    let partials: Vec<_> = (0..rows.div_ceil(block)).into_par_iter().map(partial).collect();
    let mut total = vec![[0.0; N]; channels];
    for sums in partials {
        total.iter_mut().zip(sums).for_each(|(t, s)| (0..N).for_each(|n| t[n] += s[n]));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_sums_are_the_plain_sums() {
        let x: Vec<f64> = (0..600).map(|i| i as f64).collect();
        let sums = per_channel_sum([&x], 3, |c, [x]| [x, c as f64]);
        let by_hand = |c: usize| (0..200).map(|r| (3 * r + c) as f64).sum::<f64>();
        assert_eq!(sums, [[by_hand(0), 0.0], [by_hand(1), 200.0], [by_hand(2), 400.0]]);
    }
}
