#!/usr/bin/env bash
# The accelerator in a simulated system on a chip: the small VGG16, W8A8 and W4A4, each with real pictures.
# usage: testbenches/litex/soc.sh [short]    short: one picture, W8A8 only
# Needs Verilator, a RISC-V compiler, libevent, libjson-c (`./x soc` installs them); LiteX goes to a venv in target/soc.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing() {
    echo "skipped: $1 is missing" >&2
    [ -z "${CI:-}" ] || exit 3
    exit 0
}
for tool in verilator riscv64-unknown-elf-gcc python3 make g++; do
    command -v "$tool" >/dev/null || missing "$tool"
done
[ -e /usr/include/event2/event.h ] || missing libevent-dev
[ -e /usr/include/json-c/json.h ] || missing libjson-c-dev

images=4
widths="8 4"
[ "${1:-}" != short ] || images=1 widths=8
soc=target/soc
mkdir -p "$soc"
[ -e "$soc/venv/ready" ] || {
    python3 -m venv "$soc/venv"
    "$soc/venv/bin/pip" install --quiet -r testbenches/litex/requirements.txt
    touch "$soc/venv/ready"
}
export PATH="$PWD/$soc/venv/bin:$PATH"
cargo build --quiet
data=models/fashion-test-256-images-idx3-ubyte.gz
for bits in $widths; do
    # The narrow one with a second-level cache, whose contents the driver must flush.
    l2=$((bits == 8 ? 0 : 8192))
    target/debug/vgg2rtl quantize models/vgg16-small-fashion.safetensors --weights "$bits" --acts "$bits" --calib "$data" \
        --images 64 -o "$soc/w$bits.safetensors" >/dev/null
    target/debug/vgg2rtl generate "$soc/w$bits.safetensors" --preset tiny --data "$data" --images "$images" -o "$soc/bundle-w$bits"
    [ "$bits" != 8 ] || python3 testbenches/litex/test_core.py "$soc/bundle-w$bits"
    python3 "$soc/bundle-w$bits/litex/soc.py" "$soc/bundle-w$bits" --build "$soc/w$bits" --l2 "$l2"
done
