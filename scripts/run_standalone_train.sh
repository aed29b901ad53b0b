#!/usr/bin/env bash
# Train on one device, in the background; the output goes to log.txt.
#
#   scripts/run_standalone_train.sh [CHECKPOINT_PATH] [DEVICE_ID] [--config FILE] [--key value ...]
#
#   CHECKPOINT_PATH   weights to start from: a checkpoint, a bundle's folder or demo; - for none
#   DEVICE_ID         which of the devices, 0 by default
#   --config FILE     configs/train/ucf101.yaml by default; the keys lie over it, such as
#                     --device_target Ascend; resume an interrupted run with --resume FOLDER alone.
#                     Folders in keys are relative to the repository, or absolute
#
# Losses: grep "loss is " log.txt. Makes its own virtual environment on the first run.
set -euo pipefail

source "$(dirname "$0")/background"
help_or_go "$@"
given=()
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    [ "$1" = - ] || { require_checkpoint "$1" && given+=(--checkpoint_path "$CHECKPOINT"); }
    shift
fi
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    require_number DEVICE_ID "$1"
    given+=(--device_id "$1")
    shift
fi
take_config "$@"
cd "$(dirname "$0")/.."
source scripts/environment
make_environment train
start_in_background "$PYTHON" -m trainer.train "${CONFIG[@]}" "${given[@]}" "${REST[@]}"
