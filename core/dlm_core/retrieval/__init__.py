"""Search in what a document has taught: which section a prompt asks for, how surely, and if any at all."""
