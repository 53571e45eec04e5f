"""Options with one value: given twice differently they are refused, instead of letting the last one win."""

import copy
from typing import Any

from typer.core import TyperCommand, TyperGroup

from taskgen.errors import UsageError


class _Once:
    """Refuses contradictions among its options; the same value twice is none."""

    params: list[Any]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            UsageError: names the first option that is given twice differently, and its values.
        """
        if not ctx.resilient_parsing:  # else nobody runs anything: a shell asks what could follow
            self._refuse_contradictions(ctx, list(args))
        found: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]  # it comes before a command
        return found

    def _refuse_contradictions(self, ctx: Any, args: list[str]) -> None:
        """Parse as if each option could be repeated, and look at what comes together."""
        twin = copy.copy(self)
        twin.params = [_repeatable(param) for param in self.params]
        given, _, _ = twin.make_parser(ctx).parse_args(args)  # type: ignore[attr-defined]  # the command's
        for single, repeatable in zip(self.params, twin.params, strict=True):
            texts = given.get(repeatable.name or "")
            if single is repeatable or not isinstance(texts, list | tuple) or len(texts) < 2:
                continue
            values = dict.fromkeys(texts)
            if len(values) > 1:
                raise UsageError(
                    f"{max(single.opts, key=len)}: given twice differently: {', '.join(map(str, values))}",
                    hint="give it once",
                )


class Once(_Once, TyperCommand):
    """A command that refuses contradictions among its options."""


class OnceGroup(_Once, TyperGroup):
    """A command with options of its own and subcommands, that refuses contradictions among its options."""


def _repeatable(param: Any) -> Any:
    """Return a single-valued option as a repeatable one; everything else as it is."""
    if param.param_type_name != "option" or param.multiple or param.is_flag or param.count or param.nargs != 1:
        return param
    twin = copy.copy(param)
    twin.multiple = True
    return twin
