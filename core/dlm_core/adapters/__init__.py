"""The bank: every adapter of a document in one fused layer per linear of the base, and adapters as PEFT
folders.
"""
