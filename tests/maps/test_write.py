"""The file: sizes, determinism, safety of text, one entry per item."""

import base64
import gzip
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from latentviz.errors import ConfigError
from latentviz.maps import LAYERS, DecoderData, Layer, contents, write_map
from latentviz.maps.data import FILE_LIMIT
from latentviz.maps.html import PAGE, render
from latentviz.maps.static import draw, write_static


def block(page: str, name: str) -> bytes:
    found = re.search(rf'id="lv-{name}">([^<]*)<', page)
    assert found, name
    return gzip.decompress(base64.b64decode(found.group(1)))


def test_the_file_holds_the_points_in_drawing_order(data):
    page = render(data)
    meta = json.loads(block(page, "meta"))
    order = data.order
    n = len(order)
    assert meta["points"]["count"] == n == len(data)
    assert [c["id"] for c in meta["points"]["clusters"]] == [-1, 0, 1, 2, 3]
    assert sum(c["size"] for c in meta["points"]["clusters"]) == n
    raw = np.frombuffer(block(page, "points"), np.uint8)
    low, high = raw[:n].astype(int), raw[n : 2 * n].astype(int)
    x0, _, x1, _ = meta["points"]["bounds"]
    x = x0 + (low + 256 * high) / 65535 * (x1 - x0)
    assert np.allclose(x, data.points[order, 0], atol=(x1 - x0) / 60000)


def test_the_same_data_give_the_same_bytes(data, tmp_path):
    for name in "ab":
        write_map(tmp_path / f"{name}.html", data)
        write_static(tmp_path / f"{name}.png", tmp_path / f"{name}.svg", data)
    for suffix in ("html", "png", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_no_text_of_the_data_reaches_the_markup(make_data):
    evil = '</script><img src=x onerror="window.hit=1">{{boot}}{{title}}\u2028'
    ids = [f"{evil}{i}" for i in range(600)]
    page = render(make_data(ids=ids, title=evil, cluster_names={1: evil}, labels=[evil] * 600, summary=[evil]))
    assert page.count("onerror") == 1  # the escaped one in <title>
    assert "&lt;/script&gt;" in page
    assert page.count("</script>") == len(re.findall(r"<script", page))


def test_the_file_makes_no_network_request(data):
    page = render(data)
    assert "default-src 'none'" in page
    assert "unsafe-eval" not in page.split("</head>")[0]
    outside = re.sub(r'<script type="text/plain"[^>]*>[^<]*</script>', "", page)
    assert not re.findall(r"""(?:src|href)=["']?https?:|@import|url\(""", outside)
    assert block(page, "plotly").decode() == get_plotlyjs()


def test_layers_can_be_left_out_and_unknown_ones_are_refused(data, tmp_path):
    write_map(tmp_path / "bare.html", data, layers=["header", "hover", "labels"])
    assert 'id="lv-sheet-0"' not in (tmp_path / "bare.html").read_text()
    with pytest.raises(ConfigError, match=r"map\.layers: unknown value 'labls'.*Did you mean 'labels'"):
        write_map(tmp_path / "bad.html", data, layers=["labls"])
    assert not (tmp_path / "bad.html").exists()


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_has_its_file_and_a_description(name):
    code = (PAGE / "layers" / f"{name}.js").read_text()
    assert re.search(rf"^export (async )?function {name}\(map\)", code, re.MULTILINE)
    assert code.startswith("// ")
    assert len(code.splitlines()) <= 300


def test_joined_modules_share_no_top_level_names():
    modules = [path for path in PAGE.rglob("*.js") if path.parent.name in ("core", "layers", "page")]
    declared = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)
    names = [name for path in modules for name in declared.findall(path.read_text())]
    assert len(names) > 100
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_the_page_makes_no_markup_of_strings():
    for path in PAGE.rglob("*.js"):
        source = path.read_text()
        found = re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
        assert not found, path


