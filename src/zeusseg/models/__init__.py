"""Tensors only: vision encoders, text encoders, fusions, decoders, and the models made of them."""
