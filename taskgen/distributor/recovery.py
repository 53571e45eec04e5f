"""What is done for a target that failed, in its own thread: rests, probes, power cycles, and at last quarantine."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from taskgen.distributor.handout import Handout
from taskgen.distributor.health import Care, Remedy, Sign
from taskgen.distributor.items import reason_of
from taskgen.distributor.probes import PROBES, Answer, listen
from taskgen.errors import TargetError
from taskgen.power import Switch
from taskgen.session import Session, Target


class Recovery:
    """Looks after one target.

    Attributes:
        canary: the figures of its last canary; None: there are none.

    Args:
        index: of the target.
        target: the target.
        kind: its session class, which is asked whether it is there.
        care: how it is looked after.
        switch: its power; None: nobody can switch it.
        handout: keeps its condition, and knows when nobody needs it any more.
        rng: draws the jitter of rests.
    """

    def __init__(
        self,
        index: int,
        target: Target,
        kind: type[Session],
        care: Care,
        switch: Switch | None,
        handout: Handout,
        rng: random.Random,
    ) -> None:
        self._index = index
        self._target = target
        self._kind = kind
        self._care = care
        self._switch = switch
        self._handout = handout
        self._rng = rng
        self._asked = False  # ever
        self.canary: Mapping[str, Any] | None = None
        self._steps: Mapping[Remedy, Callable[[], bool]] = {
            Remedy.PROBE: self._rest_and_probe,
            Remedy.CYCLE: self._cycle,
            Remedy.QUARANTINE: self._quarantine,
        }

    def recover(self) -> None:
        """Return when the target may have another variant, is in quarantine, or nobody needs it any more."""
        going_on = True
        while going_on:
            condition = self._handout.condition(self._index)
            remedy = self._care.remedy(condition, switchable=self._switch is not None)
            going_on = remedy is not Remedy.NONE and self._steps[remedy]()

    def probe(self) -> bool:
        """Ask whether the target is there, and note it."""
        answer = self._answer()
        if answer:
            self._handout.note(self._index, Sign.ANSWERED)
        elif not self._handout.ending:  # what was stopped has no answer to give
            # Why it failed first tells more than that it is silent since.
            earlier = self._handout.condition(self._index).reason
            reason = answer.reason or earlier or f"{self._target} doesn't answer"
            self._handout.note(self._index, Sign.SILENT, reason)
        return bool(answer)

    def inspect(self, session: Session) -> None:
        """Let the canary sing on a session that was just opened, where the inventory asks for one and none has sung.

        Raises:
            TargetError: it says that the target isn't fit for work.
        """
        if self._care.probe != "canary" or self._asked:
            return
        answer = self._noted(listen(session, self._target, self._registered))
        if not answer and not self._handout.ending:
            raise TargetError(f"{self._target}: the canary says: {answer.reason or 'no job came to its end'}")

    def _rest_and_probe(self) -> bool:
        if self._rest():
            self.probe()
        return not self._handout.ending

    def _rest(self) -> bool:
        failures = self._handout.condition(self._index).failures
        return self._handout.rest(self._care.rest_s(failures, self._rng))

    def _cycle(self) -> bool:
        if self._switch is None:
            raise AssertionError("a target without power driver was to be switched")
        try:
            going_on = self._switch.cycle(self._handout.rest)
        except BaseException as error:  # noqa: BLE001  # a driver is somebody's code, and the thread must live on
            going_on = self._rest()
            self._handout.note(self._index, Sign.FAILED, reason_of(error))
            return going_on
        self._handout.note(self._index, Sign.CYCLED)
        return going_on

    def _quarantine(self) -> bool:
        self._handout.quarantine(self._index)
        return False

    def _answer(self) -> Answer:
        try:
            found = PROBES[self._care.probe](self._kind, self._target, self._registered)
        except BaseException:  # noqa: BLE001  # a probe must not raise; one that does found nobody
            return Answer(False)
        return self._noted(found if isinstance(found, Answer) else Answer(found))

    def _noted(self, answer: Answer) -> Answer:
        if not self._handout.ending:
            self._asked = True
            self.canary = answer.figures
        return answer

    @contextmanager
    def _registered(self, session: Session) -> Iterator[None]:
        self._handout.enter(self._index, session)
        try:
            if self._handout.ending:  # it came before there was a session to stop
                session.stop()
            yield
        finally:
            self._handout.leave(self._index)
