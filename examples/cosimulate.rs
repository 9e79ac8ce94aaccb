//! Simulates the first layer of an integer model on an 8×8 array and compares every word with the golden model.
//!
//!     cargo run --release --example cosimulate -- MODEL

use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{Cache, Engine, MemoryOptions, Testbench};
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::schedule::{fit, schedule};
use vgg2rtl::{Error, Result};

fn main() -> Result<()> {
    let Some(model) = std::env::args().nth(1) else {
        return Err(Error::usage("MODEL", "an integer model file"));
    };
    let model = IntModel::load(model.as_ref())?;
    let config = fit(&model, &ArrayConfig::near(8, 8));
    let (engine, _) = Engine::fastest(); // Verilator, or in this process where it is missing
    let bench = Testbench::new(schedule(&model, &config, 1)?, engine, Cache::open(None)?)?;

    let codes = random::images(&model, 1, 1);
    let trace = Golden::new(&model)?.trace(codes.view())?;
    let network = bench.network(MemoryOptions::default());
    for layer in network.layers(0..1, codes.view(), &trace, &|_| ())? {
        let (cycles, compared) = (layer.cycles, layer.comparison);
        println!(
            "{}: {cycles} cycles, {} words, {} differ",
            compared.layer, compared.words, compared.mismatches
        );
    }
    Ok(())
}
