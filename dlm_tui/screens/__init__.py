"""The full screens and the dialogs of the workbench."""
