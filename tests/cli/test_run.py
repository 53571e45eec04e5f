"""`taskgen run` as a user sees it: what it runs, and what it says and writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commanded import Run


def test_the_main_job_runs_128_variants(run: Run) -> None:
    code, out, err = run("run", "-t", "example.Hey6TaskSet")
    assert (code, err) == (0, "")
    assert "128 variants: 128 finished" in out


def test_a_set_from_a_python_file_with_its_schedule(run: Run) -> None:
    code, out, _ = run("run", "-t", "./sets.py:rm", "--policy", "rm")
    assert code == 0
    assert "24.0 ms" in out


def test_json_is_one_document_on_stdout(run: Run) -> None:
    code, out, err = run("run", "-t", "sets.py:rm", "--policy", "rm", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == 1
    assert document["complete"] is True
    (only,) = document["runs"]
    assert (only["status"], only["target"]) == ("finished", "sim")
    assert only["summary"]["max_response_ms"] == {"0": 1.0, "1": 3.0}
    assert only["summary"]["exactness"] == "exact"
    assert len(only["jobs"]) == 6 + 4
    assert "finished" in err  # the table for people went to stderr


def test_json_is_the_same_in_every_process(run: Run, tmp_path: Path) -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-m", "taskgen", "run", "-t", "sets.py:rm", "--json", "--seed", "3"],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}, cwd=tmp_path,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    first, second = (json.loads(out)["runs"] for out in outputs)
    assert first == second


def test_output_goes_to_a_file_whole(run: Run, tmp_path: Path) -> None:
    code, _, _ = run("run", "-t", "sets.py:rm", "-o", "result.json")
    assert code == 0
    assert len(json.loads((tmp_path / "result.json").read_text())["runs"]) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_check_is_a_verdict(run: Run) -> None:
    assert run("run", "-t", "sets.py:rm", "--policy", "rm", "--check")[0] == 0
    code, out, _ = run("run", "-t", "sets.py:late", "--policy", "rm", "--check")
    assert code == 1
    assert "MISSED" in out
    assert run("run", "-t", "sets.py:late", "--policy", "rm")[0] == 0


def test_huge_and_endless_sets_start_at_once_and_end_at_their_limit(run: Run) -> None:
    for name in ("Huge", "endless"):
        code, out, _ = run("run", "-t", f"sets.py:{name}", "--limit", "1000", "--horizon", "20")
        assert code == 0
        assert "1000 variants: 1000 finished" in out
    assert run("run", "-t", "sets.py:Huge", "--limit", "0") == (0, "", "")


def test_a_sample_is_repeatable_and_spread(run: Run) -> None:
    documents = [
        json.loads(run("run", "-t", "sets.py:Huge", "--sample", "3", "--seed", seed, "--horizon", "1", "--json")[1])
        for seed in ("1", "1", "2")
    ]
    picked = [[each["variant"] for each in document["runs"]] for document in documents]
    assert picked[0] == picked[1] != picked[2]
    assert len(set(picked[0])) == 3
    assert max(picked[0]) > 10**6


def test_the_seed_reaches_the_task_set(run: Run) -> None:
    document = json.loads(run("run", "-t", "sets.py:Seeded", "--seed", "7", "--json")[1])
    assert document["runs"][0]["taskset"]["periodictask"][0]["period"] == 17
    assert document["runs"][0]["seed"] == 7


def test_several_sets_count_on(run: Run) -> None:
    document = json.loads(run("run", "-t", "sets.py:rm", "-t", "sets.py:late", "--json")[1])
    assert [each["variant"] for each in document["runs"]] == [0, 1]


def test_files_of_all_formats(run: Run, tmp_path: Path) -> None:
    task = {"executiontime": 1, "period": 4, "priority": 1}
    text = json.dumps({"taskset": {"periodictask": [task]}})
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.jsonl").write_text(f"{text}\n{text}\n")
    (tmp_path / "c.xml").write_text(
        "<taskset><periodictask><executiontime>1</executiontime><period>4</period></periodictask></taskset>"
    )
    counts = {"a.json": 1, "b.jsonl": 2, "c.xml": 1}
    for name, count in counts.items():
        document = json.loads(run("run", "-f", name, "--json")[1])
        assert [each["status"] for each in document["runs"]] == ["finished"] * count


def test_pictures_and_traces(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` isn't installed")
    code, _, _ = run("run", "-t", "sets.py:rm", "--gantt", "a.svg", "--trace", "a.json")
    assert code == 0
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert json.loads((tmp_path / "a.json").read_text())["traceEvents"]
    assert run("run", "-t", "sets.py:rm", "--gantt", "a.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_stdio_shows_descriptions(run: Run) -> None:
    code, out, _ = run("run", "-t", "example.Hey0TaskSet", "-s", "stdio.StdIOSession")
    assert code == 0
    assert json.loads(out)["taskset"]["periodictask"][0]["pkg"] == "hey"


def test_several_monitors(run: Run) -> None:
    code, out, _ = run("run", "-t", "sets.py:rm", "-m", "csv", "-m", "jsonl", "--horizon", "12")
    assert code == 0
    assert out.count("EXIT") >= 5
    assert any(line.startswith("{") for line in out.splitlines())


def test_a_policy_of_the_users_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from sim import Policy\n\nclass Lifo(Policy):\n"
        "    def rank(self, job, now_ns):\n        return -job.release_ns\n"
    )
    document = json.loads(run("run", "-t", "sets.py:rm", "--policy", "mine.py:Lifo", "--json")[1])
    # The second task of the first instant is as young as the first: equal ranks, so the smaller id begins.
    assert [job["start_ms"] for job in document["runs"][0]["jobs"][:2]] == [0.0, 1.0]


def test_both_priority_and_deadline_warn_once(run: Run, tmp_path: Path) -> None:
    task = {"executiontime": 1, "period": 4, "priority": {"range": [0, 9]}, "deadline": 3}
    (tmp_path / "a.json").write_text(json.dumps({"taskset": {"periodictask": [task]}}))
    code, _, err = run("run", "-f", "a.json")
    assert code == 0
    assert err.count("--policy fp") == 1


def test_a_board_that_nobody_finds_is_no_verdict(run: Run) -> None:
    """Nobody listens on port 1: exit code 75, and the variant's line says why."""
    code, out, err = run("run", "-t", "sets.py:rm", "127.0.0.1", "-p", "1")
    assert (code, err) == (75, "")
    assert "FAILED: no target left: 127.0.0.1:1: nobody accepts a connection: Connection refused" in out


def test_a_module_beside_the_user_is_found(run: Run, tmp_path: Path) -> None:
    assert run("run", "-t", "sets:rm", "--policy", "rm")[0] == 0
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "beside.py").write_text("PERIOD = 7")
    (folder / "uses.py").write_text(
        "from beside import PERIOD\nfrom taskgen import TaskSet\n"
        "def my():\n    return TaskSet([{'executiontime': 1, 'period': PERIOD}])\n"
    )
    document = json.loads(run("run", "-t", "folder/uses.py:my", "--json")[1])
    assert document["runs"][0]["taskset"]["periodictask"][0]["period"] == 7


def test_several_cores_with_overheads(run: Run) -> None:
    arguments = ["-t", "sets.py:late", "--cores", "2", "--migration", "global", "--policy", "rm", "--json"]
    document = json.loads(run("run", *arguments, "--context-switch", "0.5", "--horizon", "12")[1])
    jobs = document["runs"][0]["jobs"]
    assert {job["core"] for job in jobs} == {0, 1}
    assert jobs[0]["start_ms"] == 0.5
