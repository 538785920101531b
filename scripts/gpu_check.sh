#!/bin/sh
# Try everything that needs a GPU, in under 8 minutes, and write gpu_check.json and gpu_check.md.
#
#     scripts/gpu_check.sh REFERENCE [OUT]
#
# REFERENCE is the folder with the reference's cases, models and videos; OUT is where the two files
# go (here by default). PYTHON names an interpreter that has sleap_lab and PyTorch for CUDA.
set -eu
reference=${1:?"usage: scripts/gpu_check.sh REFERENCE [OUT]"}
out=${2:-.}
python=${PYTHON:-python3}
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
[ -n "${GPU_CHECK_DEVICE:-}" ] || "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
    || { echo "error: PyTorch finds no CUDA device here" >&2; exit 2; }
mkdir -p "$out"
PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" exec timeout -k 10 460 "$python" "$here/scripts/gpu_check.py" "$reference" "$out"
