#!/usr/bin/env bash
# Score a checkpoint on every clip of a list, the first test split of UCF101 by default.
#
#   scripts/run_eval.sh CHECKPOINT [--val_list FILE --data_path DIR | --clips DIR] [option ...]
#
# Makes its own virtual environment on the first run.
set -euo pipefail

case ${1:-} in
-h | --help | "")
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    [ $# -gt 0 ] || exit 2
    exit 0
    ;;
esac
checkpoint=$(realpath -m -- "$1")
shift
if [ $# -eq 0 ]; then
    set -- --val_list data/ucf101_lists/ucf101_test_split_1.txt --data_path data/ucf101_frames
fi
cd "$(dirname "$0")/.."
source scripts/environment
make_environment openvino
exec "$PYTHON" -m trainer.evaluate "$checkpoint" "$@"
