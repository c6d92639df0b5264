"""Base models: which there are, where weights come from, how they load and how they speak (chat template)."""
