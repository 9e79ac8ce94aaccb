//! Tests of blocks: simulated in process, then the same vectors through the emitted Verilog.
//!
//! A test drives [`Bench::block`]'s inputs and calls [`Bench::cycle`], asserts against its own plain-integer model, and
//! ends with [`Bench::verilog`]: the Verilog is linted (Verilator, yosys) and must give the same outputs in Icarus.
//! [`Bench::netlist`] replays the vectors on what yosys makes of the Verilog, `faults` on Verilog that is wrong.

mod faults;
mod netlist;

pub use netlist::Family;

use super::emit::{self, Module};
use rust_hdl::prelude::*;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Random numbers of a test, the same in every run.
pub fn random(seed: u64) -> rand_chacha::ChaCha8Rng {
    rand::SeedableRng::seed_from_u64(seed)
}

/// A random value of `ty`, its extremes and zero more often than by chance.
pub fn random_value(rng: &mut impl rand::Rng, ty: super::rt::Ty) -> i64 {
    let (least, most) = ty.range();
    match rng.random_range(0..10) {
        0 => least,
        1 => most,
        2 => 0,
        _ => rng.random_range(least..=most),
    }
}

/// A block under test and the vectors it has seen.
pub struct Bench<B> {
    /// The block; set its inputs' `next` before [`Bench::cycle`], read its outputs after.
    pub block: B,
    clock: fn(&mut B) -> &mut Signal<In, Clock>,
    /// Per cycle: inputs, outputs before the edge, outputs after it, as binary digits.
    vectors: Vec<[String; 3]>,
    /// Outputs that must be known when another one is set.
    known: Vec<[&'static str; 2]>,
}

impl<B: Block> Bench<B> {
    /// A bench for `block`, whose clock is `clock`.
    pub fn new(mut block: B, clock: fn(&mut B) -> &mut Signal<In, Clock>) -> Self {
        block.connect_all();
        Self { block, clock, vectors: vec![], known: vec![] }
    }

    /// One clock cycle with the inputs as they are; afterwards the outputs are those after the rising edge.
    pub fn cycle(&mut self) {
        self.level(false);
        let [inputs, before] = self.pins();
        self.level(true);
        let [_, after] = self.pins();
        self.vectors.push([inputs, before, after]);
    }

    /// In Verilog, output `what` must be known whenever output `when` is set, even in cycles that settle.
    pub fn known_when(&mut self, when: &'static str, what: &'static str) {
        self.known.push([when, what]);
    }

    /// Cycles so far.
    pub fn vectors(&self) -> usize {
        self.vectors.len()
    }

    /// Lets the outputs follow the inputs, before the rising edge.
    pub fn settle(&mut self) {
        self.level(false);
    }

    fn level(&mut self, level: bool) {
        (self.clock)(&mut self.block).next = level.into();
        assert!(simulate(&mut self.block, 1000), "the block does not settle");
    }

    /// Inputs but the clock, and outputs, the first port in the highest bits.
    fn pins(&self) -> [String; 2] {
        let mut pins = Pins::default();
        self.block.accept("top", &mut pins);
        [pins.inputs, pins.outputs]
    }

    /// Emits the Verilog as module `name`, lints it and replays the vectors. In the first `settle` cycles unknown
    /// outputs are forgiven: registers have no value before they are written.
    ///
    /// # Panics
    /// On a lint message or a difference; with the environment variable `CI` also if a tool is missing.
    pub fn verilog(&self, name: &str, settle: usize) {
        let modules = emit::emit(name, &self.block, "a test", "").unwrap();
        if let Some(folder) = faults::recording(name) {
            return self.write(&folder, &modules, name, settle);
        }
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path(), &modules, name, settle);
        lint(folder.path(), &modules, name);
        let sources: Vec<String> = files(&modules).collect();
        if let Some(report) = replay(folder.path(), &["-g2005", "-Wall"], &sources)
            && !report.contains(NO_DIFFERENCE)
        {
            panic!("{name} differs from its Verilog:\n{report}\n{}", text_of(&modules));
        }
    }

    /// Writes the Verilog, the vectors and a bench that applies them.
    fn write(&self, folder: &Path, modules: &[Module], name: &str, settle: usize) {
        for module in modules {
            std::fs::write(folder.join(format!("{}.v", module.name)), &module.text).unwrap();
        }
        let ports = self.ports(modules);
        let vectors: Vec<String> = self.vectors.iter().map(|v| digits(v, &ports)).collect();
        std::fs::write(folder.join("vectors.txt"), vectors.join("\n")).unwrap();
        std::fs::write(folder.join(BENCH_FILE), self.bench(name, settle, &ports)).unwrap();
    }

