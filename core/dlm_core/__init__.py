"""The engine of the dlm workbench: documents in, routed adapters and their figures out. No user interface."""

__version__ = "0.1.0"
