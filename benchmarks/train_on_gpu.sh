#!/usr/bin/env bash
# Train on a machine that is lent for minutes at a time, in calls that can be resumed.
#
#   benchmarks/train_on_gpu.sh pack DATA [MEGABYTES]     here: pack DATA into runs/gpu/data
#   benchmarks/train_on_gpu.sh run MINUTES [OPTION...]   there: go on for so many minutes
#   benchmarks/train_on_gpu.sh join FOLDER               here: put together what came back
#   benchmarks/train_on_gpu.sh try DATA                  all three on this CPU, in a minute
#
# `run` keeps its state in runs/gpu, which git ignores and which stays on a machine while
# it is held. Weights, log and picture go to $OUT in pieces of 15 MiB. On a machine that is
# new, a run begins anew from the weights that `join` put into runs/gpu, if they are sent
# along: name runs/gpu in `carry`. Further options are those of `napari-sam train`.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
recipe=${RECIPE:-benchmarks/joint.toml}
here=runs/gpu
piece=15M
export PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}"

pack() {
  rm -rf "$here/data"
  "$python" benchmarks/pack_training_data.py "$recipe" "$1" "$here/data" --megabytes "${2:-36}"
}

run() {
  local minutes=$1 start=() out=${OUT:-$here/out}
  shift
  mkdir -p "$out"
  if [ ! -e "$here/run.checkpoint.pt" ] && [ -e "$here/weights.safetensors" ]; then
    start=(--from "$here/weights.safetensors")
  fi
  # A run that goes on counts its earlier parts: what is asked for is added to them.
  local done_minutes=0
  if [ -e "$here/minutes" ]; then done_minutes=$(cat "$here/minutes"); fi
  local total
  total=$("$python" -c "print($done_minutes + $minutes)")
  "$python" -m napari_sam.cli train "$recipe" --data "$here/data" --minutes "$total" \
    --output "$here/run.safetensors" "${start[@]}" "$@"
  echo "$total" >"$here/minutes"
  split -b "$piece" -d "$here/run.safetensors" "$out/weights.part"
  cp "$here/run.log.jsonl" "$here/run.log.png" "$out/"
}

join() {
  cat "$1"/weights.part* >"$here/weights.safetensors"
  cp "$1/run.log.jsonl" "$1/run.log.png" "$here/"
  "$python" -c "from napari_sam.model import load_model; load_model('$here/weights.safetensors', 'cpu')"
  echo "weights: $here/weights.safetensors"
}

try() {
  here=$(mktemp -d)
  trap 'rm -rf "$here"' EXIT
  unset OUT
  pack "$1" 4
  run 0.2 --device cpu
  run 0.2 --device cpu
  join "$here/out"
}

command=${1:-}
case "$command" in
  pack | run | join | try) shift && "$command" "$@" ;;
  *) sed -n '2,14p' "$0" && exit 2 ;;
esac
