"""The arguments of a learner: those that its signature lists, and those of the record of options.

Every field of `streaming.options.LearnerOptions` is an argument of the learner. The signature of
`OnlineLearner` lists those whose type or default differs from that of a run. All others need no
line there: the record gives their type, range and default. So to add an argument, add a field to
the record.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from streaming.options import LearnerOptions

Constructor = TypeVar("Constructor", bound=Callable[..., None])

# Fields of a run that the learner takes in another form: as ``sizes``, and as its ``**options``.
RENAMED = ("hidden", "settings")


def takes_options(constructor: Constructor) -> Constructor:
    """Give a constructor with ``**options`` the fields of the record as arguments by keyword.

    The fields that the constructor does not list are validated, set as attributes of the same name
    and shown by `inspect.signature`. Raises BadOption for a value that the record refuses.
    """
    signature = inspect.signature(constructor)
    *listed, others = signature.parameters.values()
    further = {
        name: inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.get_default(call_default_factory=True),
            annotation=field.annotation,
        )
        for name, field in LearnerOptions.model_fields.items()
        if name not in (*signature.parameters, *RENAMED)
    }

    @functools.wraps(constructor)
    def construct(self: Any, /, *arguments: Any, **options: Any) -> None:
        given = {name: options.pop(name) for name in further if name in options}
        record = LearnerOptions(**given)
        for name in further:
            setattr(self, name, getattr(record, name))
        constructor(self, *arguments, **options)

    construct.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*listed, *further.values(), others]
    )
    return cast(Constructor, construct)


def names(learner: type) -> tuple[str, ...]:
    """The names of a learner's arguments, without the ``**options`` of its network."""
    parameters = inspect.signature(learner).parameters.values()
    return tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
