"""Holds component.xml of a bundle to its Verilog and to its registers: test_component.py BUNDLE [ipyxact].

`ipyxact`: that package reads it, too, and finds the same.
"""

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

BUNDLE = Path(sys.argv[1])
FILE = BUNDLE / "component.xml"
TOP = json.loads((BUNDLE / "design.json").read_text())["top"]
SPIRIT = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"
# Signals that AMBA's specification of AXI4 has, and that a master of bursts and a slave of words need.
MASTER = """AWID AWADDR AWLEN AWSIZE AWBURST AWLOCK AWCACHE AWPROT AWQOS AWVALID AWREADY WDATA WSTRB WLAST WVALID WREADY BID BRESP BVALID
BREADY ARID ARADDR ARLEN ARSIZE ARBURST ARLOCK ARCACHE ARPROT ARQOS ARVALID ARREADY RID RDATA RRESP RLAST RVALID RREADY""".split()
SLAVE = """AWADDR AWPROT AWVALID AWREADY WDATA WSTRB WVALID WREADY BRESP BVALID BREADY ARADDR ARPROT ARVALID ARREADY RDATA RRESP
RVALID RREADY""".split()


def child(element, path):
    return element.find("/".join(SPIRIT + name for name in path.split("/")))


def texts(element, *names):
    return tuple(child(element, name).text for name in names)


def verilog_ports():
    """Direction and bits of each port of the top, by its name."""
    text = (BUNDLE / f"rtl/{TOP}.v").read_text()
    head = text[text.index(f"module {TOP}") : text.index(");")]
    found = re.findall(r"^ *(input|output) +wire +(?:\[(\d+):0\] +)?(\w+),?$", head, re.M)
    return {name: (way.removesuffix("put"), int(left or 0) + 1) for way, left, name in found}


def ports(root):
    def bits(port):
        left = child(port, "wire/vector/left")
        return 1 if left is None else int(left.text) + 1

    every = child(root, "model/ports")
    return {child(port, "name").text: (child(port, "wire/direction").text, bits(port)) for port in every}


def maps(root):
    """Logical to physical port, for each bus."""
    pair = lambda each: texts(each, "logicalPort/name", "physicalPort/name")  # noqa: E731
    return {child(bus, "name").text: dict(map(pair, child(bus, "portMaps"))) for bus in child(root, "busInterfaces")}


def registers(root):
    block = child(root, "memoryMaps/memoryMap/addressBlock")
    found = block.findall(SPIRIT + "register")
    return {child(each, "name").text: int(child(each, "addressOffset").text, 16) for each in found}


def fields(root):
    return {
        f"{child(register, 'name').text}_{child(field, 'name').text}": tuple(map(int, texts(field, "bitOffset", "bitWidth")))
        for register in root.iter(SPIRIT + "register")
        for field in register.findall(SPIRIT + "field")
    }


def with_ipyxact(root):
    from ipyxact.ipyxact import Component

    component = Component()
    with open(FILE) as file:
        component.load(file)
    assert ":".join((component.vendor, component.library, component.name)) == f"vgg2rtl:ip:{TOP}"
    block = component.memoryMaps.memoryMap[0].addressBlock[0]
    assert {each.name: each.addressOffset for each in block.register} == registers(root)
    assert {each.name: each.wire.direction for each in component.model.ports.port} == {n: way for n, (way, _) in ports(root).items()}
    assert {bus.name for bus in component.busInterfaces.busInterface} == set(maps(root))
    assert len(component.fileSets.fileSet[0].file) == len((BUNDLE / "rtl/files.f").read_text().split())


def main():
    root = ET.parse(FILE).getroot()
    assert ports(root) == verilog_ports(), set(ports(root).items()) ^ set(verilog_ports().items())
    buses = maps(root)
    assert buses["m_axi"] == {name: f"m_axi_{name.lower()}" for name in MASTER}, buses["m_axi"]
    assert buses["s_axil"] == {name: f"s_axil_{name.lower()}" for name in SLAVE}, buses["s_axil"]
    mapped = [port for bus in buses.values() for port in bus.values()]
    assert sorted(mapped) == sorted(ports(root)), "each port belongs to one bus"
    files = [child(each, "name").text for each in root.iter(SPIRIT + "file")]
    assert files == (BUNDLE / "rtl/files.f").read_text().split()
    # What the bundle's driver in Python has.
    sys.path.append(str(BUNDLE / "sim"))
    import isa

    wanted = {name.removeprefix("REG_"): value for name, value in vars(isa).items() if name.startswith("REG_")}
    assert registers(root) == wanted, set(registers(root).items()) ^ set(wanted.items())
    assert fields(root) == {name: getattr(isa, name) for name in fields(root)} and "STATUS_ERROR" in fields(root)
    if sys.argv[2:] == ["ipyxact"]:
        with_ipyxact(root)
    print("PASS: component.xml describes the accelerator")


main()
