"""Packs the decoder and the latents for the page, as small as possible without a visible difference."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from latentviz.maps import blocks
from latentviz.maps.contents import Part, latent_budget, latent_room
from latentviz.maps.data import MapData
from latentviz.maps.decoder import BLENDED, DecoderData, reach, softness
from latentviz.maps.network import Layer
from latentviz.maps.thumbnails import webp

WIDEST = 16_383  # pixels of a side in WebP
HALF_LIMIT = 150_000  # up to this many weights are stored as float16, more as int8 with a scale per channel
LONGEST = 400  # characters of a decoded text
FEWEST = 20  # at least one item in so many keeps its latents
A_STAND_IN = 3  # bytes of base64 per item that refers to another one's latents


def pack_decoder(data: MapData) -> Part:
    """Packs the decoder's weights or the pre-decoded grid, and the quantised mu of as many items as fit."""
    decoder, order = data.decoder, data.order
    if decoder is None or not len(order):
        return Part()
    if decoder.texts is not None:
        return _pack_texts(data, decoder)
    points = np.asarray(data.points, np.float64)[order]
    meta: dict[str, object] = {"shape": list(decoder.shape), "blended": BLENDED}
    meta |= {"reach": reach(points), "softness": softness(points)}
    packed: dict[str, str] = {}
    if decoder.layers:
        packed["weights"], meta["layers"] = pack_layers(decoder.layers)
    elif decoder.grid is not None:
        side, _, channels, height, width = decoder.grid.shape
        sheet = decoder.grid.transpose(0, 3, 1, 4, 2).reshape(side * height, side * width, channels)
        packed["grid"], meta["grid"] = blocks.encode(webp(sheet, 75)), {"side": side}
    n, taken = len(order), sum(map(len, packed.values()))
    room = latent_room(n, data.file_limit, thumbnails=data.images is not None) - taken
    stand_in = 0 if data.neighbours is None else A_STAND_IN
    latents, described = pack_latents(np.asarray(decoder.mu)[order], latent_budget(n) - taken, room, stand_in)
    meta["latents"], held = described, described.get("count", n)
    if held == n:
        return Part(packed | latents, meta)
    if data.neighbours is not None:
        latents["stand-ins"] = pack_stand_ins(np.asarray(data.neighbours), order, _spread(held, n))
    note = f"Latents of {held:,} of {n:,} items, to keep the file small; images decoded for the others are approximate."
    return Part(packed | latents, meta, [note])


def pack_captions(data: MapData) -> Part:
    """Packs the words of captions and the networks between them and the latent; says so if the encoder is too large."""
    captions = data.captions
    if captions is None or data.decoder is None or not len(data.order):
        return Part()
    nets = {"encoder": captions.encoder, "decoder": captions.decoder, "label_decoder": captions.label_decoder}
    packed, meta, notes = dict[str, str](), dict[str, object](), list[str]()
    for name, layers in nets.items():
        if layers:
            packed[f"caption-{name}"], meta[name] = pack_layers(layers)
    if not captions.encoder:
        notes.append("The encoder of captions is too large for this file; latentviz recommend searches by meaning.")
    words: dict[str, object] = {"words": captions.words, "labels": captions.labels}
    words |= {"idf": np.round(captions.idf, 6), "weights": np.round(captions.weights, 6)}
    packed["caption-words"] = blocks.pack_json(words)
    meta |= {"limit": captions.limit, "dims": captions.dims, "named": captions.named, "likely": captions.likely}
    return Part(packed, meta | {"unspaced": captions.unspaced, "han": captions.han}, notes)


