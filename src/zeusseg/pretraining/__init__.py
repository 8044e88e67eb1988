"""Encoder weights without any download: learned from phantoms and, without labels, from training patients."""

from zeusseg.torchvision_guard import guard_torchvision

guard_torchvision()

from zeusseg.pretraining.config import PretrainConfig, read_pretrain_config  # noqa: E402
from zeusseg.pretraining.run import PretrainedEncoder, pretrain  # noqa: E402

__all__ = ["PretrainConfig", "PretrainedEncoder", "pretrain", "read_pretrain_config"]
