"""Recurrent fusion: images are read one after the other into a state that is itself an image.

A series has two ends and the target date lies between them. So the state runs twice, over the past
and over the future, each time from the far end *towards* the target date: what is nearest is read
last and forgotten least. An image of the target's own day is read by both. The two states are then
joined. Weights are the same for both sides.

A pixel of an image that is not clear leaves the state there as it was. Each reading lets the state
see a little further, so only so many images of each side are read: the nearest clear ones at every
pixel (see ``stacked``).
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sitsr.encoders.anchors import CONTRAST_REACH, Encoding
from sitsr.encoders.frames import FrameEncoder, framed
from sitsr.encoders.layers import he
from sitsr.encoders.stacked import nearest_first, one_a_day


class GRUCell(nn.Module):
    """Gated recurrent unit with convolutions (Ballas et al. 2016, arXiv:1511.06432, eq. 9 to 12).

        z, r = sigmoid(conv(x, h)),   h ← (1 − z) h + z tanh(conv(x, r h))

    The state is h. It reaches two pixels a reading, one at the first, when there is nothing to
    reset.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.states = width
        self.gates = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)

    def reach(self, readings: int) -> int:
        """How far, in pixels, the first of so many readings has a say."""
        return 2 * readings - 1

    def forward(self, x: Tensor, state: Tensor, mask: Tensor) -> Tensor:
        """x [B, F, H, W], state [B, F, H, W], mask [B, 1, H, W] -> state."""
        update, reset = self.gates(torch.cat([x, state], 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat([x, reset * state], 1)).tanh()
        return torch.where(mask > 0, (1 - update) * state + update * candidate, state)


class LSTMCell(nn.Module):
    """Long short-term memory with convolutions (Shi et al. 2015, arXiv:1506.04214, eq. 3).

        i, f, o = sigmoid(conv(x, h)),   c ← f c + i tanh(conv(x, h)),   h ← o tanh(c)

    The state is h and c. The paper's peepholes have a weight for every place in the picture, which
    no scene of another size could use, and are left out. It reaches one pixel a reading.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.states = 2 * width
        self.gates = nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        with torch.no_grad():
            # Open at first, so that what was read early is not lost before training.
            self.gates.bias[width : 2 * width] = 1.0  # type: ignore[index]

    def reach(self, readings: int) -> int:
        """How far, in pixels, the first of so many readings has a say."""
        return readings

    def forward(self, x: Tensor, state: Tensor, mask: Tensor) -> Tensor:
        """x [B, F, H, W], state [B, 2F, H, W], mask [B, 1, H, W] -> state."""
        hidden, memory = state.chunk(2, 1)
        gates = self.gates(torch.cat([x, hidden], 1))
        write, keep, show, candidate = gates.chunk(4, 1)
        memory = keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        hidden = show.sigmoid() * memory.tanh()
        return torch.where(mask > 0, torch.cat([hidden, memory], 1), state)


class _Recurrent(nn.Module):
    """What both encoders are: embedding, a cell that reads towards the target date, a join."""

    uses = frozenset({"images", "masks", "order"})
    breaks = ""

    def __init__(
        self, bands: int, blocks: int, frames: int, width: int, cell: GRUCell | LSTMCell
    ) -> None:
        super().__init__()
        self.features, self.frames = width, frames
        self.embed = FrameEncoder(bands, width, blocks)
        self.cell = cell
        self.join = he(nn.Conv2d(2 * width, width, 1))
        self.bend = nn.PReLU()
        self.reach = max(self.embed.reach + cell.reach(frames), 2 * CONTRAST_REACH)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        images, clear = one_a_day(images, clear, days)
        x, mask, anchor, contrast, seen, times = framed(images, clear, days)
        frames = rearrange(self.embed(x, mask), "(b t) f h w -> b t f h w", t=times)
        masks = rearrange(mask, "(b t) f h w -> b t f h w", t=times)
        past, future = (
            nearest_first(frames, masks * side[..., None, None, None], days, self.frames)
            for side in (days <= 0, days >= 0)
        )
        frames, masks = (torch.cat(pair) for pair in zip(past, future, strict=True))
        sides = self.read(frames, masks)[:, : self.features].chunk(2)
        features = self.bend(self.join(torch.cat(sides, 1))) * seen
        return Encoding(features, anchor, contrast, seen)

    def read(self, frames: Tensor, masks: Tensor) -> Tensor:
        """The state after frames [B, K, F, H, W], the last first, where masks [B, K, 1, H, W]."""
        count, times, _, rows, cols = frames.shape
        state = frames.new_zeros(count, self.cell.states, rows, cols)
        for k in reversed(range(times)):
            state = self.cell(frames[:, k], state, masks[:, k])
        return state


class ConvGRU(_Recurrent):
    """HighRes-net's embedding of each image, then a ConvGRU in order of time, as in MISR-GRU
    (Arefin et al. 2020, doi:10.1109/CVPRW50498.2020.00111).

    There the states over all images are averaged; here the last one of each side is what is asked
    for, as it is the one at the target date.
    bands: C. width: F. blocks: of the embedding. frames: most readings of each side.
    Reaches 1 + 2·blocks + 2·frames pixels.
    """

    def __init__(self, bands: int, width: int, blocks: int = 2, frames: int = 8) -> None:
        super().__init__(bands, blocks, frames, width, GRUCell(width))


class ConvLSTM(_Recurrent):
    """HighRes-net's embedding of each image, then a ConvLSTM in order of time.

    bands: C. width: F. blocks: of the embedding. frames: most readings of each side.
    Reaches 2 + 2·blocks + frames pixels.
    """

    def __init__(self, bands: int, width: int, blocks: int = 2, frames: int = 8) -> None:
        super().__init__(bands, blocks, frames, width, LSTMCell(width))