def test_an_item_without_a_position_is_left_out_and_counted(data, make_data):
    points = data.points.copy()
    points[[3, 9]] = np.nan
    page = render(make_data(points=points))
    meta = json.loads(block(page, "meta"))
    assert meta["points"]["count"] == len(data) - 2
    assert "2 items without a place" in " ".join(meta["summary"])


def test_a_map_without_clusters_is_drawn_and_reports_it(tmp_path, make_data):
    noise = make_data(cluster=np.full(600, -1, np.int32), cluster_info={})
    meta = json.loads(block(render(noise), "meta"))
    assert "No cluster was found" in " ".join(meta["summary"])
    write_static(tmp_path / "m.png", None, noise)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_maps(n, tmp_path, make_data):
    tiny = make_data(n, neighbours=None)
    write_map(tmp_path / "m.html", tiny)
    write_static(tmp_path / "m.png", tmp_path / "m.svg", tiny)


def test_lengths_that_differ_are_refused(make_data):
    with pytest.raises(ValueError, match=r"labels must have 600 entries.*Got 2"):
        make_data(labels=["a", "b"])


@pytest.mark.parametrize(("away", "said"), [(0, None), (200, "9 items outside this frame")])
def test_the_picture_frames_what_the_first_view_does(make_data, away, said):
    data = make_data()
    points = np.concatenate([data.points[:-9], data.points[-9:] / 20 + away])
    figure = draw(make_data(points=points))
    axes = figure.axes[0]
    low, high = zip(axes.get_xlim(), axes.get_ylim(), strict=True)
    inside = ((points >= low) & (points <= high)).all(axis=1)
    assert inside[:-9].all()
    assert inside[-9:].all() == (not away)
    lines = " · ".join(text.get_text() for text in figure.texts)
    assert ("outside" in lines) is bool(said)
    assert said is None or said in lines


def test_names_in_the_picture_are_next_to_their_points(make_data):
    """Also where a piece of the cluster is far from the others."""
    data = make_data()
    points = data.points.copy()
    for number in range(4):  # clusters too small for a name over them
        own = np.flatnonzero(data.cluster == number)
        points[own] = points[own].mean(axis=0) + (points[own] - points[own].mean(axis=0)) / 5
        points[own[:12]] += [-2, 1]
    figure = draw(make_data(points=points))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    drawn = axes.transData.transform(points)
    assert len(axes.texts) == 4
    for text in axes.texts:
        low, high = text.get_window_extent().get_points()
        own = drawn[data.cluster == int(text.get_text().split()[-1])]
        assert ((drawn > low) & (drawn < high)).all(axis=1).sum() <= 6
        assert np.linalg.norm(np.median(own, axis=0) - (low + high) / 2) < 120


def test_static_images(data, tmp_path, make_data):
    write_static(tmp_path / "map.png", tmp_path / "map.svg", make_data(cluster_names={0: "$x^2 & <b>", 1: "汉字 🙂"}))
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (2400, 1800)
        assert len(picture.convert("RGB").getcolors(1 << 22)) > 500
    ET.parse(tmp_path / "map.svg")


def test_a_long_name_at_the_edge_stays_inside_the_image(make_data):
    picture = draw(make_data(cluster_names=dict.fromkeys(range(4), "a name as long as they are allowed " * 2)))
    picture.draw_without_rendering()
    boxes = [text.get_window_extent() for text in picture.axes[0].texts]
    assert boxes
    assert all(box.x0 >= -1 and box.x1 <= picture.bbox.width + 1 for box in boxes)


def test_a_large_map_stays_within_its_budget(tmp_path: Path, make_data):
    n = 30_000
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (200, 1, 28, 28), np.uint8)[np.arange(n) % 200]
    large = make_data(n, images=images, columns={}, neighbours=None)
    bare = make_data(n, images=None, columns={}, neighbours=None)
    write_map(tmp_path / "large.html", large)
    write_map(tmp_path / "bare.html", bare)
    assert (tmp_path / "bare.html").stat().st_size <= 2_000_000 + 10 * n
    assert (tmp_path / "large.html").stat().st_size <= 2_000_000 + 220 * n


