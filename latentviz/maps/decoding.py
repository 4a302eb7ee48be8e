"""Packs the decoder and the latents for the page, as small as they may be without a difference to see."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from latentviz.maps import blocks
from latentviz.maps.contents import Part, for_latents, left_for_latents
from latentviz.maps.data import MapData
from latentviz.maps.decoder import BLENDED, DecoderData, Layer, reach, softness
from latentviz.maps.thumbnails import webp

# WebP holds no wider picture.
WIDEST = 16_383
# Weights up to this many travel as float16, more of them as int8 with a scale a channel.
HALF_LIMIT = 150_000
LONGEST = 400  # characters of a decoded text
FEWEST = 20  # one item in so many keeps its latents, however little room there is
A_STAND_IN = 3  # bytes of base64 that say which item stands for one without latents


def pack_decoder(data: MapData, order: np.ndarray) -> Part:
    """Returns the decoder's weights, or the pre-decoded grid, and μ in few bits, of every item or as many as fit."""
    decoder = data.decoder
    if decoder is None or not len(order):
        return Part()
    if decoder.texts is not None:
        return pack_texts(data, decoder, order)
    points = np.asarray(data.points, np.float64)[order]
    meta: dict[str, Any] = {
        "shape": list(decoder.shape),
        "blended": BLENDED,
        "reach": reach(points),
        "softness": softness(points),
    }
    packed: dict[str, str] = {}
    if decoder.layers:
        packed["weights"], meta["layers"] = pack_layers(decoder.layers)
    else:
        _pack_grid(decoder, packed, meta)
    n, beside = len(order), sum(map(len, packed.values()))
    room = left_for_latents(n, data.file_limit, pictured=data.images is not None) - beside
    aside = 0 if data.neighbours is None else A_STAND_IN
    latents, meta["latents"] = pack_latents(np.asarray(decoder.mu)[order], for_latents(n) - beside, room, aside)
    held = meta["latents"].get("count", n)
    if held < n and data.neighbours is not None:
        latents["stand-ins"] = pack_stand_ins(np.asarray(data.neighbours), order, spread(held, n))
    note = f"Latents of {held:,} of {n:,} items, to keep the file small; what is drawn of the others is approximate."
    return Part(packed | latents, meta, [note] if held < n else [])


