#!/usr/bin/env bash
# One job in several tools: the repository's small VGG16, 8 bits, 64 pictures to calibrate with, then towards hardware.
# Prints a line a tool: its version | lines of code or commands | pictures of 256 that are right | what one holds.
# usage: benches/flows/run.sh [TOOL…]    TOOL: vgg2rtl, torch_ao, brevitas_qonnx, nngen_verilog or hls4ml_cpp; all without
# PYTHON names an interpreter that has torch (Debian: `apt-get install python3-torch`); the rest goes to a venv in target/flows.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
[ $# -gt 0 ] || set -- vgg2rtl torch_ao brevitas_qonnx nngen_verilog hls4ml_cpp
work=target/flows
mkdir -p "$work"

vgg2rtl() { # the job here: three commands
    local data=models/fashion-test-256-images-idx3-ubyte.gz run=target/debug/vgg2rtl
    cargo build --quiet
    "$run" quantize models/vgg16-small-fashion.safetensors --calib "$data" --images 64 -o "$work/w8a8.safetensors" >"$work/log"
    "$run" generate "$work/w8a8.safetensors" --array 8x8 --data "$data" -o "$work/bundle" >>"$work/log"
    "$run" cosim "$work/w8a8.safetensors" --array 8x8 --data "$data" --images 1 >>"$work/log"
    # report
    "$run" eval "$work/w8a8.safetensors" --data "$data" --json 2>>"$work/log" | python3 -c '
import json, sys
print(sys.argv[1], 3, round(256 * json.load(sys.stdin)["accuracy"]), "bundle/", sep=" | ")' "$("$run" --version)"
}

for tool in "$@"; do
    if [ "$tool" = vgg2rtl ]; then
        vgg2rtl
        continue
    fi
    [ -e "$work/venv/ready" ] || {
        "${PYTHON:-/usr/bin/python3}" -m venv --system-site-packages "$work/venv"
        "$work/venv/bin/pip" install --quiet -r benches/flows/requirements.txt
        touch "$work/venv/ready"
    }
    (cd "$work" && venv/bin/python -W ignore "$here/$tool.py" 2>"$tool.log" | tail -1)
done
