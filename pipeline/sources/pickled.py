"""Pickles as inert data: their instructions are carried out without importing or calling anything.

Python's own unpickler builds whatever a pickle asks for, and what NumPy's classes do with a state that they did
not write ends in memory that is not theirs. Here a call is a `Call`: a record of what was asked for, to be looked at.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from lpe.pipeline.sources.limits import MOST_PICKLE_STEPS
from lpe.transforms.errors import DataError

_NEWEST_PROTOCOL = 5
_ENCODE = "_codecs.encode"  # so Python 3 writes bytes where the protocol has none
_INTEGER = re.compile(rb"-?[0-9]{1,19}")


@dataclasses.dataclass(frozen=True, eq=False)
class Global:
    """A class or function that the pickle names."""

    name: str


@dataclasses.dataclass(eq=False)
class Call:
    """A call that the pickle asks for, and the state that it wants the result to have."""

    name: str
    args: tuple[Any, ...]
    state: Any = None


class PickleError(Exception):
    """A pickle that is damaged, or does what none needs to that holds arrays, numbers and texts."""


def load(data: bytes, admitted: frozenset[str]) -> Any:
    """What a pickle of protocol 0 to 5 holds: None, bools, ints, texts, bytes, lists, tuples, dicts, `Global`, `Call`.

    Texts of Python 2 are bytes. Whatever it holds, memory and time are proportional to its size; containers may hold
    themselves, or each other over and over: look at their elements one level at a time.

    Args:
      data: the pickle.
      admitted: the functions and classes that it may name, `module.name`.

    Raises:
      DataError: it names another one.
      PickleError: it is damaged, uses other instructions, or more than `MOST_PICKLE_STEPS`.
    """
    return _Machine(data, admitted).run()


class _Machine:
    """The unpickler's stack machine. A mark is a stack put aside."""

    def __init__(self, data: bytes, admitted: frozenset[str]) -> None:
        self._data = data
        self._at = 0
        self._admitted = admitted
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._encodable = len(data)

    def run(self) -> Any:
        for _ in range(MOST_PICKLE_STEPS):
            code = self._take(1)
            if code == b".":
                return self._pop()
            step = _STEPS.get(code)
            if step is None:
                raise PickleError(f"instruction {code!r}")
            step(self)
        raise PickleError(f"more than {MOST_PICKLE_STEPS} instructions")

    # ------------------------------------------------------------ reading

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise PickleError("it ends too early")
        self._at += size
        return taken

    def _number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "little", signed=signed)

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise PickleError("it ends too early")
        line = self._data[self._at : end]
        self._at = end + 1
        return line

    def _integer(self, text: bytes) -> int:
        if not _INTEGER.fullmatch(text):
            raise PickleError("a number is garbled")
        return int(text)

    # ------------------------------------------------------------ the stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise PickleError("a value is missing")
        return self._stack.pop()

    def _top(self, kind: type | tuple[type, ...]) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise PickleError("a value is missing or of another kind")
        return self._stack[-1]

    def mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise PickleError("a mark is missing")
        values, self._stack = self._stack, self._marks.pop()
        return values

    # ------------------------------------------------------------ steps: frames, memo

    def protocol(self) -> None:
        if self._number(1) > _NEWEST_PROTOCOL:
            raise PickleError("it is of a newer protocol")

    def frame(self) -> None:
        self._take(8)

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._top(object)

    def _memo_key(self, size: int) -> int:
        key = self._number(size) if size else self._integer(self._line())
        # Of larger numbers anyone can write thousands with one hash value.
        if not 0 <= key < 1 << 32:
            raise PickleError("a number is too large")
        return key

    def put(self, size: int) -> None:
        self._memo[self._memo_key(size)] = self._top(object)

    def get(self, size: int) -> None:
        key = self._memo_key(size)
        if key not in self._memo:
            raise PickleError("a value is missing")
        self._push(self._memo[key])

    # ------------------------------------------------------------ steps: values

    def number(self, size: int) -> None:
        self._push(self._number(size, signed=size == 4))

    def long(self) -> None:
        size = self._number(1)
        if size > 8:
            raise PickleError("a number is too large")
        self._push(self._number(size, signed=True))

    def number_line(self) -> None:
        line = self._line()
        self._push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else self._integer(line))

    def long_line(self) -> None:
        self._push(self._integer(self._line().removesuffix(b"L")))

    def raw(self, size: int) -> None:
        self._push(self._take(self._number(size)))

    def text(self, size: int) -> None:
        self._push(self._decoded(self._take(self._number(size)), "utf-8"))

    def text_line(self) -> None:
        self._push(self._decoded(self._line(), "raw-unicode-escape"))

    def raw_line(self) -> None:
        line = self._line()
        if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
            raise PickleError("a text is garbled")
        try:
            self._push(codecs.escape_decode(line[1:-1])[0])
        except ValueError as error:
            raise PickleError("a text is garbled") from error

    def _decoded(self, raw: bytes, encoding: str) -> str:
        try:
            return raw.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError as error:
            raise PickleError("a text is garbled") from error

    # ------------------------------------------------------------ steps: containers

    def take_list(self) -> None:
        values = self._since_mark()
        self._push(values)

    def take_tuple(self) -> None:
        values = self._since_mark()
        self._push(tuple(values))

    def short_tuple(self, size: int) -> None:
        values = [self._pop() for _ in range(size)]
        self._push(tuple(reversed(values)))

    def append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def appends(self) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def take_dict(self) -> None:
        values = self._since_mark()
        self._push({})
        self._set(values)

    def set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def set_items(self) -> None:
        self._set(self._since_mark())

    def _set(self, values: list[Any]) -> None:
        target = self._top(dict)
        # Numbers and tuples of one hash value are as easily written.
        if len(values) % 2 or not all(isinstance(key, str | bytes) for key in values[::2]):
            raise PickleError("a key is missing or of another kind")
        target.update(zip(values[::2], values[1::2], strict=True))

    # ------------------------------------------------------------ steps: calls

    def named(self) -> None:
        self._name(self._line(), self._line())

    def stack_named(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise PickleError("a name is of another kind")
        self._name(*(part.encode("utf-8", "surrogatepass") for part in (module, name)))

    def _name(self, module: bytes, name: bytes) -> None:
        full = f"{module[:60].decode('ascii', 'replace')}.{name[:60].decode('ascii', 'replace')}"
        if full != _ENCODE and full not in self._admitted:
            raise DataError(
                f"refused: it asks to run {ascii(full)[1:-1]}, which no CIFAR file does; do not trust it"
            )
        self._push(Global(full))

    def call(self) -> None:
        args = self._pop()
        function = self._top(Global)
        if not isinstance(args, tuple):
            raise PickleError("arguments are of another kind")
        self._stack[-1] = self._encoded(args) if function.name == _ENCODE else Call(function.name, args)

    def _encoded(self, args: tuple[Any, ...]) -> bytes:
        if len(args) != 2 or not isinstance(args[0], str) or args[1] not in ("latin1", b"latin1"):
            raise PickleError("arguments are of another kind")
        # Else one text could be made into bytes again and again.
        self._encodable -= len(args[0])
        if self._encodable < 0:
            raise PickleError("more bytes than it has itself")
        try:
            return args[0].encode("latin1")
        except UnicodeEncodeError as error:
            raise PickleError("a text is garbled") from error

    def build(self) -> None:
        state = self._pop()
        target = self._top(Call)
        if target.state is not None or state is None:
            raise PickleError("a state is missing, or given twice")
        target.state = state


def _with(step: Callable[[_Machine, int], None], size: int) -> Callable[[_Machine], None]:
    return lambda machine: step(machine, size)


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine._push(value)


_STEPS: Mapping[bytes, Callable[[_Machine], None]] = {
    b"\x80": _Machine.protocol,
    b"\x95": _Machine.frame,
    b"(": _Machine.mark,
    b"\x94": _Machine.memoize,
    b"p": _with(_Machine.put, 0),
    b"q": _with(_Machine.put, 1),
    b"r": _with(_Machine.put, 4),
    b"g": _with(_Machine.get, 0),
    b"h": _with(_Machine.get, 1),
    b"j": _with(_Machine.get, 4),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"K": _with(_Machine.number, 1),
    b"M": _with(_Machine.number, 2),
    b"J": _with(_Machine.number, 4),
    b"\x8a": _Machine.long,
    b"I": _Machine.number_line,
    b"L": _Machine.long_line,
    b"U": _with(_Machine.raw, 1),
    b"T": _with(_Machine.raw, 4),
    b"C": _with(_Machine.raw, 1),
    b"B": _with(_Machine.raw, 4),
    b"\x8e": _with(_Machine.raw, 8),
    b"\x96": _with(_Machine.raw, 8),
    b"S": _Machine.raw_line,
    b"V": _Machine.text_line,
    b"\x8c": _with(_Machine.text, 1),
    b"X": _with(_Machine.text, 4),
    b"\x8d": _with(_Machine.text, 8),
    b"]": lambda machine: machine._push([]),
    b"l": _Machine.take_list,
    b"a": _Machine.append,
    b"e": _Machine.appends,
    b")": _constant(()),
    b"t": _Machine.take_tuple,
    b"\x85": _with(_Machine.short_tuple, 1),
    b"\x86": _with(_Machine.short_tuple, 2),
    b"\x87": _with(_Machine.short_tuple, 3),
    b"}": lambda machine: machine._push({}),
    b"d": _Machine.take_dict,
    b"s": _Machine.set_item,
    b"u": _Machine.set_items,
    b"c": _Machine.named,
    b"\x93": _Machine.stack_named,
    b"R": _Machine.call,
    b"b": _Machine.build,
}
"""Opcode -> step; those of `pickletools` that arrays, numbers, texts and their containers need."""
