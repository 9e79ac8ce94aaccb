//! Weights that PyTorch keeps in parts: pruning masks, weight norm, spectral norm.
//!
//! | stored | weight | written by |
//! |---|---|---|
//! | `weight_orig`, `weight_mask` | their product | `torch.nn.utils.prune` |
//! | `weight_g`, `weight_v` or `parametrizations.weight.original0`, `original1` | g · v / ‖v‖ | `weight_norm` |
//! | `weight_orig`, `weight_u`, `weight_v` or `parametrizations.weight.original`, `0._u`, `0._v` | w / (uᵀ·W·v) | `spectral_norm` |

use super::tensors::{Data, Tensor, Tensors};

/// Replaces the parts of every weight and bias by what PyTorch computes from them.
pub fn resolve(tensors: &mut Tensors) -> Result<(), String> {
    let names: Vec<String> = tensors.iter().map(|(name, _)| name.to_string()).collect();
    let has = |name: &str| names.iter().any(|n| n == name);
    for name in &names {
        if let Some(stem) = name.strip_suffix("_orig") {
            let [mask, u, v] = ["mask", "u", "v"].map(|part| format!("{stem}_{part}"));
            match (has(&mask), has(&u) && has(&v)) {
                (true, false) => masked(tensors, name, &mask, stem)?,
                (false, true) => spectral(tensors, name, [&u, &v], stem)?,
                _ => return Err(format!("tensor {name}: neither {mask} nor {u} and {v} stand beside it")),
            }
        } else if let Some(stem) = name.strip_suffix("_g").filter(|stem| has(&format!("{stem}_v"))) {
            weight_norm(tensors, name, &format!("{stem}_v"), stem)?;
        } else if let Some((module, part)) = parametrized(name, ".original0") {
            weight_norm(
                tensors,
                name,
                &format!("{module}.parametrizations.{part}.original1"),
                &format!("{module}.{part}"),
            )?;
        } else if let Some((module, part)) = parametrized(name, ".original") {
            let [u, v] = ["_u", "_v"].map(|p| format!("{module}.parametrizations.{part}.0.{p}"));
            if !has(&u) || !has(&v) {
                return Err(format!(
                    "tensor {name}: a parametrization that is neither weight norm nor spectral norm"
                ));
            }
            spectral(tensors, name, [&u, &v], &format!("{module}.{part}"))?;
        }
    }
    Ok(())
}

/// `MODULE` and `PART` of `MODULE.parametrizations.PART` + `end`.
fn parametrized<'a>(name: &'a str, end: &str) -> Option<(&'a str, &'a str)> {
    name.strip_suffix(end)?.split_once(".parametrizations.")
}

fn masked(tensors: &mut Tensors, name: &str, mask: &str, stem: &str) -> Result<(), String> {
    let (shape, mask_values) = tensors.take(mask)?;
    let place = tensors.place(name);
    let (own, mut values) = tensors.take(name)?;
    if own != shape {
        return Err(format!("tensor {mask} has shape {shape:?}, must be {own:?}"));
    }
    values.iter_mut().zip(mask_values).for_each(|(w, m)| *w *= m);
    tensors.insert(place, stem.into(), Tensor { shape, data: Data::Values(values) });
    Ok(())
}

/// Along the dimension where g has more than one value; over everything where g is one number.
fn weight_norm(tensors: &mut Tensors, g: &str, v: &str, stem: &str) -> Result<(), String> {
    let place = tensors.place(g);
    let (g_shape, g_values) = tensors.take(g)?;
    let (shape, mut values) = tensors.take(v)?;
    let outputs = shape.first().copied().unwrap_or(0);
    let rows = match g_values.len() {
        1 => 1,
        n if n == outputs && g_shape.first() == Some(&n) => n,
        _ => {
            return Err(format!(
                "tensor {g} has shape {g_shape:?}: only a norm over each output of {shape:?} is supported"
            ));
        }
    };
    let per_row = (values.len() / rows.max(1)).max(1);
    for (row, g) in values.chunks_exact_mut(per_row).zip(g_values) {
        let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v = (f64::from(*v) * f64::from(g) / norm) as f32);
    }
    if values.iter().any(|v| !v.is_finite()) {
        return Err(format!("tensor {v}: its norm is 0"));
    }
    tensors.insert(place, stem.into(), Tensor { shape, data: Data::Values(values) });
    Ok(())
}

