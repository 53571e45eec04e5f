"""What a document may be: bounds that are checked before anything is built from it, and how its bytes become text."""

import codecs

from taskgen.errors import InputError

MAX_BYTES = 16 * 1024 * 1024
MAX_TASKS = 10_000
#: No task has more lists and objects inside on average: what exceeds this is refused before it is built.
OBJECTS_PER_TASK = 32
MAX_DEPTH = 32
MAX_DIGITS = 4300  #: of one number

_FOREIGN_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def check_size(size: int) -> None:
    """Refuse a document of more than 16 MiB."""
    if size > MAX_BYTES:
        raise InputError("the document is too long, expected at most 16 MiB")


def check_count(tasks: int) -> None:
    """Refuse a document of more than 10 000 tasks."""
    if tasks > MAX_TASKS:
        raise InputError(f"the document has too many tasks, expected at most {MAX_TASKS}")


def too_deep(where: str = "") -> InputError:
    """Return the error for a document that nests too deeply; `where` names the key, if it is known."""
    return InputError(f"{where}the document nests too deeply, expected at most {MAX_DEPTH} levels")


def decode(data: bytes) -> str:
    """Return the text of a document in ASCII or UTF-8.

    Raises:
        InputError: it is too long, empty, or in another encoding.
    """
    check_size(len(data))
    for bom, name in _FOREIGN_BOMS.items():
        if data.startswith(bom):
            raise InputError(f"the document is in {name}, expected ASCII or UTF-8")
    if b"\0" in data:
        raise InputError("the document holds NUL bytes, expected text in ASCII or UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"line {line} is neither ASCII nor UTF-8 (byte {data[error.start]:#04x})") from None
    if not text.strip():
        raise InputError("the document is empty")
    return text
