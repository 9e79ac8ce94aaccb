//! Values of options that make no sense: refused before the work, with the option as typed.

mod writers;

use tempfile::TempDir;
use writers::{command, data, said};

/// `LINE OPTION=VALUE` must be refused with exit code 2, naming the option.
const REFUSED: &[(&str, &str, &[&str])] = &[
    ("bench golden INT", "--images", &["0", "-1", "1e12", "1000000000000", "18446744073709551615"]),
    ("bench golden INT", "--runs", &["0", "-1", "nan"]),
    ("bench golden INT", "--threads", &["-1", "100000", "18446744073709551615"]),
    ("bench accelerator INT", "--batch", &["0", "5000", "18446744073709551615"]),
    ("bench accelerator INT", "--latency", &["-1", "1000000000000", "18446744073709551615"]),
    ("bench accelerator INT", "--stall-percent", &["91", "-1", "18446744073709551615"]),
    ("cosim INT", "--images", &["0", "18446744073709551615", "1000000000000"]),
    ("cosim INT", "--batch", &["0", "4097", "18446744073709551615"]),
    ("cosim INT", "--latency", &["1000000000000", "18446744073709551615"]),
    ("cosim INT", "--stall-percent", &["91"]),
    ("cosim INT", "--jobs", &["0", "65536"]),
    ("cosim INT", "--array", &["0x0", "8", "8x", "65x8", "18446744073709551615x18446744073709551615"]),
    ("cosim INT", "--bus", &["0", "65", "18446744073709551615"]),
    ("cosim INT", "--weight-bits", &["0", "17", "4294967295"]),
    ("cosim INT", "--act-bits", &["0", "17", "4294967295"]),
    ("cosim INT", "--acc-bits", &["0", "49", "4294967295"]),
    ("cosim INT", "--act-depth", &["0", "18446744073709551615"]),
    ("cosim INT", "--weight-depth", &["0", "18446744073709551615"]),
    ("cosim INT", "--acc-depth", &["0", "18446744073709551615"]),
    ("cosim INT", "--requantizers", &["0", "18446744073709551615"]),
    ("cosim INT", "--pack", &["", "0", "4", "5", "two", "18446744073709551615"]), // 4: more than a DSP holds
    ("cosim INT --pack auto", "--family", &["", "none"]),
    ("cosim INT", "--fold", &["5", "18446744073709551615"]),
    ("cosim INT", "--fold-width", &["0", "18446744073709551615"]),
    ("cosim INT", "--layer", &["", "none"]),
    ("demo --model FLOAT --data IMAGES -o @", "--images", &["0", "193", "18446744073709551615"]),
    ("demo --model FLOAT --data IMAGES -o @", "--preset", &["", "none"]),
    ("eval INT --data PICTURES --engine golden", "--images", &["0", "-1"]),
    ("classify INT PICTURES", "--top", &["0", "x"]),
    ("eval INT --data PICTURES --engine golden", "--array", &["3x3"]),
    ("eval INT --data PICTURES --engine fake", "--batch", &["2"]),
    ("eval FLOAT --data PICTURES --engine float", "--latency", &["3"]),
    ("eval INT --data PICTURES --engine golden", "--acts", &["float"]),
    ("eval INT --data PICTURES --engine fake", "--acts", &["", "8"]),
    ("eval FLOAT --data PICTURES --engine float", "--acts", &["float"]),
    ("quantize FLOAT --calib IMAGES -o @ --acts float", "--layer", &["conv1_1=4:4"]),
    ("explore vgg16", "--acts", &["", "1", "17", "2..", "2..18446744073709551615"]),
    ("explore vgg16", "--weights", &["", "0", "1..3", "8..2", "18446744073709551615"]),
    ("explore vgg16", "--ends", &["17", "4294967295", "-1"]),
    ("explore vgg16", "--array", &["", "8", "2x8", "8x65", "18446744073709551615x8"]),
    ("explore vgg16", "--bus", &["", "0", "65"]),
    ("explore vgg16", "--pack", &["", "0", "5", "auto,none"]),
    ("explore vgg16", "--acc-bits", &["0", "49", "4294967295"]),
    ("explore vgg16", "--act-depth", &["0", "18446744073709551615"]),
    ("explore vgg16", "--requantizers", &["0", "18446744073709551615"]),
    ("explore vgg16", "--fold-width", &["0", "18446744073709551615"]),
    ("explore vgg16", "--clock", &["0", "-1", "nan", "inf", "1e30"]),
    ("explore vgg16", "--bandwidth", &["0", "-1", "nan", "inf", "1e30"]),
    ("explore vgg16", "--batch", &["0", "4097", "18446744073709551615"]),
    ("explore vgg16", "--latency", &["1000000000000", "18446744073709551615"]),
    ("explore vgg16", "--stall-percent", &["91", "18446744073709551615"]),
    ("explore vgg16", "--jobs", &["0", "65536"]),
    ("explore vgg16", "--array-jobs", &["0", "65536"]),
    ("explore vgg16", "--budget", &["", "lut", "lut=nan", "lut=1,lut=2", "lut=18446744073709551616"]),
    ("explore vgg16", "--pareto", &["", "lut,none", "lut,lut"]),
    ("explore vgg16", "--family", &["", "none"]),
    ("explore vgg16", "--assign", &["", "conv1_1", "conv1_1=1", "conv1_1=4,conv1_1=5"]),
    ("explore FLOAT --data IMAGES", "--images", &["0", "-1"]),
    ("explore FLOAT --data IMAGES", "--floor", &["nan", "inf", "-1", "101", "1e30"]),
    ("explore FLOAT --data IMAGES --mixed", "--mixed-most", &["0", "17", "4294967295"]),
    ("explore FLOAT --data IMAGES --qat 1 --train IMAGES", "--train-images", &["0", "-1"]),
    ("explore FLOAT --data IMAGES --train IMAGES", "--qat", &["0", "65536"]),
    ("generate INT -o @", "--images", &["0", "4097", "1e9", "1000000000", "18446744073709551615"]),
    ("generate INT -o @", "--array", &["0x0", "65x65"]),
    ("import STATE_DICT -o @", "--input", &["0x0x0", "3x32", "3x32x18446744073709551615"]),
    (
        "import STATE_DICT --input 3x32x32 -o @",
        "--fit",
        &["crop:0", "crop:18446744073709551615", "crop:", ""],
    ),
    ("import STATE_DICT --input 3x32x32 -o @", "--scale", &["0", "nan", "inf"]),
    ("import STATE_DICT --input 3x32x32 -o @", "--mean", &["0,0", "nan,0,0", "0,inf,0"]),
    ("import STATE_DICT --input 3x32x32 -o @", "--std", &["1,1", "0,1,1", "nan,1,1", "1,1,inf"]),
    ("import STATE_DICT --input 3x32x32 -o @", "--classes", &["a,a,b,c,d,e,f,g,h,i", "a"]),
    ("quantize FLOAT --calib IMAGES -o @", "--images", &["0", "-1"]),
    ("quantize FLOAT --calib IMAGES -o @", "--ends", &["17", "4294967295"]),
    ("quantize FLOAT --calib IMAGES -o @ --method percentile", "--percentile", &["0", "101", "nan", "inf"]),
    ("quantize FLOAT --calib IMAGES -o @", "--percentile", &["99"]),
    ("quantize FLOAT --calib IMAGES -o @", "--weights", &["", "0", "1", "17", "1..3", "-99999..0"]),
    ("quantize FLOAT --calib IMAGES -o @", "--acts", &["0", "17", "-7..7", "0..99999"]),
    ("quantize FLOAT --calib IMAGES -o @", "--weight-levels", &["8..-8", "x", "0..0"]),
    (
        "quantize FLOAT --calib IMAGES -o @ --layer conv1_1=4",
        "--layer",
        &["", "x=4", "conv1_1=5", "conv1_2=1"],
    ),
    ("train --data DATA -o @", "--width", &["0", "-1", "nan", "0/0", "1/0", "1e30", "inf"]),
    ("train --data DATA -o @", "--hidden", &["0", "18446744073709551615", "64,1000000000000"]),
    ("train --data DATA -o @", "--images", &["0", "-1"]),
    ("train --data DATA -o @", "--model", &["", "vgg12"]),
    ("train --data DATA -o @", "--epochs", &["0", "18446744073709551615", "1,2"]),
    ("train --data DATA -o @", "--batch", &["0", "1", "61", "18446744073709551615"]),
    ("train --data DATA -o @", "--rate", &["0", "-1", "nan", "inf", "1e30"]),
    ("train --data DATA -o @", "--warm-up", &["-1", "nan", "inf", "1e30"]),
    ("train --data DATA -o @", "--decay", &["-1", "nan", "inf", "1e30"]),
    ("train --data DATA -o @", "--smoothing", &["-1", "nan", "inf", "1.5"]),
    ("train --data DATA -o @", "--clip", &["0", "-1", "nan", "inf"]),
    ("train --data DATA -o @", "--average", &["-1", "1", "nan", "inf"]),
    ("train --data DATA -o @ --batch 20", "--pad", &["32", "-1", "18446744073709551615"]),
    ("train --data DATA -o @", "--weights", &["4"]),
    ("train FLOAT --data DATA -o @ --qat lsq", "--weights", &["", "0", "17", "4,4", "4294967295"]),
    ("train FLOAT --data DATA -o @ --qat lsq", "--acts", &["", "0", "17", "4,8"]),
    ("train FLOAT --data DATA -o @ --qat lsq", "--ends", &["0", "17"]),
    ("train FLOAT --data DATA -o @ --qat lsq", "--rounding", &["", "up"]),
    ("train --data DATA -o @", "--rounding", &["gptq"]), // there is nothing to round
    ("train FLOAT --data DATA -o @ --qat lsq", "--distill", &["-1", "nan", "inf", "2"]),
    ("train FLOAT --data DATA -o @ --qat lsq --distill 0.5", "--temperature", &["0", "-1", "nan", "inf"]),
    ("train FLOAT --data DATA -o @ --qat lsq", "--temperature", &["4"]),
];

