//! From a `.pth` to a PASS of co-simulation in five commands, each printed by the one before it.

#[path = "writers/mod.rs"]
mod writers;

use std::process::Command;

#[test]
fn each_command_names_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let line = line.replacen("vgg2rtl", env!("CARGO_BIN_EXE_vgg2rtl"), 1);
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(&folder).env("HOME", folder.path());
        let output = shell.env_remove("XDG_CACHE_HOME").output().unwrap();
        let error = writers::said(&output, 0, &line);
        let next = error.lines().last().and_then(|last| last.strip_prefix("next: ")).map(str::to_string);
        (String::from_utf8(output.stdout).unwrap(), next)
    };
    let float = writers::input("FLOAT");
    run(&format!("vgg2rtl export {} --torch 'my net.pth'", float.display()));
    let mut line = "vgg2rtl import 'my net.pth' -o 'my net.safetensors'".to_string();
    let mut verbs = vec![];
    loop {
        let verb = line.split(' ').nth(1).unwrap().to_string();
        if verb == "cosim" {
            line += " --preset tiny --simulator in-process --layer fc8"; // as a test has time for
        }
        let (said, next) = run(&line);
        verbs.push(verb);
        if said.contains("PASS") {
            assert_eq!(verbs, ["import", "eval", "quantize", "eval", "cosim"]);
            break;
        }
        let data = writers::input("IMAGES").display().to_string();
        line = next
            .unwrap_or_else(|| panic!("{line}: no next command"))
            .replace("--data DATA", &format!("--data {data}"));
        line = line.replace("quantize", "quantize --images 8");
    }
}
