//! The drivers' input paths against the one of this program: bytes of pictures to bytes of memory; and the Python driver with a
//! stand-in for a board. `make driver` of a bundle runs the rest of the C driver (`tests/cosim.rs`).

use ndarray::Axis;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use vgg2rtl::arith::Levels;
use vgg2rtl::bundle::driver::Driven;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::float::DataSet;
use vgg2rtl::float::data::{Picture, fitted, preprocess};
use vgg2rtl::int::{IntModel, random};
use vgg2rtl::net::{Colour, Op, Shape};
use vgg2rtl::quantize::{byte_codes, input_codes};
use vgg2rtl::schedule::program::Kernel;
use vgg2rtl::schedule::schedule;

/// Pictures of all design points together.
const PICTURES: usize = 1000;
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testbenches/driver");
/// Packs each picture from standard input.
const PACK: &str = r#"
#include "network.h"
#include <stdio.h>

static union {
    uint32_t aligned;
    uint8_t bytes[1 << 20];
} area;
static uint8_t picture[1 << 16];

int main(void) {
    const struct vgg2rtl_layout *map = &VGG2RTL_NETWORK.input;
    size_t bytes = (size_t)map->channels * map->height * map->width;
    for (size_t i = 0; i < sizeof area.bytes; i++) area.bytes[i] = 0xa5; /* of the run before */
    while (fread(picture, 1, bytes, stdin) == bytes) {
        vgg2rtl_set_image(&VGG2RTL_NETWORK, area.bytes, 1, picture);
        fwrite(area.bytes + map->address + map->image_pitch, 1, map->image_pitch, stdout);
    }
    return 0;
}
"#;
/// Dequantizes each logit from standard input, which comes behind the step's mantissa and exponent.
const DEQUANTIZE: &str = r#"
#include "vgg2rtl.h"
#include <stdio.h>

int main(void) {
    int64_t in[3], out;
    struct vgg2rtl_network network = {0};
    while (fread(in, 8, 3, stdin) == 3) {
        network.step_mantissa = (uint32_t)in[0];
        network.step_exponent = (int16_t)in[1];
        out = vgg2rtl_dequantized(&network, &in[2], 0, 0);
        fwrite(&out, 8, 1, stdout);
    }
    return 0;
}
"#;

fn call(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether there is a C compiler.
fn cc() -> bool {
    let there = Command::new("cc").arg("--version").output().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "cc is missing");
    if !there {
        println!("skipped: cc is missing");
    }
    there
}

/// The driver and `header` as a program `main` in `folder`.
fn compile(folder: &Path, main: &str, header: &str) {
    std::fs::write(folder.join("network.h"), header).unwrap();
    std::fs::write(folder.join("main.c"), main).unwrap();
    let strict =
        ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffreestanding", "-O1", "-I", DRIVER];
    call(
        Command::new("cc")
            .args(strict)
            .args(["-c", "-o", "driver.o"])
            .arg(format!("{DRIVER}/vgg2rtl.c"))
            .current_dir(folder),
    );
    call(
        Command::new("cc")
            .args(&strict[..5])
            .args(["-I", DRIVER, "-o", "main", "main.c", "driver.o"])
            .current_dir(folder),
    );
}

