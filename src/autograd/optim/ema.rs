//! Exponential moving average of parameters (Polyak and Juditsky 1992).

use super::Parameter;
use ndarray::Zip;

/// `average ← decay · average + (1 − decay) · parameter` after every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    decay: f32,
    /// The averaged parameters, usable in place of the parameters.
    pub parameters: Vec<Parameter>,
}

impl Average {
    /// Starts from `parameters`; `decay` is near 1, for example 0.999.
    pub fn new(decay: f32, parameters: &[Parameter]) -> Self {
        Self { decay, parameters: parameters.to_vec() }
    }

    /// Takes in the parameters after a step.
    pub fn update(&mut self, parameters: &[Parameter]) {
        for (average, p) in self.parameters.iter_mut().zip(parameters) {
            let decay = self.decay;
            let pairs = Zip::from(&mut average.value).and(&p.value);
            pairs.par_for_each(|a, &p| *a = decay * *a + (1.0 - decay) * p);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let at = |x: f32| {
            let value = ndarray::arr1(&[x]).into_dyn().into_shared();
            [Parameter { name: "w".into(), value, decay: false, size: 1.0 }]
        };
        let mut average = Average::new(0.75, &at(0.0));
        average.update(&at(4.0));
        average.update(&at(4.0));
        assert_eq!(average.parameters[0].value[[0]], 1.75);
    }
}
