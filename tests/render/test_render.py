"""Every rendering says what it must, and nothing that a name holds can act in it."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import jsonschema
import networkx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgmed.render import to_html, to_json, to_markdown, to_networkx, to_text
from kgmed.render.markdown import escape
from kgmed.resources import ontologies_folder
from kgmed.result import Ranking, log10_odds

RENDERERS = [to_text, to_markdown, to_html, to_json]
SECRET = "SECRET"
NASTY = "Eve\x1b[2J\n# <img src=x onerror=alert(1)> | [a](http://x) \u202e `x` \"'&"


def nasty(ranking: Ranking) -> Ranking:
    """The same ranking where every name is an attack."""
    diagnoses = tuple(dataclasses.replace(d, name=NASTY) for d in ranking)
    case = dataclasses.replace(ranking.case, record=dataclasses.replace(ranking.case.record, id=NASTY))
    return dataclasses.replace(ranking, diagnoses=diagnoses, case=case, names=lambda curie: NASTY)


@pytest.mark.parametrize("render", RENDERERS)
def test_says_what_it_is_and_what_it_rests_on(render: Callable[[Ranking], str], ranking: Ranking) -> None:
    shown = re.sub(r"\s+", " ", render(ranking).replace("\\", ""))
    for words in (
        "Decision support, not a diagnosis", "relative to the diseases the graph knows", "Shock",
        "Call for help.", "Guide 2020", "said of a family member", "unknown-term", "x[1]", "age is not known",
        "sex is not known", "Item B", "2025-05-06", "HPO licence", "not reviewed by a clinician", "PMID:1",
        "OMIM:154700", "MONDO:1", "Paper 2010",
    ):  # fmt: skip
        assert words in shown, words


@pytest.mark.parametrize("render", [to_text, to_markdown, to_html])
def test_names_offsets_paths_questions_and_what_is_unexplained(
    render: Callable[[Ranking], str], ranking: Ranking
) -> None:
    shown = re.sub(r"\s+", " ", render(ranking).replace("\\", "").replace("&lt;", "<").replace("&gt;", ">"))
    assert "text 36-40" in shown
    path = (
        "Lens disorder <-[is_a]- Ectopia lentis "
        "<-[has_phenotype 5/8, PMID:1, hpoa 2025-05-06]- Marfan syndrome"
    )
    assert path in shown
    assert "0.40 bits" in shown
    assert re.search(r"(?i)unexplained.{0,20}Fever", shown)
    assert re.search(r"(?i)seek help now", shown)
    assert shown.index("Shock") < shown.index("Marfan syndrome"), "red flags come first"


@pytest.mark.parametrize("render", RENDERERS)
def test_shows_no_note_and_is_the_same_each_time(
    render: Callable[[Ranking], str], make_ranking: Callable[..., Ranking]
) -> None:
    first, second = (render(make_ranking([(1.1, True), (-0.2, True), (0.5, True)])) for _ in range(2))
    assert first == second
    assert SECRET not in first


@pytest.mark.parametrize("render", [to_text, to_markdown, to_html])
def test_strips_control_and_direction_characters(render: Callable[[Ranking], str], ranking: Ranking) -> None:
    shown = render(nasty(ranking))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)


@pytest.mark.parametrize("render", RENDERERS)
def test_an_empty_differential_renders(render: Callable[[Ranking], str], make_ranking: Callable) -> None:
    assert "P1" in render(make_ranking([], diagnoses=(), red_flags=(), scores=(), provenance={}))


def test_text_keeps_to_its_width(ranking: Ranking) -> None:
    assert max(map(len, to_text(ranking).splitlines())) <= 100


def test_text_brackets_what_is_not_counted(ranking: Ranking) -> None:
    assert "(+0.70)" in to_text(ranking)


def test_text_shows_as_many_as_asked_for(ranking: Ranking) -> None:
    assert "Marfan syndrome" not in to_text(ranking, top=0)


# ------------------------------------------------------------ JSON


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads((ontologies_folder() / "schemas" / "ranking.schema.json").read_text(encoding="utf-8"))


def test_json_follows_the_schema(ranking: Ranking, schema: dict) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(ranking)), schema)
    jsonschema.validate(json.loads(to_json(nasty(ranking), with_text=True)), schema)


def test_the_schema_refuses_what_is_not_a_ranking(ranking: Ranking, schema: dict) -> None:
    document = json.loads(to_json(ranking))
    document["diagnoses"][0]["posttest_probability"] = 1.5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_every_field_of_the_schema_is_described(schema: dict) -> None:
    def walk(node: dict) -> None:
        for name, field in node.get("properties", {}).items():
            assert "$ref" in field or field.get("description"), name
            walk(field)
            walk(field.get("items", {}))

    for node in (schema, *schema["$defs"].values()):
        walk(node)


def test_json_is_strict_and_holds_the_note_only_when_asked(ranking: Ranking) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(to_json(ranking), parse_constant=refuse)
    assert document["provenance"]["config"]["limit"] == "inf"
    assert "text" not in document["record"]
    assert SECRET in json.loads(to_json(ranking, with_text=True))["record"]["text"]
    assert "\n" not in to_json(ranking, indent=None)


# ------------------------------------------------------------ Markdown


def test_markdown_tables_keep_their_columns_whatever_the_names(ranking: Ranking) -> None:
    width = 0
    for line in to_markdown(nasty(ranking)).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert cells == (width or cells)
        width = cells


@pytest.mark.parametrize("text", ["<b>", "a|b", "[x](y)", "*a*", "# a", "- a", "1. a", "`a`", "~~a~~", "!["])
def test_markdown_escapes_what_it_would_act_on(text: str) -> None:
    assert escape(text) != text


def test_markdown_makes_no_link_of_an_address() -> None:
    assert not re.search(r"https?:|www\.|@", escape("https://x.org www.x.org a@b.org"))


# ------------------------------------------------------------ HTML


def test_html_is_one_well_formed_file_that_loads_nothing(ranking: Ranking) -> None:
    page = to_html(nasty(ranking))
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|img|iframe|link|object|embed|form|base)\b", page)
    assert not re.search(r"""\s(src|on\w+)\s*=\s*["']""", re.sub(r"&[^;]+;", "", page).replace("src=x", ""))
    assert set(re.findall(r'href="([^"]*)"', page)) <= {"#d1-MONDO-1"}
    assert "url(http" not in page and "@import" not in page
    body = page[page.index("<main>") : page.index("</body>")]
    ElementTree.fromstring(body.replace("<br>", "<br/>").replace(" open>", ' open="">'))


