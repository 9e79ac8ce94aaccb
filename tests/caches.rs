//! Checkpoints, caches and model files know themselves: what has been changed since it was written is not believed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use vgg2rtl::int::random;
use vgg2rtl::net::{Op, Shape};

fn vgg2rtl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn model(folder: &Path) -> String {
    let model = random::model(&random::Recipe {
        input: Shape { c: 1, h: 6, w: 6 },
        ops: vec![Op::Conv { co: 3, pool: true }, Op::Dense { co: 4 }],
        w: 4,
        a: 4,
        power_of_two: false,
        per_channel: true,
        seed: 1,
    });
    let path = folder.join("model.safetensors");
    model.save(&path).unwrap();
    path.to_str().unwrap().into()
}

/// Entries of a cache folder whose names begin with `prefix`.
fn entries(cache: &Path, prefix: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(cache).unwrap().map(|e| e.unwrap().path());
    all.filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect()
}

/// Cosim's verdict, edited in every way that JSON allows, is simulated again.
#[test]
fn an_edited_verdict_of_cosim_is_not_believed() {
    let folder = TempDir::new().unwrap();
    let (model, cache) = (model(folder.path()), folder.path().join("cache"));
    let run = || {
        let base = ["cosim", &model, "--preset", "tiny", "--simulator", "in-process", "--chain", "--json"];
        let output = vgg2rtl(&[&base[..], &["--cache", cache.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", said(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["layers"].clone(), said(&output))
    };
    let (truth, quiet) = run();
    assert!(!quiet.contains("again"), "{quiet}");
    assert_eq!(run(), (truth.clone(), quiet));
    let entry = &entries(&cache, "result-")[0];
    let whole = std::fs::read_to_string(entry).unwrap();
    let json = whole.lines().nth(1).unwrap();
    let words = format!("\"words\":{}", truth[0]["words"]);
    let key = entry.file_name().unwrap().to_str().unwrap();
    let sealed = |json: &str| format!("{}\n{json}", vgg2rtl::store::digest([key, json]));
    let fewer = json.replacen(&words, "\"words\":1", 1);
    assert_ne!(fewer, json);
    let edits = [
        whole.replacen(&words, "\"words\":1", 1),
        json.to_string(),
        "[]".into(),
        String::new(),
        // With a hash that fits, the counts still do not.
        sealed(&fewer),
        sealed("[]"),
        sealed(&json.replacen("\"mismatches\":0", "\"mismatches\":3", 1)),
        sealed(&json.replacen("\"layer\":\"conv1\"", "\"layer\":\"conv7\"", 1)),
    ];
    for edit in edits {
        std::fs::write(entry, &edit).unwrap();
        let (found, said) = run();
        assert_eq!(found, truth, "{edit}");
        assert!(said.contains("again") && said.contains(key), "{edit}: {said}");
        assert_eq!(std::fs::read_to_string(entry).unwrap(), whole);
    }
}

/// Explore's cache: any flipped bit of any entry, and the sweep gives what it gave.
#[test]
fn an_edited_entry_of_explore_is_measured_again() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let run = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (model, data) = (
            root.join("models/vgg16-small-fashion.safetensors"),
            root.join("models/fashion-test-256-images-idx3-ubyte.gz"),
        );
        let arguments = ["explore", model.to_str().unwrap(), "--data", data.to_str().unwrap()];
        let rest =
            ["--weights", "4", "--acts", "4", "--array", "4x4", "--json", "--cache", cache.to_str().unwrap()];
        let output = vgg2rtl(&[&arguments[..], &rest].concat());
        assert!(output.status.success(), "{}", said(&output));
        (String::from_utf8_lossy(&output.stdout).into_owned(), said(&output))
    };
    let (truth, _) = run();
    for entry in entries(&cache, "") {
        let mut bytes = std::fs::read(&entry).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        std::fs::write(&entry, bytes).unwrap();
        let (found, said) = run();
        assert_eq!(found, truth);
        assert!(said.contains("done again"), "{}: {said}", entry.display());
    }
}

/// Without a folder of the user's own, a fresh one: nothing is left in the folder for temporary files.
#[test]
#[cfg(unix)]
fn no_cache_lies_at_a_predictable_place_that_others_write_to() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let (model, temporary) = (model(folder.path()), folder.path().join("tmp"));
    std::fs::create_dir(&temporary).unwrap();
    let run = |home: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
        command.args(["cosim", &model, "--preset", "tiny", "--simulator", "in-process", "--chain"]);
        command.env_remove("XDG_CACHE_HOME").env_remove("HOME").env("TMPDIR", &temporary);
        if let Some(home) = home {
            command.env("XDG_CACHE_HOME", home);
        }
        command.output().unwrap()
    };
    let homeless = run(None);
    assert!(
        homeless.status.success() && said(&homeless).contains("results are not kept"),
        "{}",
        said(&homeless)
    );
    assert!(entries(&temporary, "").is_empty());
    let shared = folder.path().join("shared");
    std::fs::create_dir_all(shared.join("vgg2rtl")).unwrap();
    std::fs::set_permissions(shared.join("vgg2rtl"), PermissionsExt::from_mode(0o777)).unwrap();
    let refused = run(Some(&shared));
    let text = said(&refused);
    assert!(refused.status.success() && text.contains("can be written to by others (mode 777)"), "{text}");
    assert!(entries(&shared.join("vgg2rtl"), "").is_empty());
    let own = folder.path().join("own");
    assert!(run(Some(&own)).status.success());
    assert_eq!(std::fs::metadata(own.join("vgg2rtl")).unwrap().permissions().mode() & 0o777, 0o700);
}

/// A built simulator that is not what was built is not run.
#[test]
#[cfg(unix)]
fn a_changed_simulator_is_built_again() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let cache = vgg2rtl::cosim::Cache::open(Some(&folder.path().join("cache"))).unwrap();
    let program = folder.path().join("program");
    std::fs::write(&program, "#!/bin/sh\necho one\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let kept = cache.keep(&program, "simulator").unwrap();
    assert_eq!(cache.file("simulator"), Some(kept.clone()));
    std::fs::write(&kept, "#!/bin/sh\necho two\n").unwrap();
    assert_eq!(cache.file("simulator"), None);
}
