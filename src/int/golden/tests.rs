//! Every path against the definition, on random networks.

use super::minimal::{Four, LONGEST, Minimal};
use super::winograd::{Tile, Winograd};
use super::*;
use crate::arith::Levels;
use crate::int::random::{Recipe, images, model};

const WIDTHS: [u32; 7] = [2, 3, 4, 5, 8, 12, 16];

fn conv(co: usize, pool: bool) -> Op {
    Op::Conv { co, pool }
}

/// Every instruction set with every size of tiles, `None` for the one that the layer would get.
fn variants() -> impl Iterator<Item = (Isa, Option<Tile>)> {
    let available = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    available.flat_map(|isa| [None, Some(Tile::Two), Some(Tile::Four)].map(|tile| (isa, tile)))
}

/// `model` packed with tiles of a given size wherever they are proven to suffice; and how many layers have them.
fn packed(model: &IntModel, isa: Isa, tile: Option<Tile>) -> (Golden<'_>, usize) {
    let mut golden = Golden::with_isa(model, isa).unwrap();
    let mut forced = 0;
    for (i, (layer, x)) in model.layers.iter().zip(model.input_quantizers()).enumerate() {
        let plan = |tile| Winograd::with_tile(layer, golden.shapes[i], x.levels, tile);
        if let Some(plan) = tile.and_then(plan) {
            golden.plans[i] = Plan::Winograd(plan);
            forced += 1;
        }
    }
    (golden, forced)
}

/// Compares every variant with the definition; returns the number of wide layers and of those with 4×4 tiles.
fn compare_all(model: &IntModel, codes: &Array4<i32>, what: &str) -> (usize, usize) {
    let want = reference::trace(model, codes.view()).unwrap();
    let (mut wide, mut four) = (0, 0);
    for (isa, tile) in variants() {
        let (golden, forced) = packed(model, isa, tile);
        wide = golden.wide_layers().len();
        four = if tile == Some(Tile::Four) { forced } else { four };
        let got = golden.trace(codes.view()).unwrap();
        for (layer, (got, want)) in got.activations.iter().zip(&want.activations).enumerate() {
            assert_eq!(got, want, "{isa}, {tile:?}, layer {layer} of {what}");
        }
        assert_eq!(got, want, "{isa}, {tile:?}, logits of {what}");
        assert_eq!(golden.logits(codes.view()).unwrap(), want.logits, "{isa}, {tile:?}");
    }
    (wide, four)
}

fn compare(recipe: &Recipe, count: usize) -> (usize, usize) {
    let model = model(recipe);
    compare_all(&model, &images(&model, count, recipe.seed + 1), &format!("{recipe:?}"))
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
            let (wide, four) = compare(&recipe, 1 + i % 3);
            assert!(w > 8 || a > 8 || (wide, four) == (0, 4), "W{w}A{a} left the fast path");
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
    // Larger than a group of tiles.
    compare(
        &recipe(Shape { c: 2, h: 37, w: 61 }, vec![conv(35, false), conv(3, true), Op::Dense { co: 2 }]),
        1,
    );
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
        compare_all(&model, &codes, &format!("W{w}A{a}"));
    }
}

/// Levels that are not those of a width, at most 8 bits: input, activations, weights.
#[test]
fn custom_levels_equal_the_reference() {
    let levels = |a, b| Levels { a, b };
    let ops = vec![conv(21, false), conv(34, true), conv(5, true), Op::Dense { co: 37 }, Op::Dense { co: 3 }];
    let customs = [
        (levels(-128, 127), 255, levels(-128, 127)),
        (levels(-127, 127), 255, levels(-127, 127)),
        (levels(0, 255), 254, levels(-128, 0)),
        (levels(-3, 100), 200, levels(-1, 127)),
        (levels(-100, 0), 1, levels(0, 127)),
        (levels(-255, 79), 17, levels(-5, 9)),
        (levels(-1, 0), 6, levels(-1, 1)),
    ];
    for (i, (input, b, weights)) in customs.into_iter().enumerate() {
        for (j, bits) in [2, 3, 4, 5, 8].into_iter().enumerate() {
            let shape = Shape { c: 1 + (i + 2 * j) % 5, h: 13 - i, w: 7 + 2 * j };
            let (power_of_two, per_channel) = (i % 2 == 0, j % 2 == 0);
            let seed = (100 + 10 * i + j) as u64;
            let recipe =
                Recipe { input: shape, ops: ops.clone(), w: bits, a: bits, power_of_two, per_channel, seed };
            let mut model = model(&recipe);
            model.input.levels = input;
            for layer in &mut model.layers {
                layer.weight_levels = weights;
                let clip = |w: &mut i16| *w = weights.clip((*w).into()) as i16;
                layer.weight.iter_mut().for_each(clip);
                if let Output::Requantized { quantizer, .. } = &mut layer.output {
                    quantizer.levels = levels(0, b);
                }
            }
            let codes = images(&model, 2, seed);
            let found = compare_all(&model, &codes, &format!("{input:?}, {b}, {weights:?}, {recipe:?}"));
            assert_eq!(found, (0, 3));
        }
    }
}

/// Codes for which a transformed window is as large as its bound, at every point and with either sign.
#[test]
fn extreme_windows_equal_the_reference() {
    let rows: Vec<[i16; LONGEST]> = {
        let columns: Vec<_> =
            (0..6).map(|k| Four::window(std::array::from_fn(|i| i16::from(i == k)))).collect();
        (0..6).map(|row| std::array::from_fn(|k| columns[k][row])).collect()
    };
    for levels in [Levels { a: 0, b: 255 }, Levels { a: -128, b: 127 }, Levels { a: 0, b: 334 }] {
        let input = Shape { c: 3, h: 10, w: 10 };
        let ops = vec![conv(33, false), conv(2, false), Op::Dense { co: 2 }];
        let recipe = Recipe { input, ops, w: 8, a: 8, power_of_two: false, per_channel: true, seed: 4 };
        let mut model = model(&recipe);
        model.input.levels = levels;
        // The window of the tile in the second row and column: image and sign, channel, row, column.
        let codes = Array4::from_shape_fn((72, 3, 10, 10), |(n, c, i, j)| {
            let (point, sign) = (n / 2, if (n + c) % 2 == 0 { 1 } else { -1 });
            let (Some(i), Some(j)) = (i.checked_sub(3), j.checked_sub(3)) else { return 0 };
            let gain = |row: usize, k: usize| rows[row].get(k).map_or(0, |&v| i32::from(v));
            if sign * gain(point / 6, i) * gain(point % 6, j) > 0 { levels.b } else { levels.a }
        });
        assert_eq!(compare_all(&model, &codes, &format!("{levels:?}")), (0, 2));
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
