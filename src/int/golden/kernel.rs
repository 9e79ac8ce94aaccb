//! The inner product of the fast path: rows of i16 activations times a packed panel of weights, into i32.
//!
//! A panel holds the weights of [`LANES`] output channels, two terms of the sum side by side:
//! `panel[(k / 2, channel, k % 2)]`. Activations come in blocks of terms: `a[(k / BLOCK, row, k % BLOCK)]`. Sums
//! are taken modulo 2^32; the callers prove that what they read from them is exact.

use super::Isa;

/// Output channels of a panel.
pub const LANES: usize = 32;
/// Terms of a block of activations: a cache line.
pub const BLOCK: usize = 32;
/// The pairs of terms in it.
const PAIRS: usize = BLOCK / 2;

/// Activations `(block, row, BLOCK)`; a block's rows lie together, `stride` elements after those of the last.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// From the first row on.
    pub codes: &'a [i16],
    /// Elements from one block to the next.
    pub stride: usize,
}

/// A machine's inner product.
pub trait Kernel {
    /// Most rows that [`Kernel::tile`] takes at once.
    const ROWS: usize;

    /// `out[r][c] = Σ_k a[r][k] · panel[k][c]` for `rows` rows and `2 · pairs` terms.
    ///
    /// `out` is `(rows, LANES)`.
    fn tile<W: Weight>(rows: usize, pairs: usize, a: Rows, panel: &[W], out: &mut [i32]);
}

/// The element of a panel: as narrow as the weights allow, since dense layers are bound by memory.
pub trait Weight: Copy + Into<i16> + Send + Sync {
    /// Whether it is `i8`.
    const IS_BYTE: bool;
}

impl Weight for i8 {
    const IS_BYTE: bool = true;
}

impl Weight for i16 {
    const IS_BYTE: bool = false;
}

/// All rows of `a`, in tiles of nearly equal height: `out` is `(rows, LANES)`.
#[inline(always)]
pub fn multiply<K: Kernel, W: Weight>(rows: usize, pairs: usize, a: Rows, panel: &[W], out: &mut [i32]) {
    let tiles = rows.div_ceil(K::ROWS);
    for i in 0..tiles {
        let (from, to) = (i * rows / tiles, (i + 1) * rows / tiles);
        let a = Rows { codes: &a.codes[from * BLOCK..], ..a };
        K::tile(to - from, pairs, a, panel, &mut out[from * LANES..to * LANES]);
    }
}

/// Panics where a kernel would read or write outside its slices.
#[inline(always)]
fn check<W>(rows: usize, pairs: usize, a: Rows, panel: &[W], out: &[i32]) {
    let blocks = pairs.div_ceil(PAIRS);
    assert!(
        rows > 0 && (blocks == 0 || a.codes.len() >= (blocks - 1) * a.stride + rows * BLOCK),
        "rows too short"
    );
    assert!(panel.len() >= pairs * 2 * LANES && out.len() >= rows * LANES, "panel or output too short");
}

/// Plain Rust.
pub struct Portable;

impl Kernel for Portable {
    const ROWS: usize = 4;

    fn tile<W: Weight>(rows: usize, pairs: usize, a: Rows, panel: &[W], out: &mut [i32]) {
        check(rows, pairs, a, panel, out);
        for (r, out) in out.chunks_exact_mut(LANES).take(rows).enumerate() {
            let mut acc = [0i32; LANES];
            let blocks =
                a.codes.chunks(a.stride.max(1)).flat_map(|block| block[r * BLOCK..][..BLOCK].chunks_exact(2));
            for (x, w) in blocks.zip(panel.chunks_exact(2 * LANES).take(pairs)) {
                for c in 0..LANES {
                    let (w0, w1): (i16, i16) = (w[2 * c].into(), w[2 * c + 1].into());
                    let sum = i32::from(x[0]) * i32::from(w0);
                    acc[c] = acc[c].wrapping_add(sum).wrapping_add(i32::from(x[1]) * i32::from(w1));
                }
            }
            out.copy_from_slice(&acc);
        }
    }
}

/// Work that runs with any kernel, compiled once for each instruction set.
pub trait Work {
    /// What it yields.
    type Output;
    /// Does it.
    fn run<K: Kernel>(self) -> Self::Output;
}

/// Runs `work` with the kernel of `isa`, which must be available.
pub fn dispatch<T: Work>(isa: Isa, work: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    {
        assert!(isa.is_available(), "{isa} is not available");
        // SAFETY: the machine has the instructions, checked just above.
        match isa {
            Isa::Portable => {}
            Isa::Avx2 => return unsafe { x86::run_avx2(work) },
            Isa::AvxVnni => return unsafe { x86::run_avx_vnni(work) },
            Isa::Avx512Vnni => return unsafe { x86::run_avx512_vnni(work) },
        }
    }
    let _ = isa;
    work.run::<Portable>()
}

#[cfg(target_arch = "x86_64")]
#[path = "kernel_x86.rs"]
mod x86;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    struct Tile<'a, W>(usize, usize, Rows<'a>, &'a [W]);

    impl<W: Weight> Work for Tile<'_, W> {
        type Output = Vec<i32>;
        fn run<K: Kernel>(self) -> Vec<i32> {
            let Tile(rows, pairs, a, panel) = self;
            let mut out = vec![0; rows * LANES];
            multiply::<K, W>(rows, pairs, a, panel, &mut out);
            out
        }
    }

    fn compare<W: Weight>(draw: impl Fn(&mut rand_chacha::ChaCha8Rng) -> W) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for rows in 1..=30 {
            let (pairs, stride) = (rows * 7 % 51, (rows + rows % 3) * BLOCK);
            let codes: Vec<i16> = (0..pairs.div_ceil(PAIRS) * stride).map(|_| rng.random()).collect();
            let a = Rows { codes: &codes, stride };
            let panel: Vec<W> = (0..pairs * 2 * LANES).map(|_| draw(&mut rng)).collect();
            let mut want = vec![0; rows * LANES];
            for (i, want) in want.iter_mut().enumerate() {
                let term = |k: usize| {
                    let w: i16 = panel[(k / 2 * LANES + i % LANES) * 2 + k % 2].into();
                    i64::from(codes[k / BLOCK * stride + i / LANES * BLOCK + k % BLOCK]) * i64::from(w)
                };
                *want = (0..2 * pairs).map(term).sum::<i64>() as i32; // modulo 2^32
            }
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                assert_eq!(dispatch(isa, Tile(rows, pairs, a, &panel)), want, "{isa}, {rows} rows");
            }
        }
    }

    #[test]
    fn every_kernel_is_exact_modulo_2_to_32() {
        compare::<i8>(|rng| rng.random());
        compare::<i16>(|rng| rng.random());
        compare::<i16>(|_| i16::MIN); // the one product pair that wraps
    }
}
