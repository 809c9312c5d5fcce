"""An interview: the next best question, its answer, and so on until the differential is settled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from kgmed.engine import Engine
from kgmed.errors import InputError
from kgmed.record import Finding, Record
from kgmed.result import Question, Ranking

__all__ = ["Answer", "Interview"]

Answer = Literal["yes", "no", "unknown"]

# A question that is expected to tell less than this, in bits, is not worth a patient's time.
_LEAST_GAIN = 0.01


class Interview:
    """Asks what tells most for its cost, and keeps the answers.

    Args:
        engine: Ranks and asks.
        record: What is known at the start; one finding at least.
        methods: How the answers may be found (`history`, `exam`, `lab`, `imaging`,
            `test`); what a patient can tell when it is `("history",)`.
        settled: Posttest probability of the first disease at which to stop.

    Raises:
        InputError: If the record holds no finding to start from.

    Example:
        ```python
        interview = Interview(engine, engine.read("a 30 year old man with chest pain"))
        while question := interview.next():
            interview.answer(question, input(f"{question.name}? "))
        print(interview.ranking)
        ```
    """

    def __init__(
        self,
        engine: Engine,
        record: Record,
        *,
        methods: Collection[str] = ("history",),
        settled: float = 0.9,
    ) -> None:
        self._engine = engine
        self._methods = tuple(methods)
        self._settled = settled
        self._unknown: set[str] = set()
        # The text is read once: what comes after is answers.
        case = engine.case(record)
        self.record = replace(case.record, text="", findings=case.findings, measurements=())
        if not case.findings:
            raise InputError("nothing to ask on from: tell at least one symptom that the graph knows")
        self._ranking: Ranking | None = None

    @property
    def ranking(self) -> Ranking:
        """The differential with all answers so far."""
        if self._ranking is None:
            self._ranking = self._engine.diagnose(self.record)
        return self._ranking

    def next(self) -> Question | None:
        """The next question, or None when the differential is settled or nothing tells enough."""
        if self.ranking.diagnoses and self.ranking[0].posttest_probability >= self._settled:
            return None
        asked = {f.term for f in self.record.findings} | self._unknown
        questions = self._engine.ask(self.record, 1, methods=self._methods, skip=asked)
        if not questions or questions[0].information_gain < _LEAST_GAIN:
            return None
        return questions[0]

    def answer(self, question: Question, answer: Answer) -> None:
        """Keep an answer.

        Raises:
            InputError: If it is none of `yes`, `no` and `unknown`.
        """
        if answer not in ("yes", "no", "unknown"):
            raise InputError("an answer is yes, no or unknown")
        if answer == "unknown":
            self._unknown.add(question.term)
            return
        finding = Finding(term=question.term, excluded=answer == "no")
        self.record = replace(self.record, findings=(*self.record.findings, finding))
        self._ranking = None
