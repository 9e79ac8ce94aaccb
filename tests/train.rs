//! `vgg2rtl train` from outside: float, a new head, one width after the other, and what it refuses.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Images of CIFAR-10's binary format whose class is their brightness, with a grain.
fn data(images: usize) -> Vec<u8> {
    let mut bytes = vec![];
    for i in 0..images {
        let class = (i % 10) as u8;
        bytes.push(class);
        bytes.extend((0..3072).map(|k| class * 20 + ((i * 31 + k * 17) % 23) as u8));
    }
    bytes
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data_batch_1.bin"), data(60)).unwrap();
    std::fs::write(folder.path().join("test_batch.bin"), data(20)).unwrap();
    folder
}

/// The verb and options of `line`, in which `$` is `folder`.
fn vgg2rtl(folder: &Path, line: &str) -> Output {
    let line = line.replace('$', folder.to_str().unwrap());
    Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(line.split_whitespace()).output().unwrap()
}

fn json(folder: &TempDir, line: &str) -> Value {
    let output = vgg2rtl(folder.path(), &format!("{line} --json"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(folder: &TempDir, line: &str) -> String {
    let output = vgg2rtl(folder.path(), line);
    assert!(!output.status.success(), "{line} should fail");
    String::from_utf8(output.stderr).unwrap()
}

const FLOAT: &str = "train --model vgg11 --width 1/16 --data $ --epochs 2 --batch 20 -o $/float.safetensors";

#[test]
fn float_then_one_width_after_the_other() {
    let folder = folder();
    json(&folder, FLOAT);
    let widths =
        "train $/float.safetensors --qat lsq --weights 8,4 --acts 8 --epochs 1,2 --batch 20 --data $";
    let report = json(&folder, &format!("{widths} -o $/int.safetensors"));
    let stages: Vec<_> =
        report["stages"].as_array().unwrap().iter().map(|s| (&s["stage"], &s["epochs"])).collect();
    assert_eq!(stages, [(&"W8A8".into(), &1.into()), (&"W4A8".into(), &2.into())]);
    for name in ["int-w8a8.safetensors", "int.safetensors", "int.csv", "int.svg"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
    let eval = |engine: &str| json(&folder, &format!("eval $/int.safetensors --data $ --engine {engine}"));
    let (fake, golden) = (eval("fake"), eval("golden"));
    assert_eq!(fake["confusion"].as_array().map(Vec::len), Some(10));
    assert_eq!(fake["confusion"], golden["confusion"]);
    let error = refusal(&folder, &widths.replace("1,2", "1,2,3").replace("--data", "-o $/x --data"));
    assert!(error.contains("--epochs") && error.contains("3 numbers for 2"), "{error}");
}

/// An integer model goes on from the weights beside it; without them, or with those of another one, it says so.
#[test]
fn training_goes_on_from_an_integer_model() {
    let folder = folder();
    json(&folder, FLOAT);
    let qat = "--qat lsq --acts 8 --epochs 1 --batch 20 --data $";
    std::fs::write(folder.path().join("bits"), "# narrow in the middle\nconv2_1=3\nconv3_1=-7..7:6\n")
        .unwrap();
    let first = format!("train $/float.safetensors {qat} --weights 8 --assign $/bits -o $/int.safetensors");
    json(&folder, &first);
    let table = json(&folder, "inspect $/int.safetensors");
    let of = |i: usize, key: &str| table["layers"][i][key].clone();
    assert_eq!(
        (of(1, "weight_bits"), of(2, "weight_bits"), of(2, "act_bits")),
        (3.into(), 4.into(), 6.into())
    );
    let on = format!("train $/int.safetensors {qat} --weights 4 -o $/next.safetensors");
    json(&folder, &on);
    assert!(folder.path().join("next-tuned.safetensors").is_file());
    std::fs::copy(folder.path().join("float.safetensors"), folder.path().join("int-tuned.safetensors"))
        .unwrap();
    let error = refusal(&folder, &on);
    assert!(error.contains("int-tuned.safetensors") && error.contains("not those of the codes"), "{error}");
    std::fs::remove_file(folder.path().join("int-tuned.safetensors")).unwrap();
    let error = refusal(&folder, &on);
    assert!(error.contains("int.safetensors") && error.contains("missing"), "{error}");
    for (options, says) in
        [("--layer conv9=4", "--layer: no layer"), ("--assign conv9=4", "--assign: no layer")]
    {
        let error = refusal(&folder, &format!("train $/float.safetensors {qat} {options} -o $/x"));
        assert!(error.contains(says), "{error}");
    }
    let error = refusal(&folder, "train --data $ --assign conv1_1=4 -o $/x");
    assert!(error.contains("--assign: has a meaning only with --qat"), "{error}");
}

#[test]
fn a_trained_trunk_gets_a_new_head() {
    let folder = folder();
    json(&folder, FLOAT);
    let report = json(
        &folder,
        "train $/float.safetensors --new-head --hidden 12,8 --data $ --epochs 1 --batch 20 -o $/head.safetensors",
    );
    assert_eq!(report["stages"][0]["stage"], "float");
    let layers = json(&folder, "inspect $/head.safetensors");
    let names: Vec<_> =
        layers["layers"].as_array().unwrap().iter().map(|l| l["layer"].as_str().unwrap()).collect();
    assert_eq!(names[8..], ["fc6", "fc7", "fc8"]);
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/models/vgg16-small-fashion.safetensors");
    let error = refusal(&folder, &format!("train {small} --new-head --data $ -o $/x"));
    assert!(error.contains("--new-head") && error.contains("3 channels"), "{error}");
    assert!(refusal(&folder, "train --new-head --data $ -o $/x").contains("<FLOAT>"));
}

/// Grey pictures of 32×32 whose class is where they are bright, and how much: `count` of each of three classes.
fn pictures(count: usize, seed: usize) -> Vec<(usize, Vec<u8>)> {
    let pixel = |class: usize, i: usize, p: usize| {
        let bright = (p % 32) / 11 == class;
        (40 * class + (i * 31 + seed + p * 17 + p / 32 * i) % 60 + if bright { 60 } else { 0 }) as u8
    };
    let picture = |k: usize| (k / count, (0..32 * 32).map(|p| pixel(k / count, k % count, p)).collect());
    (0..3 * count).map(picture).collect()
}

/// The pictures as class folders `train` and `test`, and mixed as IDX files: their paths.
fn both_forms(folder: &Path) -> [std::path::PathBuf; 2] {
    let (folders, mixed) = (folder.join("folders"), folder.join("mixed"));
    std::fs::create_dir_all(&mixed).unwrap();
    for (part, idx, count, seed) in [("train", "train", 80, 0), ("test", "t10k", 40, 7)] {
        let all = pictures(count, seed);
        let size = (all.len() as u32).to_be_bytes();
        let mut pixels = [&[0, 0, 8, 3][..], &size, &[0, 0, 0, 32, 0, 0, 0, 32]].concat();
        let mut labels = [&[0, 0, 8, 1][..], &size].concat();
        for k in 0..all.len() {
            let (class, picture) = &all[k * 77 % all.len()];
            pixels.extend(picture);
            labels.push(*class as u8);
        }
        std::fs::write(mixed.join(format!("{idx}-images-idx3-ubyte")), pixels).unwrap();
        std::fs::write(mixed.join(format!("{idx}-labels-idx1-ubyte")), labels).unwrap();
        for (k, (class, picture)) in all.iter().enumerate() {
            let to = folders.join(part).join(["ant", "bee", "cow"][*class]);
            std::fs::create_dir_all(&to).unwrap();
            let file = to.join(format!("{k:03}.png"));
            image::save_buffer(file, picture, 32, 32, image::ExtendedColorType::L8).unwrap();
        }
    }
    [folders, mixed]
}

/// The same pictures, class after class in folders and mixed in one file, teach the same: all of them, half of them, and with
/// quantizers whose first steps come from some of them.
#[test]
fn the_order_on_disk_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let forms = both_forms(folder.path());
    let accuracy = |report: &Value| report["stages"][0]["test_accuracy"].as_f64().unwrap();
    for data in &forms {
        let data = data.display();
        let base = format!("train --data {data} --batch 8 --pad 0 --no-flip");
        let net = "--model vgg11 --width 1/16 --epochs 3";
        let whole = json(&folder, &format!("{base} {net} -o $/float.safetensors"));
        let half = json(&folder, &format!("{base} {net} --limit 120 -o $/half.safetensors"));
        let qat = "$/float.safetensors --qat lsq --weights 4 --acts 4 --epochs 1";
        let fine = json(&folder, &format!("{base} {qat} -o $/int.safetensors"));
        let found = [accuracy(&whole), accuracy(&half), accuracy(&fine)];
        assert!(found.iter().all(|&right| right > 0.9), "{data}: {found:?}");
    }
}

/// Pictures without parts are split, the same way whatever the seed: what measured once never trains.
#[test]
fn a_data_set_without_parts_is_split_and_classes_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let [folders, _] = both_forms(folder.path());
    let data = folders.join("train");
    let base = format!("train --data {} --batch 8 --epochs 1 --model vgg11 --width 1/16", data.display());
    let run = |more: &str| {
        let output = vgg2rtl(folder.path(), &format!("{base} {more} -o $/f.safetensors --json"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), said)
    };
    let (report, said) = run("");
    assert!(said.contains("216 pictures train, 24 others, chosen by a hash"), "{said}");
    assert!(said.contains("there is no test part"), "{said}");
    let stage = &report["stages"][0];
    assert!(stage["test_accuracy"].is_null() && stage["validation_accuracy"].is_f64(), "{report}");
    let (report, said) = run("--validation 0.25 --seed 2 --limit 60");
    assert!(said.contains("60 pictures train, 60 others"), "{said}");
    assert!(report["stages"][0]["validation_accuracy"].is_f64(), "{report}");
    assert!(refusal(&folder, &format!("{base} --validation 0 -o $/x")).contains("nothing would measure"));
    assert!(
        refusal(&folder, &format!("{base} --validation 1 -o $/x")).contains("no share from 0 to below 1")
    );

    // The network keeps the names: a folder that has the classes in other places, or lacks one, is labelled by them.
    std::fs::remove_dir_all(folders.join("test/ant")).unwrap();
    std::fs::create_dir(folders.join("test/aardvark")).unwrap();
    let eval = "eval $/f.safetensors --data $/folders/test";
    assert!(refusal(&folder, eval).contains("knows no class \"aardvark\", only ant, bee, cow"));
    std::fs::remove_dir(folders.join("test/aardvark")).unwrap();
    let output = vgg2rtl(folder.path(), &format!("{eval} --json"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("80 images, and none of class ant"), "{said}");
    let confusion = &serde_json::from_slice::<Value>(&output.stdout).unwrap()["confusion"];
    let of_class =
        |c: usize| confusion[c].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
    assert_eq!([of_class(0), of_class(1), of_class(2)], [0, 40, 40]);
    // And a class without a picture cannot be learned.
    std::fs::create_dir(data.join("dog")).unwrap();
    assert!(refusal(&folder, &format!("{base} -o $/x")).contains("none of class dog"));
}
