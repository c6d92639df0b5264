"""dlm's front ends: command line, REPL and workbench. None of them imports torch."""

import os

# Textual reads this once, when it is imported. From a key to its frame is half the wait at twice the frames,
# and where nothing changes none is painted.
os.environ.setdefault("TEXTUAL_FPS", "120")
