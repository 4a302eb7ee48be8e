"""What every section of settings is made of."""

import math
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

S = TypeVar("S", bound="Section")
Auto = Literal["auto"]
AtLeast1 = Annotated[int, Field(ge=1)]
AtLeast2 = Annotated[int, Field(ge=2)]

LARGEST = 1e30  # and its inverse the smallest: single precision, in which models are trained, ends at 3e38


class Section(BaseModel):
    """A frozen group of settings without unknown keys; numbers are finite, and true and false are no numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        value = plain(value)
        if not takes_booleans(cls.model_fields[str(info.field_name)].annotation):
            parts = value if isinstance(value, (list, tuple)) else [value]
            if any(isinstance(part, bool) for part in parts):
                raise PydanticCustomError("boolean_as_number", "Input should not be true or false")
        if isinstance(value, float) and (LARGEST < abs(value) < math.inf or 0 < abs(value) < 1 / LARGEST):
            raise PydanticCustomError("finite_number", f"Input should be 0 or from {1 / LARGEST:g} to {LARGEST:g}")
        return value


def plain(value: object) -> object:
    """Converts a NumPy number or array to what Python has itself; other values stay.

    >>> plain(3), plain("a")
    (3, 'a')
    """
    convert = getattr(value, "tolist", None)
    return convert() if callable(convert) else value


def takes_booleans(annotation: Any) -> bool:
    """Whether a value of this type may be True or False.

    >>> takes_booleans(bool | Literal["auto"]), takes_booleans(Annotated[int, Field(ge=1)] | None)
    (True, False)
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return takes_booleans(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return any(takes_booleans(part) for part in get_args(annotation))
    if origin is Literal:
        return any(isinstance(value, bool) for value in get_args(annotation))
    return annotation not in {int, float, str, type(None)} and origin not in {tuple, list}


def resolved(section: type[S], config: Section, **changes: Mapping[str, object]) -> S:
    """Convert a config to a resolved one, in which values cannot be "auto".

    Args:
        section: the type of the resolved config.
        config: as the user wrote it, or resolved already.
        **changes: per section, the settings to replace.
    """
    # In place of "auto", what the resolved section has for runs from before there was the setting.
    values = {
        name: {key: each for key, each in value if each != "auto"} if isinstance(value, Section) else value
        for name, value in config
    }
    return section.model_validate(values | {name: {**values[name], **changed} for name, changed in changes.items()})
