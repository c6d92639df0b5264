#!/usr/bin/env bash
# Install this clone into a virtual environment: tools/install.sh FOLDER WHAT
# Large downloads are named as they go; everything pip says is kept in FOLDER/install.log.
set -euo pipefail
folder=$1 what=$2
log=$folder/install.log

if ! "$folder/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
    -c constraints.txt -e "$what" 2>&1 | tee "$log" |
    sed -nu -E 's/^ *Downloading .*\/?\b([A-Za-z0-9_.]+-[0-9][^ /]*\.(whl|tar\.gz))[^ ]* \(([0-9.]+ [MG]B)\).*/    \1 (\3)/p'; then
    tail -n 15 "$log" >&2
    echo "error: the packages could not be installed; all that pip said is in $log" >&2
    exit 1
fi
