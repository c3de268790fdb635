"""Constants of C headers as a compiler sees them: macros and enumerators, whatever they are computed from.

`macros.py` reads plain numbers; the flags of the kernel's interface are also enumerators, casts and requests of ioctl
that hold the size of a structure. So the compiler is asked. Headers of any architecture are read by the compiler of
this machine: `-undef` hides which one it is.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from knowledge.macros import MacroError, Macros

# What the headers ask of the compiler and -undef hides: sizes of a 64-bit machine, little endian (no constant here
# depends on the order, yet headers insist on one).
_PREDEFINED = {
    "__SIZEOF_INT__": "4",
    "__SIZEOF_LONG__": "8",
    "__SIZEOF_POINTER__": "8",
    "__CHAR_BIT__": "8",
    "__LP64__": "1",
    "__ORDER_LITTLE_ENDIAN__": "1234",
    "__BYTE_ORDER__": "1234",
    "__SIZE_TYPE__": "unsigned long",
    "__PTRDIFF_TYPE__": "long",
    "__WCHAR_TYPE__": "int",
}
_ENUM = re.compile(r"\benum\b\s*(\w*)[^{};()]*\{([^}]*)\}")
_ENUMERATOR = re.compile(r"(?:^|,)\s*(\w+)")
_ERROR = re.compile(r"^constants\.c:(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.MULTILINE)
_ALIAS = re.compile(r"\(?\s*([A-Za-z_]\w*)\s*\)?")
# Each round of compiling removes what is no constant. The compiler does not report all of it at once: some only when
# the rest is right. The worst header needs 6 rounds.
_MAX_ROUNDS = 20


def _run(command: list[str], text: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
    # Fixed commands with arguments of our own, no shell. gcc's messages are matched: not translated.
    done = subprocess.run(  # noqa: S603
        command, input=text, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    )
    if check and done.returncode:
        raise MacroError(f"{command[0]}: {done.stderr.strip()[:2000]}")
    return done


@dataclass(frozen=True)
class Unit:
    """Headers that are read together, the folders they are found in, and macros defined before them."""

    headers: tuple[str, ...]
    folders: tuple[Path, ...]
    defines: tuple[str, ...] = ()
    _cache: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def _command(self) -> list[str]:
        defines = [*(f"{name}={value}" for name, value in _PREDEFINED.items()), *self.defines]
        arguments = [*(f"-D{define}" for define in defines), *(f"-I{folder}" for folder in self.folders)]
        return ["cc", "-E", "-undef", "-nostdinc", "-w", "-x", "c", *arguments, "-"]

    @property
    def _text(self) -> str:
        return "".join(f"#include <{header}>\n" for header in self.headers)

    @cached_property
    def macros(self) -> Macros:
        """The macros without arguments, bodies unexpanded."""
        return Macros.parse(_run([*self._command(), "-dM"], self._text).stdout)

    @cached_property
    def _enums(self) -> list[tuple[str, list[str]]]:
        code = _run([*self._command(), "-P"], self._text).stdout
        # What an enumerator is computed from may hold commas in parentheses; no name is cut by taking them out.
        enums = ((name, re.sub(r"\([^()]*\)", "", body)) for name, body in _ENUM.findall(code))
        return [(name, _ENUMERATOR.findall(body)) for name, body in enums]

    @cached_property
    def names(self) -> list[str]:
        """Names of all macros that have a body, and of all enumerators, sorted."""
        macros = [name for name, body in self.macros.bodies.items() if body]
        return sorted({*macros, *(name for _, names in self._enums for name in names)})

    def enumerators(self, enum: str) -> list[str]:
        """Return the names of `enum` in their order; none where there is no such enum."""
        return [name for tag, names in self._enums if tag == enum for name in names]

    def is_alias(self, name: str) -> bool:
        """Whether `name` is a macro that stands for another name."""
        body = self.macros.bodies.get(name, "")
        alias = _ALIAS.fullmatch(body)
        return alias is not None and alias[1] != name

    def values(self, names: list[str]) -> dict[str, int]:
        """Return {name: value} of those `names` that are integer constants; negative ones stay negative."""
        wanted = [name for name in names if name not in self._cache]
        if wanted:
            self._cache.update(self._compile(wanted))
        return {name: self._cache[name] for name in names if name in self._cache}

    def _compile(self, names: list[str]) -> dict[str, int]:
        with tempfile.TemporaryDirectory(prefix="constants-") as folder:
            program = Path(folder) / "program"
            for _ in range(_MAX_ROUNDS):
                head = f'{self._text}# 1 "constants.c"\n'
                lines = [f"long long constant_{i} = (long long)({name});" for i, name in enumerate(names)]
                prints = [f'printf("%lld\\n", constant_{i});' for i in range(len(names))]
                tail = f"int printf(const char *, ...);\nint main(void) {{ {''.join(prints)} return 0; }}\n"
                code = _run(self._command(), head + "\n".join(lines) + "\n" + tail).stdout
                command = ["cc", "-w", "-std=gnu11", "-x", "cpp-output", "-o", str(program), "-"]
                done = _run(command, code, check=False)
                if not done.returncode:
                    numbers = _run([str(program)]).stdout.split()
                    return {name: int(number) for name, number in zip(names, numbers, strict=True)}
                bad = {int(line) - 1 for line, _ in _ERROR.findall(done.stderr)}
                if not bad:
                    raise MacroError(f"{' '.join(self.headers)}: {done.stderr.strip()[:2000]}")
                names = [name for i, name in enumerate(names) if i not in bad]
        raise MacroError(f"{' '.join(self.headers)}: no end of what is no constant")
