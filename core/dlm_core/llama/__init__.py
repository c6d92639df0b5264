"""Llama-shaped bases without transformers: one set of parts (shape, products, attention, adapters) and
its two uses: training, forward and backward, and decoding.
"""
