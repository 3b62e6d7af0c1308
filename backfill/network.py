"""What lies under an error of the network."""

from __future__ import annotations

from collections.abc import Iterator


def causes(exc: BaseException) -> Iterator[BaseException]:
    """An error and what lies under it; requests and urllib3 wrap in arguments and attributes as well as in chains."""
    seen: set[int] = set()
    open_causes: list[object] = [exc]
    while open_causes:
        cause = open_causes.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            open_causes += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def reason(exc: BaseException) -> str:
    """What the operating system said, as `Connection refused`; else the name of the error."""
    last = exc
    for last in causes(exc):
        if isinstance(last, OSError) and last.strerror:
            return last.strerror
    return type(last).__name__
