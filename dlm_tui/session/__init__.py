"""The part of every front end that is no front end: engine session, conversation, commands, runs, words."""
