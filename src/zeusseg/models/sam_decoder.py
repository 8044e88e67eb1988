"""SAM's mask decoder, told what to segment by an instruction's words instead of, or beside, points and boxes.

Zeus (arXiv 2504.07336) maps the encoded instruction by one linear layer to the input width of a SAM mask decoder
(Kirillov et al. 2023, arXiv 2304.02643, appendix A). The parts and their weights are those of transformers' `SamModel`;
how they are run is written out here, because there neither padded prompts can be left out of attention, nor images be
anything but square, nor the tokens of the masks be had.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.models.clicks import PADDING, Clicks
from zeusseg.models.decoder import DecodedMasks, evidence_of
from zeusseg.models.weights import load_pretrained, look_up

EXTRA = "the decoder 'sam' needs the extra: pip install 'zeusseg[pretrained]'"


class SamInstructionDecoder(nn.Module):
    """One feature map and instructions to one mask and one presence logit per target.

    `channels` are those of the feature maps, finest first; the one numbered `embedding` is taken as SAM's image
    embedding (a stride of 16 is what SAM has). `weights` is a published SAM's folder or hub id; None draws SAM's own
    sizes at random. A 1 x 1 convolution brings the map to the decoder's channels (256), but where weights are published
    and the map has as many channels it is left as it is: then it should be the embedding of that SAM's image encoder.
    Everything is trained but the position code, which is fixed in SAM as well; the heads of the three masks that SAM
    offers for an ambiguous prompt are left out. Raises `UsageError` where the weights cannot be loaded.
    """

    position_code: Tensor

    def __init__(
        self, channels: tuple[int, ...], width: int = 128, weights: str | None = None, embedding: int = -1
    ):
        super().__init__()
        prompts, decoder, code = _published(weights) if weights else _drawn()
        hidden = decoder.hidden_size
        self.embedding = embedding
        same = weights is not None and channels[embedding] == hidden
        self.to_embedding = nn.Identity() if same else nn.Conv2d(channels[embedding], hidden, 1)
        self.to_prompts = nn.Linear(width, hidden)
        # Outside, inside, top left and bottom right: the numbers that `Clicks.marks` gives to what it lists.
        self.marks, self.no_box, self.no_mask = prompts.point_embed, prompts.not_a_point_embed, prompts.no_mask_embed
        self.iou_token, self.mask_tokens = decoder.iou_token, decoder.mask_tokens
        self.transformer = decoder.transformer
        self.upscale = nn.Sequential(
            decoder.upscale_conv1, decoder.upscale_layer_norm, nn.GELU(), decoder.upscale_conv2, nn.GELU()
        )
        self.filter = decoder.output_hypernetworks_mlps[0]
        self.iou = decoder.iou_prediction_head
        self.register_buffer("position_code", code)
        self.to_query = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        self.presence = nn.Sequential(nn.Linear(width + 3, width), nn.GELU(), nn.Linear(width, 1))

    def forward(
        self,
        pixels: list[Tensor],
        tokens: Tensor,
        mask: Tensor,
        pooled: Tensor,
        clicks: Clicks | None = None,
        size: tuple[int, int] | None = None,
    ) -> DecodedMasks:
        """`pixels`: finest first, (b, c, h, w); `tokens` (b, t, word, width), `mask` (b, t, word; all false: no words).

        Masks are 4 times as high and wide as the image embedding. `clicks` need the image's `size` in pixels
        (`UsageError` without). `pooled` is not read: every word is a prompt of its own.
        """
        if clicks is not None and size is None:
            raise UsageError("clicks are given without the size of the image that their pixels belong to")
        image = self.to_embedding(pixels[self.embedding]) + rearrange(self.no_mask.weight, "1 c -> c 1 1")
        shape = (image.shape[-2], image.shape[-1])
        extent = size or shape
        prompts, given = self.to_prompts(tokens), mask
        if clicks is not None:
            said, there = self._marks(clicks, extent)
            prompts, given = torch.cat([prompts, said.to(prompts)], dim=2), torch.cat([given, there], dim=2)
        own = repeat(
            torch.cat([self.iou_token.weight, self.mask_tokens.weight]), "n c -> b t n c", b=len(mask), t=mask.shape[1]
        )
        given = torch.cat([given.new_ones(own.shape[:3]), given], dim=2)
        read, seen = self._look(torch.cat([own.to(prompts), prompts], dim=2), given, image, self._grid(shape, extent))
        raised = self.upscale(rearrange(seen, "b t (h w) c -> (b t) c h w", h=shape[0]))
        filters = self.filter(read[:, :, 1])
        raised = rearrange(raised, "(b t) c h w -> b t c h w", b=len(mask))
        masks = torch.einsum("b t c, b t c h w -> b t h w", filters, raised)
        queries = self.to_query(read[:, :, 1])
        # Presence sees what the mask shows, as in our own decoder, and how good SAM thinks that it is.
        evidence = [evidence_of(masks).to(queries), self.iou(read[:, :, 0])[..., :1]]
        presence = self.presence(torch.cat([self.norm(queries), *evidence], dim=-1))
        return DecodedMasks(masks, presence.squeeze(-1), queries)

    def _code(self, places: Tensor) -> Tensor:
        """Random Fourier code (..., c) of places (..., 2) as (row, column), 0 to 1 (Tancik et al. 2020)."""
        # In 16 bits the angles, of several turns, would be off by whole pixels.
        with torch.autocast(places.device.type, enabled=False):
            angles = (2 * places.flip(-1) - 1) @ self.position_code.float() * (2 * torch.pi)
            return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def _grid(self, shape: tuple[int, int], extent: tuple[int, int]) -> Tensor:
        """Codes (h w, c) of the image embedding's pixels. SAM pads images to squares, so a place is told as a share of
        the longer side in both directions."""
        rows, columns = (
            (torch.arange(n, device=self.position_code.device) + 0.5) / n * side / max(extent)
            for n, side in zip(shape, extent, strict=True)
        )
        return self._code(torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1))

    def _marks(self, clicks: Clicks, extent: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Points and corners as SAM embeds them (b, t, mark, c), and which of them are there (b, t, mark)."""
        places, kinds = clicks.marks()
        kind = torch.cat([embedding.weight for embedding in self.marks])
        marks = self._code((places.float() + 0.5) / max(extent)) + kind[kinds.clamp(min=0)]
        there = kinds != PADDING
        # Points without a box come with one token that says so, as SAM was trained.
        boxed = there[..., -1:]
        no_box = self.no_box.weight.expand(*marks.shape[:2], 1, -1)
        pointed = there.any(dim=-1, keepdim=True) & ~boxed
        return torch.cat([marks, no_box], dim=2), torch.cat([there, pointed], dim=2)

    def _look(self, prompts: Tensor, given: Tensor, image: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """SAM's two-way transformer: `prompts` (b, t, n, c) and pixels read each other; returns both, the pixels
        (b, t, h w, c) as each target sees them. Where `given` (b, t, n) is false, nothing is read."""
        pixels = repeat(image, "b c h w -> b t (h w) c", t=prompts.shape[1])
        grid = grid.to(pixels)
        # Added to scores; a mask of truth values would be added as well by the plain implementation of attention.
        hidden = torch.zeros_like(given, dtype=prompts.dtype).masked_fill(~given, float("-inf"))
        hidden = rearrange(hidden, "b t n -> (b t) 1 1 n")
        tokens = prompts
        for i, layer in enumerate(self.transformer.layers):
            if i == 0:
                tokens = layer.self_attn(tokens, tokens, tokens, attention_similarity=hidden)[0]
            else:
                placed = tokens + prompts
                tokens = tokens + layer.self_attn(placed, placed, tokens, attention_similarity=hidden)[0]
            tokens = layer.layer_norm1(tokens)
            looked = layer.cross_attn_token_to_image(tokens + prompts, pixels + grid, pixels)[0]
            tokens = layer.layer_norm2(tokens + looked)
            tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
            told = layer.cross_attn_image_to_token(pixels + grid, tokens + prompts, tokens, attention_similarity=hidden)
            pixels = layer.layer_norm4(pixels + told[0])
        looked = self.transformer.final_attn_token_to_image(tokens + prompts, pixels + grid, pixels)[0]
        return self.transformer.layer_norm_final_attn(tokens + looked), pixels


def _published(weights: str) -> tuple[Any, Any, Tensor]:
    """Prompt encoder, mask decoder and position code (2, c / 2) of a published SAM; its image encoder is dropped."""
    try:
        from transformers import SamModel
    except ImportError as error:
        raise UsageError(EXTRA) from error
    publication = look_up(weights, "config.json")
    kind = publication.settings("config.json").get("model_type")
    if kind != "sam":
        raise UsageError(f"sam:{weights} is a model of the kind {kind!r}: expected a SAM, of the kind 'sam'")
    model: Any = load_pretrained(SamModel, weights, f"sam:{weights}", revision=publication.revision or "main")
    return model.prompt_encoder, model.mask_decoder, model.shared_image_embedding.positional_embedding.detach().clone()


def _drawn() -> tuple[Any, Any, Tensor]:
    """The same parts as SAM has them, with random weights."""
    try:
        from transformers import SamConfig
        from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPromptEncoder
    except ImportError as error:
        raise UsageError(EXTRA) from error
    config = SamConfig()
    config.mask_decoder_config._attn_implementation = "sdpa"
    # SAM draws its code from a unit Gaussian. transformers would draw it hundreds of times wider (published weights
    # replace it), so that pixels side by side had nothing in common.
    code = torch.randn(2, config.mask_decoder_config.hidden_size // 2)
    return SamPromptEncoder(config), SamMaskDecoder(config.mask_decoder_config), code