def test_thumbnails_give_way_to_latents():
    """Optional parts stay within the limit as long as the latents alone do."""
    least = contents.SMALL_SHEETS * 4 // 3
    for count, latents in ((70_000, 0), (100_000, 0), (100_000, 2_500_000), (500_000, 12_500_000)):
        thumbnails = contents.thumbnail_budget(count, latents)
        assert least < thumbnails <= contents.A_THUMBNAIL * count
        assert contents.BASE + contents.A_POINT * count + latents + thumbnails <= FILE_LIMIT
    assert contents.thumbnail_budget(1_000_000, contents.latent_budget(1_000_000)) == least
    assert contents.thumbnail_budget(100, 0) == least, "small maps have sharper thumbnails"
    assert contents.latent_budget(1_000_000) == 25_000_000


@pytest.mark.parametrize("count", [10_000, 500_000, 600_000, 1_000_000, 1_500_000])
def test_latents_have_the_room_left_by_the_smallest_thumbnails(count):
    latents = min(contents.latent_budget(count), contents.latent_room(count))
    thumbnails = contents.thumbnail_budget(count, latents)
    assert latents > contents.A_LATENT * count / 20
    assert contents.BASE + contents.A_POINT * count + latents + thumbnails <= FILE_LIMIT
    assert contents.latent_room(count, thumbnails=False) > contents.latent_room(count)


def test_a_small_map_has_all_its_latents(full):
    page = render(full)
    meta = json.loads(block(page, "meta"))
    assert "count" not in meta["decoder"]["latents"]
    assert 'id="lv-latent-places"' not in page
    assert len(block(page, "latents")) == 600 * 6
    assert not [note for note in meta["notes"] if "Latents" in note]


def test_a_map_without_latents_that_would_grow_too_large_keeps_the_nearest_neighbours(make_data):
    room = contents.BASE + 600 * contents.A_POINT
    for left, k in ((100_000, 8), (5_000, 3), (0, 1), (-10_000, 1)):
        page = render(make_data(images=None, file_limit=room + left))
        assert json.loads(block(page, "meta"))["cards"] == {"k": k}
        table = np.frombuffer(block(page, "neighbours"), np.uint8).reshape(4, -1)
        assert table.shape == (4, 600 * k)
    assert contents.latent_room(700_000, thumbnails=False) > 8 * contents.A_NEIGHBOUR * 700_000


def test_a_map_that_would_grow_too_large_keeps_some_latents(make_data):
    n, room = 30_000, 300_000
    rng = np.random.default_rng(0)
    decoder = DecoderData(
        rng.normal(size=(n, 32)).astype(np.float32), (1, 12, 12), [Layer("linear", {}, rng.normal(size=(144, 32)))]
    )
    plain = make_data(n)
    data = make_data(n, decoder=decoder)
    limit = contents.BASE + contents.A_POINT * n + contents.SMALL_SHEETS * 4 // 3 + room
    page, whole = render(replace(data, file_limit=limit)), render(data)
    meta = json.loads(block(page, "meta"))
    held = meta["decoder"]["latents"]["count"]
    assert n // 20 < held < n
    assert len(block(page, "latents")) == held * 32
    assert len(block(whole, "latents")) == n * 32
    taken = sum(len(found) for found in re.findall(r'id="lv-(?:weights|latent\S*)">([^<]*)<', page))
    assert 0.97 * room < taken < 1.03 * room
    assert len(page) < len(whole) - 300_000
    assert f"Latents of {held:,} of 30,000 items" in " ".join(meta["notes"])
    assert render(plain) == render(replace(plain, file_limit=limit)), "nothing has to be left out"
