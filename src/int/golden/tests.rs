//! Every path against the definition, on random networks.

use super::*;
use crate::arith::Levels;
use crate::int::random::{Recipe, images, model};

const WIDTHS: [u32; 7] = [2, 3, 4, 5, 8, 12, 16];

fn conv(co: usize, pool: bool) -> Op {
    Op::Conv { co, pool }
}

fn compare(recipe: &Recipe, count: usize) -> usize {
    let model = model(recipe);
    let codes = images(&model, count, recipe.seed + 1);
    let want = reference::trace(&model, codes.view()).unwrap();
    let mut wide = 0;
    for isa in Isa::ALL {
        if !isa.is_available() {
            continue;
        }
        let golden = Golden::with_isa(&model, isa).unwrap();
        wide = golden.wide_layers().len();
        let got = golden.trace(codes.view()).unwrap();
        for (layer, (got, want)) in got.activations.iter().zip(&want.activations).enumerate() {
            assert_eq!(got, want, "{isa}, layer {layer} of {recipe:?}");
        }
        assert_eq!(got, want, "{isa}, logits of {recipe:?}");
        assert_eq!(golden.logits(codes.view()).unwrap(), want.logits, "{isa}");
    }
    wide
}

#[test]
fn all_widths_equal_the_reference() {
    for isa in Isa::ALL {
        if !isa.is_available() {
            eprintln!("skipped: {isa}, which this machine has not");
        }
    }
    let ops = vec![
        conv(20, false),
        conv(17, true),
        conv(33, false),
        conv(16, true),
        Op::Dense { co: 19 },
        Op::Dense { co: 5 },
    ];
    for (i, w) in WIDTHS.into_iter().enumerate() {
        for (j, a) in WIDTHS.into_iter().enumerate() {
            let (power_of_two, per_channel) = ((i + j) % 2 == 0, (i + j) % 3 == 0);
            let input = Shape { c: 1 + (i + j) % 4, h: 5 + i, w: 12 - j };
            let seed = (10 * i + j) as u64;
            let recipe = Recipe { input, ops: ops.clone(), w, a, power_of_two, per_channel, seed };
            let wide = compare(&recipe, 1 + i % 3);
            assert!(w > 8 || a > 8 || wide == 0, "W{w}A{a} left the fast path");
        }
    }
}

#[test]
fn odd_sizes_equal_the_reference() {
    let recipe =
        |input, ops| Recipe { input, ops, w: 8, a: 8, power_of_two: false, per_channel: true, seed: 9 };
    for h in 2..8 {
        for w in 2..8 {
            let ops = vec![conv(3, false), conv(18, true), Op::Dense { co: 2 }];
            compare(&recipe(Shape { c: 2, h, w }, ops), 2);
        }
    }
    compare(&recipe(Shape { c: 7, h: 1, w: 1 }, vec![conv(3, false), Op::Dense { co: 2 }]), 3);
    compare(&recipe(Shape { c: 40, h: 1, w: 1 }, vec![conv(33, false)]), 1);
    compare(&recipe(Shape { c: 5, h: 3, w: 1 }, vec![Op::Dense { co: 40 }]), 29);
}

#[test]
fn extreme_codes_equal_the_reference() {
    let ops = vec![conv(16, false), conv(16, true), Op::Dense { co: 3 }];
    let input = Shape { c: 16, h: 6, w: 6 };
    for (w, a) in [(8, 8), (12, 12), (8, 13), (11, 8)] {
        let recipe =
            Recipe { input, ops: ops.clone(), w, a, power_of_two: true, per_channel: false, seed: 1 };
        let mut model = model(&recipe);
        for layer in &mut model.layers {
            let Levels { a, b } = layer.weight_levels;
            layer.weight.iter_mut().enumerate().for_each(|(i, w)| *w = if i % 9 < 5 { a } else { b } as i16);
            layer.bias.fill(0);
        }
        let codes = Array4::from_elem((1, 16, 6, 6), model.input.levels.a);
        let want = reference::trace(&model, codes.view()).unwrap();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            assert_eq!(Golden::with_isa(&model, isa).unwrap().trace(codes.view()).unwrap(), want, "{isa}");
        }
    }
}

#[test]
fn bad_images_are_refused() {
    let input = Shape { c: 1, h: 2, w: 2 };
    let ops = vec![Op::Dense { co: 2 }];
    let model = model(&Recipe { input, ops, w: 4, a: 4, power_of_two: true, per_channel: false, seed: 1 });
    let golden = Golden::new(&model).unwrap();
    let error = |codes: Array4<i32>| golden.logits(codes.view()).unwrap_err().to_string();
    assert!(error(Array4::zeros((1, 1, 2, 3))).contains("1×2×3"));
    assert!(error(Array4::from_elem((1, 1, 2, 2), 8)).contains("code 8 outside -8 … 7"));
}
