"""Every Python block of the README and the docs runs, in the order in which it stands."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_run(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "page"}
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(1))
        if ">>>" in match.group(1):
            example = doctest.DocTestParser().get_doctest(
                match.group(1), namespace, page.name, str(page), line
            )
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            report: list[str] = []
            runner.run(example, out=report.append, clear_globs=False)
            assert not runner.failures, "".join(report)
            namespace = example.globs
            continue
        code = compile("\n" * line + match.group(1), str(page), "exec")
        exec(code, namespace)
