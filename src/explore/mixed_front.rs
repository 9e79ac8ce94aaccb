//! Which of the assignments that a search found are worth fine-tuning: those on the front of size and divergence.
//!
//! Labels and the images that measure accuracy are not looked at.

use super::Network;
use super::accuracy::Evaluator;
use super::coding::Coding;
use super::mixed::divergence;
use super::sweep::Axes;
use crate::Result;
use rayon::prelude::*;

/// Takes those of the found assignments from `axes` that another coding beats: one of the same activations and
/// requantization with no more bits of weights that is no further from the float network, and better in one of both.
/// Gives what is to be said of them.
pub(super) fn keep_front(axes: &mut Axes, network: &Network, evaluator: &Evaluator) -> Result<Vec<String>> {
    let codings = axes.codings();
    let score = |coding: &Coding| -> Result<(u64, f64)> {
        let bits = coding.bits(&network.model)?.weights;
        let size = bits.iter().zip(&network.sizes).map(|(&b, n)| u64::from(b) * n).sum();
        Ok((size, divergence(evaluator, coding)?))
    };
    let scores = codings.par_iter().map(score).collect::<Result<Vec<_>>>()?;
    let beaten = |i: usize| {
        let coding = &codings[i];
        let rivals = codings.iter().zip(&scores);
        let mut rivals = rivals
            .filter(|(c, _)| (c.acts, c.requantize) == (coding.acts, coding.requantize))
            .map(|(_, s)| s);
        rivals.any(|s| s.0 <= scores[i].0 && s.1 <= scores[i].1 && *s != scores[i])
    };
    let mut notes = vec![];
    for i in 0..codings.len() {
        let Coding { acts, assignment: Some(assignment), .. } = &codings[i] else { continue };
        if assignment.found_for.is_some() && beaten(i) {
            axes.assignments.retain(|a| a != assignment);
            notes.push(format!(
                "{} with A{acts}: another coding is as small and nearer to float; it is not fine-tuned",
                assignment.name
            ));
        }
    }
    Ok(notes)
}
