//! x86-64 kernels. Each function is compiled for one instruction set and called only where it is available.

use super::{BLOCK, Kernel, LANES, PAIRS, Rows, Weight, Work, check};
use std::arch::x86_64::*;

/// Output channels of a 256-bit vector.
const HALF: usize = 16;

/// Bytes by which weights are fetched ahead: panels are read once from one end to the other, from memory that is
/// farther away than the processor looks by itself.
const AHEAD: usize = 32 << 10;

/// Two vectors of eight channels at `panel`, widened to i16 pairs.
///
/// # Safety
/// 32 elements must be readable at `panel`.
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

/// Pair `k` of a block of row `r`, as one word.
///
/// # Safety
/// It must be in `a`.
#[inline(always)]
unsafe fn pair(a: Rows, block: usize, r: usize, k: usize) -> i32 {
    // SAFETY: the caller's promise; the pair is read as one unaligned word.
    unsafe { a.codes.as_ptr().add(block * a.stride + r * BLOCK + 2 * k).cast::<i32>().read_unaligned() }
}

/// The body of a 256-bit tile of `R` rows with `$dot(acc, x, w)` as the multiply-accumulate step.
macro_rules! tile_256 {
    ($name:ident, $features:literal, $dot:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn $name<W: Weight, const R: usize>(pairs: usize, a: Rows, panel: &[W], out: &mut [i32]) {
            check(R, pairs, a, panel, out);
            for half in 0..LANES / HALF {
                let mut acc = [[_mm256_setzero_si256(); 2]; R];
                for block in 0..pairs.div_ceil(PAIRS) {
                    let first = block * PAIRS;
                    for k in first..pairs.min(first + PAIRS) {
                        // SAFETY: `check` made sure of `pairs` pairs in the panel and in each row.
                        let w = unsafe { load_pair(panel.as_ptr().add(2 * (k * LANES + half * HALF))) };
                        for r in 0..R {
                            // SAFETY: as above.
                            let x = _mm256_set1_epi32(unsafe { pair(a, block, r, k - first) });
                            acc[r] = [$dot(acc[r][0], x, w[0]), $dot(acc[r][1], x, w[1])];
                        }
                    }
                }
                for r in 0..R {
                    // SAFETY: `check` made sure of R rows of LANES words.
                    unsafe {
                        let row = out.as_mut_ptr().add(r * LANES + half * HALF).cast::<__m256i>();
                        _mm256_storeu_si256(row, acc[r][0]);
                        _mm256_storeu_si256(row.add(1), acc[r][1]);
                    }
                }
            }
        }
    };
}

tile_256!(tile_avx2, "avx2", |acc, x, w| _mm256_add_epi32(acc, _mm256_madd_epi16(x, w)));
tile_256!(tile_avx_vnni, "avx2,avxvnni", |acc, x, w| _mm256_dpwssd_avx_epi32(acc, x, w));

/// Sixteen channels at `panel`, widened to i16 pairs.
///
/// # Safety
/// 32 elements must be readable at `panel`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
unsafe fn load_512<W: Weight>(panel: *const W) -> __m512i {
    // SAFETY: the caller's promise covers 32 elements of one or two bytes.
    unsafe {
        if W::IS_BYTE {
            _mm512_cvtepi8_epi16(_mm256_loadu_si256(panel.cast()))
        } else {
            _mm512_loadu_si512(panel.cast())
        }
    }
}

/// A 512-bit tile of `R` rows.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile_avx512_vnni<W: Weight, const R: usize>(pairs: usize, a: Rows, panel: &[W], out: &mut [i32]) {
    check(R, pairs, a, panel, out);
    let mut acc = [[_mm512_setzero_si512(); 2]; R];
    for block in 0..pairs.div_ceil(PAIRS) {
        let first = block * PAIRS;
        for k in first..pairs.min(first + PAIRS) {
            // SAFETY: `check` made sure of `pairs` pairs in the panel and in each row.
            let w = unsafe {
                let panel = panel.as_ptr().add(2 * k * LANES);
                let ahead = panel.cast::<u8>().wrapping_add(AHEAD);
                _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
                if !W::IS_BYTE {
                    _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(64).cast());
                }
                [load_512(panel), load_512(panel.add(LANES))]
            };
            for r in 0..R {
                // SAFETY: as above.
                let x = _mm512_set1_epi32(unsafe { pair(a, block, r, k - first) });
                acc[r] = [_mm512_dpwssd_epi32(acc[r][0], x, w[0]), _mm512_dpwssd_epi32(acc[r][1], x, w[1])];
            }
        }
    }
    for r in 0..R {
        // SAFETY: `check` made sure of R rows of LANES words.
        unsafe {
            let row = out.as_mut_ptr().add(r * LANES).cast::<__m512i>();
            _mm512_storeu_si512(row, acc[r][0]);
            _mm512_storeu_si512(row.add(1), acc[r][1]);
        }
    }
}

/// A kernel type over a tile function, and the function that compiles work for its instruction set.
macro_rules! kernel {
    ($kernel:ident, $run:ident, $features:literal, $tile:ident, $most:literal: $($rows:literal)*) => {
        struct $kernel;

        impl Kernel for $kernel {
            const ROWS: usize = $most;

            #[inline(always)]
            fn tile<W: Weight>(rows: usize, pairs: usize, a: Rows, panel: &[W], out: &mut [i32]) {
                // SAFETY: the type is used in this file's run function only, under the same features.
                unsafe {
                    match rows {
                        $($rows => $tile::<W, $rows>(pairs, a, panel, out),)*
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
kernel!(
    Avx512Vnni, run_avx512_vnni, "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", tile_avx512_vnni,
    12: 1 2 3 4 5 6 7 8 9 10 11 12
);
