//! Where training with quantizers starts: at the codes and steps of quantization after training.

use super::layer::at;
use super::lower::taps_before_channels;
use super::net::Net;
use super::{Learn, Spec};
use crate::arith::{self, Levels, Step};
use crate::float::{FloatLayer, FloatModel};
use crate::int::Quantizer;
use crate::net::Op;
use crate::quantize::lower::weight_codes;
use crate::quantize::weights::distribution;
use crate::quantize::{LayerPlan, Method, Mode, Plan, calibrate, observe, rounded};
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayView4};

impl Net {
    /// A quantized network that starts from `model`: levels, steps, weight codes and biases are those that quantization after
    /// training finds with `images` `(image, channel, row, column)`. A weight stays as it is where its nearest code is the
    /// one that it gets, and else becomes what its code stands for.
    ///
    /// # Errors
    /// Bits or levels that leave no codes; batch norm together with power-of-two steps, which it would scale.
    pub fn quantized_from(model: &FloatModel, spec: &Spec, images: ArrayView4<f32>) -> Result<Self> {
        let mut net = Self::float_from(model)?;
        net.mode = spec.mode();
        if net.mode == Mode::Pow2 {
            net.demand_no_norm()?;
            demand_powers_of_two(model)?;
        }
        let (images, recipe) = ([images.to_owned()], spec.recipe());
        let folded = net.folded_with_codes_of(model);
        let observed = observe(&folded, &images)?;
        // Steps of the weights before batch norm, which scales them as it scales the weights.
        let before_norm = calibrate(&net.before_norm(&folded), &recipe, &observed)?;
        net.add_quantizers(&before_norm, spec.learn);
        let plan = net.plan()?;
        let rounded = rounded(&folded, plan.clone(), &recipe, &observed, &images)?;
        let layers = rounded.float.layers.iter().zip(&rounded.plan.layers).zip(&plan.layers);
        for (i, ((layer, new), plan)) in layers.enumerate() {
            net.scale_steps(i, plan, new);
            net.start_at(i, layer, new);
        }
        Ok(net)
    }

    fn demand_no_norm(&self) -> Result<()> {
        let reason = "batch norm scales power-of-two steps to others: fold it first (--fold-bn)";
        let normed = self.layers.iter().find(|l| l.norm.is_some());
        normed.map_or(Ok(()), |layer| Err(Error::bad_layer(&layer.name, reason)))
    }

    /// The float network, batch norm folded; codes that weights of `model` were trained for are kept where no batch norm
    /// scales them.
    fn folded_with_codes_of(&self, model: &FloatModel) -> FloatModel {
        let mut folded = self.float();
        folded.fold_batch_norm();
        for (layer, given) in folded.layers.iter_mut().zip(&model.layers) {
            layer.quantizer = given.quantizer.clone().filter(|_| given.batch_norm.is_none());
        }
        folded
    }

    /// `folded` with each channel divided by the factor of its batch norm.
    fn before_norm(&self, folded: &FloatModel) -> FloatModel {
        let mut model = folded.clone();
        for (layer, norm) in model.layers.iter_mut().zip(&self.layers) {
            let Some((factors, _)) = self.affine(norm) else { continue };
            let inputs = layer.weight.len() / layer.op.co();
            for (c, (weights, factor)) in layer.weight.chunks_exact_mut(inputs).zip(factors).enumerate() {
                weights.iter_mut().for_each(|w| *w = (f64::from(*w) / factor) as f32);
                layer.bias[c] = (f64::from(layer.bias[c]) / factor) as f32;
            }
        }
        model
    }

    fn add_quantizers(&mut self, plan: &Plan, learn: Learn) {
        self.input = Some(plan.input);
        for (i, layer) in plan.layers.iter().enumerate() {
            self.layers[i].weights =
                Some(self.site(i, "weight_step", layer.weight_levels, learn, &layer.weight_steps));
            if let Some(Quantizer { step, levels }) = layer.output {
                self.layers[i].output = Some(self.site(i, "output_step", levels, learn, &[step]));
            }
        }
    }

    /// Takes the weight steps of layer `i`, which are before batch norm, along from those of `old` to those of `new`, behind it.
    fn scale_steps(&mut self, i: usize, old: &LayerPlan, new: &LayerPlan) {
        let mut steps = self.weight_steps(&self.layers[i]).expect("quantized");
        for (c, step) in steps.iter_mut().enumerate() {
            let [old, new] = [old, new].map(|plan| f64::from(plan.weight_step(c).get()));
            *step = Step::new((f64::from(step.get()) * (new / old)) as f32).expect("a step by about 1");
        }
        self.set_weight_steps(i, &steps);
    }

    /// Gives layer `i` the codes and the biases of `rounded`, whose batch norm is folded.
    fn start_at(&mut self, i: usize, rounded: &FloatLayer, plan: &LayerPlan) {
        let layer = &self.layers[i];
        let steps = self.weight_steps(layer).expect("quantized");
        let co = layer.op.co();
        let codes: Vec<f32> = weight_codes(rounded, plan).iter().map(|&code| code.into()).collect();
        let codes = match layer.op {
            Op::Conv { .. } => taps_before_channels(&codes, co),
            Op::Dense { .. } => codes,
        };
        let (weight, inputs) = (layer.weight, codes.len() / co);
        let values = self.values(weight).iter().zip(&codes).enumerate();
        let start = values.map(|(k, (&w, &code))| {
            let (step, code) = (at(&steps, k / inputs), code as i32);
            let keeps = arith::quantize(w, step, plan.weight_levels) == code;
            if keeps { w } else { arith::dequantize(code, step) }
        });
        let start = ArrayD::from_shape_vec(self.parameters[weight].value.raw_dim(), start.collect());
        self.parameters[weight].value = start.expect("as many weights").into_shared();
        self.start_biases(i, &rounded.bias);
    }

