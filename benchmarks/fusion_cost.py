"""What each fusion costs: parameters trained, floating point operations, and seconds, for several encoders.

`python benchmarks/fusion_cost.py [--encoders FOLDER ...] [--rounds 5]`

One training step (forward and backward, batch of 4, three modalities of 192 x 192, one instruction of two targets) of
`compact` and of frozen encoders, given as folders; without any, ViT-S/16 and ResNet-50 with random weights, whose cost
is the same. Stored features take the place of the frozen encoder in the last column. All are measured in turn in every
round, in an order drawn anew; seconds are relative to early fusion of `compact` in the same round.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from zeusseg.models.fusion import FUSIONS
from zeusseg.models.neck import Features
from zeusseg.models.zeus import ZeusModel, count_parameters

BATCH, MODALITIES, SIDE = 4, 3, 192
TEXTS = ["Segment the lesion: an area that is bright on FLAIR. FLAIR: a bright area in the left frontal lobe.", "liver"]


def usual_encoders(folder: Path) -> list[str]:
    """Configurations of the two sizes that the studies compare."""
    from transformers import ResNetConfig, ViTConfig

    small = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
    ViTConfig(**small).save_pretrained(folder / "vit-small-16")
    ResNetConfig().save_pretrained(folder / "resnet-50")
    return [f"random:{folder / name}" for name in ("vit-small-16", "resnet-50")]


def features_of(model: ZeusModel, images: torch.Tensor) -> Features:
    assert model.backbone is not None
    present = torch.ones(MODALITIES, dtype=torch.bool)
    shown = torch.stack(
        [model.encoder_image(sample, present, slot) for sample in images for slot, _ in model.encoder_slots(present)]
    )
    maps = [feature.unflatten(0, (BATCH, model.slots)).bfloat16() for feature in model.backbone(shown)]
    return Features(maps, (SIDE, SIDE))


def step_of(model: ZeusModel, shown: torch.Tensor | Features) -> Callable[[], None]:
    present = torch.ones(BATCH, MODALITIES, dtype=torch.bool)
    which = torch.tensor([[0, 1]]).expand(BATCH, -1)

    def step() -> None:
        model.zero_grad()
        output = model(shown, present, model.encode_text(TEXTS), which)
        (output.masks.mean() + output.presence.mean()).backward()

    return step


def flops(step: Callable[[], None]) -> float:
    """Billions of multiplications and additions of a step, forward and backward, per sample."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / BATCH / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="*", type=Path, default=[])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        encoders = [f"pretrained:{folder}" for folder in given.encoders] or usual_encoders(Path(temporary))
        steps, facts = {}, {}
        images = torch.randn(BATCH, MODALITIES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        for vision in ("compact", *encoders):
            for fusion in FUSIONS:
                torch.manual_seed(0)
                model = ZeusModel(MODALITIES, 3, fusion=fusion, vision=vision, norm="group")
                key = (vision.rpartition("/")[2], fusion)
                steps[key, "images"] = step_of(model, images)
                if model.backbone is not None:
                    steps[key, "stored"] = step_of(model, features_of(model, images))
                facts[key] = (*count_parameters(model), *(
                    flops(steps[key, kind]) if (key, kind) in steps else None for kind in ("images", "stored")
                ))  # fmt: skip
    rng = np.random.default_rng(0)
    rounds: list[dict[object, float]] = []
    for _ in range(given.rounds):
        found = {}
        for place in rng.permutation(len(steps)):
            key = list(steps)[place]
            started = time.perf_counter()
            steps[key]()
            found[key] = time.perf_counter() - started
        rounds.append(found)
    base = (("compact", "early"), "images")
    print(f"{given.rounds} rounds; median (lowest to highest) of times relative to compact, early")
    print("| encoder | fusion | parameters trained | of all | GFLOP a sample | time | GFLOP, stored | time, stored |")
    print("| --- " * 8 + "|")
    for key, (trained, everything, whole, stored) in facts.items():
        cells = [*key, f"{trained / 1e6:.2f} M", f"{everything / 1e6:.1f} M"]
        for kind, count in (("images", whole), ("stored", stored)):
            ratios = [found[key, kind] / found[base] for found in rounds] if count is not None else []
            if ratios:
                cells += [f"{count:.1f}", f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]
        print("| " + " | ".join([*cells, "", ""][:8]) + " |")


if __name__ == "__main__":
    main()
