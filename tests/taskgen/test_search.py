"""The search: each set is judged once, the budget bounds the runs, and what is lost or skipped is no verdict."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from sim import SimSession
from taskgen import Target, TaskSet, registry
from taskgen import strategies as ts
from taskgen.errors import TargetLost, UsageError
from taskgen.parameters import parameters_of
from taskgen.testing.aim import aimed, enough_ms
from taskgen.testing.judge import DifferenceJudge, Judged, LawJudge
from taskgen.testing.memo import Memo
from taskgen.testing.properties import LAWS, Violation
from taskgen.testing.replay import replay
from taskgen.testing.search import Finding, Progress, sampled, search
from taskgen.testing.stand import BoardLost, Stand
from tests.taskgen.properties.mutants import Inverted, Moody

if TYPE_CHECKING:
    from taskgen.units import Milliseconds

WRONG = Judged((Violation(None, None, "right", "wrong"),))
SETS = ts.tasksets(n=4, max_period=10)


def numbered(number: int) -> TaskSet:
    return TaskSet([{"executiontime": 1, "period": 10, "number": number}])


class Rule:
    """A judge that only looks at the number of tasks, or whatever it is told to look at."""

    def __init__(self, judged: Callable[[TaskSet], Judged], lacks: str = "") -> None:
        self._judged = judged
        self.name, self.about, self.lacks = "rule", "a rule", lacks
        self.horizon_ms: Milliseconds | None = None
        self.stand = Stand(Target("sim"))
        self.seen: list[TaskSet] = []

    @property
    def executions(self) -> int:
        return len(self.seen)

    def blur_ns(self, siblings: int) -> int:
        return 0

    def excludes(self, taskset: TaskSet) -> str:
        return ""

    def judge(self, taskset: TaskSet) -> Judged:
        self.seen.append(taskset)
        return self._judged(taskset)

    def margin_ns(self) -> int | None:
        return None


def by_size(taskset: TaskSet) -> Judged:
    return WRONG if len(taskset) > 1 else Judged()


def look(rule: Rule, **options: Any) -> Finding:
    return search(rule, SETS, **{"max_examples": 50, "seed": 1, **options})


# -- verdicts


def test_a_failure_is_shrunk_to_the_smallest_set() -> None:
    found = look(Rule(by_size))
    assert found.verdict == "failed"
    assert found.taskset is not None
    assert [(task["executiontime"], task["period"]) for task in found.taskset] == [(1, 2)] * 2
    assert found.shrinks > 0


def test_what_holds_is_held() -> None:
    rule = Rule(lambda _: Judged())
    found = look(rule)
    assert (found.verdict, found.taskset, found.reason) == ("held", None, "")
    assert found.examples == len(rule.seen) == found.executions
    assert 20 <= found.examples <= 50  # few sets are that small, and come twice


def test_each_set_is_judged_once() -> None:
    rule = Rule(by_size)
    look(rule)
    texts = [repr([dict(task) for task in each]) for each in rule.seen]
    assert len(set(texts)) == len(texts)


def test_a_noisy_target_fails_once_and_is_never_called_flaky() -> None:
    """The first judgement counts: what fails every third time has a counterexample, too."""
    count = iter(range(10**6))
    found = look(Rule(lambda _: WRONG if next(count) % 3 == 2 else Judged()))
    assert (found.verdict, found.examples) == ("failed", 3)


def test_the_same_seed_gives_the_same_sets() -> None:
    rules = [Rule(lambda _: Judged()) for _ in range(3)]
    for rule, seed in zip(rules, (1, 1, 2), strict=True):
        look(rule, seed=seed)
    first, second, other = ([dict(task) for each in rule.seen for task in each] for rule in rules)
    assert first == second
    assert first != other


def test_a_budget_bounds_the_runs() -> None:
    rule = Rule(by_size)
    found = look(rule, budget=7)
    assert len(rule.seen) == 7
    assert (found.verdict, found.examples + found.shrinks) == ("failed", 7)
    assert found.unjudged
    assert found.taskset in rule.seen


def test_skipped_sets_are_counted_by_reason() -> None:
    found = look(Rule(lambda taskset: Judged(skipped=f"task {len(taskset)} is odd") if len(taskset) % 2 else Judged()))
    assert found.verdict == "held"
    assert list(found.skipped) == ["a task is odd"]
    assert found.skipped.total() > 3


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rule(lambda _: Judged(skipped="never")), "every example was skipped"),
        (Rule(lambda _: Judged(), lacks="the target can't"), "the target can't"),
    ],
)
def test_nothing_judged_is_no_verdict(rule: Rule, reason: str) -> None:
    found = look(rule)
    assert (found.verdict, found.reason, found.whole) == ("none", reason, False)


def test_no_example_is_no_verdict() -> None:
    assert search(Rule(by_size), [], max_examples=5).reason == "there was no example"


# -- what ends a search


def failing(error: BaseException, after: int, judged: Callable[[TaskSet], Judged] = lambda _: Judged()) -> Rule:
    left = iter(range(after))

    def judge(taskset: TaskSet) -> Judged:
        if next(left, None) is None:
            raise error
        return judged(taskset)

    return Rule(judge)


def test_a_lost_target_ends_the_search_at_once() -> None:
    rule = failing(TargetLost("gone", hint="look"), 5)
    found = look(rule)
    assert (found.verdict, found.reason, found.examples) == ("none", "gone; look", 5)
    assert len(rule.seen) == 6
    assert not issubclass(BoardLost, Exception)


def test_a_failure_found_before_is_a_verdict() -> None:
    found = look(failing(TargetLost("gone"), 4, by_size))
    assert (found.verdict, found.reason) == ("failed", "gone")
    assert found.judged == WRONG


def test_an_error_of_the_user_ends_the_search_as_it_is() -> None:
    rule = failing(UsageError("his policy failed"), 3)
    with pytest.raises(UsageError, match="his policy failed"):
        look(rule)
    assert len(rule.seen) == 4


def test_ctrl_c_keeps_what_was_found() -> None:
    found = look(failing(KeyboardInterrupt(), 4, by_size))
    assert (found.verdict, found.interrupted) == ("failed", True)
    assert look(failing(KeyboardInterrupt(), 2)).verdict == "none"


def test_progress_is_told_after_each_set() -> None:
    told: list[Progress] = []
    look(Rule(by_size), notify=told.append)
    assert [each.executions for each in told] == list(range(1, len(told) + 1))
    assert [each.shrinking for each in told] == sorted(each.shrinking for each in told)


# -- stored and named sets


def test_stored_sets_come_first_and_end_the_search_if_one_fails() -> None:
    rule = Rule(lambda taskset: WRONG if taskset[0].get("number") == 1 else Judged())
    stored = [(Path(str(number)), numbered(number)) for number in range(3)]
    found = look(rule, stored=stored)
    assert (found.verdict, found.stored, found.stored_passed) == ("failed", Path("1"), 1)
    assert len(rule.seen) == 2


def test_stored_sets_that_pass_are_no_examples() -> None:
    found = look(Rule(lambda _: Judged()), stored=[(Path("x"), numbered(7))], max_examples=3)
    assert (found.verdict, found.stored_passed) == ("held", 1)
    assert found.examples <= 3


def test_named_sets_are_looked_at_in_their_order() -> None:
    rule = Rule(lambda taskset: WRONG if taskset[0]["number"] == 2 else Judged())
    found = search(rule, map(numbered, range(10)), max_examples=5)
    assert [each[0]["number"] for each in rule.seen] == [0, 1, 2]
    assert found.taskset is rule.seen[-1]
    assert search(Rule(by_size), map(numbered, range(10)), max_examples=5).examples == 5


def test_samples_are_drawn_without_replacement_and_by_the_seed() -> None:
    huge = TaskSet([{"executiontime": 1, "period": range(10, 10**9)}])
    periods = [[each[0]["period"] for each in sampled([huge], 20, seed)] for seed in (1, 1, 2)]
    assert periods[0] == periods[1] != periods[2]
    assert len(set(periods[0])) == 20
    assert len(sampled([numbered(1), huge], 5, 0)) == 6


def test_a_memo_forgets_the_oldest() -> None:
    memo: Memo[int] = Memo(2)
    for number in range(3):
        assert memo.keep(number, number) == number
    assert [memo.get(number) for number in range(3)] == [None, 1, 2]
    assert len(memo) == 2


# -- judges and their aim


@pytest.fixture
def judge() -> Callable[..., LawJudge]:
    return lambda law, **options: LawJudge(law, LAWS[law], Stand(Target("sim", "", options)))


@pytest.mark.parametrize("law", LAWS)
def test_each_law_that_the_simulator_can_judge_finds_sets_to_judge(judge: Callable[..., LawJudge], law: str) -> None:
    """Under the policy that the law is about; most sets are such that it claims something."""
    policies = ["auto", "rm", "dm", *["edf"] * law.startswith("edf")]
    one = next(
        (
            each
            for policy in policies
            for options in ({"policy": policy}, {"policy": policy, "preemptive": False}, {"profile": "G3b"})
            if not (each := judge(law, **options)).lacks
            and not all(each.excludes(taskset) for taskset in examples_of(aimed(each), 10))
        ),
        None,
    )
    assert one is not None
    found = search(one, aimed(one), max_examples=8, seed=3)
    assert (found.verdict, found.reason) == ("held", "")
    assert found.examples >= 4


def examples_of(strategy: st.SearchStrategy[TaskSet], count: int) -> list[TaskSet]:
    rule = Rule(lambda _: Judged())
    search(rule, strategy, max_examples=count, seed=0)
    return rule.seen


@pytest.mark.parametrize(
    ("law", "attribute", "can_come"),
    [
        ("event_stream", "jitter", True),
        ("event_stream", "numberofjobs", True),
        ("critical_instant", "offset", False),
        ("critical_instant", "jitter", False),
        ("kill_at_criticaltime", "criticaltime", True),
        ("longer_periods", "numberofjobs", False),
    ],
)
def test_sets_have_what_a_law_puts_up_with(
    judge: Callable[..., LawJudge], law: str, attribute: str, can_come: bool
) -> None:
    assert any(attribute in task for each in examples_of(aimed(judge(law)), 40) for task in each) is can_come


def test_a_law_about_distinct_priorities_gets_them(judge: Callable[..., LawJudge]) -> None:
    for taskset in examples_of(aimed(judge("critical_instant")), 30):
        priorities = [task.priority for task in parameters_of(taskset)]
        assert len(set(priorities)) == len(priorities)


def test_boards_get_sets_that_end_soon(judge: Callable[..., LawJudge]) -> None:
    one = LawJudge("job_counts", LAWS["job_counts"], Stand(Target("sim", "G4")))
    for taskset in examples_of(aimed(one), 20):
        assert all(task["numberofjobs"] <= 3 and task["period"] <= 1000 and task["pkg"] == "hey" for task in taskset)
    assert enough_ms(one, {}) == 2 * 5 * 1000
    assert enough_ms(one, {"max_jobs": 1, "max_period": 5, "unit_ms": 200}) == 2 * 3 * 1000
    assert enough_ms(judge("job_counts"), {}) is None


@pytest.mark.parametrize(
    ("given", "unit_ms"), [({}, 1200), ({"n": 2}, 600), ({"n": 60}, 1200), ({"unit_ms": 100}, 100)]
)
def test_laws_about_order_get_times_that_siblings_do_not_blur(
    judge: Callable[..., LawJudge], given: dict[str, int], unit_ms: int
) -> None:
    """Each sibling may delay by 279 ms; a profile takes twice as much, as its time costs nothing."""
    one = judge("fixed_priority_events", profile="G4")
    periods = [task["period"] for each in examples_of(aimed(one, given=given), 20) for task in each]
    assert all(period % unit_ms == 0 for period in periods)
    assert min(periods) <= 3 * unit_ms
    assert enough_ms(one, given) == 2 * 5 * 10 * unit_ms
    with Stand(Target("sim", "G4")) as witness, Stand(Target("sim", "G4")) as oracle:
        assert enough_ms(DifferenceJudge(witness, oracle), given) == 2 * 5 * 10 * unit_ms


def test_bounds_of_the_user_stay(judge: Callable[..., LawJudge]) -> None:
    given = {"n": 2, "max_period": 3, "max_offset": 0, "max_jobs": 2}
    for taskset in examples_of(aimed(judge("event_stream"), given=given), 30):
        assert len(taskset) <= 2
        assert all(task["period"] <= 3 and "offset" not in task and task["numberofjobs"] <= 2 for task in taskset)


def test_a_policy_of_the_users_own_is_found_out(judge: Callable[..., LawJudge]) -> None:
    one = judge("independence", policy=Inverted)
    found = search(one, aimed(one), max_examples=50, seed=1)
    assert found.taskset is not None
    assert [task["priority"] for task in found.taskset] == [1, 0]
    assert one.executions == found.executions > found.examples + found.shrinks  # a relation runs variants, too


def test_a_target_that_is_not_deterministic_is_found_out_by_its_law(judge: Callable[..., LawJudge]) -> None:
    one = judge("determinism", policy=Moody)
    assert search(one, aimed(one), max_examples=50, seed=1).verdict == "failed"


def test_what_the_target_refuses_is_skipped(judge: Callable[..., LawJudge]) -> None:
    one = judge("event_stream", policy="fp")
    judged = one.judge(TaskSet([{"executiontime": 1, "period": 4}]))
    assert judged.skipped.startswith("sim refuses it: task 0: priority: is missing")
    assert one.executions == 0


def test_an_oracle_disagrees_with_a_wrong_scheduler() -> None:
    with Stand(Target("sim", "", {"policy": Inverted})) as witness, Stand(Target("sim")) as oracle:
        one = DifferenceJudge(witness, oracle)
        found = search(one, aimed(one), max_examples=60, seed=1)
    assert (found.name, found.verdict) == ("against:sim", "failed")
    assert found.taskset is not None
    assert len(found.taskset) == 2
    assert {"agree", "order"} <= set(found.remarks)


def test_a_replay_without_target_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(target: Target) -> object:
        raise TargetLost("nobody is there")

    kind = type("Absent", (SimSession,), {"open": nobody})
    load = registry.load
    monkeypatch.setattr(registry, "load", lambda group, name: kind if group == "sessions" else load(group, name))
    stand = Stand(Target("absent"), rest=lambda _: None)
    replayed = replay(LawJudge("job_counts", LAWS["job_counts"], stand), numbered(0))
    assert (replayed.verdict, replayed.agreement) == ("no verdict", "")
    assert replayed.reason == "absent was lost, tried 3 times: nobody is there"