#[test]
fn nonsense_is_refused_by_the_name_of_its_option() {
    let folder = TempDir::new().unwrap();
    let data = data(folder.path());
    let output = folder.path().join("x");
    let mut failures = vec![];
    for (line, option, values) in REFUSED {
        for value in *values {
            let mut command = command(line, &data, &output);
            let found = command.arg(format!("{option}={value}")).output().unwrap();
            let error = String::from_utf8_lossy(&found.stderr);
            if found.status.code() != Some(2) || !error.contains(option) || output.exists() {
                failures.push(format!("{line} {option}={value}: {:?} {error}", found.status.code()));
                let _ = std::fs::remove_dir_all(&output);
            }
        }
    }
    assert!(failures.is_empty(), "{} of them:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_a_file_says_is_named_by_the_file() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    std::fs::write(&config, r#"{"rows": 8, "cols": 8, "bus_bits": 65}"#).unwrap();
    let line = format!("cosim INT --config {}", config.display());
    let error = said(&command(&line, folder.path(), folder.path()).output().unwrap(), 5, &line);
    assert!(error.contains("config.json: bus_bits: 65 is not 64, 128, 256 or 512"), "{error}");
}

/// Every sweep that has no result at all ends with the exit code of what kept it from having one.
#[test]
fn a_total_failure_is_a_failure() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let run = |line: &str, code: i32| {
        let mut command = command(&format!("{line} --cache @"), folder.path(), &cache);
        let output = command.env("PATH", folder.path().join("tools")).output().unwrap();
        (said(&output, code, line), String::from_utf8(output.stdout).unwrap())
    };
    let (error, _) = run("explore vgg16 --array 4x4", 5);
    assert!(error.contains("none of 1 points has a result: layer conv1_1"), "{error}");
    run("explore vgg16 --array 4x4,8x8", 0);
    let (error, _) = run("explore vgg16 --acc-bits 20", 2);
    assert!(error.contains("--acc-bits"), "{error}");
    let (error, _) = run("explore vgg16 --synth", 3);
    assert!(error.contains("yosys is not installed"), "{error}");
    let (error, _) = run("explore vgg16 --place", 3);
    assert!(error.contains("is not installed"), "{error}");
    run("explore vgg16 --synth --place --allow-missing", 0);
    // A yosys that fails.
    let tools = folder.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let script = "#!/bin/sh\n[ \"$1\" = -V ] && echo Yosys 0 && exit\necho ERROR: no luck >&2\nexit 1\n";
    std::fs::write(tools.join("yosys"), script).unwrap();
    std::fs::set_permissions(tools.join("yosys"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let (error, text) = run("explore vgg16 --weights 4,8 --synth", 3);
    assert!(error.contains("none of 2 points has a result: yosys failed: ERROR: no luck"), "{error}");
    assert!(text.contains("0 on the front"), "{text}");
}