    /// The pins of the block with their bits in its Verilog, where a part of a port may be narrower or missing.
    fn ports(&self, modules: &[Module]) -> Vec<Port> {
        let mut pins = Pins::default();
        self.block.accept("top", &mut pins);
        let head: Vec<&str> = modules.last().unwrap().text.lines().take_while(|l| *l != ");").collect();
        let declared = |name: &str| {
            let words =
                |l: &str| l.split_once("//").map_or(l, |c| c.0).trim().trim_end_matches(',').to_string();
            let line = head.iter().map(|l| words(l)).find(|l| l.ends_with(&format!(" {name}")))?;
            let high = line.split_once('[').map_or(Some("0"), |(_, r)| r.split(':').next())?;
            Some(high.parse::<usize>().unwrap() + 1)
        };
        pins.ports.iter_mut().for_each(|port| port.emitted = declared(&port.name).unwrap_or(0));
        pins.ports
    }

    /// A bench that applies the vectors and counts differences.
    fn bench(&self, name: &str, settle: usize, ports: &[Port]) -> String {
        let emitted = || ports.iter().filter(|p| p.emitted > 0);
        let of_kind = |kind| emitted().filter(move |p| p.kind == kind);
        let names = |kind| of_kind(kind).map(|p| p.name.as_str()).collect::<Vec<_>>();
        let bits = |kind| of_kind(kind).map(|p| p.emitted).sum::<usize>();
        let [inputs, outputs] = [AtomKind::InputParameter, AtomKind::OutputParameter].map(names);
        let connections = inputs.iter().chain(&outputs).map(|p| format!(".{p}({p})")).collect::<Vec<_>>();
        let nets = emitted().map(|p| format!("wire [{}:0] {};\n", p.emitted - 1, p.name));
        let known = self.known.iter().map(|[when, what]| {
            format!("\n        if ({when} === 1'b1 && ^{what} === 1'bx) bad = bad + 1; // not known")
        });
        let replacements = [
            ("KNOWN", known.collect()),
            ("NETS", nets.collect()),
            ("CONNECTIONS", connections.join(", ")),
            ("INPUTS", inputs.join(", ")),
            ("OUTPUTS", outputs.join(", ")),
            ("INS", bits(AtomKind::InputParameter).to_string()),
            ("OUTS", bits(AtomKind::OutputParameter).to_string()),
            ("COUNT", self.vectors.len().to_string()),
            ("SETTLE", settle.to_string()),
            ("NAME", name.to_string()),
        ];
        replacements
            .iter()
            .fold(BENCH.to_string(), |text, (key, value)| text.replace(&format!("@{key}@"), value))
    }
}

/// The bench beside the modules.
const BENCH_FILE: &str = "bench.v";
/// What it says when it is satisfied.
const NO_DIFFERENCE: &str = "\n0 differences";

/// Inputs are the clock and the vector's inputs; the ports are in the order of the block.
const BENCH: &str = "module bench;
@NETS@
reg [@INS@ - 2 + 2 * @OUTS@:0] vectors [0:@COUNT@ - 1];
reg [@INS@ - 2 + 2 * @OUTS@:0] vector;
reg [@INS@ - 1:0] inputs = 0;
wire [@OUTS@ - 1:0] outputs = {@OUTPUTS@};
integer t;
integer bad = 0;
assign {@INPUTS@} = inputs;
@NAME@ dut (@CONNECTIONS@);

