"""Encoder weights without any download: learned from phantoms and, without labels, from training patients."""

from zeusseg.pretraining.config import PretrainConfig, read_pretrain_config
from zeusseg.pretraining.run import PretrainedEncoder, pretrain

__all__ = ["PretrainConfig", "PretrainedEncoder", "pretrain", "read_pretrain_config"]
