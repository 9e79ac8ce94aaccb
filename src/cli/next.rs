//! What comes next: the verbs on the way from a model to hardware end with the command that follows, in the user's own names.

use super::print::note;
use std::path::Path;
use vgg2rtl::shell;

/// Where no data set has been named yet.
const SOME_DATA: &str = "DATA";

/// A float or an integer model has been written: it is measured.
pub fn after_model(model: &Path, data: Option<&Path>) {
    say(&["eval", &name(model), "--data", &data.map_or(SOME_DATA.into(), name)]);
}

/// A float model has been measured.
pub fn after_float(model: &Path, data: &Path) {
    say(&[
        "quantize",
        &name(model),
        "--calib",
        &name(data),
        "-o",
        &format!("{}-int.safetensors", stem(model)),
    ]);
}

/// An integer model has been measured.
pub fn after_int(model: &Path, data: &Path) {
    say(&["cosim", &name(model), "--data", &name(data)]);
}

/// Its Verilog computes what it computes.
pub fn after_cosim(model: &Path, data: Option<&Path>) {
    let (model, bundle) = (name(model), format!("{}-bundle", stem(model)));
    match data.map(name) {
        Some(data) => say(&["generate", &model, "--data", &data, "-o", &bundle]),
        None => say(&["generate", &model, "-o", &bundle]),
    }
}

/// A bundle has been written.
pub fn after_bundle(bundle: &Path) {
    note!("next: make -C {} icarus", shell::word(&name(bundle)));
}

fn say(words: &[&str]) {
    let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
    note!("next: {}", shell::command(&words));
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Where `path` is, and its name without what stands behind the last dot.
fn stem(path: &Path) -> String {
    name(&path.with_extension(""))
}