    /// What biases become reaches batch norm as other running means, because these are what differs.
    fn start_biases(&mut self, i: usize, bias: &[f32]) {
        let Some((factors, _)) = self.affine(&self.layers[i]) else {
            let parameter = &mut self.parameters[self.layers[i].bias].value;
            *parameter = ArrayD::from_shape_vec(parameter.raw_dim(), bias.to_vec())
                .expect("one a channel")
                .into_shared();
            return;
        };
        let norm = self.layers[i].norm.as_ref().expect("it has factors");
        let beta = self.values(norm.beta);
        let mean = |c: usize| ((f64::from(beta[c]) - f64::from(bias[c])) / factors[c]) as f32;
        let mean = (0..bias.len()).map(mean).collect();
        self.layers[i].norm.as_mut().expect("it has factors").mean = mean;
    }
}

/// The step of least squared error on `x`; 1 where all are 0.
pub fn mse_step(x: &[f32], levels: Levels) -> Step {
    let step = distribution(x).and_then(|d| Method::Mse.step(&d, levels, Mode::Free));
    step.unwrap_or(Step::UNIT)
}

/// Steps that weights were trained for would otherwise become others.
fn demand_powers_of_two(model: &FloatModel) -> Result<()> {
    let given = model.layers.iter().filter_map(|l| Some((l, l.quantizer.as_ref()?)));
    let mut steps = given.flat_map(|(l, q)| q.steps.iter().map(move |s| (l, s)));
    match steps.find(|(_, s)| !s.is_power_of_two()) {
        Some((layer, step)) => Err(Error::bad_layer(
            &layer.name,
            format!("its weights were trained for step {step}, which is no power of two: --qat lsq keeps it"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::BatchNorm;
    use crate::net::Shape;
    use crate::quantize::tests::network;
    use crate::quantize::{Rounding, quantize};
    use ndarray::Array4;

    #[test]
    fn an_outlier_is_clipped() {
        let mut x: Vec<f32> = (0..4000).map(|i| i as f32 / 4000.0).collect();
        let plain = mse_step(&x, Levels::unsigned(4)).get();
        assert!((0.05..0.08).contains(&plain), "{plain}");
        x.push(4.0);
        assert!(mse_step(&x, Levels::unsigned(4)).get() < 0.15);
    }

    const OPS: [Op; 4] = [
        Op::Conv { co: 6, pool: true },
        Op::Conv { co: 5, pool: false },
        Op::Dense { co: 8 },
        Op::Dense { co: 4 },
    ];

    fn images() -> Array4<f32> {
        Array4::from_shape_fn((30, 2, 6, 4), |(n, c, i, j)| {
            ((n * 31 + c * 17 + i * 7 + j * n) % 23) as f32 / 11.0 - 1.0
        })
    }

    fn specs(learn: Learn) -> impl Iterator<Item = Spec> {
        [Rounding::Nearest, Rounding::Gptq]
            .into_iter()
            .map(move |rounding| Spec { rounding, ..Spec::new(learn, 3, 4) })
    }

    #[test]
    fn integers_are_those_of_quantization_after_training() {
        let model = network(Shape { c: 2, h: 6, w: 4 }, &OPS);
        for spec in [Learn::Plain, Learn::Lsq, Learn::Tqt].into_iter().flat_map(specs) {
            let net = Net::quantized_from(&model, &spec, images().view()).unwrap();
            let want = quantize(&model, &spec.recipe(), [Ok(images())]).unwrap().int;
            assert_eq!(net.lower().unwrap(), want, "{spec:?}");
        }
    }

    /// Batch norm's factors come and go in f32: a code in a hundred may differ. Biases make up for the same mean errors.
    #[test]
    fn batch_norm_stays_and_codes_are_the_same() {
        let mut model = network(Shape { c: 2, h: 6, w: 4 }, &OPS);
        for layer in &mut model.layers[..3] {
            let numbers =
                |scale: f32, from: f32| (0..layer.op.co()).map(|c| from + scale * c as f32).collect();
            let (gamma, beta) = (numbers(-0.3, 0.7), numbers(0.05, -0.1));
            let (mean, var) = (numbers(0.1, -0.2), numbers(0.2, 0.4));
            layer.batch_norm = Some(BatchNorm { gamma, beta, mean, var, eps: 1e-5 });
        }
        for spec in specs(Learn::Lsq) {
            let net = Net::quantized_from(&model, &spec, images().view()).unwrap();
            assert!(net.layers[0].norm.is_some());
            let (got, want) =
                (net.lower().unwrap(), quantize(&model, &spec.recipe(), [Ok(images())]).unwrap().int);
            for (got, want) in got.layers.iter().zip(&want.layers) {
                let same = got.weight.iter().zip(&want.weight).filter(|(g, w)| g == w).count();
                assert!(100 * same >= 99 * got.weight.len(), "{}: {same} of {}", got.name, got.weight.len());
                let near = |(g, w): (&i64, &i64)| (g - w).abs() <= 1 + w.abs() / 50;
                assert!(got.bias.iter().zip(&want.bias).all(near), "{:?} {:?}", got.bias, want.bias);
            }
        }
    }

    #[test]
    fn zeros_give_a_step() {
        assert_eq!(mse_step(&[0.0; 4], Levels::signed(4)).get(), 1.0);
    }
}
