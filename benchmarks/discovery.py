"""How long discovery takes for a network of silent addresses: `python -m benchmarks.discovery --prefix 16`.

It runs in a network namespace of its own, where packets to 127.9.0.0/PREFIX are dropped but for those to a few
addresses that listen; no packet leaves it. The lower bound is the number of addresses / sockets x time-out.
Exit code 77: a namespace can't be made here.
"""

import argparse
import json
import math
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hil.discovery import discover, socket_limit
from taskgen.addresses import Address, Hosts, parse

SOCKETS = 800
PORT = 3001
NO_NAMESPACE = 77

_RULES = """
add table inet silent
add chain inet silent arrivals {{ type filter hook input priority 0; policy accept; }}
add rule inet silent arrivals ip daddr {{ {boards} }} accept
add rule inet silent arrivals ip saddr {{ {boards} }} accept
add rule inet silent arrivals ip daddr {network} drop
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", type=int, default=16, help="16: 65534 addresses")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    network = parse(f"127.9.0.0/{arguments.prefix}")
    if not arguments.inside:
        return _enter_namespace()
    boards = _boards(network)
    if error := _silence(network, boards):
        sys.stderr.write(f"{error}\n")
        return NO_NAMESPACE
    result = measure(network, boards, arguments.timeout)
    if arguments.json:
        print(json.dumps(result))
    else:
        bound_s = math.ceil(network.count / SOCKETS) * arguments.timeout
        print(f"{network.text}: {result['addresses']} addresses, {len(boards)} boards, at most {SOCKETS} sockets")
        print(f"{result['seconds']:.1f} s, lower bound {bound_s:.1f} s; CPU {result['cpu_seconds']:.1f} s")
        print(f"found {', '.join(map(str, result['found']))}")
        print(f"peak {result['peak_sockets']} sockets, resident set grew by {result['grown_kib']} KiB")
    return 0 if result["found"] == boards else 1


def _enter_namespace() -> int:
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("nft") is None or shutil.which("ip") is None:
        sys.stderr.write("unshare, ip or nft is missing\n")
        return NO_NAMESPACE
    allowed = subprocess.run([unshare, "-rn", "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        sys.stderr.write(allowed.stderr)
        return NO_NAMESPACE
    again = [unshare, "-rn", sys.executable, "-m", "benchmarks.discovery", "--inside", *sys.argv[1:]]
    return subprocess.run(again, check=False).returncode


def _silence(network: Hosts, boards: list[str]) -> str:
    """Drop what goes to the network, but not what goes to its boards; return what went wrong."""
    rules = _RULES.format(boards=", ".join(boards), network=network.text)
    for command, text in ((["ip", "link", "set", "lo", "up"], ""), (["nft", "-f", "-"], rules)):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip()
    return ""


def _boards(network: Hosts) -> list[str]:
    places = (network.first, (network.first + network.last) // 2, network.last)
    return [str(socket.inet_ntoa(place.to_bytes(4, "big"))) for place in places]


def measure(network: Hosts, boards: list[str], timeout_s: float) -> dict[str, Any]:
    """Sweep the network once, with listeners at the boards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * SOCKETS)), hard))
    peak, resident_kib = 0, _resident_kib()
    before = _open_files()

    def watched() -> Iterator[Address]:
        nonlocal peak
        for number, address in enumerate(network.addresses(PORT)):
            if number % 64 == 0:
                peak = max(peak, _open_files() - before - len(boards) - 1)
            yield address

    with ExitStack() as stack:
        for board in boards:
            stack.enter_context(socket.create_server((board, PORT)))
        started_s, cpu_s = time.monotonic(), time.process_time()
        found = []
        for one in discover(watched(), timeout_s=timeout_s, sockets=SOCKETS):
            one.connection.close()
            found.append(one.address.host)
        seconds, cpu_seconds = time.monotonic() - started_s, time.process_time() - cpu_s
    return {
        "addresses": network.count, "boards": boards, "found": sorted(found, key=socket.inet_aton),
        "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_sockets": peak,
        "limit": min(SOCKETS, socket_limit()), "grown_kib": _resident_kib() - resident_kib,
    }  # fmt: skip


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _resident_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
