"""Further wordings of a document's questions, from a model behind an OpenAI-compatible URL."""
