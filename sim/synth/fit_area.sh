#!/usr/bin/env bash
# Fits the analytical area model of `vgg2rtl explore` to yosys: synthesises the modules that changed since the last time,
# writes src/explore/area_model.json and tests/data/area_held_out.json, and prints the error on designs that are held out.
# usage: sim/synth/fit_area.sh FAMILY...   (ecp5, xc7, ice40, gowin, xcup)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
cargo run --release --example fit_area -- "$@"
