"""Training: what a run is told, the slices it draws, its losses, its loop and its folder."""

from zeusseg.torchvision_guard import guard_torchvision

guard_torchvision()