def pack_texts(data: MapData, decoder: DecoderData, order: np.ndarray) -> Part:
    """Returns what the decoder writes, and where: x and y in 65,536ths of the box of all points."""
    points, texts = np.asarray(data.points, np.float64)[order], list(decoder.texts or [])
    low, high = points.min(axis=0), np.maximum(points.max(axis=0), points.min(axis=0) + 1e-9)
    spots = np.empty((0, 2)) if decoder.spots is None else decoder.spots
    places = b"".join(blocks.planes(blocks.quantise(spots[:, axis], low[axis], high[axis])) for axis in (0, 1))
    written = {"list": [text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" for text in map(str, texts)]}
    return Part(
        {"spots": blocks.pack(places), "written": blocks.pack_json(written)},
        {"spots": len(texts), "reach": reach(points), "low": low, "high": high},
    )


def pack_layers(layers: Sequence[Layer]) -> tuple[str, list[dict[str, Any]]]:
    """Returns the weights of all layers in one block, and what each layer is and where its weights lie."""
    small = sum(layer.weight.size for layer in layers if layer.weight is not None) <= HALF_LIMIT
    content, described = bytearray(), []
    for layer in layers:
        entry: dict[str, Any] = {"type": layer.type, **layer.options}
        if layer.weight is not None:
            entry |= {"size": list(layer.weight.shape), "at": len(content), "half": small or layer.weight.ndim < 2}
            content += _half(layer.weight) if entry["half"] else _bytes(layer.weight, layer.type)
            entry["bias"] = layer.bias is not None
            content += _half(layer.bias) if layer.bias is not None else b""
        described.append(entry)
    return blocks.pack(bytes(content)), described


def _half(weights: np.ndarray) -> bytes:
    """Returns weights as float16, little-endian."""
    return weights.astype("<f2").tobytes()


def _bytes(weights: np.ndarray, kind: str) -> bytes:
    """Returns weights as int8, preceded by a float32 scale for each output channel."""
    axis = 1 if kind == "conv_transpose2d" else 0
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.maximum(np.abs(weights).max(axis=others), 1e-12) / 127
    steps = np.rint(weights / np.expand_dims(scale, others)).astype(np.int8)
    return bytes(scale.astype("<f4").tobytes() + steps.tobytes())


def pack_latents(
    mu: np.ndarray, budget: int, room: float = math.inf, aside: int = 0
) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns μ (m, d) as uint8 steps of one width in all dimensions, and how to read them.

    One width keeps distances: what differs less than a step costs nothing, so that collapsed dimensions are free.
    The width is the 255th of the widest dimension, or what the budget asks for.

    Args:
        mu: float32 (m, d), in the order of the points.
        budget: bytes of base64 that they would best take.
        room: bytes of base64 that there are; where they do not do, only items spread evenly over the points have
            latents, as finely as all would.
        aside: bytes that an item without latents takes all the same.
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
        share = max((room / len(mu) - aside) / max(each - aside, 1e-9), 1 / FEWEST)
        places = spread(math.ceil(min(share, 1) * len(mu)), len(mu))
        packed["latent-places"], meta["count"], mu = blocks.pack_places(places), len(places), mu[places]
    steps = np.rint((mu - low) / step).astype(np.uint8)
    return packed | {"latents": blocks.pack(steps.T.tobytes())}, meta


def spread(count: int, n: int) -> np.ndarray:
    """Returns `count` of the numbers below n, int (count,), ascending and evenly spread."""
    return np.linspace(0, n - 1, count).astype(int)


def pack_stand_ins(neighbours: np.ndarray, order: np.ndarray, places: np.ndarray) -> str:
    """Returns which item stands for each that has no latents of its own: the nearest of its neighbours that has some.

    Written is one more than how far it lies, among the items with latents, from the first behind the item: 0, 1, 2, 3,
    … for 0, −1, 1, −2, … as uint32; 0 where no neighbour has latents.

    Args:
        neighbours: int (n, k), rows, nearest first.
        order: int (m,), rows in the order of the points.
        places: int (h,), ascending: which points have latents.
    """
    number = np.full(len(neighbours), -1, np.int64)
    number[order[places]] = np.arange(len(places))
    others = np.delete(np.arange(len(order)), places)
    near = np.where(neighbours[order[others]] < 0, -1, number[neighbours[order[others]]])
    first = np.take_along_axis(near, (near >= 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    far = first - np.searchsorted(places, others)
    written = np.where(first < 0, 0, 1 + np.where(far < 0, -2 * far - 1, 2 * far))
    return blocks.pack(blocks.planes(written.astype(np.uint32)))


def pack_centres(data: MapData, order: np.ndarray) -> Part:
    """Returns what the decoder draws at each cluster's mean μ, for decoders that the page cannot run itself."""
    pictures = {c: info["decoded"] for c, info in data.cluster_info.items() if info.get("decoded") is not None}
    if not pictures or not len(order) or (data.decoder is not None and data.decoder.layers):
        return Part()
    sheet = np.concatenate([np.moveaxis(np.asarray(picture, np.uint8), 0, -1) for picture in pictures.values()], axis=1)
    if max(sheet.shape) > WIDEST:
        return Part()
    height, width = sheet.shape[0], sheet.shape[1] // len(pictures)
    meta = {"clusters": list(pictures), "width": width, "height": height}
    return Part({"centres": blocks.encode(webp(sheet, 80))}, meta)


def _pack_grid(decoder: DecoderData, packed: dict[str, str], meta: dict[str, Any]) -> None:
    """Adds what was decoded beforehand on a grid over the map: pictures as one WebP."""
    if decoder.grid is not None:
        side, _, channels, height, width = decoder.grid.shape
        sheet = decoder.grid.transpose(0, 3, 1, 4, 2).reshape(side * height, side * width, channels)
        packed["grid"] = blocks.encode(webp(sheet, 75))
        meta["grid"] = {"side": side}
