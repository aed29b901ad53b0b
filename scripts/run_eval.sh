#!/usr/bin/env bash
# Score a checkpoint on every clip of a list, in the background; the output goes to log.txt.
#
#   scripts/run_eval.sh CHECKPOINT_PATH [DEVICE_ID] [--val_list FILE --data_path DIR | --clips DIR]
#                       [--device CPU|Ascend|GPU] [option ...]
#
#   CHECKPOINT_PATH   a checkpoint, a bundle's folder or demo
#   DEVICE_ID         which of the devices, 0 by default
#
# The first test split of UCF101 by default. The last line of log.txt is
# {'Loss': ..., 'Top1-Acc': ..., 'Top5-Acc': ...}, over all videos. Makes its own virtual environment
# on the first run.
set -euo pipefail

source "$(dirname "$0")/background"
help_or_go "$@"
[ $# -gt 0 ] || refuse "CHECKPOINT_PATH is missing"
require_checkpoint "$1"
shift
id=0
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    require_number DEVICE_ID "$1"
    id=$1
    shift
fi
device=CPU
options=()
clips=
while [ $# -gt 0 ]; do
    case $1 in
    --device)
        device=${2:-}
        shift
        ;;
    --val_list | --clips)
        clips=named
        [ -e "${2:-}" ] || refuse "$1 ${2:-} does not exist"
        options+=("$1" "$(realpath -- "$2")")
        shift
        ;;
    *) options+=("$1") ;;
    esac
    shift
done
[ -n "$clips" ] ||
    options+=(--val_list data/ucf101_lists/ucf101_test_split_1.txt --data_path data/ucf101_frames)
[ "$id" = 0 ] || device="$device:$id"
cd "$(dirname "$0")/.."
source scripts/environment
make_environment train
start_in_background "$PYTHON" -m trainer.evaluate "$CHECKPOINT" --device "$device" "${options[@]}"
