//! Gradient clipping by global norm (Pascanu et al. 2013).

use super::Gradients;
use rayon::prelude::*;

/// Elements that one task sums.
const BLOCK: usize = 1 << 14;

/// Scales all gradients so that the norm of all together is at most `limit`; returns the norm before.
pub fn clip_norm(gradients: &mut Gradients, limit: f64) -> f64 {
    let square = |part: &[f32]| part.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
    let squares = gradients.iter().flatten().map(|g| {
        let parts = g.as_slice().expect("row-major").par_chunks(BLOCK); // cut by shape, never by threads
        parts.map(square).collect::<Vec<f64>>().into_iter().sum::<f64>()
    });
    let norm = squares.sum::<f64>().sqrt();
    if norm > limit {
        let factor = (limit / norm) as f32;
        gradients.iter_mut().flatten().for_each(|g| g.par_mapv_inplace(|g| g * factor));
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_spans_all_gradients() {
        let vector = |x: f32| Some(ndarray::arr1(&[x]).into_dyn());
        let mut g = vec![vector(3.0), None, vector(4.0)];
        assert_eq!(clip_norm(&mut g, 2.5), 5.0);
        assert_eq!(g, [vector(1.5), None, vector(2.0)]);
        assert_eq!(clip_norm(&mut g, 2.5), 2.5);
    }
}
