"""Training: a document's sections become rows, rows become batches, batches become adapters, a run becomes
versions.
"""
