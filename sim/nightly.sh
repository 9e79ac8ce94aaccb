#!/usr/bin/env bash
# What takes longer than CI may: more faults in every module, more random networks on more design points.
# usage: sim/nightly.sh [FAULTS-A-MODULE [DESIGN-POINTS [NETWORKS-A-POINT]]]
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=1
VGG2RTL_FAULTS="${1:-20}" cargo test --lib injected_faults -- --nocapture
VGG2RTL_POINTS="${2:-500}" VGG2RTL_NETWORKS="${3:-40}" cargo test --test randomised verilator -- --nocapture
VGG2RTL_POINTS=40 cargo test --test randomised -- --nocapture icarus in_process
