"""The command line, run as a user runs it, over a small graph on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgmed import __version__
from kgmed.build import compile_default
from kgmed.cli import app
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Mapping, Ontology, Source, Synonym, Term

RECORDS = Path(__file__).parent / "data" / "records"
TERMS = {
    "HP:0000118": "Phenotypic abnormality",
    "HP:0001083": "Ectopia lentis",
    "HP:0001166": "Arachnodactyly",
    "HP:0001250": "Seizure",
    "HP:0001519": "Disproportionate tall stature",
    "HP:0001699": "Sudden death",
    "HP:0002616": "Aortic root aneurysm",
}
DISEASES = {
    "MONDO:0007947": ("Marfan syndrome", ("HP:0001083", "HP:0002616", "HP:0001166", "HP:0001519")),
    "MONDO:0009352": ("classic homocystinuria", ("HP:0001083", "HP:0001250")),
}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An engine file over a small compiled graph."""
    folder = tmp_path_factory.mktemp("graph")
    ontology = Ontology(
        sources=[Source(id="own", title="Written for this test", release="1", licence="CC0")],
        terms=[Term(curie=c, name=n, source="own") for c, n in TERMS.items()]
        + [Term(curie=c, name=n, kind="disease", source="own") for c, (n, _) in DISEASES.items()],
        synonyms=[Synonym(term="HP:0001083", text="Dislocated lens", source="own")],
        mappings=[Mapping(term="MONDO:0007947", other="OMIM:154700", source="own")],
        edges=[
            Edge(subject=c, predicate="is_a", object="HP:0000118", source="own")
            for c in TERMS
            if c != "HP:0000118"
        ]
        + [
            Edge(subject=d, predicate="has_phenotype", object=f, numerator=7, denominator=9, source="own")
            for d, (_, findings) in DISEASES.items()
            for f in findings
        ],
    )
    compile_default(KnowledgeGraph.compile(ontology), folder / "graph")
    engine = folder / "engine.toml"
    engine.write_text(f"graph = {json.dumps(str(folder / 'graph'))}\n", encoding="utf-8")
    return str(engine)


