#!/usr/bin/env bash
# Score a bundle on an Ascend 310, over every video of a split; the result goes to acc.log.
#
#   scripts/run_infer_310.sh MINDIR_PATH EVAL_DATA_DIR [DEVICE_ID] [BATCH_SIZE] [option ...]
#
#   MINDIR_PATH     a bundle's folder, with graphs for MindSpore Lite: trainer.export writes them,
#                   scripts/convert_310.sh converts them for the device
#   EVAL_DATA_DIR   UCF101's videos or extracted frames, as <class>/<clip>
#   DEVICE_ID       which Ascend, 0 by default; cpu runs the same on MindSpore Lite's CPU target
#   BATCH_SIZE      1, as in the published script, or any other number: the graphs take one clip at
#                   a time, the N frames of a clip N / 2 at a time, and no number changes a result
#   option          of ecolite-bench ucf101, such as --split 2 (1 by default) or --crops 10
#
# ECOLITE_MSLITE_PYTHON names a Python that has mindspore_lite, where that is not the environment's
# own. No last, smaller batch is dropped: the last line of acc.log counts all videos. Makes its own
# virtual environment on the first run.
set -euo pipefail

source "$(dirname "$0")/background"
help_or_go "$@"
[ $# -ge 2 ] || refuse "MINDIR_PATH and EVAL_DATA_DIR are missing"
[ -e "$1" ] || refuse "MINDIR_PATH $1 does not exist"
[ -d "$2" ] || refuse "EVAL_DATA_DIR $2 does not exist"
bundle=$(realpath -- "$1")
[ -d "$bundle" ] || bundle=$(dirname "$bundle")  # one of its graphs was named
data=$(realpath -- "$2")
shift 2
device=ascend:0
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    if [ "$1" = cpu ]; then
        device=cpu
    else
        require_number DEVICE_ID "$1"
        device=ascend:$1
    fi
    shift
fi
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    require_number BATCH_SIZE "$1"
    [ "$1" != 0 ] || refuse "BATCH_SIZE is 0, expected 1 or more"
    shift
fi
split=(--split 1)
case " $* " in *" --split"*) split=() ;; esac
cd "$(dirname "$0")/.."
source scripts/environment
make_environment
code=0
"$PYTHON" -m ecolite_stream.bench.cli ucf101 --data "$data" --bundle "$bundle" --engine mslite \
    --device "$device" "${split[@]}" "$@" >"$CALLED_FROM/acc.log" || code=$?
tail -n 2 -- "$CALLED_FROM/acc.log"
exit $code
