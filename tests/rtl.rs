//! What is generated and stored: `rtl/`, the emitter's Verilog of a small design, so that a reader sees what users get, and
//! the texts of `src/isa`. `VGG2RTL_REFRESH=1 cargo test --test rtl` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::{hw, isa};

#[test]
fn the_reference_design_is_what_the_emitter_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rtl");
    let modules = hw::verilog(&ArrayConfig::preset("tiny").unwrap()).unwrap();
    let order: String = modules.iter().map(|m| format!("{}.v\n", m.name)).collect();
    let mut emitted: BTreeMap<String, String> =
        modules.into_iter().map(|m| (format!("{}.v", m.name), m.text)).collect();
    emitted.insert("files.f".into(), order);
    let names = || fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let kept = |name: &String| name.ends_with(".v") || name.ends_with(".f");
    if std::env::var_os("VGG2RTL_REFRESH").is_some() {
        names().filter(kept).for_each(|n| fs::remove_file(folder.join(n)).unwrap());
        emitted.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }
    let stored: BTreeMap<String, String> =
        names().filter(kept).map(|n| (n.clone(), fs::read_to_string(folder.join(n)).unwrap())).collect();
    assert_eq!(stored.keys().collect::<Vec<_>>(), emitted.keys().collect::<Vec<_>>(), "other files");
    for (name, text) in &emitted {
        assert!(stored[name] == *text, "rtl/{name} is not what the emitter gives; see rtl/README.md");
    }
}

#[test]
fn texts_of_the_isa_are_what_its_tables_say() {
    for (name, text) in isa::text::files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("VGG2RTL_REFRESH").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap_or_default() == text, "{name} is not what src/isa says");
    }
}
