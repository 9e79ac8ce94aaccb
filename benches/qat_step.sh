#!/usr/bin/env bash
# The training step beside PyTorch's, two threads each. PYTHON names an interpreter that has torch.
set -euo pipefail
cd "$(dirname "$0")/.."
export RAYON_NUM_THREADS=2
cargo bench --quiet --bench qat_step
"${PYTHON:-python3}" benches/qat_step.py
