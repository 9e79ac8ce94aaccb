//! stub
use super::synth::Hierarchy;
use super::synth_cells::resources;
use super::*;
use crate::cosim::Cache;
use std::sync::atomic::AtomicBool;

fn walk(h: &Hierarchy, at: usize, path: &str, times: u64, family: Family, rows: &mut Vec<serde_json::Value>) {
    let r = resources(family, &h.own(at));
    rows.push(serde_json::json!([
        path,
        times,
        h.sources[at].name,
        r.lut,
        r.ff,
        r.carry,
        r.dsp,
        r.bram,
        h.own(at)
    ]));
    for ((name, child), n) in h.sources[at].children.iter().zip(h.repeats(at)) {
        walk(h, *child, &format!("{path}.{name}"), times * n, family, rows);
    }
}

const MANY: [&str; 14] = [
    "unpacker",
    "packer",
    "fold",
    "group_select",
    "requantizer",
    "requantizer_pow2",
    "round_shift",
    "max_pool",
    "pe",
    "accumulator",
    "act_unpack",
    "act_walk",
    "ram",
    "lanes_ram",
];

fn paths(sources: &[synth_source::Source], at: usize, path: &str, out: &mut Vec<(String, usize)>) {
    out.push((path.into(), at));
    for (name, child) in &sources[at].children {
        paths(sources, *child, &format!("{path}.{name}"), out);
    }
}

fn campaign(family: Family) {
    let cache = Cache::open(None).unwrap();
    let (fitted, held) = area_points::points();
    let stop = AtomicBool::new(false);
    let started = std::time::Instant::now();
    let mut all = vec![];
    let mut seen: std::collections::BTreeMap<String, std::collections::BTreeSet<String>> = Default::default();
    let save = |all: &Vec<serde_json::Value>| {
        std::fs::write(format!("/tmp/area/dump_{}.json", family.name()), serde_json::to_vec(all).unwrap())
            .unwrap()
    };
    for i in 0..fitted.len() {
        if let Some(c) = held.get(i) {
            let h = Hierarchy::synthesized(c, family, &cache, &stop).unwrap();
            let mut rows = vec![];
            walk(&h, h.sources.len() - 1, "top", 1, family, &mut rows);
            let total = resources(family, &h.inside(h.sources.len() - 1));
            println!("held {i} {:?} {:?} {c:?}", started.elapsed(), total);
            all.push(serde_json::json!({"config": c, "held": true, "total": total, "rows": rows}));
        }
        let c = &fitted[i];
        let sources = synth_source::sources(c).unwrap();
        let mut slots = vec![];
        paths(&sources, sources.len() - 1, "top", &mut slots);
        let mut count = 0;
        let cells = synth::cells(&sources, family, &cache, &stop, |m, hash| {
            let name = sources[m].name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
            let cap = if MANY.contains(&name) { 40 } else { 10 };
            let mut wanted = false;
            for (path, _) in slots.iter().filter(|s| s.1 == m) {
                let seen = seen.entry(path.clone()).or_default();
                if seen.len() < cap || seen.contains(hash) {
                    seen.insert(hash.into());
                    wanted = true;
                }
            }
            count += wanted as u32;
            wanted
        })
        .unwrap();
        let rows: Vec<_> = slots
            .iter()
            .filter_map(|(path, m)| {
                let own: synth::Cells = cells[*m]
                    .as_ref()?
                    .iter()
                    .filter(|c| !c.0.starts_with('#'))
                    .map(|(k, v)| (k.clone(), *v))
                    .collect();
                let r = resources(family, &own);
                Some(serde_json::json!([path, 0, sources[*m].name, r.lut, r.ff, r.carry, r.dsp, r.bram, own]))
            })
            .collect();
        println!("fit {i} {:?} {count} {c:?}", started.elapsed());
        all.push(serde_json::json!({"config": c, "held": false, "rows": rows}));
        save(&all);
    }
}

#[test]
#[ignore]
fn campaign_ecp5() {
    campaign(Family::Ecp5)
}
#[test]
#[ignore]
fn campaign_xc7() {
    campaign(Family::Xc7)
}
#[test]
#[ignore]
fn campaign_ice40() {
    campaign(Family::Ice40)
}
#[test]
#[ignore]
fn campaign_gowin() {
    campaign(Family::Gowin)
}
#[test]
#[ignore]
fn campaign_xcup() {
    campaign(Family::Xcup)
}
