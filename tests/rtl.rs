//! `rtl/` holds what the emitter gives for a small design, so that a reader sees what users get.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::hw;

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
