"""Neighbours differ in colour, for normal and deficient colour vision."""

import numpy as np

from latentviz.maps.palette import NOISE, VISIONS, cam02ucs, cluster_colours, neighbouring, to_hex, to_rgb


def test_cam02ucs_agrees_with_published_values():
    # Luo, Cui & Li 2006, for sRGB white, red and black.
    expected = [[100, -1.9, -1.1], [60.1, 38.7, 24.3], [0, 0, 0]]
    assert np.allclose(cam02ucs(to_rgb(["#ffffff", "#ff0000", "#000000"])), expected, atol=0.1)


def test_hex_and_back():
    assert to_hex(to_rgb(["#4269d0", "#00ff7f"])) == ["#4269d0", "#00ff7f"]


def blobs(k, n=12_000):
    rng = np.random.default_rng(0)
    centres = rng.uniform(-10, 10, (k, 2))
    cluster = rng.integers(0, k, n)
    return (centres[cluster] + rng.normal(0, 0.4, (n, 2))).astype(np.float32), cluster.astype(np.int32)


def test_neighbours_differ_for_every_kind_of_vision():
    for k in (3, 11, 61):
        points, cluster = blobs(k)
        colours = cluster_colours(points, cluster, list(range(k)))
        assert len(set(colours.values())) == k
        for vision in VISIONS:
            place = {c: cam02ucs(to_rgb([colour]), vision)[0] for c, colour in colours.items()}
            grey = cam02ucs(to_rgb([NOISE]), vision)[0]
            near = [np.linalg.norm(place[a] - place[b]) for a, b in neighbouring(points, cluster)]
            assert min(near) >= 20, (k, vision)
            if vision == "normal":
                assert min(np.linalg.norm(p - grey) for p in place.values()) > 12


def test_same_points_same_colours_and_degenerate_points():
    points, cluster = blobs(5)
    assert cluster_colours(points, cluster, [0, 1, 2, 3, 4]) == cluster_colours(points, cluster, [0, 1, 2, 3, 4])
    assert cluster_colours(points[:0], cluster[:0], []) == {}
    line = np.zeros((6, 2), np.float32)
    assert len(cluster_colours(line, np.array([0, 0, 1, 1, 2, 2]), [0, 1, 2])) == 3
