"""Networks as plain layers agree with the PyTorch modules."""

import base64
import gzip

import numpy as np
import pytest

from latentviz.maps import decoder_data
from latentviz.maps.decoding import pack_latents, pack_stand_ins
from latentviz.maps.network import forward, network_layers

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.mark.parametrize("activation", [nn.SiLU, nn.ReLU, nn.GELU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Softplus])
def test_plain_layers_agree_with_the_module(activation):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, 24),
        activation(),
        nn.Dropout(),
        nn.Unflatten(1, (6, 2, 2)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(6, 4, (3, 2), stride=(1, 2), padding=(1, 0), bias=False),
        nn.BatchNorm2d(4),
        activation(),
        nn.ConvTranspose2d(4, 3, (3, 4), stride=2, padding=1, output_padding=(1, 0)),
        nn.Flatten(),
        nn.Sigmoid(),
    ).eval()
    z = torch.randn(4, 5)
    layers = network_layers(net)
    with torch.no_grad():
        assert np.allclose(forward(layers, z.numpy()), net(z).numpy(), atol=2e-6)


@pytest.mark.parametrize("logits", [True, False])
def test_a_missing_sigmoid_is_found(logits):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 4), nn.Unflatten(1, (1, 2, 2)))

    def decode(z):
        with torch.no_grad():
            out = net(torch.as_tensor(z))
        return (out.sigmoid() if logits else out).numpy()

    mu = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    data = decoder_data(net, decode, mu, mu[:, :2], (1, 2, 2))
    assert [layer.type for layer in data.layers][4:] == ["reshape"] + ["sigmoid"] * logits
    assert np.allclose(forward(data.layers, mu), decode(mu), atol=1e-5)


def test_a_network_that_the_page_cannot_run_becomes_a_grid():
    net = nn.Sequential(nn.Linear(2, 4), nn.PReLU(), nn.Unflatten(1, (1, 2, 2)))
    mu = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    data = decoder_data(net, lambda z: np.zeros((len(z), 1, 2, 2)), mu, mu, (1, 2, 2))
    assert data.layers == ()
    assert data.grid.shape == (40, 40, 1, 2, 2)
    # The same if the decoder differs from its layers.
    plain = nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (1, 2, 2)))
    assert decoder_data(plain, lambda z: np.full((len(z), 1, 2, 2), 0.7), mu, mu, (1, 2, 2)).layers == ()


def test_latents_keep_to_their_budget():
    mu = np.random.default_rng(0).normal(size=(20_000, 32)).astype(np.float32)
    mu[:, 20:] *= 1e-3  # collapsed dimensions cost almost nothing
    fine, meta = pack_latents(mu, 100 * len(mu))
    coarse, rough = pack_latents(mu, 14 * len(mu))
    assert len(coarse["latents"]) <= 14 * len(mu) < len(fine["latents"]) < 30 * len(mu)
    assert meta["step"] < rough["step"] < 1
    assert fine.keys() == coarse.keys() == {"latents"}
    assert "count" not in meta


def test_without_room_for_all_latents_some_are_kept_at_full_resolution():
    mu = np.random.default_rng(0).normal(size=(20_000, 32)).astype(np.float32)
    whole, meta = pack_latents(mu, 25 * len(mu))
    assert pack_latents(mu, 25 * len(mu), 2 * len(whole["latents"]))[0] == whole
    room = len(whole["latents"]) * 2 // 5
    part, some = pack_latents(mu, 25 * len(mu), room)
    assert 0.97 * room < sum(map(len, part.values())) < 1.03 * room
    assert some["step"] == meta["step"]
    assert some["count"] == pytest.approx(8_000, rel=0.02)
    places = np.cumsum(unpacked(part["latent-places"]).reshape(2, -1).astype(int).T @ [1, 256])
    steps = unpacked(part["latents"]).reshape(32, -1).T
    assert len(steps) == len(places) == some["count"]
    assert np.abs(some["low"] + steps * some["step"] - mu[places]).max() <= some["step"] * 0.501
    assert places[0] == 0
    assert places[-1] == len(mu) - 1
    assert set(np.diff(places)) <= {2, 3}, "spread evenly"


@pytest.mark.parametrize("room", [0, -5_000_000])
def test_at_least_one_item_in_twenty_has_latents(room):
    mu = np.random.default_rng(0).normal(size=(1_000, 4)).astype(np.float32)
    assert pack_latents(mu, 100_000, room)[1]["count"] == 50


def test_an_item_without_latents_refers_to_its_nearest_neighbour_with_some():
    order = np.array([9, 2, 5, 7, 0, 3, 1, 8, 6, 4])  # point k is row order[k]
    places = np.array([0, 4, 9])  # rows 9, 0 and 4 have latents
    neighbours = np.full((11, 3), 10)  # row 10 has no position
    neighbours[2] = [5, 4, 9]
    neighbours[5] = [0, 4, 9]
    neighbours[7] = [1, -1, 9]
    neighbours[3] = [1, 2, 3]
    neighbours[1] = [0, 4, 9]
    written = unpacked(pack_stand_ins(neighbours, order, places)).reshape(4, -1).T.astype(int)
    others = [k for k in range(10) if k not in places]
    found = {}
    for k, code in zip(others, written @ [1, 256, 1 << 16, 1 << 24], strict=True):
        before = int((places < k).sum())
        far = (code - 1) // 2 if code % 2 else -code // 2
        found[int(order[k])] = None if code == 0 else int(order[places[before + far]])
    assert found == {2: 4, 5: 0, 7: 9, 3: None, 1: 0, 8: None, 6: None}


def test_references_to_other_latents_count_towards_the_room():
    mu = np.random.default_rng(0).normal(size=(20_000, 32)).astype(np.float32)
    whole = len(pack_latents(mu, 25 * len(mu))[0]["latents"])
    part, some = pack_latents(mu, 25 * len(mu), whole // 2, 3)
    taken = sum(map(len, part.values())) + 3 * (len(mu) - some["count"])
    assert 0.97 * whole / 2 < taken < 1.03 * whole / 2


def unpacked(block):
    """The bytes of a block."""
    return np.frombuffer(gzip.decompress(base64.b64decode(block)), np.uint8)
