#!/usr/bin/env bash
# Bitstreams of the small VGG16, W8A8, for boards, with open tools: 8×8 on the ULX3S-85F, 4×4 on the others.
# usage: testbenches/litex/boards.sh [BOARD…]    BOARD: ulx3s, colorlight_i5 or tang_nano_20k; the first two without
# Needs a RISC-V compiler (`./x boards` installs it); LiteX, yosys, nextpnr and the packers go to a venv in target/boards.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in riscv64-unknown-elf-gcc python3 make; do
    command -v "$tool" >/dev/null || {
        echo "skipped: $tool is missing" >&2
        [ -z "${CI:-}" ] || exit 3
        exit 0
    }
done
[ $# -gt 0 ] || set -- ulx3s colorlight_i5 # the third takes nextpnr 18 minutes: docs/board.md

boards=target/boards
data=models/fashion-test-256-images-idx3-ubyte.gz
mkdir -p "$boards"
[ -e "$boards/venv/ready" ] || {
    python3 -m venv "$boards/venv"
    "$boards/venv/bin/pip" install --quiet -r testbenches/litex/requirements-boards.txt
    touch "$boards/venv/ready"
}
export PATH="$PWD/$boards/venv/bin:$PATH"
cargo build --quiet
target/debug/vgg2rtl quantize models/vgg16-small-fashion.safetensors --weights 8 --acts 8 --calib "$data" --images 64 \
    -o "$boards/w8a8.safetensors" >/dev/null
bundle() { # bundle NAME OPTION…
    target/debug/vgg2rtl generate "$boards/w8a8.safetensors" --bus 64 --data "$data" --images 4 -o "$boards/$1" "${@:2}"
}
bundle bundle-ulx3s --array 8x8
bundle bundle-colorlight_i5 --array 4x4
# No more than the network needs: the placer needs room in this FPGA.
bundle bundle-tang_nano_20k --array 4x4 --max-map 32 --max-channels 64 --max-images 4 --offset-bits 20
python3 testbenches/litex/test_board.py "$boards/bundle-colorlight_i5" elaborate
for board in "$@"; do
    bundle="$boards/bundle-$board"
    python3 "$bundle/litex/board.py" "$bundle" --board "$board" --build "$boards/$board"
done
