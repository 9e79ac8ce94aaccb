//! What other package managers and papers are told is what Cargo.toml says.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// TOML as JSON, read by Python; `None` where there is none that can.
fn toml(name: &str) -> Option<Value> {
    let program = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let output = Command::new(python).args(["-c", program]).arg(root().join(name)).output();
    match output {
        Ok(output) if output.status.success() => Some(serde_json::from_slice(&output.stdout).unwrap()),
        _ => {
            assert!(std::env::var("CI").is_err(), "{name}: a python3 with tomllib is needed");
            eprintln!("skipped: no python3 with tomllib to read {name}");
            None
        }
    }
}

#[test]
fn python_builds_the_same_program() {
    let (Some(python), Some(cargo)) = (toml("pyproject.toml"), toml("Cargo.toml")) else { return };
    for key in ["name", "description", "keywords", "readme"] {
        assert_eq!(python["project"][key], cargo["package"][key], "{key}");
    }
    assert_eq!(python["project"]["license"]["text"], cargo["package"]["license"]);
    assert_eq!(python["project"]["dynamic"][0], "version", "maturin takes it from Cargo.toml");
    assert_eq!(
        (&python["tool"]["maturin"]["bindings"], &cargo["bin"][0]["name"]),
        (&"bin".into(), &"vgg2rtl".into())
    );
    assert_eq!(python["build-system"]["build-backend"], "maturin");
}

#[test]
fn the_citation_is_of_this_version() {
    let citation = text("CITATION.cff");
    let version = format!("version: {}", env!("CARGO_PKG_VERSION"));
    for line in ["cff-version: 1.2.0", &version, "  - MIT", "  - Apache-2.0", "type: software"] {
        assert!(citation.lines().any(|l| l == line), "CITATION.cff has no line {line:?}");
    }
    let holder =
        text("LICENSE-MIT").lines().find_map(|l| l.strip_prefix("Copyright (c) 2026 ").map(String::from));
    assert!(citation.contains(&format!("  - name: {}", holder.unwrap())), "{citation}");
    assert!(citation.contains(&format!("title: \"vgg2rtl: f{}\"", &env!("CARGO_PKG_DESCRIPTION")[1..])));
}

/// Whatever the build needs is sent to Docker, and what is copied out of it is what cargo makes.
#[test]
fn the_image_holds_the_program() {
    let (image, ignored) = (text("Dockerfile"), text(".dockerignore"));
    assert!(image.contains("cargo build --release --locked --bin vgg2rtl"));
    assert!(image.contains("COPY --from=build /src/target/release/vgg2rtl /usr/local/bin/vgg2rtl"));
    for needed in ["src", "build.rs", "Cargo.toml", "Cargo.lock", "benches", "README.md"] {
        assert!(root().join(needed).exists() && !ignored.lines().any(|line| line == needed), "{needed}");
    }
    let debian = image.lines().rfind(|line| line.starts_with("FROM ")).unwrap();
    assert!(debian.starts_with("FROM debian:12"), "the Debian of README.md and CI: {debian}");
}
