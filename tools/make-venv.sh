#!/usr/bin/env bash
# Make a virtual environment with pip in it: tools/make-venv.sh PYTHON FOLDER
# Debian splits venv's pip off into python3-venv; without it, the system's own pip will do, or apt as root.
set -euo pipefail
python=$1 folder=$2

if ! command -v "$python" >/dev/null; then
    echo "error: there is no $python here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $("$python" --version) is too old; dlm needs 3.11 or newer: make PYTHON=python3.12, say" >&2
    exit 1
fi

has_ensurepip() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
pip_can_reach_out() { "$python" -m pip --python "$(command -v "$python")" --version >/dev/null 2>&1; }

if ! has_ensurepip && ! pip_can_reach_out && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "    this Python cannot make virtual environments yet; installing Debian's python3-venv"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv; } >/dev/null
fi

if has_ensurepip; then
    "$python" -m venv "$folder"
elif pip_can_reach_out; then
    "$python" -m venv --without-pip "$folder"
    "$python" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check pip
else
    echo "error: $python cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv" >&2
    exit 1
fi
