"""The adapter gate: which adapter should answer a prompt. Embedding, the MLP, its training, and the modes."""
