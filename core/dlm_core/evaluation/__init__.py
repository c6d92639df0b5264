"""Evaluation: what a document's adapters have learned, how well prompts are routed, and what the base has
kept.
"""
