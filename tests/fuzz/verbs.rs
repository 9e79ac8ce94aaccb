//! The program itself on damaged files: it ends, by one of its exit codes, without a panic and with nothing left behind.

use super::mutate::mutated;
use super::readers;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use vgg2rtl::cosim::tools;

/// Runs where `VGG2RTL_RUNS` sets no other number.
const RUNS: u64 = 2_000;
/// What ends a run that hangs.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

/// A verb: its command line, in which files are named, and which of them are damaged.
const VERBS: [(&str, &[&str]); 27] = [
    ("inspect int.st", &["int.st"]),
    ("inspect float.st", &["float.st"]),
    ("import vgg.pth -o out.st --input 3x32x32", &["vgg.pth"]),
    ("import vgg.onnx -o out.st", &["vgg.onnx"]),
    ("import quantized.onnx -o out.st", &["quantized.onnx"]),
    ("import vgg.h5 -o out.st", &["vgg.h5"]),
    ("import exported.pth -o out.st", &["exported.pth"]),
    ("import vgg.st -o out.st --input 3x32x32", &["vgg.st"]),
    (
        "quantize float.st --weights 4 --acts 4 --calib data -o out.st",
        &["float.st", "data/t10k-images-idx3-ubyte"],
    ),
    (
        "eval float.st --data data --engine float",
        &["float.st", "data/t10k-images-idx3-ubyte", "data/t10k-labels-idx1-ubyte"],
    ),
    ("classify int.st pictures", &["int.st", "pictures/b.jpg"]),
    ("eval int.st --data data --engine golden", &["int.st", "data/t10k-images-idx3-ubyte"]),
    ("eval float.st --data pictures --engine float", &["pictures/a.png", "pictures/b.jpg"]),
    ("eval float.st --data cifar.bin --engine float", &["cifar.bin"]),
    ("export int.st --onnx out.onnx", &["int.st"]),
    ("export int.st --torch out.pth --qonnx out.onnx", &["int.st"]),
    ("generate int.st --config config.json -o out", &["int.st", "config.json"]),
    (
        "cosim int.st --preset tiny --simulator in-process --chain --cache cache",
        &["int.st", "cache/result-*"],
    ),
    (
        "explore float.st --data data --weights 4 --acts 4 --array 4x4 --cache cache --csv out.csv",
        &["float.st", "cache/accuracy-*"],
    ),
    ("explore float.st --weights 2,4 --acts 4 --array 4x4 --cache cache", &["float.st"]),
    (
        "train float.st --data data --epochs 1 --batch 8 --resume -o run.st",
        &["run-float.checkpoint", "float.st"],
    ),
    (
        "train float.st --qat lsq --weights 4 --acts 4 --data data --epochs 1 --batch 8 -o out.st",
        &["float.st"],
    ),
    ("bench golden int.st --runs 1", &["int.st"]),
    ("bench accelerator int.st --preset tiny", &["int.st"]),
    ("bench accelerator int.st --config config.json", &["config.json"]),
    ("doctor", &[]),
    ("eval int.st --data data --engine fake", &["int.st", "data/t10k-labels-idx1-ubyte"]),
];

fn program(folder: &Path, arguments: &str) -> std::process::Output {
    // The folder is all that a run knows: what it leaves behind is found.
    let home =
        ["HOME", "TMPDIR", "XDG_CACHE_HOME"].map(|name| format!("{name}={}", folder.join("home").display()));
    let words =
        home.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_vgg2rtl")]).chain(arguments.split(' '));
    tools::call_within("env", &words.collect::<Vec<_>>(), Some(folder), LIMIT)
        .unwrap_or_else(|e| panic!("vgg2rtl {arguments}: {e}"))
}

/// All files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Good files for all verbs, a cache and a checkpoint among them.
fn inputs() -> BTreeMap<PathBuf, Vec<u8>> {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let put = |name: &str, bytes: Vec<u8>| {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    fs::create_dir_all(folder.join("home")).unwrap();
    readers::data(folder);
    let seed = |name: &str| {
        let scratch = tempfile::tempdir().unwrap();
        let reader = readers::READERS.iter().find(|r| r.name == name).unwrap();
        (reader.seeds)(scratch.path()).remove(0)
    };
    for (name, reader) in [
        ("int.st", "int_model"),
        ("float.st", "float_model"),
        ("vgg.pth", "pth"),
        ("vgg.onnx", "onnx"),
        ("quantized.onnx", "quantized_onnx"),
        ("vgg.h5", "keras"),
        ("exported.pth", "exported_pth"),
        ("vgg.st", "safetensors"),
        ("pictures/a.png", "png"),
        ("pictures/b.jpg", "jpeg"),
        ("cifar.bin", "cifar"),
        ("config.json", "config"),
    ] {
        put(name, seed(reader));
    }
    for (verb, _) in VERBS.iter().filter(|(verb, _)| verb.contains("--cache") || verb.contains("run.st")) {
        let output = program(folder, verb);
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut files = files(folder);
    files.retain(|name, _| !name.to_string_lossy().contains("out.") && name != Path::new("run.st"));
    assert!(files.contains_key(Path::new("run-float.checkpoint")), "{:?}", files.keys());
    files
}

/// Run `number`; what is wrong with it.
fn run(inputs: &BTreeMap<PathBuf, Vec<u8>>, number: u64) -> Result<i32, String> {
    let (verb, damaged) = VERBS[(number % VERBS.len() as u64) as usize];
    let round = number / VERBS.len() as u64;
    let damaged = damaged.get(round as usize % damaged.len().max(1)).copied().unwrap_or("none");
    let matches = |name: &Path| match damaged.strip_suffix('*') {
        Some(prefix) => name.to_string_lossy().starts_with(prefix),
        None => name == Path::new(damaged),
    };
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for (name, bytes) in inputs {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, if matches(name) { mutated(bytes, number) } else { bytes.clone() }).unwrap();
    }
    fs::create_dir_all(folder.join("home")).unwrap();
    let output = program(folder, verb);
    let (code, text) = (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr));
    if ![0, 3, 4, 5].contains(&code) || text.contains("panicked") {
        return Err(format!("exit code {code}: {text}"));
    }
    let left: Vec<PathBuf> = files(folder)
        .into_keys()
        .filter(|name| {
            let text = name.to_string_lossy();
            let hidden = name.iter().any(|part| part.to_string_lossy().starts_with('.')); // of work under way
            // A sweep in which every point fails says so in its rows.
            let reports = code == 0 || verb.starts_with("explore");
            let output = reports && (text.starts_with("out") || text.starts_with("run"));
            let kept = text.starts_with("cache/");
            hidden || !(inputs.contains_key(name) || output || kept)
        })
        .collect();
    if left.is_empty() { Ok(code) } else { Err(format!("exit code {code}, leaves {left:?}")) }
}

#[test]
fn damaged_files_end_every_verb_well() {
    let runs = std::env::var("VGG2RTL_RUNS").map_or(RUNS, |n| n.parse().expect("VGG2RTL_RUNS is a number"));
    let inputs = inputs();
    let (next, codes, failures) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()), Mutex::new(vec![]));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            match run(&inputs, number) {
                Ok(code) => *codes.lock().unwrap().entry(code).or_insert(0) += 1,
                Err(reason) => {
                    let (verb, _) = VERBS[(number % VERBS.len() as u64) as usize];
                    failures.lock().unwrap().push(format!("run {number}, vgg2rtl {verb}: {reason}"));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| _ = scope.spawn(worker)));
    let failures = failures.into_inner().unwrap();
    println!("{runs} runs by exit code: {:?}, {} failures", codes.into_inner().unwrap(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
