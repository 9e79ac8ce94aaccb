use super::*;
use crate::config::ArrayConfig;
use crate::cosim::Cache;
use std::sync::atomic::AtomicBool;
pub fn estimate(c: &ArrayConfig, _f: Family) -> Resources {
    let n = (c.rows * c.cols) as u64;
    Resources {
        lut: 6000 + n * u64::from(c.weight_bits + c.act_bits),
        ff: 5000 + n * 40,
        carry: n,
        dsp: n,
        bram: (c.memory_bits() / 18000) as u64,
    }
}
pub fn synthesize(c: &ArrayConfig, f: Family, _: &Cache, _: &AtomicBool) -> crate::Result<Resources> {
    Ok(estimate(c, f))
}
pub fn place(_: &ArrayConfig, _: Family, _: &Cache) -> crate::Result<f64> {
    Ok(75.0)
}
