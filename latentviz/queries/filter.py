"""Select the rows of a table that meet a condition, such as `cluster == 3 and label in ['x', 'y']`.

The condition is parsed, but never evaluated as Python: only comparisons, `and`, `or`, `not`, columns and plain values
are allowed.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from latentviz.errors import ConfigError, did_you_mean
from latentviz.progress import one_line

LONGEST = 2_000  # characters; bounds the depth of the tree
EXAMPLE = "cluster == 3 and label in ['x', 'y']"

Value: TypeAlias = str | bool | int | float | None
Side: TypeAlias = np.ndarray | Value  # a column (n,) or a plain value

Order: TypeAlias = Callable[[Any, Any], Any]
_ORDERS: dict[type[ast.cmpop], tuple[Order, Order]] = {  # and with the sides swapped
    ast.Lt: (operator.lt, operator.gt),
    ast.LtE: (operator.le, operator.ge),
    ast.Gt: (operator.gt, operator.lt),
    ast.GtE: (operator.ge, operator.le),
}


def select(condition: str, table: pa.Table) -> np.ndarray:
    """Select the rows that meet the condition, bool (n,).

    A missing value meets only `== None`. A number that is compared for equality with a text column is converted to
    text, because labels are texts: `label == 3` finds "3".

    Raises:
        ConfigError: the condition cannot be parsed, or names an unknown column.

    >>> table = pa.table({"cluster": [0, 1, 1], "label": ["x", "y", None]})
    >>> select("cluster == 1 and not label == 'y'", table)
    array([False, False,  True])
    """
    if len(condition) > LONGEST:
        raise ConfigError(f"--where: must have {LONGEST:,} characters at most (got {len(condition):,})")
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(f"--where {condition[:80]!r}: not understood; write comparisons, as in {EXAMPLE!r}") from None
    try:
        return _Condition(condition, table).rows(tree.body)
    except OverflowError:
        raise ConfigError(
            f"--where {condition[:80]!r}: a number is larger than any column's; write a smaller one"
        ) from None


class _Condition:
    """Evaluates the tree of one condition; rejects every node that is not listed."""

    def __init__(self, text: str, table: pa.Table) -> None:
        self.text, self.table = text, table

    def rows(self, node: ast.expr) -> np.ndarray:
        """Return the rows that meet a part of the condition, bool (n,)."""
        match node:
            case ast.BoolOp(op=op, values=values):
                combine = np.logical_and if isinstance(op, ast.And) else np.logical_or
                chosen: np.ndarray = combine.reduce([self.rows(value) for value in values])
                return chosen
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.asarray(~self.rows(operand))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                sides = [left, *rights]
                parts = [self.compare(a, op, b) for a, op, b in zip(sides, ops, sides[1:], strict=False)]
                return np.asarray(np.logical_and.reduce(parts))
            case ast.Name():
                column = self.column(node)
                if column.dtype != np.bool_:
                    raise self.refusal(node, f"compare it with a value, as in {node.id} == …")
                return column
        raise self.refusal(node, "only comparisons, and, or, not are allowed")

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> np.ndarray:
        """Return the rows where one comparison holds, bool (n,)."""
        a = self.side(left)
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(a, np.ndarray):
                raise self.refusal(left, "the left side of `in` must be a column")
            if not isinstance(right, (ast.List, ast.Tuple, ast.Set)):
                raise self.refusal(right, "the right side of `in` must be a list, as in label in ['x', 'y']")
            found = np.zeros(self.table.num_rows, bool)
            for value in right.elts:
                found |= _equal(a, self.constant(value))
            return ~found if isinstance(op, ast.NotIn) else found
        b = self.side(right)
        swapped = not isinstance(a, np.ndarray)
        if swapped:
            a, b = b, a
        if not isinstance(a, np.ndarray):
            raise self.refusal(left, "one side of a comparison must be a column")
        if isinstance(op, (ast.Eq, ast.Is)):
            return _equal(a, b)
        if isinstance(op, (ast.NotEq, ast.IsNot)):
            return np.asarray(~_equal(a, b))
        if _is_text(a) != _is_text(b) or b is None:
            raise self.refusal(left, "a text and a number cannot be ordered; use == or !=")
        return _ordered(a, _ORDERS[type(op)][swapped], b)

    def side(self, node: ast.expr) -> Side:
        """Return a column (n,) or a plain value."""
        return self.column(node) if isinstance(node, ast.Name) else self.constant(node)

    def constant(self, node: ast.expr) -> Value:
        """Return a plain value."""
        match node:
            case ast.Constant(value=str() | bool() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.Name(id=name):
                raise self.refusal(node, f"write texts in quotes, as in '{name}'")
        raise self.refusal(node, "only texts in quotes, numbers, True, False and None are allowed")

    def column(self, node: ast.Name) -> np.ndarray:
        """Return a column, (n,): bools, float64 with NaN where missing, or objects with None where missing."""
        names = self.table.column_names
        if node.id not in names:
            raise ConfigError(
                f"--where {one_line(self.text)!r}: unknown column {one_line(node.id, 80)!r}; "
                f"the columns are {', '.join(names)}, and texts are written in quotes.{did_you_mean(node.id, names)}"
            )
        values = self.table.column(node.id)
        kind = values.type
        if pa.types.is_boolean(kind) and not values.null_count:
            return np.asarray(values.to_pylist(), bool)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            numbers: np.ndarray = values.cast(pa.float64()).to_numpy()
            return numbers
        objects = np.empty(len(values), object)
        objects[:] = values.to_pylist()
        return objects

    def refusal(self, node: ast.expr, reason: str) -> ConfigError:
        """Return the error about a part of the condition."""
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return ConfigError(
            f"--where {one_line(self.text)!r}: {one_line(part, 80)!r}: {reason}; an example: {EXAMPLE!r}"
        )


def _is_text(side: Side) -> bool:
    return isinstance(side, str) or (isinstance(side, np.ndarray) and side.dtype == object)


def _equal(column: np.ndarray, other: Side) -> np.ndarray:
    if other is None:
        return (
            np.asarray([value is None for value in column])
            if column.dtype == object
            else np.isnan(column.astype(float))
        )
    if isinstance(other, np.ndarray):
        return np.asarray([x is not None and x == y for x, y in zip(column, other, strict=True)], bool)
    if column.dtype == object and not isinstance(other, str):
        return np.asarray([x is not None and (x == other or x == str(other)) for x in column], bool)
    if column.dtype != object and isinstance(other, str):
        return np.zeros(len(column), bool)
    return np.asarray(column == other, bool)


def _ordered(column: np.ndarray, order: Order, other: Side) -> np.ndarray:
    if column.dtype != object:
        return np.asarray(order(column, other), bool)
    others = other if isinstance(other, np.ndarray) else [other] * len(column)
    return np.asarray(
        [x is not None and y is not None and bool(order(str(x), str(y))) for x, y in zip(column, others, strict=True)],
        bool,
    )
