#!/usr/bin/env bash
# Convert a bundle's graphs for an Ascend 310, with converter_lite or atc.
#
#   scripts/convert_310.sh BUNDLE --out DIR [--tool atc] [--soc Ascend310P3] [--aipp] [--print]
#
# Shapes, mean, scale and channel order come from the bundle. --print shows the commands, and needs
# neither tool. Needs ecolite-stream installed; ECOLITE_PYTHON names its Python.
set -euo pipefail

case ${1:-} in
-h | --help | "")
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    [ $# -gt 0 ] || exit 2
    exit 0
    ;;
esac
exec "${ECOLITE_PYTHON:-python3}" -m ecolite_stream.app.convert_ascend "$@"
