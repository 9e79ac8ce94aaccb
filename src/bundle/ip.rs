//! The IP-XACT description (IEEE 1685-2009): buses, registers, ports and files of the accelerator.

use super::contents::Bundle;
use crate::config::ArrayConfig;
use crate::isa::{Access, REGISTERS, Register, VERSION};

/// Its name in a bundle.
pub const FILE: &str = "component.xml";
/// Bytes of the registers on the bus, of which the first [`REGISTER_BITS`] address bits tell them apart.
const PAGE: usize = 4096;
const REGISTER_BITS: usize = 8;

/// An element of XML: its name, its attributes as they are written, and what it holds.
struct Element(&'static str, String, Inside);

enum Inside {
    Text(String),
    Elements(Vec<Element>),
}

/// An element that holds text.
fn text(name: &'static str, text: impl ToString) -> Element {
    let text = text.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Element(name, String::new(), Inside::Text(text))
}

/// An element that holds elements.
fn of(name: &'static str, elements: Vec<Element>) -> Element {
    Element(name, String::new(), Inside::Elements(elements))
}

impl Element {
    fn with(self, attribute: &str, value: &str) -> Self {
        Self(self.0, format!("{} spirit:{attribute}=\"{value}\"", self.1), self.2)
    }

    fn print(&self, depth: usize, to: &mut String) {
        let (Self(name, attributes, inside), indent) = (self, "  ".repeat(depth));
        *to += &format!("{indent}<spirit:{name}{attributes}");
        if matches!(inside, Inside::Elements(elements) if elements.is_empty()) {
            *to += "/>\n";
            return;
        }
        to.push('>');
        match inside {
            Inside::Text(text) => *to += text,
            Inside::Elements(elements) => {
                to.push('\n');
                elements.iter().for_each(|e| e.print(depth + 1, to));
                *to += &indent;
            }
        }
        *to += &format!("</spirit:{name}>\n");
    }
}

/// The signals of a channel after its prefix, from its source, with their bits; READY goes the other way.
type Channel = (&'static str, Vec<(&'static str, usize)>);

/// AXI4 as the accelerator has it.
fn axi4(config: &ArrayConfig) -> [Channel; 5] {
    let (id, data) = (("id", config.id_bits as usize), ("data", config.bus_bits));
    let address = || {
        let rest =
            [("len", 8), ("size", 3), ("burst", 2), ("lock", 1), ("cache", 4), ("prot", 3), ("qos", 4)];
        [("valid", 1), id, ("addr", config.address_bits as usize)].into_iter().chain(rest).collect()
    };
    [
        ("aw", address()),
        ("w", vec![("valid", 1), data, ("strb", config.bus_bits / 8), ("last", 1)]),
        ("b", vec![("valid", 1), id, ("resp", 2)]),
        ("ar", address()),
        ("r", vec![("valid", 1), id, data, ("resp", 2), ("last", 1)]),
    ]
}

/// AXI4-Lite as the accelerator has it.
fn axi4_lite() -> [Channel; 5] {
    let address = || vec![("valid", 1), ("addr", REGISTER_BITS), ("prot", 3)];
    [
        ("aw", address()),
        ("w", vec![("valid", 1), ("data", 32), ("strb", 4)]),
        ("b", vec![("valid", 1), ("resp", 2)]),
        ("ar", address()),
        ("r", vec![("valid", 1), ("data", 32), ("resp", 2)]),
    ]
}

/// A port: name, name in the bus definition, whether the accelerator drives it, bits.
type Port = (String, String, bool, usize);

/// The ports of the bus `prefix`, whose requests the accelerator sends if it is `master`.
fn ports(prefix: &str, master: bool, channels: &[Channel]) -> Vec<Port> {
    let mut ports = vec![];
    for (channel, signals) in channels {
        let request = !matches!(*channel, "b" | "r");
        let mut put = |signal: &str, driven, bits| {
            let logical = format!("{channel}{signal}");
            ports.push((format!("{prefix}_{logical}"), logical.to_uppercase(), driven, bits));
        };
        signals.iter().for_each(|(signal, bits)| put(signal, request == master, *bits));
        put("ready", request != master, 1);
    }
    ports
}

/// `busType` or another reference to a definition of Vivado's.
fn definition(name: &'static str, library: &str, definition: &str) -> Element {
    let plain = of(name, vec![]);
    let with = plain.with("vendor", "xilinx.com").with("library", library).with("name", definition);
    with.with("version", "1.0")
}

/// A bus, with the ports that make it up and its parameters.
fn bus(
    name: &str,
    library: &str,
    kind: &str,
    mode: Element,
    ports: &[Port],
    parameters: &[(&str, String)],
) -> Element {
    let map = |(physical, logical, ..): &Port| {
        let port = |which, name: &str| of(which, vec![text("name", name)]);
        of("portMap", vec![port("logicalPort", logical), port("physicalPort", physical)])
    };
    let parameter = |(name, value): &(&str, String)| {
        let id = format!("BUSIFPARAM_VALUE.{name}");
        of("parameter", vec![text("name", name), text("value", value).with("id", &id)])
    };
    let mut elements = vec![
        text("name", name),
        definition("busType", library, kind),
        definition("abstractionType", library, &format!("{kind}_rtl")),
        mode,
        of("portMaps", ports.iter().map(map).collect()),
    ];
    if !parameters.is_empty() {
        elements.push(of("parameters", parameters.iter().map(parameter).collect()));
    }
    of("busInterface", elements)
}

