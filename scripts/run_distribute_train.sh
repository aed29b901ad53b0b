#!/usr/bin/env bash
# Train on several devices of this machine, in the background; the output goes to log.txt.
#
#   scripts/run_distribute_train.sh [RANK_TABLE_FILE] [DEVICE_NUM] [--config FILE] [--key value ...]
#
#   RANK_TABLE_FILE   of HCCL, on Ascend; - for none: with CPU as the device there is no such thing
#   DEVICE_NUM        how many processes, 2 by default; each takes batch_size clips a step
#   --config FILE     configs/train/ucf101.yaml by default; the keys lie over it. Folders in keys are
#                     relative to the repository, or absolute
#
# Losses: grep "loss is " log.txt. What each process says is in runs/distributed. Makes its own
# virtual environment on the first run.
set -euo pipefail

source "$(dirname "$0")/background"
help_or_go "$@"
launch=()
device=()
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    if [ "$1" != - ]; then
        [ -f "$1" ] || refuse "RANK_TABLE_FILE $1 does not exist"
        launch+=(--rank-table "$(realpath -- "$1")")
        device=(--device_target Ascend)
    fi
    shift
fi
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    require_number DEVICE_NUM "$1"
    launch+=(--workers "$1")
    shift
fi
take_config "$@"
case " ${REST[*]} " in *" --device_target"*) device=() ;; esac
cd "$(dirname "$0")/.."
source scripts/environment
make_environment train
start_in_background "$PYTHON" -m trainer.launch "${launch[@]}" -- "${CONFIG[@]}" "${device[@]}" "${REST[@]}"
