"""`dlm repl`: the chat in a terminal line, a dumb terminal or a pipe. `run_repl` in `session` starts it."""