fn spectral(tensors: &mut Tensors, name: &str, [u, v]: [&str; 2], stem: &str) -> Result<(), String> {
    let place = tensors.place(name);
    let ((_, left), (_, right)) = (tensors.take(u)?, tensors.take(v)?);
    let (shape, mut values) = tensors.take(name)?;
    if left.len() * right.len() != values.len() || shape.first() != Some(&left.len()) {
        return Err(format!(
            "tensor {name} of shape {shape:?} has {} and {} singular values",
            left.len(),
            right.len()
        ));
    }
    let dot = |row: &[f32]| row.iter().zip(&right).map(|(w, v)| f64::from(*w) * f64::from(*v)).sum::<f64>();
    let rows = values.chunks_exact(right.len().max(1)).zip(&left);
    let sigma: f64 = rows.map(|(row, u)| dot(row) * f64::from(*u)).sum();
    values.iter_mut().for_each(|w| *w = (f64::from(*w) / sigma) as f32);
    if values.iter().any(|v| !v.is_finite()) {
        return Err(format!("tensor {name}: its largest singular value is 0"));
    }
    tensors.insert(place, stem.into(), Tensor { shape, data: Data::Values(values) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(parts: &[(&str, &[usize], &[f32])]) -> Result<(Vec<String>, Vec<f32>), String> {
        let tensor = |&(name, shape, values): &(&str, &[usize], &[f32])| {
            (name.to_string(), Tensor { shape: shape.into(), data: Data::Values(values.into()) })
        };
        let mut tensors = Tensors::new(vec![], parts.iter().map(tensor).collect());
        resolve(&mut tensors)?;
        let names = tensors.iter().map(|(n, _)| n.to_string()).collect();
        Ok((names, tensors.take("m.weight")?.1))
    }

    /// Worked by hand from the formulas of `torch.nn.utils`.
    #[test]
    fn parts_become_weights() {
        let (names, w) = resolved(&[
            ("m.bias", &[1], &[0.0]),
            ("m.weight_orig", &[1, 2], &[3.0, 4.0]),
            ("m.weight_mask", &[1, 2], &[0.0, 1.0]),
            ("n.weight", &[1], &[1.0]),
        ])
        .unwrap();
        assert_eq!((names.join(" ").as_str(), &w[..]), ("m.bias m.weight n.weight", &[0.0, 4.0][..]));
        let norm =
            [("m.weight_g", &[2, 1][..], &[10.0, 1.0][..]), ("m.weight_v", &[2, 2], &[3.0, 4.0, 0.0, 2.0])];
        assert_eq!(resolved(&norm).unwrap().1, [6.0, 8.0, 0.0, 1.0]);
        let new = norm.map(|(n, s, v)| {
            (
                if n.ends_with('g') {
                    "m.parametrizations.weight.original0"
                } else {
                    "m.parametrizations.weight.original1"
                },
                s,
                v,
            )
        });
        assert_eq!(resolved(&new).unwrap().1, [6.0, 8.0, 0.0, 1.0]);
        let sigma = [
            ("m.weight_orig", &[2, 2][..], &[2.0, 0.0, 0.0, 1.0][..]),
            ("m.weight_u", &[2], &[1.0, 0.0]),
            ("m.weight_v", &[2], &[1.0, 0.0]),
        ];
        assert_eq!(resolved(&sigma).unwrap().1, [1.0, 0.0, 0.0, 0.5]);
        assert!(resolved(&sigma[..1]).unwrap_err().contains("neither m.weight_mask nor"));
    }
}
