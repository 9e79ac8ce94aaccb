//! Writes the Verilog of an accelerator, the program of an integer model and its benches as a folder that stands alone.
//!
//!     cargo run --release --example generate -- MODEL FOLDER

use vgg2rtl::bundle::{self, Bundle};
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::quantize::byte_codes;
use vgg2rtl::schedule::{fit, schedule};
use vgg2rtl::{Error, Result, hw};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, folder] = &arguments[..] else {
        return Err(Error::usage("MODEL FOLDER", "an integer model file and a folder to write"));
    };
    let model = IntModel::load(model.as_ref())?;
    let config = fit(&model, &ArrayConfig::preset("tiny")?); // widths, accumulators and digits that the model needs
    let schedule = schedule(&model, &config, 1)?;
    let codes = random::images(&model, 1, 1);
    let bundle = Bundle {
        model: &model,
        schedule: &schedule,
        modules: &hw::prefixed(&config, &hw::Prefix::of(&config))?,
        codes: codes.view(),
        trace: &Golden::new(&model)?.trace(codes.view())?,
        byte_codes: byte_codes(&model),
        pictures: None, // random ones
    };
    bundle::write(&bundle, folder.as_ref()).map(drop)
}
