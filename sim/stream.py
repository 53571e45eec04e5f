"""Random numbers that depend on what they are for, never on the order in which they are drawn.

Jitter and execution time of job k of task i come from the key (seed, i, k, purpose), so engines, chunkings and cores
agree about every job.
"""

from hashlib import blake2b


def uniform(seed: int, task_id: int, job: int, purpose: str, bound: int) -> int:
    """Return an integer that is uniform on 0 .. bound (inclusive) and a function of the key alone."""
    key = f"{seed},{task_id},{job},{purpose}".encode()
    # 128 bits keep the bias of the multiplication below 2^-64 for any time.
    word = int.from_bytes(blake2b(key, digest_size=16).digest(), "big")
    return (word * (bound + 1)) >> 128
