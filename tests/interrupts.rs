//! Signals to every verb: exit codes, saved work, tools that end too, nothing left behind; and the same command afterwards
//! gives the same bytes as if nothing had happened.

mod writers;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use writers::{FILES, FOLDERS, Writer, command, data, said, strays};

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    // It may have ended by itself.
    let _ = kill_process(Pid::from_child(child), signal);
}

/// Waits for `holds`, which must come true.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A training run of many epochs, and after its first epoch's line on standard error `signals`.
fn interrupted_training(folder: &Path, signals: &[Signal]) -> (Output, String) {
    let line = "train --model vgg11 --width 1/16 --data DATA --epochs 1000 --batch 20 -o @";
    let mut child = start(command(line, &data(folder), &folder.join("model")));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("epoch 1,")));
    signals.iter().for_each(|&signal| send(&child, signal));
    let rest: Vec<String> = lines.collect();
    (child.wait_with_output().unwrap(), rest.join("\n"))
}

#[test]
fn training_saves_and_is_no_success() {
    for (signal, code, name) in [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM")] {
        let folder = TempDir::new().unwrap();
        let (output, error) = interrupted_training(folder.path(), &[signal]);
        said(&output, code, name);
        assert!(error.contains("--resume") && error.contains(&format!("interrupted by {name}")), "{error}");
        assert!(folder.path().join("model-float.checkpoint").is_file());
        assert!(!folder.path().join("model").exists());
        assert_eq!(strays(folder.path()), [] as [PathBuf; 0]);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = TempDir::new().unwrap();
    let (output, _) = interrupted_training(folder.path(), &[Signal::INT, Signal::TERM]);
    let code = output.status.code();
    assert!(code == Some(143) || code == Some(130), "{code:?}"); // whichever is heard first
}

/// A folder for PATH with a program `name` that says a version, and else writes its process to `pid` and sleeps.
fn endless_tool(folder: &Path, name: &str) -> PathBuf {
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).unwrap();
    let pid = folder.join("pid");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version|-V) echo {name} 1; exit;; esac\n\
         sleep 1000 &\necho $! > {0}.part; mv {0}.part {0}; wait\n",
        pid.display()
    );
    fs::write(tools.join(name), script).unwrap();
    fs::set_permissions(tools.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    tools
}

#[test]
fn tools_end_with_the_program() {
    let lines = [
        ("verilator", "cosim INT --preset tiny --simulator verilator --cache @"),
        ("iverilog", "cosim INT --preset tiny --simulator icarus --cache @"),
        ("verilator", "eval INT --data PICTURES --engine rtl --preset tiny --simulator verilator --cache @"),
        ("yosys", "explore vgg16 --synth --cache @"),
    ];
    for (tool, line) in lines {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let folder = TempDir::new().unwrap();
            let tools = endless_tool(folder.path(), tool);
            fs::copy(tools.join(tool), tools.join("g++")).unwrap();
            let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
            let mut command = command(line, &data(folder.path()), &folder.path().join("cache"));
            let child = start({
                command.env("PATH", path);
                command
            });
            let pid = folder.path().join("pid");
            wait_for(tool, || pid.is_file());
            send(&child, signal);
            said(&child.wait_with_output().unwrap(), code, line);
            let sleeper =
                fs::read_to_string(pid).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap();
            wait_for("the tool's end", || test_kill_process(sleeper).is_err());
            assert_eq!(strays(folder.path()), [] as [PathBuf; 0], "{line}");
        }
    }
}

#[test]
fn a_sweep_keeps_what_is_finished() {
    let folder = TempDir::new().unwrap();
    let line = "explore FLOAT --data IMAGES --images 4 --weights 2..16 --acts 2..15 --json --cache @";
    let cache = folder.path().join("cache");
    let child = start(command(line, folder.path(), &cache));
    let entries = || fs::read_dir(&cache).map_or(0, Iterator::count);
    wait_for("a result", || entries() > 1);
    send(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    said(&output, 130, line);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stopped"], true);
    assert!(entries() > 1 && strays(folder.path()).is_empty());
}

/// Files of `folder` that only depend on the command: no waveforms of time, no caches, no checkpoints.
fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for path in fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            files.extend(results(&path));
        } else if path.extension().is_none_or(|e| e != "checkpoint") {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

/// Kills verbs at random times; then the same command must give the same bytes, and nothing else may be left.
///
/// `VGG2RTL_KILLS` says how many times; `sim/nightly.sh` makes it 200.
#[test]
fn after_a_kill_the_same_command_gives_the_same_bytes() {
    let kills = std::env::var("VGG2RTL_KILLS").map_or(22, |n| n.parse().unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let place = TempDir::new().unwrap();
    let data = data(place.path());
    let all: Vec<&Writer> = FILES.iter().chain(FOLDERS).collect();
    let folder = place.path().join("folder");
    let run = |writer: &Writer| command(writer.line, &data, &folder.join("out"));
    let (mut ended, mut told, mut killed) = (0, 0, 0);
    let undisturbed: Vec<_> = all
        .iter()
        .map(|writer| {
            fs::create_dir(&folder).unwrap();
            let start = Instant::now();
            said(&run(writer).output().unwrap(), 0, writer.line);
            let (time, found) = (start.elapsed(), results(&folder));
            fs::remove_dir_all(&folder).unwrap();
            (time, found)
        })
        .collect();
    for round in 0..kills {
        let (writer, (time, wanted)) = (all[round % all.len()], &undisturbed[round % all.len()]);
        let signal = [Signal::KILL, Signal::TERM, Signal::INT][rng.random_range(0..3)];
        let what = format!("round {round}, {signal:?}, {}", writer.line);
        fs::create_dir(&folder).unwrap();
        let child = start(run(writer));
        std::thread::sleep(time.mul_f64(rng.random_range(0.0..1.1)));
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        match output.status.signal() {
            Some(_) => {
                assert!(signal == Signal::KILL || output.stderr.is_empty(), "{what}"); // before it listens
                killed += 1;
            }
            None if output.status.success() => ended += 1,
            None => {
                said(&output, if signal == Signal::INT { 130 } else { 143 }, &what);
                assert_eq!(strays(&folder), [] as [PathBuf; 0], "{what}");
                told += 1;
            }
        }
        for (path, bytes) in results(&folder) {
            let is_temporary = path.ancestors().any(|p| strays(&folder).iter().any(|s| s == p));
            let is_whole = wanted.get(&path) == Some(&bytes) || writer.option == "--cache";
            // The points and epochs that were finished.
            let is_told = output.status.code().is_some()
                && ["explore", "train"].iter().any(|verb| writer.line.starts_with(verb));
            assert!(is_temporary || is_whole || is_told, "{what}: {} is not whole", path.display());
        }
        said(&run(writer).output().unwrap(), 0, &what);
        assert_eq!(strays(&folder), [] as [PathBuf; 0], "{what}");
        assert!(results(&folder) == *wanted, "{what}: other bytes");
        fs::remove_dir_all(&folder).unwrap();
    }
    println!("{kills} kills: {killed} killed, {told} told, {ended} ended before");
}
