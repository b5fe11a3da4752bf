"""What all parts of the configuration are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Model(BaseModel):
    """A part of the configuration: frozen, unknown keys refused, documented below each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


def each_once(values: Any) -> Any:
    """Validator of a list: at least one value, none of them twice."""
    if isinstance(values, tuple) and (not values or len(set(values)) < len(values)):
        raise ValueError("accepted is a list of at least one value, each named once")
    return values
