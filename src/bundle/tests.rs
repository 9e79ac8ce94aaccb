use super::*;
use crate::config::ArrayConfig;
use crate::hw::emit::Module;
use crate::int::{Golden, IntModel, random};
use crate::net::{Op, Shape};
use crate::schedule::schedule;
use std::collections::BTreeMap;

fn model() -> IntModel {
    random::model(&random::Recipe {
        input: Shape { c: 3, h: 8, w: 8 },
        ops: vec![Op::Conv { co: 6, pool: true }, Op::Dense { co: 5 }],
        w: 4,
        a: 5,
        power_of_two: false,
        per_channel: true,
        seed: 7,
    })
}

fn write_to(to: &Path) -> Result<()> {
    let (model, config) = (model(), ArrayConfig::default());
    let schedule = schedule(&model, &config, 1)?;
    let codes = random::images(&model, 1, 1);
    let trace = Golden::new(&model)?.trace(codes.view())?;
    let modules = [Module { name: "accelerator".into(), text: "module accelerator; endmodule\n".into() }];
    let byte_codes = ndarray::Array2::from_shape_fn((3, 256), |(c, byte)| byte as i32 / 16 - c as i32);
    let codes = codes.view();
    write(
        &Bundle {
            model: &model,
            schedule: &schedule,
            modules: &modules,
            codes,
            trace: &trace,
            byte_codes,
            pictures: None,
        },
        to,
    )
    .map(drop)
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(
                files(&path)
                    .into_iter()
                    .map(|(p, b)| (path.file_name().unwrap().into(), p, b))
                    .map(|(dir, p, b): (PathBuf, _, _)| (dir.join(p), b)),
            ),
            false => drop(found.insert(path.file_name().unwrap().into(), fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn the_same_input_gives_the_same_bytes_and_replaces_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("x/a"), folder.path().join("b"));
    write_to(&a).unwrap();
    write_to(&b).unwrap();
    let first = files(&a);
    assert_eq!(first, files(&b));
    assert!(
        first.contains_key(Path::new("rtl/accelerator.v")) && first.contains_key(Path::new("data/image.bin"))
    );
    let sums = String::from_utf8(first[Path::new("SHA256SUMS")].clone()).unwrap();
    assert_eq!(sums.lines().count(), first.len() - 1);
    assert!(sums.lines().any(|line| line.ends_with("  rtl/accelerator.v")), "{sums}");
    fs::write(b.join("data/stale"), "x").unwrap();
    write_to(&b).unwrap();
    assert_eq!(first, files(&b));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_bundle_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "x").unwrap();
    let refused = write_to(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("neither empty nor a bundle"), "{refused}");
    assert!(write_to(&folder.path().join("mine")).unwrap_err().to_string().contains("not a folder"));
    assert_eq!(files(folder.path()).len(), 1);
}
