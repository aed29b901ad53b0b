#!/usr/bin/env bash
# Train on one device.
#
#   scripts/run_standalone_train.sh [CONFIG] [--key value ...]
#
# CONFIG is configs/train/ucf101.yaml by default. A run that was ended goes on with
# --resume FOLDER. Makes its own virtual environment on the first run.
set -euo pipefail

case ${1:-} in
-h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
source "$(dirname "$0")/environment"
config=configs/train/ucf101.yaml
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    config=$(realpath -m -- "$1")
    shift
fi
cd "$(dirname "$0")/.."
make_environment openvino
exec "$PYTHON" -m trainer.train --config "$config" "$@"