def test_html_drawings_say_what_they_show(ranking: Ranking) -> None:
    page = to_html(ranking)
    drawings = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(drawings) == 2
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        named = root.attrib["aria-labelledby"].split()
        assert {e.attrib.get("id") for e in root if e.tag in ("title", "desc")} == set(named)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    graph = drawings[1]
    for words in ("Lens disorder", "Ectopia lentis", "Marfan syndrome", "has_phenotype", "5/8", "hpoa"):
        assert words in graph


def test_html_boxes_of_the_drawing_do_not_overlap(make_ranking: Callable[..., Ranking]) -> None:
    page = to_html(make_ranking([(1.0, True)] * 20))
    graph = page[page.index('<svg class="graph"') :]
    boxes = [
        (float(x), float(y))
        for x, y in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="\d+" height="44"', graph)
    ]
    assert len(boxes) >= 5
    for i, (x, y) in enumerate(boxes):
        assert all(x != other_x or abs(y - other_y) >= 44 for other_x, other_y in boxes[i + 1 :])


numbers = r"([+-]\d+\.\d\d)"


def hundredths(text: str) -> int:
    return round(float(text) * 100)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weights=st.lists(st.tuples(st.floats(-12, 12), st.booleans()), max_size=20),
    pretest=st.floats(1e-9, 1 - 1e-6),
)
def test_html_table_and_chart_add_up_as_printed(
    make_ranking: Callable[..., Ranking], weights: list[tuple[float, bool]], pretest: float
) -> None:
    ranking = make_ranking(weights, pretest)
    page = to_html(ranking)
    rows = re.findall(rf'<tr(?: class="sum")?><td class="n[^"]*">{numbers}</td>', page)
    assert len(rows) == 2 + sum(calibrated for _, calibrated in weights)
    assert sum(map(hundredths, rows[:-1])) == hundredths(rows[-1])
    exact = log10_odds(pretest) + math.fsum(w for w, calibrated in weights if calibrated)
    assert abs(float(rows[-1]) - exact) <= 0.005 + 1e-9
    chart = page[page.index('<svg class="chart"') : page.index("</svg>")]
    start, end = re.findall(rf'class="number strong">{numbers}<', chart)
    bars = re.findall(rf'class="number">{numbers}<', chart)
    assert (start, end) == (rows[0], rows[-1])
    assert hundredths(start) + sum(map(hundredths, bars)) == hundredths(end)


# ------------------------------------------------------------ networkx


def test_networkx_holds_facts_and_evidence(ranking: Ranking) -> None:
    graph = to_networkx(ranking)
    assert isinstance(graph, networkx.MultiDiGraph)
    (fact,) = [d for d in graph["MONDO:1"]["HP:2"].values() if d["kind"] == "fact"]
    assert (fact["predicate"], fact["numerator"], fact["sources"]) == ("has_phenotype", 5, "PMID:1|hpoa")
    evidence = [d for d in graph["HP:1"]["MONDO:1"].values() if d["kind"] == "evidence"]
    assert {d["match"] for d in evidence} == {"more_general"}
    assert evidence[0]["sources"] == "hp|PMID:1|hpoa"
    assert graph.nodes["HP:3"]["excluded"] is True
    assert graph.nodes["MONDO:1"]["rank"] == 1


def test_networkx_graph_can_be_written_as_graphml(ranking: Ranking) -> None:
    stream = io.BytesIO()
    networkx.write_graphml(to_networkx(ranking), stream)
    assert b"Marfan syndrome" in stream.getvalue()
