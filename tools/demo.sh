#!/usr/bin/env bash
# What `make demo` shows: fetch the base, train a sample document, use it. tools/demo.sh FOLDER_OF_THE_DLM_COMMAND
# What it trains stays in .dlm/ of this clone, apart from the person's own documents.
set -euo pipefail
cd "$(dirname "$0")/.."
dlm=$1/dlm
document=sample_docs/runbook.dlm
export DLM_HOME=$PWD/.dlm

step() { printf '\n==> %s\n' "$*"; }

step "fetching the base model smollm2-135m, if it is not here yet"
"$dlm" base pull smollm2-135m

step "training the three adapters of $document, then its adapter gate"
"$dlm" train "$document"

if [ -t 0 ] && [ -t 1 ]; then
    step "dlm open $document"
    exec "$dlm" open "$document"
fi

ask() {
    step "dlm prompt $document \"$1\""
    "$dlm" prompt --bars "$document" "$1"
}
ask "How do I roll back a bad deploy of the checkout service?"
ask "How long do we keep the rows of the audit_log table?"
ask "A customer wrote us a furious email. How do we answer?"

step "that was the demo; your turn:"
cat <<'TEXT'
    .venv/bin/dlm init my.dlm          write a starting document
    .venv/bin/dlm train my.dlm         train its adapters
    .venv/bin/dlm prompt my.dlm "…"    ask, and see which of them answers
TEXT
