"""Scripted stand-ins that speak the real event types: an engine, and a client that runs it in-process."""
