"""Data in and out: rows of other people's files to sections of a document, and back. No torch."""
