//! Completions and manual pages, read by the shells and by `man` themselves.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn vgg2rtl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{arguments:?}: {error}");
    output.stdout
}

/// What bash would offer for the words of a command line, the last of which is being typed.
fn completed(script: &Path, words: &[&str]) -> Vec<String> {
    let line = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; _vgg2rtl vgg2rtl {:?} {:?}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn bash_completes_verbs_and_options() {
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("vgg2rtl.bash");
    std::fs::write(&script, vgg2rtl(&["completions", "bash"])).unwrap();
    assert_eq!(completed(&script, &["vgg2rtl", "qua"]), ["quantize"]);
    assert_eq!(completed(&script, &["vgg2rtl", "quantize", "--round"]), ["--rounding"]);
    assert_eq!(completed(&script, &["vgg2rtl", "quantize", "--rounding", "n"]), ["nearest"]);
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        assert!(String::from_utf8(vgg2rtl(&["completions", shell])).unwrap().contains("quantize"), "{shell}");
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("man1");
    vgg2rtl(&["man", pages.to_str().unwrap()]);
    let help = String::from_utf8(vgg2rtl(&["--help"])).unwrap();
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<_> =
        verbs.take_while(|line| !line.is_empty()).filter_map(|l| l.split_whitespace().next()).collect();
    assert!(verbs.len() > 10, "{help}");
    for verb in verbs {
        let page = std::fs::read_to_string(pages.join(format!("vgg2rtl-{verb}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS") || page.contains(".SH SUBCOMMANDS"), "{verb}: {page}");
    }
    let page = pages.join("vgg2rtl-quantize.1");
    match Command::new("man").arg("-l").arg(&page).env("MANWIDTH", "80").output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("VGG2RTL-QUANTIZE(1)") && text.contains("--rounding"), "{text}");
        }
        _ => eprintln!("skipped: no man to read {}", page.display()),
    }
}
