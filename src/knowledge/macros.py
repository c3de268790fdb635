"""C macros that stand for numbers: read `#define` lines, evaluate them, choose one name per number."""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:[ \t]+(.*?))?[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_NUMBER = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b")

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}


class MacroError(Exception):
    """A macro that is not a number."""


@dataclass(frozen=True)
class Macros:
    """Object-like macros: {name: body}, bodies unexpanded."""

    bodies: dict[str, str]

    @staticmethod
    def parse(text: str) -> Macros:
        """Read the `#define` lines of a header or of `cc -E -dM`; macros with arguments are left out."""
        text = _COMMENT.sub(" ", text).replace("\\\n", " ")
        # A macro with arguments has its parenthesis right after the name, so the pattern does not match it.
        return Macros({name: (body or "").strip() for name, body in _DEFINE.findall(text)})


def _as_decimal(literal: re.Match[str]) -> str:
    digits = literal[1].lower()
    # C spells octal 017, which Python rejects.
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    return str(int(digits, base))


def evaluate(expression: str, macros: Macros, _seen: frozenset[str] = frozenset()) -> int:
    """Return the value of a C integer expression over `macros`, or raise MacroError.

    Understood: decimal, octal and hex numbers with suffixes, parentheses, + - * | & ^ << >> ~.
    """
    try:
        tree = ast.parse(_NUMBER.sub(_as_decimal, expression).strip(), mode="eval")
    except (SyntaxError, ValueError):  # ValueError: 08, a NUL
        raise MacroError(f"{expression!r} is not a number") from None

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name) if name in macros.bodies and name not in _seen:
                return evaluate(macros.bodies[name], macros, _seen | {name})
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](value(left), value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return ~value(operand)
        raise MacroError(f"{expression!r} is not a number: {ast.unparse(node)} is not known")

    return value(tree.body)


def named_numbers(macros: Macros, prefix: str, preferred: set[str], excluded: set[str]) -> dict[int, str]:
    """Return {number: name without `prefix`} of the macros that start with `prefix` and are numbers.

    Of several names for one number the one in `preferred` (full names) wins, then one that is not defined as
    another name, then the first of the alphabet. `excluded` holds names without prefix.
    """
    found: dict[int, list[tuple[bool, bool, str]]] = {}
    for name, body in macros.bodies.items():
        short = name.removeprefix(prefix)
        if short in (name, "") or short in excluded:
            continue
        try:
            number = evaluate(body, macros)
        except MacroError:
            continue
        is_alias = re.fullmatch(rf"\(?{prefix}\w+\)?", body) is not None
        found.setdefault(number, []).append((name not in preferred, is_alias, short))
    return {number: min(names)[2] for number, names in found.items()}
