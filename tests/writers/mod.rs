//! Every verb that writes, as command lines.
//! Each test file uses a part of it.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A command that writes a file.
pub struct Writer {
    /// Verb and options. `@` is the output, `DATA` a small data set's folder, `PICTURES` one of pictures.
    pub line: &'static str,
    /// The option that names the output, as typed.
    pub option: &'static str,
    /// The input that it is made from; the word stands in `line`.
    pub input: &'static str,
}

const fn writer(line: &'static str, option: &'static str, input: &'static str) -> Writer {
    Writer { line, option, input }
}

pub const FLOAT: &str = "models/vgg16-small-fashion.safetensors";
pub const IMAGES: &str = "models/fashion-test-256-images-idx3-ubyte.gz";
pub const INT: &str = "tests/fixtures/golden/w8a8-scale.model.safetensors";
const STATE_DICT: &str = "tests/data/import/vgg16.safetensors";

/// Verbs that write one file.
pub const FILES: &[Writer] = &[
    writer("import STATE_DICT --input 3x32x32 -o @", "-o", "STATE_DICT"),
    writer("quantize FLOAT --calib IMAGES --images 4 -o @", "-o", "FLOAT"),
    writer("export INT --onnx @", "--onnx", "INT"),
    writer("eval INT --data PICTURES --engine golden --images 3 --trace @", "--trace", "INT"),
    writer("eval INT --data PICTURES --images 3 --predictions @", "--predictions", "INT"),
    writer("bench golden INT --runs 1 --save @", "--save", "INT"),
    writer("explore vgg16 --weights 4,8 --csv @", "--csv", ""),
    writer("explore FLOAT --weights 4,8 --report @", "--report", "FLOAT"),
    writer("train --model vgg11 --width 1/16 --data DATA --epochs 1 --batch 20 -o @", "-o", ""),
];

/// Verbs that write a folder.
pub const FOLDERS: &[Writer] = &[
    writer("generate INT --preset tiny -o @", "-o", "INT"),
    writer("explore vgg16 --weights 4,8 --plots @", "--plots", ""),
    writer("cosim INT --preset tiny --simulator in-process --cache @", "--cache", "INT"),
];

/// The path of the file that the word `input` means.
pub fn input(input: &str) -> PathBuf {
    let file = match input {
        "FLOAT" => FLOAT,
        "INT" => INT,
        "IMAGES" => IMAGES,
        "STATE_DICT" => STATE_DICT,
        other => panic!("no input {other}"),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The folder of pictures without labels beside the data set.
pub fn pictures(data: &Path) -> PathBuf {
    data.with_file_name("pictures")
}

/// A folder with a small data set, in CIFAR-10's binary format: the class is the brightness, with a grain.
pub fn data(folder: &Path) -> PathBuf {
    let images = |count: usize| -> Vec<u8> {
        let image = |i: usize| {
            let class = (i % 10) as u8;
            let pixels = (0..3072).map(move |k| class * 20 + ((i * 31 + k * 17) % 23) as u8);
            std::iter::once(class).chain(pixels)
        };
        (0..count).flat_map(image).collect()
    };
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("data_batch_1.bin"), images(60)).unwrap();
    std::fs::write(data.join("test_batch.bin"), images(20)).unwrap();
    let pictures = pictures(&data);
    std::fs::create_dir(&pictures).unwrap();
    for i in 0..3u8 {
        let picture = image::RgbImage::from_fn(6, 6, |x, y| image::Rgb([i * 80, x as u8 * 40, y as u8 * 40]));
        picture.save(pictures.join(format!("{i}.png"))).unwrap();
    }
    data
}

/// This program with the words of `line`, in which `@` is `output` and `DATA` is `data`; its home is beside that.
pub fn command(line: &str, data: &Path, output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    for word in line.split(' ') {
        match word {
            "@" => command.arg(output),
            "DATA" => command.arg(data),
            "PICTURES" => command.arg(pictures(data)),
            "FLOAT" | "INT" | "IMAGES" | "STATE_DICT" => command.arg(input(word)),
            word => command.arg(word),
        };
    }
    command.env("HOME", data.with_file_name("home")).env_remove("XDG_CACHE_HOME");
    command
}

/// Standard error of `output`, which must end with `code`.
pub fn said(output: &Output, code: i32, what: &str) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{what}: {error}");
    assert!(!error.contains("panicked"), "{what}: {error}");
    error
}

/// Temporary files and folders anywhere in `folder`.
pub fn strays(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.file_name().unwrap().to_string_lossy().starts_with(".vgg2rtl-") {
            found.push(path);
        } else if path.is_dir() && !path.is_symlink() {
            found.extend(strays(&path));
        }
    }
    found
}