/// A bus of one port: a clock, a reset or an interrupt.
fn single(
    name: &str,
    kind: &str,
    logical: &str,
    mode: &'static str,
    parameters: &[(&str, String)],
) -> Element {
    let port = (name.to_string(), logical.to_string(), mode == "master", 1);
    bus(name, "signal", kind, of(mode, vec![]), &[port], parameters)
}

fn register(register: &Register) -> Element {
    let access = match register.access {
        Access::R => "read-only",
        Access::W => "write-only",
        Access::RW => "read-write",
    };
    let mut elements = vec![
        text("name", register.name),
        text("description", register.doc.trim()),
        text("addressOffset", format!("0x{:x}", register.address)),
        text("size", 32),
        text("access", access),
    ];
    let field = |bits: &crate::isa::Bits| {
        let range = [text("bitOffset", bits.low), text("bitWidth", bits.count)];
        let names = [text("name", bits.name), text("description", bits.doc.trim())];
        of("field", names.into_iter().chain(range).collect())
    };
    elements.extend(register.bits.iter().map(field));
    of("register", elements)
}

fn port((name, _, driven, bits): &Port) -> Element {
    let mut wire = vec![text("direction", if *driven { "out" } else { "in" })];
    if *bits > 1 {
        wire.push(of("vector", vec![text("left", bits - 1), text("right", 0)]));
    }
    of("port", vec![text("name", name), of("wire", wire)])
}

impl Bundle<'_> {
    /// The text of [`FILE`].
    pub(super) fn component(&self) -> String {
        let config = &self.schedule.config;
        let host = ports("s_axil", false, &axi4_lite());
        let memory = ports("m_axi", true, &axi4(config));
        let plain = |name: &str, driven| (name.to_string(), String::new(), driven, 1);
        let single = [plain("clk", false), plain("rst_n", false), plain("irq", true)];
        let all: Vec<&Port> = single[..2].iter().chain(&host).chain(&memory).chain(&single[2..]).collect();
        let root = of(
            "component",
            vec![
                text("vendor", "vgg2rtl"),
                text("library", "ip"),
                text("name", self.top()),
                text("version", format!("{VERSION}.0")),
                of("busInterfaces", buses(&host, &memory)),
                of("addressSpaces", vec![address_space(config)]),
                of("memoryMaps", vec![memory_map()]),
                of("model", vec![views(self.top()), of("ports", all.into_iter().map(port).collect())]),
                of("fileSets", vec![self.file_set()]),
                text("description", format!("Systolic array that runs {}", self.model.header.name)),
            ],
        );
        let uri = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009";
        let root = Element(root.0, format!(" xmlns:spirit=\"{uri}\""), root.2);
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        root.print(0, &mut text);
        text
    }

    fn file_set(&self) -> Element {
        let file =
            |module| of("file", vec![text("name", self.rtl(module)), text("fileType", "verilogSource")]);
        let files = self.modules.iter().map(file);
        of("fileSet", std::iter::once(text("name", "rtl")).chain(files).collect())
    }
}

fn buses(host: &[Port], memory: &[Port]) -> Vec<Element> {
    let reference = |mode, to, name| of(mode, vec![of(to, vec![]).with(to, name)]);
    let clock = [("ASSOCIATED_BUSIF", "s_axil:m_axi".to_string()), ("ASSOCIATED_RESET", "rst_n".into())];
    vec![
        bus("s_axil", "interface", "aximm", reference("slave", "memoryMapRef", "registers"), host, &[]),
        bus("m_axi", "interface", "aximm", reference("master", "addressSpaceRef", "memory"), memory, &[]),
        single("clk", "clock", "CLK", "slave", &clock),
        single("rst_n", "reset", "RST", "slave", &[("POLARITY", "ACTIVE_LOW".into())]),
        single("irq", "interrupt", "INTERRUPT", "master", &[("SENSITIVITY", "LEVEL_HIGH".into())]),
    ]
}

fn address_space(config: &ArrayConfig) -> Element {
    let range = 1u128 << config.address_bits;
    of("addressSpace", vec![text("name", "memory"), text("range", range), text("width", config.bus_bits)])
}

fn memory_map() -> Element {
    let head = [
        text("name", "registers"),
        text("baseAddress", 0),
        text("range", PAGE),
        text("width", 32),
        text("usage", "register"),
    ];
    let block = of("addressBlock", head.into_iter().chain(REGISTERS.iter().map(register)).collect());
    of("memoryMap", vec![text("name", "registers"), block])
}

fn views(top: &str) -> Element {
    let files = of("fileSetRef", vec![text("localName", "rtl")]);
    let view = vec![
        text("name", "xilinx_anylanguagesynthesis"),
        text("envIdentifier", ":vivado.xilinx.com:synthesis"),
        text("language", "Verilog"),
        text("modelName", top),
        files,
    ];
    of("views", vec![of("view", view)])
}
