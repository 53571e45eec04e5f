"""The pytest plugin: the same test, unchanged, on the simulator and on boards.

    def test_hey(taskgen_run):
        trace = taskgen_run(TaskSet([{"pkg": "hey", "executiontime": 5, "period": 500, "numberofjobs": 3}]))
        assert not trace.misses

    pytest --taskgen-target sim
    pytest --taskgen-target 10.0.0.7

Loading it costs nothing: this module imports pytest alone, and its parts (`taskgen.plugin`) come with the first test
that needs them. Nothing of it touches a target before that either.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from taskgen.plugin.campaign import Campaign
    from taskgen.plugin.runner import Runner
    from taskgen.session import Session, Target

__all__ = ["taskgen_artifacts", "taskgen_run", "taskgen_session", "taskgen_target"]

_MARKERS = (
    "taskgen_requires(*capabilities, cores=1, features=()): skip the test where the target lacks something: a flag of "
    "taskgen.Capabilities such as 'kill' or 'trace', a policy such as 'edf', cores, or a feature of the inventory.\n"
    "taskgen_xfail_on(*targets, reason=..., strict=..., raises=...): the test is expected to fail on these targets: "
    "names, addresses, sessions, profiles or generations, with * and ?."
).splitlines()


def _campaign(config: pytest.Config) -> "Campaign":
    from taskgen.plugin.campaign import campaign_of

    return campaign_of(config)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def taskgen_target(pytestconfig: pytest.Config) -> "Target":
    """Where task-sets run: a `taskgen.Target`, with session, address and options."""
    return _campaign(pytestconfig).target


@pytest.fixture(scope="session")
def taskgen_session(pytestconfig: pytest.Config) -> "Session":
    """The open `taskgen.Session` on the target; one for all tests, since each connection costs a board something."""
    return _campaign(pytestconfig).bench.session


@pytest.fixture(scope="session")
def taskgen_run(pytestconfig: pytest.Config, taskgen_session: "Session") -> "Runner":  # noqa: ARG001  # it is open
    """Run a task-set and return its Trace: `taskgen_run(taskset, *, horizon_ms=None, admission=None)`.

    Each run begins from a clean target. One that is lost is tried again; after that the test ends with an error.
    """
    return _campaign(pytestconfig).runner


@pytest.fixture
def taskgen_artifacts(request: pytest.FixtureRequest) -> Path:
    """A folder for files of this test, beside those that the plugin writes when it fails; not for `@given`."""
    folder = _campaign(request.config).folder(request.node.nodeid)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- the life of a pytest process --------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--taskgen-…`."""
    from taskgen.plugin.choices import add_options

    add_options(parser)


@pytest.hookimpl(trylast=True)  # Hypothesis has loaded the profile that the user chose
def pytest_configure(config: pytest.Config) -> None:
    """Register markers; load what replaying needs before tests are imported."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    if _campaign(config).choices.replay:  # what is wrong with the choices is said at once
        from taskgen.plugin.examples import load_replay_profile

        load_replay_profile()


def pytest_report_header(config: pytest.Config) -> str:
    """Say on which target tests run."""
    return _campaign(config).header


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Check markers and target, and adapt the settings of Hypothesis."""
    _campaign(config).collected(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that can't run on the target, before its fixtures are made."""
    __tracebackhide__ = True
    _campaign(item.config).begin(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around those of others: a lost board is no expected failure
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach traces to failures; make errors of lost targets."""
    report = yield
    campaign = _campaign(item.config)
    if campaign.concerns(item):
        from taskgen.plugin.reports import complete

        complete(report, item, call, campaign)
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to count, in the process that reports."""
    from taskgen.plugin.verdicts import Verdicts

    if not _is_worker(session.config):
        session.config.pluginmanager.register(Verdicts(), "taskgen-verdicts")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the session."""
    _campaign(config).close()


# -- pytest-xdist: one worker per board --------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True, tryfirst=True)  # else the number of CPUs wins
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of boards, for `-n auto`; None: the target can be shared by any number of workers."""
    leases = _campaign(config).leases
    return len(leases.targets) if leases.exclusive else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Refuse more workers than boards, before any begins."""
    from taskgen.plugin.pool import for_pytest

    with for_pytest():
        _campaign(config).leases.check(len(specs))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Lease a board to a worker that is about to begin, also to one that takes the place of another."""
    from taskgen.plugin.campaign import INPUT

    node.workerinput[INPUT] = _campaign(node.config).lease(node.gateway.id)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the board back from a worker that has ended or crashed."""
    _campaign(node.config).leases.give_back(node.gateway.id)
