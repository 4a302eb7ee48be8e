"""Cells of the CSV files that are written, such that no spreadsheet runs them as formulas, and of those read back."""

import re

# https://owasp.org/www-community/attacks/CSV_Injection; maps/page/layers/select.js does the same.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def safe_cell(value: object) -> object:
    """Puts an apostrophe before a text that a spreadsheet would run; numbers stay.

    >>> [safe_cell(value) for value in ("=1+1", "@2x.png", "-1.5", -1, "a=b")]
    ["'=1+1", "'@2x.png", '-1.5', -1, 'a=b']
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def original_cell(text: str) -> str:
    """Returns the text that `safe_cell` was given.

    >>> original_cell("'@2x.png"), original_cell("'tis")
    ('@2x.png', "'tis")
    """
    return text[1:] if text[:1] == "'" and safe_cell(text[1:]) == text else text