def run(*arguments: str | Path, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_version_and_help_with_exit_codes() -> None:
    assert run("--version") == (0, f"kgmed {__version__}\n", "")
    code, out, _ = run("diagnose", "--help")
    assert code == 0
    assert "Exit codes" in out


def test_help_loads_no_heavy_module() -> None:
    program = (
        "import sys\nfrom kgmed.cli import app\n"
        "try: app(['diagnose', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'pyarrow', 'pandas', 'spacy', 'rdflib', 'torch', 'networkx'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------ diagnose


def test_diagnoses_a_note(settings: str) -> None:
    code, out, err = run("diagnose", RECORDS / "note.txt", "--engine", settings)
    assert (code, err) == (0, "")
    assert " 1. Marfan syndrome" in out
    assert "OMIM:154700" in out


def test_reads_a_note_from_stdin_and_writes_one_json_document(settings: str) -> None:
    note = (RECORDS / "note.txt").read_text(encoding="utf-8")
    code, out, _ = run("diagnose", "-", "--json", "--top", "1", "--engine", settings, stdin=note)
    document = json.loads(out)
    assert code == 0
    assert [d["disease"] for d in document["diagnoses"]] == ["MONDO:0007947"]
    assert "text" not in document["record"]
    assert document["findings"][0]["span"] == [25, 39]


def test_streams_many_records_as_json_lines_and_counts_the_bad_one(settings: str) -> None:
    code, out, err = run("diagnose", RECORDS / "several.jsonl", "--json", "--engine", settings)
    assert code == 1
    assert [json.loads(line)["record"]["id"] for line in out.splitlines()] == ["r1", "r3"]
    assert "several.jsonl:2" in err
    assert "2 diagnosed, 1 failed" in err


def test_json_lines_on_stdin_are_one_record_each(settings: str) -> None:
    lines = (RECORDS / "several.jsonl").read_text(encoding="utf-8").splitlines()
    code, out, _ = run("diagnose", "-", "--json", "--engine", settings, stdin=f"{lines[0]}\n{lines[2]}\n")
    assert code == 0
    assert len(out.splitlines()) == 2


def test_a_bad_record_names_its_file_and_a_folder_is_read_whole(settings: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": "a1", "present": ["HP:0001083"]}, {"id": "a2", "sex": []}]')
    (tmp_path / "b.json").write_text('{"id": "b1", "age": {"days": 1e9}, "colour": 3')
    code, out, err = run("diagnose", tmp_path, "--json", "--engine", settings)
    assert code == 1
    assert json.loads(out.splitlines()[0])["record"]["id"] == "a1"
    assert "b.json" in err
    code, _, err = run("diagnose", tmp_path / "a.json", tmp_path / "none.json", "--engine", settings)
    assert (code, "none.json: there is no such file" in err) == (1, True)


def test_an_ontology_of_the_user_s_own_is_added(settings: str, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text(
        "curie,name,kind\nMONDO:0000042,blue hand disease,disease\nHP:0000043,Blue hands,finding\n"
    )
    (tmp_path / "edges.csv").write_text(
        "subject,predicate,object,frequency\nHP:0000043,is_a,HP:0000118,\n"
        "MONDO:0000042,has_phenotype,HP:0000043,0.9\n"
    )
    code, out, err = run(
        "diagnose", "-", "--json", "--ontology", tmp_path, "--engine", settings,
        stdin="The patient has blue hands.",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert json.loads(out)["diagnoses"][0]["name"] == "blue hand disease"


def test_writes_one_file_per_record(settings: str, tmp_path: Path) -> None:
    arguments = ["--json", "--output", tmp_path / "out", "--html", tmp_path / "html", "--engine", settings]
    code, out, _ = run("diagnose", RECORDS / "several.jsonl", RECORDS / "note.txt", *arguments)
    assert (code, out) == (1, "")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "000001-r1.json",
        "000002-r3.json",
        "000003.json",
    ]
    assert len(list((tmp_path / "html").glob("*.html"))) == 3


def test_writes_an_html_report_and_prints_markdown(settings: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    code, out, _ = run("diagnose", RECORDS / "note.txt", "--html", report, "--markdown", "--engine", settings)
    assert code == 0
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert out.startswith("# Differential diagnosis")


def test_a_record_id_cannot_leave_the_output_folder(settings: str, tmp_path: Path) -> None:
    record = '{"id": "../../evil/..", "present": ["HP:0001083"]}'
    code, *_ = run("diagnose", "-", "--output", tmp_path / "out", "--engine", settings, stdin=record)
    assert code == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["000001-evil.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_red_flag_can_decide_the_exit_code(settings: str) -> None:
    record = (
        '{"present": ["HP:0001083"], "measurements": [{"name": "potassium", "value": 7.4, "unit": "mmol/L"}]}'
    )
    code, out, _ = run("diagnose", "-", "--engine", settings, "--fail-on-red-flag", stdin=record)
    assert code == 3
    assert "SEEK HELP NOW" in out
    assert run("diagnose", "-", "--engine", settings, stdin=record)[0] == 0


@pytest.mark.parametrize("arguments", [("--json", "--markdown"), ("--top", "0"), ("--nothing",), ("-", "-")])
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    assert run("diagnose", RECORDS / "note.txt", *arguments)[0] == 2


def test_errors_are_one_line_without_patient_text(settings: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"id": "r9", "present": [SECRETWORDS', encoding="utf-8")
    for arguments in (["diagnose", bad], ["findings", bad], ["diagnose", tmp_path / "absent.txt"]):
        code, out, err = run(*arguments, "--engine", settings)
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
        assert "SECRETWORDS" not in err


def test_an_unforeseen_error_shows_no_message_of_its_own(
    settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("SECRETWORDS")

    monkeypatch.setattr("kgmed.cli._read_stdin", fail)
    monkeypatch.delenv("KGMED_DEBUG", raising=False)
    code, _, err = run("findings", "-", "--engine", settings, stdin="x")
    assert code == 1
    assert "internal error (TypeError" in err
    assert "SECRETWORDS" not in err


def test_a_reader_that_goes_away_is_no_error(settings: str) -> None:
    program = "from kgmed.cli import main; main()"
    command = [sys.executable, "-c", program, "diagnose", str(RECORDS / "note.txt"), "--engine", settings]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


# ------------------------------------------------------------ findings


def test_lists_findings_with_offsets_that_read_back(settings: str) -> None:
    note = (RECORDS / "note.txt").read_text(encoding="utf-8")
    code, out, _ = run("findings", RECORDS / "note.txt", "--json", "--engine", settings)
    rows = {row["term"]: row for row in json.loads(out)["findings"]}
    assert code == 0
    assert note[slice(*rows["HP:0001083"]["span"])] == "ectopia lentis"
    assert rows["HP:0001250"]["assertion"] == "excluded"
    assert rows["HP:0001699"]["context"] == "family"
    assert not rows["HP:0001699"]["used"]
    table = run("findings", RECORDS / "note.txt", "--engine", settings)[1].splitlines()
    assert table[1].split("\t")[:4] == ["25-39", "HP:0001083", "Ectopia lentis", "present"]


def test_lists_measurements_and_issues(settings: str) -> None:
    given = {
        "id": "m1",
        "text": "Potassium 6.9 mmol/L.",
        "present": ["HP:9999999"],
        "measurements": [{"code": "LOINC:718-7", "value": 130, "unit": "g/L"}],
    }
    _, out, _ = run("findings", "-", "--json", "--engine", settings, stdin=json.dumps(given))
    listed = json.loads(out)
    assert listed["id"] == "m1"
    values = {m["code"]: (m["value"], m["unit"], m["span"]) for m in listed["measurements"]}
    assert values["LOINC:718-7"] == (130.0, "g/L", None)
    assert values["LOINC:2823-3"] == (6.9, "mmol/L", [0, 20])
    assert "unknown-term" in {issue["code"] for issue in listed["issues"]}
    lines = run("findings", "-", "--engine", settings, stdin=json.dumps(given))[1].splitlines()
    assert "0-20\tLOINC:2823-3\tpotassium\t6.9\tmmol/L\t\t" in lines


# ------------------------------------------------------------ graph and rules


def test_graph_info(settings: str) -> None:
    code, out, _ = run("graph", "info", "--json", "--engine", settings)
    info = json.loads(out)
    assert code == 0
    assert info["terms"] == {"disease": 2, "finding": 7}
    assert info["edges"] == {"has_phenotype": 6, "is_a": 6}
    assert info["sources"][0]["licence"] == "CC0"
    assert "CC0" in run("graph", "info", "--engine", settings)[1]


@pytest.mark.parametrize("term", ["HP:0001083", "ectopia lentis", "Dislocated lens"])
def test_graph_show_takes_curies_names_and_synonyms(settings: str, term: str) -> None:
    code, out, _ = run("graph", "show", term, "--engine", settings)
    assert code == 0
    assert "HP:0000118 Phenotypic abnormality" in out
    assert "has_phenotype 7/9, own 1" in out


def test_graph_show_names_the_nearest_terms(settings: str) -> None:
    code, _, err = run("graph", "show", "ectopia lentiz", "--engine", settings)
    assert code == 1
    assert "HP:0001083" in err


def test_graph_path(settings: str) -> None:
    code, out, _ = run("graph", "path", "HP:0001083", "OMIM:154700", "--engine", settings)
    assert (code, out) == (0, "Ectopia lentis <-[has_phenotype 7/9, own 1]- Marfan syndrome\n")


def test_graph_query(settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sparql = 'SELECT ?term WHERE { ?term rdfs:label "Marfan syndrome" }'
    (tmp_path / "q.rq").write_text(sparql)
    query = ("graph", "query", "--engine", settings)
    code, out, err = run(*query, sparql, "--format", "json")
    assert (code, out) == (0, '[\n  {\n    "term": "MONDO:0007947"\n  }\n]\n')
    assert "RDF store" in err  # the first query writes it, the second finds it
    assert run(*query, f"@{tmp_path / 'q.rq'}") == (0, "term\nMONDO:0007947\n", "")
    assert run(*query, f"@{tmp_path / 'q.rq'}", "--format", "csv")[1] == "term\nMONDO:0007947\n"
    code, out, err = run(*query, "SELECT ?s { ?s ?p ?o }", "--limit", "3")
    assert (code, len(out.splitlines())) == (0, 4)
    assert "stopped at 3 rows" in err
    assert run(*query, "SELECT * { SERVICE <http://x> { ?s ?p ?o } }")[0] == 1
    code, _, err = run(*query, "SELECT nonsense")
    assert (code, len(err.splitlines())) == (1, 1)
    assert run(*query, "@none.rq")[0] == 1


def test_graph_validate_tells_good_files_from_bad_ones(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.ttl"
    good.write_text("curie,name,kind\nMY:1,Blue hands,finding\n")
    bad.write_text("this is no Turtle")
    code, out, _ = run("graph", "validate", good)
    assert (code, "good.csv: 0 errors" in out) == (0, True)
    code, out, _ = run("graph", "validate", good, bad)
    assert (code, "bad.ttl: 1 errors" in out) == (1, True)
    assert run("graph", "validate", tmp_path / "none.obo")[0] == 1


def test_builds_a_graph_from_its_sources_and_uses_it(tmp_path: Path) -> None:
    nodes = [
        {"id": f"http://purl.obolibrary.org/obo/{curie.replace(':', '_')}", "lbl": name, "type": "CLASS"}
        for curie, name in TERMS.items()
    ]
    edges = [{"sub": node["id"], "pred": "is_a", "obj": nodes[0]["id"]} for node in nodes[1:]]
    (tmp_path / "hp.json").write_text(json.dumps({"graphs": [{"nodes": nodes, "edges": edges}]}))
    columns = (
        "database_id", "disease_name", "qualifier", "hpo_id", "reference", "evidence", "onset", "frequency",
        "sex", "modifier", "aspect", "biocuration",
    )  # fmt: skip
    row = ("OMIM:154700", "Marfan syndrome", "", "HP:0001083", "PMID:1", "PCS", "", "5/8", "", "", "P", "")
    (tmp_path / "own.hpoa").write_text("\t".join(columns) + "\n" + "\t".join(row) + "\n")
    about = 'title = "T"\nrelease = "1"\nlicence = "CC0"\n'
    (tmp_path / "sources.toml").write_text(
        f'[[source]]\nid = "hp"\n{about}format = "obographs"\nfile = "hp.json"\n'
        f'[[source]]\nid = "own"\n{about}format = "hpoa"\nfile = "own.hpoa"\n'
    )
    build = ("graph", "build", "--sources", tmp_path / "sources.toml", "--out", tmp_path / "graph")
    code, _, err = run(*build)
    assert code == 1
    assert "--download" in err, "nothing is fetched unasked"
    code, out, _ = run(*build, "--data", tmp_path)
    assert code == 0
    (tmp_path / "engine.toml").write_text(
        out.splitlines()[1].removeprefix("use it: write ").split(" into ")[0]
    )
    code, out, _ = run("graph", "show", "OMIM:154700", "--engine", tmp_path / "engine.toml")
    assert code == 0
    assert "has_phenotype 5/8, PMID:1, own 1" in out


def test_rules_list_show_and_check(settings: str, tmp_path: Path) -> None:
    code, out, _ = run("rules", "list", "--json", "--engine", settings)
    rules = json.loads(out)
    assert code == 0
    code, out, _ = run("rules", "show", rules[0]["id"], "--engine", settings)
    assert code == 0
    assert rules[0]["source"] in out
    code, out, err = run("rules", "show", "no_such_rule", "--engine", settings)
    assert (code, out) == (1, "")
    assert "no_such_rule" in err
    bad = tmp_path / "bad.toml"
    bad.write_text("[[rule]\n", encoding="utf-8")
    code, _, err = run("rules", "check", bad, "--engine", settings)
    assert code == 1
    assert "bad.toml" in err


# ------------------------------------------------------------ doctor


def test_doctor_finds_a_damaged_graph(settings: str, tmp_path: Path) -> None:
    import shutil
    import tomllib

    source = tomllib.loads(Path(settings).read_text(encoding="utf-8"))["graph"]
    copy = tmp_path / "graph"
    shutil.copytree(source, copy)
    with (copy / "synonyms.parquet").open("ab") as stream:
        stream.write(b"x")
    engine = tmp_path / "engine.toml"
    engine.write_text(f"graph = {json.dumps(str(copy))}\n", encoding="utf-8")
    code, out, _ = run("doctor", "--json", "--engine", engine)
    report = json.loads(out)
    assert (code, report["sound"]) == (1, False)
    (graph,) = [c for c in report["checks"] if c["what"] == "graph"]
    assert graph["state"] == "error"
    assert "synonyms.parquet" in graph["detail"]


def test_doctor_finds_the_shipped_installation_sound() -> None:
    code, out, _ = run("doctor")
    assert code == 0, out
    assert "the evidence adds up" in out
