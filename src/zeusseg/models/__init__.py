"""Tensors only: vision encoders, text encoders, fusions, decoders, and the models made of them."""

from zeusseg.torchvision_guard import guard_torchvision

guard_torchvision()
