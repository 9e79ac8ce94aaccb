//! Damaged files, seeded: through every reader in this process, and through every verb of the program.
//!
//! `VGG2RTL_FUZZ_SECONDS` sets how long each reader is run (`sim/nightly.sh` takes ten minutes), without end of new seeds;
//! `VGG2RTL_RUNS` how many runs the verbs have.

#[path = "../import/mutate.rs"]
mod mutate;
mod readers;
mod verbs;

use mutate::mutated;
use rayon::prelude::*;
use readers::{READERS, Reader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Mutations of each reader's files where no time is set.
const MUTATIONS: u64 = 120;

/// Runs `reader` on mutations of its seeds; how many, and the seeds that made it panic.
fn run(reader: &Reader, time: Option<Duration>) -> (u64, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let seeds = (reader.seeds)(folder.path());
    let (begun, mut panicked, mut count) = (Instant::now(), vec![], 0);
    let goes_on = |count| time.map_or(count < MUTATIONS, |time| begun.elapsed() < time);
    for seed in &seeds {
        (reader.read)(folder.path(), seed);
    }
    while goes_on(count) {
        let bytes = mutated(&seeds[count as usize % seeds.len()], count);
        let read = || (reader.read)(folder.path(), &bytes);
        if catch_unwind(AssertUnwindSafe(read)).is_err() {
            panicked.push(count);
        }
        count += 1;
    }
    (count, panicked)
}

#[test]
fn no_reader_panics() {
    let seconds = std::env::var("VGG2RTL_FUZZ_SECONDS");
    let time =
        seconds.ok().map(|n| Duration::from_secs(n.parse().expect("VGG2RTL_FUZZ_SECONDS is a number")));
    let failures = READERS.par_iter().flat_map_iter(|reader| {
        let begun = Instant::now();
        let (count, panicked) = run(reader, time);
        println!(
            "{:14} {count:8} files in {:6.1} s, {} panics",
            reader.name,
            begun.elapsed().as_secs_f64(),
            panicked.len()
        );
        panicked.into_iter().map(|seed| format!("{} seed {seed}", reader.name))
    });
    let failures: Vec<_> = failures.collect();
    assert!(failures.is_empty(), "{failures:?}");
}
