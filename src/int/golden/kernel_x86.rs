//! x86-64 kernels. Each function is compiled for one instruction set and called only where it is available.

use super::{Kernel, LANES, Weight, Work, check};
use std::arch::x86_64::*;

/// Two vectors of eight channels at `panel`, widened to i16 pairs.
///
/// # Safety
/// `2 · LANES` elements must be readable at `panel`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_pair<W: Weight>(panel: *const W) -> [__m256i; 2] {
    // SAFETY: the caller's promise covers 32 elements of one or two bytes.
    unsafe {
        if W::IS_BYTE {
            let half = panel.cast::<__m128i>();
            [_mm256_cvtepi8_epi16(_mm_loadu_si128(half)), _mm256_cvtepi8_epi16(_mm_loadu_si128(half.add(1)))]
        } else {
            let half = panel.cast::<__m256i>();
            [_mm256_loadu_si256(half), _mm256_loadu_si256(half.add(1))]
        }
    }
}

/// The body of a 256-bit tile of `R` rows with `$dot(acc, x, w)` as the multiply-accumulate step.
macro_rules! tile_256 {
    ($name:ident, $features:literal, $dot:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn $name<W: Weight, const R: usize>(
            pairs: usize,
            a: &[i16],
            stride: usize,
            panel: &[W],
            out: &mut [i32],
        ) {
            check(R, pairs, a, stride, panel, out);
            let mut acc = [[_mm256_setzero_si256(); 2]; R];
            for k in 0..pairs {
                // SAFETY: `check` made sure of `pairs` pairs in the panel and in each row.
                let w = unsafe { load_pair(panel.as_ptr().add(k * 2 * LANES)) };
                for r in 0..R {
                    // SAFETY: as above; the pair is read as one unaligned word.
                    let x = unsafe { a.as_ptr().add(r * stride + 2 * k).cast::<i32>().read_unaligned() };
                    let x = _mm256_set1_epi32(x);
                    acc[r] = [$dot(acc[r][0], x, w[0]), $dot(acc[r][1], x, w[1])];
                }
            }
            for r in 0..R {
                // SAFETY: `check` made sure of R rows of 16 words.
                unsafe {
                    let row = out.as_mut_ptr().add(r * LANES).cast::<__m256i>();
                    _mm256_storeu_si256(row, acc[r][0]);
                    _mm256_storeu_si256(row.add(1), acc[r][1]);
                }
            }
        }
    };
}

tile_256!(tile_avx2, "avx2", |acc, x, w| _mm256_add_epi32(acc, _mm256_madd_epi16(x, w)));
tile_256!(tile_avx_vnni, "avx2,avxvnni", |acc, x, w| _mm256_dpwssd_avx_epi32(acc, x, w));

/// A 512-bit tile of `R` rows.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vnni")]
fn tile_avx512_vnni<W: Weight, const R: usize>(
    pairs: usize,
    a: &[i16],
    stride: usize,
    panel: &[W],
    out: &mut [i32],
) {
    check(R, pairs, a, stride, panel, out);
    let mut acc = [_mm512_setzero_si512(); R];
    for k in 0..pairs {
        // SAFETY: `check` made sure of `pairs` pairs in the panel and in each row.
        let w = unsafe { load_pair(panel.as_ptr().add(k * 2 * LANES)) };
        let w = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(w[0]), w[1]);
        for r in 0..R {
            // SAFETY: as above; the pair is read as one unaligned word.
            let x = unsafe { a.as_ptr().add(r * stride + 2 * k).cast::<i32>().read_unaligned() };
            acc[r] = _mm512_dpwssd_epi32(acc[r], _mm512_set1_epi32(x), w);
        }
    }
    for r in 0..R {
        // SAFETY: `check` made sure of R rows of 16 words.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(r * LANES).cast(), acc[r]) }
    }
}

/// A kernel type over a tile function, and the function that compiles work for its instruction set.
macro_rules! kernel {
    ($kernel:ident, $run:ident, $features:literal, $tile:ident, $most:literal: $($rows:literal)*) => {
        struct $kernel;

        impl Kernel for $kernel {
            const ROWS: usize = $most;

            #[inline(always)]
            fn tile<W: Weight>(
                rows: usize,
                pairs: usize,
                a: &[i16],
                stride: usize,
                panel: &[W],
                out: &mut [i32],
            ) {
                // SAFETY: the type is used in this file's run function only, under the same features.
                unsafe {
                    match rows {
                        $($rows => $tile::<W, $rows>(pairs, a, stride, panel, out),)*
                        _ => unreachable!("at most {} rows", Self::ROWS),
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        pub fn $run<T: Work>(work: T) -> T::Output {
            work.run::<$kernel>()
        }
    };
}

kernel!(Avx2, run_avx2, "avx2", tile_avx2, 6: 1 2 3 4 5 6);
kernel!(AvxVnni, run_avx_vnni, "avx2,avxvnni", tile_avx_vnni, 6: 1 2 3 4 5 6);
kernel!(Avx512Vnni, run_avx512_vnni, "avx2,avx512f,avx512vnni", tile_avx512_vnni, 12: 1 2 3 4 5 6 7 8 9 10 11 12);
