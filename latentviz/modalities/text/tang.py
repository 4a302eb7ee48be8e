"""Couplets of Tang poems from the npm package chinese-poetry, in simplified script."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from latentviz.errors import DataError
from latentviz.modalities.io.names import natural, printable
from latentviz.modalities.io.source import TextSource
from latentviz.modalities.text.columns import table_source
from latentviz.modalities.text.config import TextData

PACKAGE = "chinese-poetry"
_FILES = "dist/quantangshi/poet.tang.*.json"
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_SENTENCE = re.compile(r"[^。？！；]+")
_COUPLET = re.compile(f"([{_HAN}]{{5}})，([{_HAN}]{{5}})")
# Forms of poems made only of couplets of five characters, by the number of couplets.
_FORMS = {2: "五言绝句", 4: "五言律诗"}
_OTHER, _MIXED = "五言其他", "杂言"

# The four eras into which handbooks divide Tang poetry, and poets who lived in one of them.
_ERAS = {
    "初唐": "太宗皇帝 虞世南 李百药 王绩 许敬宗 上官仪 王梵志 卢照邻 骆宾王 李峤 杜审言 苏味道 王勃 杨炯 崔湜 宋之问 "
    "沈佺期 陈子昂 张说 苏颋 张九龄",
    "盛唐": "王之涣 孟浩然 李颀 綦毋潜 王湾 崔国辅 王昌龄 祖咏 高适 王维 李白 储光羲 陶翰 丘为 崔颢 卢象 萧颖士 李华 "
    "常建 崔曙 杜甫 岑参 裴迪 元结",
    "中唐": "刘长卿 钱起 皇甫曾 皇甫冉 严维 李嘉祐 韩翃 郎士元 独孤及 崔峒 皎然 顾况 秦系 戴叔伦 韦应物 司空曙 卢纶 "
    "李端 李益 灵澈 孟郊 羊士谔 武元衡 权德舆 杨巨源 窦常 令狐楚 欧阳詹 王建 张籍 韩愈 刘叉 卢仝 刘禹锡 "
    "白居易 吕温 李绅 柳宗元 姚合 鲍溶 贾岛 元稹 张祜 无可 李贺",
    "晚唐": "周贺 顾非熊 雍陶 李群玉 许浑 杜牧 陈陶 温庭筠 李商隐 赵嘏 马戴 薛能 喻凫 刘得仁 项斯 于武陵 邵谒 储嗣宗 "
    "李频 刘驾 曹邺 方干 许棠 贯休 罗隐 皮日休 陆龟蒙 张乔 司空图 聂夷中 崔涂 李咸用 李洞 韦庄 黄滔 徐夤 "
    "曹松 郑谷 吴融 韩偓 杜荀鹤 裴说 尚颜 虚中 栖蟾 处默 可止 修睦 齐己 李中 徐铉",
}


def is_package(folder: Path) -> bool:
    """Returns whether a folder is the unpacked package."""
    return (folder / "package.json").is_file() and any(folder.glob(_FILES))


def read_tang(folder: Path, data: TextData) -> TextSource:
    """Reads couplets of five characters per line, each once, with author, title, form and era of their poem."""
    simplified = _converter(folder)
    era_of = {poet: era for era, poets in _ERAS.items() for poet in poets.split()}
    rows: dict[str, tuple[str | None, ...]] = {}  # by couplet, from its first occurrence
    for file in sorted(folder.glob(_FILES), key=lambda path: natural(path.name)):
        for number, poem in enumerate(_poems(file, simplified)):
            found = [_COUPLET.fullmatch(line) for line in _SENTENCE.findall("".join(poem["paragraphs"]))]
            form = _FORMS.get(len(found), _OTHER) if all(found) else _MIXED
            for couplet in filter(None, found):
                author = str(poem["author"])
                place = f"{file.name}#{number}"
                poem_of = (author, str(poem["title"]), form, era_of.get(author), place)
                rows.setdefault(",".join(couplet.groups()), poem_of)
    if not rows:
        raise DataError(
            f"{printable(str(folder))}: holds no couplets of five characters; download the package {PACKAGE} again"
        )
    *columns, places = zip(*rows.values(), strict=True)
    table = pa.table([list(rows), *columns], ["text", "author", "title", "form", "era"])
    return table_source(
        table,
        [f"tang/{i}" for i in range(len(rows))],
        [str(place) for place in places],
        data,
        notes=["converted to simplified script; each couplet once"],
    )


def _poems(file: Path, simplified: Any) -> list[dict[str, Any]]:
    try:
        poems: list[dict[str, Any]] = json.loads(simplified.convert(file.read_text(encoding="utf-8")))
        return [poem for poem in poems if poem["paragraphs"] and poem["author"] and poem["title"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{printable(str(file))}: damaged ({error}); download the package {PACKAGE} again") from None


def _converter(folder: Path) -> Any:
    try:
        import opencc
    except ImportError:
        raise DataError(
            f"{printable(str(folder))}: is in traditional script, and the package that converts it is "
            "missing; run `pip install 'latentviz[tang]'`"
        ) from None
    return opencc.OpenCC("t2s")
