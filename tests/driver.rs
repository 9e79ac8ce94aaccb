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
use vgg2rtl::float::data::{Picture, preprocess};
use vgg2rtl::int::{IntModel, random};
use vgg2rtl::net::{Colour, Op, Shape};
use vgg2rtl::quantize::{byte_codes, input_codes};
use vgg2rtl::schedule::program::Kernel;
use vgg2rtl::schedule::schedule;

/// Pictures of all design points together.
const PICTURES: usize = 1000;
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testbenches/driver");
/// Packs each picture from standard input.
const MAIN: &str = r#"
#include "network.h"
#include <stdio.h>

static uint8_t area[1 << 20], picture[1 << 16];

int main(void) {
    const struct vgg2rtl_layout *map = &VGG2RTL_NETWORK.input;
    size_t bytes = (size_t)map->channels * map->height * map->width;
    for (size_t i = 0; i < sizeof area; i++) area[i] = 0xa5; /* of the run before */
    while (fread(picture, 1, bytes, stdin) == bytes) {
        vgg2rtl_set_image(&VGG2RTL_NETWORK, area, 1, picture);
        fwrite(area + map->address + map->image_pitch, 1, map->image_pitch, stdout);
    }
    return 0;
}
"#;

fn call(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The driver and `header` as a program in `folder`.
fn compile(folder: &Path, header: &str) {
    std::fs::write(folder.join("network.h"), header).unwrap();
    std::fs::write(folder.join("main.c"), MAIN).unwrap();
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
            .args(["-I", DRIVER, "-o", "pack", "main.c", "driver.o"])
            .current_dir(folder),
    );
}

/// What the program in `folder` makes of `bytes`.
fn packed(folder: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut program =
        Command::new(folder.join("pack")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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
    if Command::new("cc").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "cc is missing");
        return println!("skipped: cc is missing");
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
        compile(folder.path(), &driven.header());
        let shape = model.header.input;
        let count = PICTURES.div_ceil(points.len());
        let mut bytes = vec![0; count * shape.len()];
        rng.fill_bytes(&mut bytes);
        let packed = packed(folder.path(), &bytes);
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
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/driver_python.py");
        call(Command::new(&python).arg(script).arg(&bundle).arg(&wanted));
    }
}
