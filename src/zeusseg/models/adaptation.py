"""What of a pretrained encoder is trained after all: its last blocks, or low-rank changes to its attention."""

from __future__ import annotations

from torch import Tensor, nn

from zeusseg.errors import UsageError

# What the families call the projections to queries and values. SAM has one matrix for queries, keys and values.
QUERY_VALUE = ("q_proj", "v_proj", "query", "value", "qkv")


def unfreeze(blocks: nn.ModuleList, count: int) -> None:
    """Train the last `count` blocks of an encoder. Raises `UsageError` where there are not so many."""
    if not 0 <= count <= len(blocks):
        raise UsageError(f"{count} blocks are to be trained, but the encoder has {len(blocks)}")
    blocks[len(blocks) - count :].requires_grad_(True)


def add_lora(network: nn.Module, rank: int) -> None:
    """Add trainable low-rank changes to queries and values of every attention (LoRA, Hu et al. 2022, section 4.2).

    They start at zero: the network computes what it did before. Raises `UsageError` for a network without attention.
    """
    try:
        import peft
    except ImportError as error:
        raise UsageError("LoRA needs the extra: pip install 'zeusseg[pretrained]'") from error

    names = [
        name
        for name, part in network.named_modules()
        if isinstance(part, nn.Linear) and name.rpartition(".")[2] in QUERY_VALUE
    ]
    if not names:
        raise UsageError(
            f"LoRA changes the queries and values of attention, and {type(network).__name__} has none: train its last "
            "stages instead (unfrozen_blocks)"
        )
    peft.inject_adapter_in_model(peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=names), network)


def trained_state(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the parameters that are trained, by name, on the CPU."""
    return {name: p.detach().cpu().clone() for name, p in network.named_parameters() if p.requires_grad}


def load_trained_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Take back what `trained_state` gave. Raises `ValueError` where it belongs to another adaptation."""
    wanted = {name for name, p in network.named_parameters() if p.requires_grad}
    if wanted != set(state):
        differing = sorted(wanted ^ set(state))
        raise ValueError(
            f"the trained parts are those of another encoder or adaptation: {len(differing)} names differ "
            f"({differing[0]}, ...)"
        )
    network.load_state_dict(state, strict=False)