/// What the program in `folder` makes of `bytes`.
fn run(folder: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut program =
        Command::new(folder.join("main")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = program.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

fn model(a: u32, colour: Colour, rng: &mut ChaCha8Rng) -> IntModel {
    let c = if colour == Colour::Grey { 1 } else { 3 };
    let mut model = random::model(&random::Recipe {
        input: Shape { c, h: rng.random_range(3..9), w: rng.random_range(3..11) },
        ops: vec![Op::Conv { co: 5, pool: false }, Op::Dense { co: 4 }],
        w: 4,
        a,
        power_of_two: false,
        per_channel: true,
        seed: rng.random(),
    });
    model.header.classes = ["a \"b\"", "ß??/", "c\\", "d"].map(String::from).into();
    let preprocessing = &mut model.header.preprocessing;
    preprocessing.colour = colour;
    preprocessing.mean = (0..c).map(|c| 0.3 + 0.1 * c as f32).collect();
    // So that bytes reach all codes, and some are clipped.
    let range = model.input.step.get() * (1 << a) as f32;
    preprocessing.std = (0..c).map(|c| (0.9 - 0.2 * c as f32) / range).collect();
    model.input.levels = if rng.random() { Levels::unsigned(a) } else { Levels::signed(a) };
    model
}

#[test]
fn packs_pictures_as_the_program_does() {
    if !cc() {
        return;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Bits of a code and of the build's activations; channels of a fold.
    let whole = (2..=8).flat_map(|a| [(a, a, 0), (a, a, 3)]);
    let points: Vec<_> = whole.chain([(8, 4, 0), (8, 4, 3), (8, 3, 0), (5, 2, 0)]).collect();
    for (i, &(a, act_bits, fold_channels)) in points.iter().enumerate() {
        let model = model(a, [Colour::Rgb, Colour::Bgr, Colour::Grey][i % 3], &mut rng);
        let config = ArrayConfig {
            rows: [9, 12, 16][i / 2 % 3],
            cols: [3, 8][i / 2 % 2],
            act_bits,
            act_digits: a.div_ceil(act_bits) as usize,
            acc_bits: 32,
            requantizers: 1,
            fold_channels,
            bus_bits: 64 << (i % 4),
            ..ArrayConfig::default()
        };
        let schedule = schedule(&model, &config, 2).unwrap();
        let codes = byte_codes(&model);
        let distinct: BTreeSet<i32> = codes.iter().copied().collect();
        assert!(distinct.len() > 1 << (a - 1), "A{a}: {distinct:?}");
        assert_eq!(schedule.layers[0].tiling.kernel == Kernel::Folded, fold_channels > 0);
        let planes = if fold_channels > 0 { 1 } else { config.act_digits };
        assert_eq!(schedule.input.planes, planes);
        let driven = Driven { model: &model, schedule: &schedule, byte_codes: codes.view() };
        let folder = tempfile::tempdir().unwrap();
        compile(folder.path(), PACK, &driven.header());
        let shape = model.header.input;
        let count = PICTURES.div_ceil(points.len());
        let mut bytes = vec![0; count * shape.len()];
        rng.fill_bytes(&mut bytes);
        let packed = run(folder.path(), &bytes);
        assert_eq!(packed.len(), count * schedule.input.image_pitch);
        for (pixels, packed) in bytes.chunks(shape.len()).zip(packed.chunks(schedule.input.image_pitch)) {
            let picture =
                Picture { height: shape.h, width: shape.w, channels: shape.c, bytes: pixels.into() };
            let x = preprocess(&picture, &model.header).unwrap().insert_axis(Axis(0));
            let codes = input_codes(&model, &x);
            assert_eq!(driven.picture_codes(pixels), codes, "A{a}");
            assert!(
                schedule.input.pack(codes.index_axis(Axis(0), 0)) == packed,
                "A{a}, fold {fold_channels}"
            );
        }
    }
}

/// Real pictures, resized to the network's input, as the data set gives them to the golden model.
#[test]
fn packs_real_pictures_as_the_program_does() {
    if !cc() {
        return;
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/models/fashion-test-256-images-idx3-ubyte.gz");
    let data = DataSet::open(file).unwrap();
    for fold_channels in [0, 1, 3] {
        let model = random::model(&random::Recipe {
            input: Shape { c: 1, h: 32, w: 32 },
            ops: vec![Op::Conv { co: 8, pool: true }, Op::Dense { co: 4 }],
            w: 8,
            a: 8,
            power_of_two: false,
            per_channel: false,
            seed: 3,
        });
        let config = ArrayConfig { fold_channels, ..ArrayConfig::preset("tiny").unwrap() };
        let schedule = schedule(&model, &config, 2).unwrap();
        let byte_codes = byte_codes(&model);
        let driven = Driven { model: &model, schedule: &schedule, byte_codes: byte_codes.view() };
        let folder = tempfile::tempdir().unwrap();
        compile(folder.path(), PACK, &driven.header());
        let picture = |i| fitted(&data.picture(i).unwrap(), &model.header).unwrap().bytes;
        let packed = run(folder.path(), &(0..data.len()).flat_map(picture).collect::<Vec<u8>>());
        let codes = input_codes(&model, &data.batch(0..data.len(), &model.header).unwrap());
        let wanted: Vec<u8> = codes.outer_iter().flat_map(|map| schedule.input.pack(map)).collect();
        assert!(packed == wanted, "fold {fold_channels}");
    }
}

/// logit · mantissa · 2^(exponent + 16) to the nearest, of two the even one, as far as 63 bits hold it.
#[test]
fn logits_are_dequantized_in_fixed_point() {
    if !cc() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), DEQUANTIZE, "");
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let random = (0..4000).map(|_| {
        let (mantissa, logit) = (rng.random::<u32>() >> rng.random_range(0..32), rng.random::<i64>());
        [i64::from(mantissa), rng.random_range(-100..40), logit >> rng.random_range(0..64)]
    });
    // Ties, and what 63 bits just hold.
    let by_hand = [[1, -17, 1], [1, -17, 3], [3, -17, -1], [3, -17, -3], [1, 46, 1], [1, 47, 1], [1, 46, -2]];
    let cases: Vec<[i64; 3]> = by_hand.into_iter().chain(random).collect();
    let input: Vec<u8> = cases.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
    let output = run(folder.path(), &input);
    let found: Vec<i64> = output.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(found[..7], [0, 2, -2, -4, 1 << 62, i64::MAX, -i64::MAX]);
    assert_eq!(found.len(), cases.len());
    for ([mantissa, exponent, logit], found) in cases.into_iter().zip(found) {
        let (product, shift) = (i128::from(logit) * i128::from(mantissa), exponent as i32 + 16);
        let limit = i128::from(i64::MAX);
        if shift >= 0 {
            let fits = product.abs() <= limit >> shift;
            assert_eq!(i128::from(found), if fits { product << shift } else { product.signum() * limit });
        } else if product.abs() >> -shift >= limit {
            assert_eq!(i128::from(found), product.signum() * limit);
        } else {
            let twice_off = 2 * ((i128::from(found) << -shift) - product).abs();
            let unit = 1 << -shift;
            assert!(
                twice_off < unit || (twice_off == unit && found % 2 == 0),
                "{logit} {mantissa} {shift}: {found}"
            );
        }
    }
}

fn python() -> Option<String> {
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let found = Command::new(&python).args(["-c", "import numpy"]).output();
    if found.is_ok_and(|o| o.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "{python} with numpy is missing");
    println!("skipped: {python} with numpy is missing");
    None
}

/// Bundles of whole codes and of planes, with and without a fold; [`tests/driver_python.py`] holds the driver to this program's
/// bytes and to what a board may do.
#[test]
fn the_python_driver_packs_and_runs_as_the_program_does() {
    let Some(python) = python() else { return };
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (a, colour, options) in [
        (8, Colour::Rgb, &["--preset", "tiny"][..]),
        (5, Colour::Bgr, &["--array", "12x8", "--acc-bits", "32"]),
        (8, Colour::Bgr, &["--array", "9x3", "--weight-bits", "4", "--act-bits", "4", "--acc-bits", "32"]),
        (8, Colour::Rgb, &["--array", "32x4", "--act-bits", "3", "--acc-bits", "32"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (file, bundle) = (folder.path().join("int.safetensors"), folder.path().join("bundle"));
        let model = model(a, colour, &mut rng);
        model.save(&file).unwrap();
        let images = rng.random_range(1..4);
        call(
            Command::new(env!("CARGO_BIN_EXE_vgg2rtl"))
                .args(["generate", file.to_str().unwrap(), "--images", &images.to_string(), "-o"])
                .arg(&bundle)
                .args(options),
        );
        let json = std::fs::read(bundle.join("design.json")).unwrap();
        let design: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let config: ArrayConfig = serde_json::from_value(design["configuration"].clone()).unwrap();
        let schedule = schedule(&model, &config, images).unwrap();
        let codes = byte_codes(&model);
        let driven = Driven { model: &model, schedule: &schedule, byte_codes: codes.view() };
        let pictures = std::fs::read(bundle.join("data/pictures.bin")).unwrap();
        let codes = driven.picture_codes(&pictures);
        let packed: Vec<u8> = codes.outer_iter().flat_map(|map| schedule.input.pack(map)).collect();
        let wanted = folder.path().join("packed.bin");
        std::fs::write(&wanted, packed).unwrap();
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
        call(Command::new(&python).arg(format!("{scripts}/driver_python.py")).arg(&bundle).arg(&wanted));
        call(Command::new(&python).arg(format!("{scripts}/selftest_python.py")).arg(&bundle));
    }
}
