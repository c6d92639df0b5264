"""Inference: tokens one by one, how they are drawn, and a chat on top that knows routing and openness."""
