"""Arithmetic written in rule files, checked and worked out without running code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

from kgmed.errors import ConfigError

__all__ = ["Formula"]

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # raises OverflowError instead of building a huge integer
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "exp": math.exp,
    "ln": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}


class Formula:
    """An arithmetic expression over named inputs.

    Allowed: numbers, names, + - * / **, `a if b > c else d`, and the functions
    abs, exp, ln, log10, max, min, sqrt. Anything else is refused when it is read.

    Args:
        text: The expression.
        names: The inputs that it may use.

    Raises:
        ConfigError: If it does not parse, or uses something that is not allowed.

    >>> Formula("sodium - chloride - bicarbonate", ["sodium", "chloride", "bicarbonate"])(
    ...     {"sodium": 140.0, "chloride": 100.0, "bicarbonate": 24.0}
    ... )
    16.0
    """

    def __init__(self, text: str, names: list[str]) -> None:
        self.text = text
        try:
            self._body = ast.parse(" ".join(text.split()), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ConfigError(f"formula {text!r} is not an arithmetic expression", key="formula") from None
        self.used: set[str] = set()
        self._check(self._body, frozenset(names))

    def _check(self, node: ast.AST, names: frozenset[str]) -> None:
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                parts: list[ast.AST] = [left, right]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                parts = [operand]
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                parts = [left, right]
            case ast.IfExp(test=test, body=body, orelse=orelse):
                parts = [test, body, orelse]
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
                parts = list(args)
            case ast.Constant(value=bool()):
                raise ConfigError("formula may hold numbers, not True or False", key="formula")
            case ast.Constant(value=int() | float()):
                parts = []
            case ast.Name(id=name):
                if name not in names:
                    raise ConfigError(
                        f"formula uses {name!r}, which is not an input; inputs: {', '.join(sorted(names))}",
                        key="formula",
                    )
                self.used.add(name)
                parts = []
            case _:
                raise ConfigError(
                    f"formula may not hold {ast.unparse(node)!r}; allowed are numbers, inputs, + - * / **, "
                    f"'a if b > c else d' and {', '.join(sorted(_FUNCTIONS))}",
                    key="formula",
                )
        for part in parts:
            self._check(part, names)

    def __call__(self, values: Mapping[str, float]) -> float | None:
        """The result, or None where it is not a finite number (a division by zero, for example)."""
        try:
            result = _work(self._body, values)
        except (ArithmeticError, ValueError, TypeError):
            return None
        return result if math.isfinite(result) else None


def _work(node: ast.AST, values: Mapping[str, float]) -> float:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_work(left, values), _work(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_work(operand, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return float(_COMPARE[type(op)](_work(left, values), _work(right, values)))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _work(body if _work(test, values) else orelse, values)
        case ast.Call(func=ast.Name(id=name), args=args):
            return float(_FUNCTIONS[name](*(_work(a, values) for a in args)))
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
    raise TypeError(ast.dump(node))
