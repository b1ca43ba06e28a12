"""What all text exports share: encoding, line ends, delimiter, decimal mark and column names.

Testers write text with whatever locale their computer has, are cut off by power failures, and pass through
spreadsheets. Nothing here knows a vendor. ``table`` makes columns of the rows.
"""

from __future__ import annotations

import codecs
import functools
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from battery_analysis.readers.inflate import GZIP_MAGIC, gunzipped

MAX_LINE_BYTES = 1 << 20
"""Longer lines are damage, not records."""

MAX_TEXT_BYTES = 1 << 31
"""What a compressed text may grow to."""

DELIMITERS = (",", ";", "\t", "|")

_SAMPLE_BYTES = 16_384
_RETURN, _END = b"\r\n"
_BLOCK_BYTES = 65_536
_COMPARED_BYTES = 1 << 17
_NOT_CP1252 = tuple(bytes([byte]) for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_NUL_BLOCK = re.compile(rb"\0+")
_NAME_LINES = 200
_SMALL = bytes(range(256)).lower()
_NO_LETTERS = bytes(set(range(256)) - set(string.ascii_letters.encode() + b"\n"))
_CHINESE = ("电压", "电流", "循环", "工步", "容量", "记录", "时间", "℃", "°C", "μ", "Ω")
_CHINESE_BYTES = tuple(word.encode("gb18030") for word in _CHINESE)
_SIGN_BYTES = 65_536
_CONTINUATIONS = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 with which no character begins."""


class Text(NamedTuple):
    """A text file as UTF-8 with line ends of one kind, mostly LF, without byte order mark and NUL bytes."""

    text: bytes
    encoding: str
    warnings: list[str]


def load_text(path: Path, *, keep_returns: bool = False) -> Text:
    """Load a text file of any encoding and line end.

    UTF-8 and UTF-16 are recognised, and GB 18030 (Chinese Windows) by words and signs of test reports; everything else
    is taken as Windows-1252 (or Latin-1, where a byte has no meaning there). NUL bytes, as a power failure leaves
    them, are removed with a warning.

    Args:
        path: The file.
        keep_returns: Whether all lines may end with CR and LF, as they do in the file; to take the CR out of many
            megabytes takes as long as half of their parsing.
    """
    text, encoding, warnings = _read(path)
    keep_returns = keep_returns and not encoding.startswith("utf-16") and has_plain_returns(text)
    plain_ends = keep_returns or b"\r" not in text
    if not (plain_ends and _is_utf8(text, encoding)) or _ends_inside_character(text):
        text = b"".join(_blocks_as_utf8(text, encoding, keep_returns))
    if b"\0" in text:
        text, warning = _without_nul(text)
        warnings.append(warning)
    return Text(text, encoding, warnings)


@functools.lru_cache(maxsize=8)  # every reader in turn asks for the same text, or a shorter beginning of it
def head_text(head: bytes) -> str:
    """Decode the beginning of a file, which may end inside a character, with LF line ends."""
    return _as_utf8(head, guess_encoding(head)).decode().replace("\0", "")


@functools.lru_cache(maxsize=4)
def head_lines(head: bytes) -> tuple[str, ...]:
    """The lines of ``head_text``."""
    return tuple(head_text(head).split("\n"))


@functools.lru_cache(maxsize=4)
def voltage_lines(head: bytes) -> tuple[tuple[int, str], ...]:
    r"""Position and text of the lines that may name a voltage: no other line can hold the names of a cycler's columns.

    >>> voltage_lines(b"Cell: A1\nt(s);Vol_tage(V)\n0;3.6\n")
    ((1, 't(s);Vol_tage(V)'),)
    """
    lines = head_lines(head)[:_NAME_LINES]
    letters = _letters("\n".join(lines)).split(b"\n")
    return tuple((at, line) for at, line in enumerate(lines) if b"vol" in letters[at] or "电" in line)


def may_name(line: str, letters: bytes, sign: str) -> bool:
    """Say whether a line has the letters in this order, whatever signs stand between them, or the Chinese sign.

    >>> may_name("Time,Vol_tage(V)", b"vol", "电"), may_name("0,3.7", b"vol", "电")
    (True, False)
    """
    return letters in _letters(line) or sign in line


def _letters(text: str) -> bytes:
    """Letters from a to z and line ends of a text."""
    return text.encode("utf-8", "replace").translate(_SMALL, _NO_LETTERS)


def guess_encoding(raw: bytes) -> str:
    """Name the encoding: ``utf-8``, ``utf-8-sig``, ``utf-16…``, ``gb18030``, ``cp1252`` or ``latin-1``.

    >>> guess_encoding("Temperature (°C)".encode("latin-1")), guess_encoding("温度(℃),电压(V)".encode("gbk"))
    ('cp1252', 'gb18030')
    """
    if raw.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = raw[:256:2], raw[1:256:2]  # ASCII text in UTF-16 without a byte order mark has a NUL in every character
    if 2 * odd.count(0) > len(odd) and not even.count(0):
        return "utf-16-le"
    if 2 * even.count(0) > len(even) and not odd.count(0):
        return "utf-16-be"
    if raw.isascii() or _utf8_rest(raw) is not None:
        return "utf-8"
    if _is_chinese(raw[:_SIGN_BYTES]):
        return "gb18030"
    return "latin-1" if any(byte in raw for byte in _NOT_CP1252) else "cp1252"


def sniff_delimiter(header_line: str, sample: Sequence[str]) -> str | None:
    """Find the character that cuts the header and most of the sample's rows into the same number of fields.

    Returns:
        One of ``DELIMITERS``, or None where the header has none of them.

    >>> sniff_delimiter("Test Time (s);Voltage (V)", ["1,5;3,7", "2,5;3,7"])
    ';'
    """

    def fitness(delimiter: str) -> tuple[int, int]:
        fields = header_line.count(delimiter)
        return sum(abs(row.count(delimiter) - fields) <= 1 for row in sample), fields

    found = [delimiter for delimiter in DELIMITERS if delimiter in header_line]
    return max(found, key=fitness, default=None)


def sniff_decimal(sample_lines: Sequence[str], delimiter: str) -> str:
    """Say whether the numbers of the sample are written with a comma or a point.

    >>> sniff_decimal(["1,5;3,7"], ";"), sniff_decimal(['"1,5","3,7"'], ","), sniff_decimal(['"2,640",3.7,25.1'], ",")
    (',', ',', '.')
    """
    cells = [cell for line in sample_lines for cell in split_cells(line, delimiter)]

    def written_with(mark: str, number: re.Pattern[str]) -> int:
        return sum(number.fullmatch(cell.strip(' \t"')) is not None for cell in cells if mark in cell)

    commas = written_with(",", _COMMA_NUMBER)
    return "," if commas and commas > written_with(".", _POINT_NUMBER) else "."


def column_names(header_line: str, delimiter: str, sample: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cut a header line into names that are all different, with warnings about those that were not.

    A name that comes again is kept as ``<name> duplicate 2`` and so on; empty names become ``unnamed 1`` and so on.
    A delimiter that ends only the header or only the rows is not a column.
    """
    names = [cell.strip().strip('"').strip() for cell in split_cells(header_line, delimiter)]
    widths = [len(split_cells(row, delimiter)) for row in sample if row.strip()]
    width = Counter(widths).most_common(1)[0][0] if widths else len(names)
    if width == len(names) - 1 and not names[-1]:
        names.pop()
    elif width == len(names) + 1 and all(row.endswith(delimiter) for row in sample if row.strip()):
        names.append("")

    unique: list[str] = []
    warnings = []
    for position, name in enumerate(names, 1):
        new = name or f"unnamed {position}"
        if name in unique:
            new = f"{name} duplicate {1 + names[:position].count(name) - 1}"
            warnings.append(f"the column name {name!r} appears twice; column {position} is kept as {new!r}")
        unique.append(new)
    return unique, warnings


def split_cells(line: str, delimiter: str) -> list[str]:
    """Cut a line at its delimiters, except inside double quotes.

    >>> split_cells('1,"a,b",2', ",")
    ['1', '"a,b"', '2']
    """
    if '"' not in line:
        return line.split(delimiter)
    cells: list[str] = []
    for part in line.split(delimiter):
        if cells and cells[-1].count('"') % 2:
            cells[-1] += delimiter + part
        else:
            cells.append(part)
    return cells


def sample_lines(text: bytes, per_place: int = 40, start: int = 0) -> list[str]:
    """Some whole lines from the beginning, the middle and the end of a text, or of what it holds from ``start`` on.

    A line without line end counts only where there is no other.
    """
    end = text.rfind(b"\n", start) + 1  # a last line without line end may be cut anywhere
    lines: list[bytes] = []
    for place in sorted({start, (start + end) // 2, max(start, end - _SAMPLE_BYTES)}):
        lines += text[place : min(end, place + _SAMPLE_BYTES)].split(b"\n")[place > start : -1][:per_place]
    if not any(lines):
        lines = text[start : start + _SAMPLE_BYTES].split(b"\n")
    return [line.decode("utf-8", "replace") for each in lines if (line := each.removesuffix(b"\r"))]


def lines_of(text: bytes, start: int = 0) -> Iterator[tuple[str, int]]:
    r"""Yield the lines from ``start`` on, cut where they are too long, each with where the next one begins.

    >>> list(lines_of(b"a\r\n\r\nb"))
    [('a', 3), ('', 5), ('b', 7)]
    """
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        line = text[start : min(end, start + MAX_LINE_BYTES)].removesuffix(b"\r")
        start = end + 1
        yield line.decode("utf-8", "replace"), start


def line_start(text: bytes, lines: int, start: int = 0) -> int:
    r"""Where what follows a number of lines from ``start`` on begins; the text's end where there are not so many.

    >>> line_start(b"a\nb\nc", 2)
    4
    """
    for _ in range(lines):
        start = text.find(b"\n", start) + 1
        if not start:
            return len(text)
    return start


def _read(path: Path) -> tuple[bytes, str, list[str]]:
    """A file, unpacked if it is compressed, without byte order mark of UTF-8; its encoding, and what is missing."""
    with path.open("rb", buffering=0) as file:
        if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            return file.readall(), "utf-8-sig", []  # many megabytes are not copied just to leave three bytes out
        file.seek(0)
        text = file.readall()
    warnings: list[str] = []
    if text.startswith(GZIP_MAGIC):
        text, warnings = gunzipped(path, text, MAX_TEXT_BYTES)
        text = text.removeprefix(codecs.BOM_UTF8)
    return text, guess_encoding(text), warnings


def _is_utf8(text: bytes, encoding: str) -> bool:
    return encoding == "utf-8" or (encoding == "utf-8-sig" and _utf8_rest(text) is not None)


def _blocks_as_utf8(text: bytes, encoding: str, keep_returns: bool) -> Iterator[bytes | memoryview]:
    """Convert a text in blocks of whole lines, of which most need little to be done."""
    if encoding.startswith("utf-16"):  # in which bytes like line ends are halves of others
        yield _as_utf8(text, encoding)
        return
    view, start = memoryview(text), 0
    while start < len(text):
        end = text.find(b"\n", start + _BLOCK_BYTES) + 1 or len(text)
        block = text[start:end]
        as_it_is = block.isascii() and (keep_returns or b"\r" not in block)
        yield view[start:end] if as_it_is else _as_utf8(block, encoding, keep_returns)
        start = end


def _as_utf8(part: bytes, encoding: str, keep_returns: bool = False) -> bytes:
    """Convert whole lines, of which the last may be cut inside a character, to UTF-8, mostly with LF line ends."""
    if encoding.startswith("utf-16"):
        part = part.decode(encoding, "ignore").encode("utf-8", "replace")
    elif not part.isascii():
        part = part.decode(encoding, "replace").encode("utf-8", "replace")
    if keep_returns or b"\r" not in part:
        return part
    if has_plain_returns(part):
        return part.translate(None, b"\r")  # in a third of the time that replacing takes
    return part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def has_plain_returns(text: bytes) -> bool:
    r"""Say whether no CR stands but before LF, and none is missing there.

    >>> has_plain_returns(b"a\r\nb\r\n"), has_plain_returns(b"a\r\nb\n"), has_plain_returns(b"a\rb\n")
    (True, False, False)
    """
    codes = np.frombuffer(text, np.uint8)
    for start in range(0, codes.size, _COMPARED_BYTES):
        block = codes[start : start + _COMPARED_BYTES + 1]
        if ((block[:-1] == _RETURN) != (block[1:] == _END)).any():
            return False
    return not text.startswith(b"\n") and not text.endswith(b"\r")


def _is_chinese(head: bytes) -> bool:
    """Say whether bytes, read in the encoding of Chinese Windows, hold words or signs of test reports."""
    words = any(word in head for word in _CHINESE_BYTES)  # cheap, but may find halves of two characters
    return words and any(word in head.decode("gb18030", "replace") for word in _CHINESE)


def _utf8_rest(raw: bytes) -> bytes | None:
    """The beginning of a last character that is cut, mostly nothing; None where the bytes are no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(raw), _BLOCK_BYTES):  # parts that need little memory when decoded
            decoder.decode(raw[at : at + _BLOCK_BYTES])
    except UnicodeDecodeError:
        return None
    return decoder.getstate()[0]


def _ends_inside_character(text: bytes) -> bool:
    """Say whether the last character of a text in UTF-8 is cut."""
    return bool(_utf8_rest(text[-4:].lstrip(_CONTINUATIONS)))


def _without_nul(text: bytes) -> tuple[bytes, str]:
    blocks = list(_NUL_BLOCK.finditer(text))
    line = text.count(b"\n", 0, blocks[0].start()) + 1
    where = f"at line {line}" if len(blocks) == 1 else f"in {len(blocks)} places, the first at line {line}"

    def fill(block: re.Match[bytes]) -> bytes:
        inside_line = text[block.start() - 1 : block.start()] != b"\n" and text[block.end() : block.end() + 1] != b"\n"
        # The halves of two records must not make a third one.
        return b"\n" if inside_line and len(block[0]) > 1 and block.end() < len(text) else b""

    return _NUL_BLOCK.sub(fill, text), f"{text.count(0)} NUL bytes removed {where}"
