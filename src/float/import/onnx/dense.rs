//! Dense layers: Gemm and MatMul, whatever the order of the flattened map before them.

use super::constants::Constants;
use super::proto::NodeProto;

/// Weights `(co, inputs)` and bias of a Gemm or MatMul that reads `inputs` values.
pub fn parameters(
    node: &NodeProto,
    constants: &Constants,
    inputs: usize,
) -> Result<(Vec<f32>, Vec<f32>), String> {
    let gemm = node.op_type == "Gemm";
    let transposed = gemm && node.int("transB").unwrap_or(0) != 0;
    if gemm && node.int("transA").unwrap_or(0) != 0 {
        return Err("transA is not supported".into());
    }
    let weight = constants.floats(node.operand(1).ok_or("has no weights")?)?;
    let [rows, columns] = weight.dims[..] else {
        return Err(format!("its weights have sizes {:?}, must be a matrix", weight.dims));
    };
    let (co, reads) = if transposed { (rows, columns) } else { (columns, rows) };
    if reads != inputs || co == 0 {
        return Err(format!("its weights read {reads} inputs, the layer before makes {inputs}"));
    }
    let mut weight = if transposed { weight.data } else { turned(&weight.data, co) };
    scale(&mut weight, node.float("alpha").unwrap_or(1.0));
    let mut bias = match node.operand(2).filter(|_| gemm) {
        None => vec![0.0; co],
        Some(name) => constants.floats(name)?.data,
    };
    scale(&mut bias, node.float("beta").unwrap_or(1.0));
    match bias.len() {
        n if n == co => Ok((weight, bias)),
        1 => Ok((weight, vec![bias[0]; co])),
        n => Err(format!("has {n} biases for {co} outputs")),
    }
}

fn scale(values: &mut [f32], by: f32) {
    if by != 1.0 {
        values.iter_mut().for_each(|v| *v *= by);
    }
}

/// `(inputs, co)` as `(co, inputs)`, in tiles that the cache holds.
fn turned(weight: &[f32], co: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let inputs = weight.len() / co;
    let mut out = vec![0.0; weight.len()];
    for i0 in (0..inputs).step_by(TILE) {
        for o0 in (0..co).step_by(TILE) {
            for i in i0..(i0 + TILE).min(inputs) {
                for o in o0..(o0 + TILE).min(co) {
                    out[o * inputs + i] = weight[i * co + o];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_turned() {
        assert_eq!(turned(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    }
}
