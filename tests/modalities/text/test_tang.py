"""Couplets from the package of poems."""

import json
import sys
from pathlib import Path

import pytest

from latentviz.errors import DataError
from latentviz.modalities.sources import load_config
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read

POEMS = [
    {"author": "杜甫", "title": "絕句", "paragraphs": ["遲日江山麗，春風花草香。", "泥融飛燕子，沙暖睡鴛鴦。"]},
    {
        "author": "無名氏",
        "title": "雜",
        "paragraphs": [
            "君不見黃河之水天上來，奔流到海不復回。",
            "遲日江山麗，春風花草香。",
            "白日依山盡，黃河入海流？",
        ],
    },
    {"author": "", "title": "缺", "paragraphs": ["紅豆生南國，春來發幾枝。"]},
]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "chinese-poetry" / "dist" / "quantangshi"
    folder.mkdir(parents=True)
    (tmp_path / "chinese-poetry" / "package.json").write_text("{}")
    (folder / "poet.tang.0.json").write_text(json.dumps(POEMS, ensure_ascii=False), encoding="utf-8")
    (folder / "poet.song.0.json").write_text("not looked at")
    return tmp_path / "chinese-poetry"


def data(path: Path) -> TextData:
    config = load_config("tang", {"data": {"path": str(path)}})[0].data
    assert isinstance(config, TextData)
    return config


def test_couplets_in_simplified_script_each_once(package: Path) -> None:
    pytest.importorskip("opencc")
    source = read(data(package))
    assert source.texts.to_pylist() == ["迟日江山丽,春风花草香", "泥融飞燕子,沙暖睡鸳鸯", "白日依山尽,黄河入海流"]
    assert source.labels == ["盛唐", "盛唐", None]
    assert source.columns["form"].to_pylist() == ["五言绝句", "五言绝句", "杂言"]
    assert source.columns["author"].to_pylist() == ["杜甫", "杜甫", "无名氏"]
    assert source.origins == ["poet.tang.0.json#0", "poet.tang.0.json#0", "poet.tang.0.json#1"]


def test_it_says_what_is_missing(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="`make tang`"):
        read(data(package.parent / "node_modules" / "chinese-poetry"))
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(DataError, match=r"pip install 'latentviz\[tang\]'"):
        read(data(package))


def test_damaged(package: Path) -> None:
    pytest.importorskip("opencc")
    (package / "dist" / "quantangshi" / "poet.tang.0.json").write_text("[{")
    with pytest.raises(DataError, match=r"poet\.tang\.0\.json: damaged"):
        read(data(package))
