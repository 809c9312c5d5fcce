"""A `Ranking` as text, JSON, Markdown, HTML and a networkx graph.

Every rendering states what the result rests on, what is missing, and that it is
decision support. The numbers it prints add up as printed. The same ranking gives
the same bytes.
"""

from __future__ import annotations

from kgmed.render.as_json import to_dict, to_json
from kgmed.render.html import to_html
from kgmed.render.markdown import to_markdown
from kgmed.render.network import to_networkx
from kgmed.render.text import to_text

__all__ = ["to_dict", "to_html", "to_json", "to_markdown", "to_networkx", "to_text"]