task check(input [@OUTS@ - 1:0] want, input after);
    reg [@OUTS@ - 1:0] wrong;
    begin
        wrong = outputs ^ want;
        if (t < @SETTLE@ ? |wrong === 1'b1 : wrong !== 0) begin
            if (bad < 5) $display(\"cycle %0d, after %0d: {@OUTPUTS@} = %h, not %h\", t, after, outputs, want);
            bad = bad + 1;
        end@KNOWN@
    end
endtask

initial begin
    $readmemb(\"vectors.txt\", vectors);
    for (t = 0; t < @COUNT@; t = t + 1) begin
        vector = vectors[t];
        inputs = {1'b0, vector[2 * @OUTS@ +: @INS@ - 1]};
        #1 check(vector[@OUTS@ +: @OUTS@], 1'b0);
        inputs[@INS@ - 1] = 1'b1;
        #1 check(vector[0 +: @OUTS@], 1'b1);
    end
    $display(\"\\n%0d differences\", bad);
end
endmodule
";

/// A port of the top block.
struct Port {
    name: String,
    kind: AtomKind,
    bits: usize,
    /// Bits in Verilog, 0 where there is no such port.
    emitted: usize,
}

/// A vector as digits of the ports that the Verilog has.
fn digits([inputs, before, after]: &[String; 3], ports: &[Port]) -> String {
    let of_kind = |digits: &str, kind: AtomKind| {
        let mut rest = digits;
        let mut kept = String::new();
        for port in ports.iter().filter(|p| p.kind == kind && !is_clock(&p.name)) {
            let (value, next) = rest.split_at(port.bits);
            kept += &value[port.bits - port.emitted..];
            rest = next;
        }
        kept
    };
    let outputs = [before, after].map(|digits| of_kind(digits, AtomKind::OutputParameter));
    of_kind(inputs, AtomKind::InputParameter) + &outputs.concat()
}

fn is_clock(name: &str) -> bool {
    name == "clk_i" || name == "clk"
}

/// The ports of the top block and their values.
#[derive(Default)]
struct Pins {
    depth: usize,
    namespaces: Vec<String>,
    inputs: String,
    outputs: String,
    ports: Vec<Port>,
}

impl Probe for Pins {
    fn visit_start_scope(&mut self, _: &str, _: &dyn Block) {
        self.depth += 1;
    }
    fn visit_start_namespace(&mut self, name: &str, _: &dyn Block) {
        self.namespaces.push(name.into());
    }
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {
        self.namespaces.pop();
    }
    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        if self.depth != 1 || !atom.kind().is_parameter() {
            return;
        }
        let digits = emit::bits(atom).into_iter().map(|b| if b { '1' } else { '0' });
        let path = self.namespaces.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("$");
        self.ports.push(Port {
            name: emit::identifier(&path),
            kind: atom.kind(),
            bits: atom.bits(),
            emitted: atom.bits(),
        });
        match atom.kind() {
            AtomKind::OutputParameter => self.outputs.extend(digits),
            _ if is_clock(name) => {}
            _ => self.inputs.extend(digits),
        }
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        self.depth -= 1;
    }
}

/// Lints `modules` with Verilator and yosys.
fn lint(folder: &Path, modules: &[Module], top: &str) {
    let mut verilator: Vec<String> = ["--lint-only", "-Wall", "--top-module", top].map(String::from).into();
    verilator.extend(files(modules));
    if let Some(messages) = run("verilator", &verilator, folder) {
        assert!(messages.trim().is_empty(), "verilator: {messages}\n{}", text_of(modules));
    }
    let script = format!(
        "read_verilog {}; hierarchy -check -top {top}; proc; check -assert",
        files(modules).collect::<Vec<_>>().join(" ")
    );
    run("yosys", &["-q".into(), "-p".into(), script], folder);
}

fn files(modules: &[Module]) -> impl Iterator<Item = String> {
    modules.iter().map(|m| format!("{}.v", m.name))
}

fn text_of(modules: &[Module]) -> String {
    modules.iter().map(|m| m.text.as_str()).collect()
}

/// What the bench in `folder` says of the Verilog `sources` in Icarus; `None` if it is not installed.
fn replay(folder: &Path, flags: &[&str], sources: &[String]) -> Option<String> {
    let mut arguments: Vec<String> = flags.iter().map(|f| f.to_string()).collect();
    arguments.extend(["-o", "bench.vvp", BENCH_FILE].map(String::from));
    arguments.extend_from_slice(sources);
    let warnings = run("iverilog", &arguments, folder)?;
    let ours: Vec<&str> = warnings.lines().filter(|l| !l.contains("timescale")).collect();
    assert!(ours.is_empty(), "iverilog: {}", ours.join("\n"));
    run("vvp", &["bench.vvp".into()], folder)
}

/// What `tool` prints; `None` if it is not installed.
fn run(tool: &str, arguments: &[String], folder: &Path) -> Option<String> {
    let Ok(output) = Command::new(tool).args(arguments).current_dir(folder).output() else {
        assert!(std::env::var_os("CI").is_none(), "{tool} is not installed");
        println!("skipped: {tool} is not installed");
        return None;
    };
    let text = [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).concat();
    assert!(output.status.success(), "{tool} {}: {text}", arguments.join(" "));
    Some(text)
}

/// What `command` prints, if it ends well within `limit`.
fn run_for(command: &mut Command, limit: Duration) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let end = Instant::now() + limit;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > end {
            child.kill().ok()?;
            child.wait().ok()?;
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

mod tests {
    use super::*;
    use crate::hw::datapath::Delay;

    /// A bench that cannot fail proves nothing.
    #[test]
    fn one_wrong_bit_is_found() {
        if Command::new("iverilog").arg("-V").output().is_err() {
            println!("skipped: iverilog is not installed");
            return;
        }
        let mut bench = Bench::new(Delay::new(super::super::rt::u(4), 1), |b| &mut b.clk_i);
        for t in 0..10 {
            bench.block.value_i.next = t;
            bench.cycle();
        }
        bench.verilog("delay", 1);
        bench.vectors[7][2] = "0110".into(); // 7 was 0111
        assert!(std::panic::catch_unwind(|| bench.verilog("delay", 1)).is_err());
    }
}
