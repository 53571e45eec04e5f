"""Options with one value: given twice differently they are refused, instead of letting the last one win."""

import copy
from typing import Any

from typer.core import TyperCommand

from taskgen.errors import UsageError


class Once(TyperCommand):
    """A command that refuses contradictions among its options; the same value twice is none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            UsageError: names the first option that is given twice differently, and its values.
        """
        if not ctx.resilient_parsing:  # else nobody runs anything: a shell asks what could follow
            self._refuse_contradictions(ctx, list(args))
        return super().parse_args(ctx, args)

    def _refuse_contradictions(self, ctx: Any, args: list[str]) -> None:
        """Parse as if each option could be repeated, and look at what comes together."""
        twin = copy.copy(self)
        twin.params = [_repeatable(param) for param in self.params]
        given, _, _ = twin.make_parser(ctx).parse_args(args)
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


def _repeatable(param: Any) -> Any:
    """Return a single-valued option as a repeatable one; everything else as it is."""
    if param.param_type_name != "option" or param.multiple or param.is_flag or param.count or param.nargs != 1:
        return param
    twin = copy.copy(param)
    twin.multiple = True
    return twin