def _pack_texts(data: MapData, decoder: DecoderData) -> Part:
    """Packs the decoded texts and their spots, x and y in 65,536ths of the points' bounding box."""
    points = np.asarray(data.points, np.float64)[data.order]
    low, high = points.min(axis=0), np.maximum(points.max(axis=0), points.min(axis=0) + 1e-9)
    spots = np.empty((0, 2)) if decoder.spots is None else decoder.spots
    places = b"".join(blocks.planes(blocks.quantise(spots[:, axis], low[axis], high[axis])) for axis in (0, 1))
    texts = [text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" for text in map(str, decoder.texts or [])]
    return Part(
        {"spots": blocks.pack(places), "written": blocks.pack_json({"list": texts})},
        {"spots": len(texts), "reach": reach(points), "low": low, "high": high},
    )


def pack_layers(layers: Sequence[Layer]) -> tuple[str, list[dict[str, object]]]:
    """Packs the weights of all layers into one block; describes each layer and where its weights are."""
    small = sum(layer.weight.size for layer in layers if layer.weight is not None) <= HALF_LIMIT
    content, described = bytearray(), []
    for layer in layers:
        entry: dict[str, object] = {"type": layer.type, **layer.options}
        if layer.weight is not None:
            half = small or layer.weight.ndim < 2
            entry |= {"size": list(layer.weight.shape), "at": len(content), "half": half}
            content += layer.weight.astype("<f2").tobytes() if half else _int8(layer.weight, layer.type)
            entry["bias"] = layer.bias is not None
            content += layer.bias.astype("<f2").tobytes() if layer.bias is not None else b""
        described.append(entry)
    return blocks.pack(bytes(content)), described


def _int8(weights: np.ndarray, kind: str) -> bytes:
    """Serialises weights as int8, preceded by a float32 scale per output channel."""
    axis = 1 if kind == "conv_transpose2d" else 0
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.maximum(np.abs(weights).max(axis=others), 1e-12) / 127
    steps = np.rint(weights / np.expand_dims(scale, others)).astype(np.int8)
    return bytes(scale.astype("<f4").tobytes() + steps.tobytes())


def pack_latents(
    mu: np.ndarray, budget: int, room: float = math.inf, stand_in: int = 0
) -> tuple[dict[str, str], dict[str, Any]]:
    """Packs mu (m, d) as uint8, with how to read it: low + step · uint8, and `count` if only some items have latents.

    One width preserves distances: differences below a step cost nothing, so collapsed dimensions are free. The width is
    a 255th of the widest dimension's range, or larger to meet the budget.

    Args:
        mu: float32 (m, d), in drawing order.
        budget: wanted bytes of base64.
        room: most bytes of base64; below that only evenly spread items have latents, at the same width.
        stand_in: bytes taken by an item without latents.
    """
    low, high = mu.min(axis=0), mu.max(axis=0)
    finest = float((high - low).max()) / 255 or 1.0
    sample = mu[:: max(1, len(mu) // 10_000)]
    for coarser in 2 ** np.arange(0, 5, 0.25):
        step = finest * float(coarser)
        tried = len(blocks.pack(np.rint((sample - low) / step).astype(np.uint8).T.tobytes()))
        if tried * len(mu) / len(sample) <= budget:
            break
    meta: dict[str, Any] = {"dims": mu.shape[1], "low": low, "step": step}
    packed: dict[str, str] = {}
    each = tried / len(sample)
    if room < each * len(mu):
        share = max((room / len(mu) - stand_in) / max(each - stand_in, 1e-9), 1 / FEWEST)
        places = _spread(math.ceil(min(share, 1) * len(mu)), len(mu))
        packed["latent-places"], meta["count"], mu = blocks.pack_places(places), len(places), mu[places]
    steps = np.rint((mu - low) / step).astype(np.uint8)
    return packed | {"latents": blocks.pack(steps.T.tobytes())}, meta


def _spread(count: int, n: int) -> np.ndarray:
    """Spreads `count` indices evenly over n, ascending."""
    return np.linspace(0, n - 1, count).astype(int)


def pack_stand_ins(neighbours: np.ndarray, order: np.ndarray, places: np.ndarray) -> str:
    """Packs, for each item of `order` (m,) that is not at `places` (h,), its nearest neighbour with latents.

    The neighbour, one of the rows (n, k), is given among the items with latents, as its offset from the first of them
    after the item: offsets 0, −1, 1, −2, … are written as 1, 2, 3, 4, … in uint32; 0 where no neighbour has latents.
    """
    number = np.full(len(neighbours), -1, np.int64)
    number[order[places]] = np.arange(len(places))
    others = np.delete(np.arange(len(order)), places)
    near = np.where(neighbours[order[others]] < 0, -1, number[neighbours[order[others]]])
    first = np.take_along_axis(near, (near >= 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    offset = first - np.searchsorted(places, others)
    written = np.where(first < 0, 0, 1 + np.where(offset < 0, -2 * offset - 1, 2 * offset))
    return blocks.pack(blocks.planes(written.astype(np.uint32)))


def pack_centres(data: MapData) -> Part:
    """Packs the images decoded from each cluster's mean mu, for decoders that the page cannot run itself."""
    images = {c: info.decoded for c, info in data.cluster_info.items() if info.decoded is not None}
    if not images or not len(data.order) or (data.decoder is not None and data.decoder.layers):
        return Part()
    sheet = np.concatenate([np.moveaxis(np.asarray(image, np.uint8), 0, -1) for image in images.values()], axis=1)
    if max(sheet.shape) > WIDEST:
        return Part()
    size = {"width": sheet.shape[1] // len(images), "height": sheet.shape[0]}
    return Part({"centres": blocks.encode(webp(sheet, 80))}, {"clusters": list(images), **size})
