"""Rows for JSON and tables for people, for every benchmark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Report"]


@dataclass
class Report:
    """Rows for JSON, and tables for people."""

    markdown: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, set_: str, protocol: str, system: str, metric: str, value: float, n: int) -> None:
        if math.isfinite(value):
            self.rows.append(
                {
                    "set": set_,
                    "protocol": protocol,
                    "system": system,
                    "metric": metric,
                    "value": round(float(value), 6),
                    "n": n,
                }
            )

    def heading(self, text: str) -> None:
        print(f"\n### {text}\n" if self.markdown else f"\n{text}\n{'-' * len(text)}")

    def table(self, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        cells = [[str(c) for c in line] for line in lines]
        widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
        left, gap, right = ("| ", " | ", " |") if self.markdown else ("", "  ", "")

        def show(row: Sequence[str]) -> None:
            print((left + gap.join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + right).rstrip())

        show(header)
        if self.markdown:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
        for row in cells:
            show(row)
