"""The type variables that several modules share: `S`, a state, and `P`, a payload.

Both are `Any` where nothing is said: `Receipt` is `Receipt[Any]`, `Runtime` is `Runtime[Any, Any]`.
"""

from typing import TYPE_CHECKING, Any

# Python knows defaults of type variables from 3.13 on; type checkers know them from `typing_extensions` before.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    P = TypeVar("P", default=Any)
    S = TypeVar("S", default=Any)
else:
    from typing import TypeVar

    P = TypeVar("P")
    S = TypeVar("S")

__all__ = ["P", "S"]
