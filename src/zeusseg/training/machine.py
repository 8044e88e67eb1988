"""What the machine at hand does best: number formats, and memory that is not handed back after every step."""

from __future__ import annotations

import ctypes
import platform
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


def fast_precision() -> Precision:
    """bf16 where the hardware multiplies it natively (it halves most steps there), else 32 bits."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors: asking the kernel anew for it each step costs up to 4x the time.

    The same as starting with MALLOC_MMAP_MAX_=0 and a huge MALLOC_TRIM_THRESHOLD_; other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)
