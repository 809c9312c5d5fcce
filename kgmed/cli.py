"""The command line: thin, with no reasoning inside.

Heavy modules are imported inside the commands, so `--help` answers at once. Nothing
that is written to stderr holds patient text: records are named by their id.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kgmed.errors import InputError, KgmedError, ParseError, UnknownNameError, UnknownTermError

if TYPE_CHECKING:
    from kgmed.engine import Engine
    from kgmed.graph import KnowledgeGraph
    from kgmed.record import Issue
    from kgmed.result import Failure, Ranking

__all__ = ["app", "main"]

EXIT_UNSOUND = 1
EXIT_RED_FLAG = 3
EXIT_BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended: 128 + 13

_EXIT_CODES = (
    "Exit codes: 0 done; 1 a record could not be read or diagnosed, or something is unsound; "
    "2 wrong usage; 3 a red flag fired (with --fail-on-red-flag)."
)
EngineOption = Annotated[Path | None, typer.Option("--engine", help="TOML file with settings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON.")]
FormatOption = Annotated[
    str | None, typer.Option("--format", "-f", help="Format, when it should not be detected.")
]

# Files that are made for many records.
_MANY = frozenset((".csv", ".tsv", ".jsonl", ".ndjson"))


class _Group(TyperGroup):
    """Turns errors into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader went away (`| head`). Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_BROKEN_PIPE) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except KgmedError as error:
            _say(f"kgmed: {error}")
        except OSError as error:
            _say(f"kgmed: {error.filename or 'file'}: {error.strerror or type(error).__name__}")
        except Exception as error:
            if os.environ.get("KGMED_DEBUG"):
                raise
            # The message of an error that nobody foresaw may quote the patient's text.
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
            _say(
                f"kgmed: internal error ({type(error).__name__}{where}); "
                "set KGMED_DEBUG=1 for the traceback, which may quote the record"
            )
        sys.exit(EXIT_UNSOUND)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help would take twice as long to appear
    help="Clinical reasoning over a medical knowledge graph: decision support, not a diagnosis.",
    epilog=_EXIT_CODES,
)
graph_app = typer.Typer(no_args_is_help=True, help="Look into the knowledge graph, check files, build it.")
curated_app = typer.Typer(
    no_args_is_help=True, help="Check and number the curated knowledge: disease cards and vocabulary."
)
rules_app = typer.Typer(help="List, show and check the clinical rules.")
app.add_typer(graph_app, name="graph")
app.add_typer(curated_app, name="curated")
app.add_typer(rules_app, name="rules")


def main() -> None:
    """Run the command line."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        from kgmed import __version__

        typer.echo(f"kgmed {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# ------------------------------------------------------------ helpers


def _say(line: str) -> None:
    from kgmed.render.view import clean

    typer.echo(clean(line), err=True)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; lines with tabs otherwise, for scripts."""
    from kgmed.render.view import clean

    cleaned = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*head, box=None, header_style="bold", pad_edge=False)
        for row in cleaned:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    for cells in ([list(head)] if head else []) + cleaned:
        typer.echo("\t".join(cells))


def _json(value: Any, indent: int | None = 2) -> None:
    typer.echo(json.dumps(value, indent=indent, allow_nan=False))


def _engine(config: Path | None, overlays: Sequence[Path] = ()) -> Engine:
    from kgmed.engine import load_engine

    engine = load_engine(config)
    if overlays:
        from kgmed.read import load_ontology

        for path in overlays:
            engine = engine.with_ontology(load_ontology(path))
    return engine


def _term(graph: KnowledgeGraph, text: str) -> str:
    """CURIE of a CURIE, a mapped identifier, or a name.

    Raises:
        UnknownTermError: If nothing or more than one term is meant.
    """
    found = graph.resolve(text)
    if found is not None:
        return found
    wanted = text.casefold().strip()
    named = [t.curie for t in graph.terms() if not t.obsolete and t.name.casefold() == wanted]
    if not named:
        named = sorted(
            {s.term for s in graph.synonyms() if s.scope == "exact" and s.text.casefold() == wanted}
        )
    if len(named) == 1:
        return named[0]
    raise UnknownTermError(text, tuple(named) or graph.mapped(text) or graph.nearest(text))


def _read_stdin() -> str:
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(
            f"byte {error.start} is not UTF-8; convert the text to UTF-8", path="<stdin>"
        ) from None


def _results(
    engine: Engine, sources: Sequence[str], format: str | None, top: int, workers: int | None
) -> Iterator[Ranking | Failure]:
    """One result for each record of each source, in order; failures name their source."""
    from dataclasses import replace

    from kgmed.result import Failure

    for source in sources:
        where = "<stdin>" if source == "-" else source
        try:
            place = _split_lines(_read_stdin()) if source == "-" else _existing(source)
            results = engine.diagnose_many(place, top=top, format=format, workers=workers)
            for result in results:
                if isinstance(result, Failure) and where not in result.message:
                    place_in = f"{where}, record {result.index + 1} of the file"
                    result = replace(result, message=f"{place_in}: {result.message}")
                yield result
        except KgmedError as error:
            message = str(error) if where in str(error) else f"{where}: {error}"
            record_id = getattr(error, "record_id", "")
            yield Failure(index=0, record_id=record_id, error=type(error).__name__, message=message)


def _split_lines(text: str) -> str | list[str]:
    """JSON lines as a list, one record each; anything else as it is."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip()[0] == "{" and line.rstrip()[-1] == "}" for line in lines):
        return lines
    return text


def _peek(results: Iterator[Ranking | Failure]) -> tuple[bool, Iterator[Ranking | Failure]]:
    """Whether there is more than one result, and all of them."""
    first = list(itertools.islice(results, 2))
    return len(first) > 1, itertools.chain(first, results)


def _is_many(source: str, format: str | None) -> bool:
    """A file that is made for many records is many, even when it holds one: scripts can rely on it."""
    return format == "csv" or not _MANY.isdisjoint(s.lower() for s in Path(source).suffixes)


def _existing(source: str) -> Path:
    path = Path(source)
    if not path.exists():
        raise ParseError("there is no such file", path=source)
    return path


def _counted(results: Iterator[Ranking | Failure], shown: bool) -> Iterator[Ranking | Failure]:
    """Show a running count on stderr while many records are worked through."""
    if not shown:
        yield from results
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("records"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("records", total=None)
        for result in results:
            yield result
            progress.advance(task)


def _file_name(ranking: Ranking, number: int, suffix: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", ranking.case.record.id)[:80].strip("._")
    return f"{number:06d}{'-' if safe else ''}{safe}{suffix}"


# ------------------------------------------------------------ diagnose


@app.command(epilog=_EXIT_CODES)
def diagnose(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...|-", help="Records of any format; - reads stdin.")
    ],
    format: FormatOption = None,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many diagnoses to show.")] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON; one line per record when there are many.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write an HTML report here; a folder when there are many records."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; one file per record.")
    ] = None,
    ontology: Annotated[list[Path] | None, typer.Option("--ontology", help="Add an ontology file.")] = None,
    engine: EngineOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes for files of many records.")
    ] = None,
    with_text: Annotated[bool, typer.Option("--with-text", help="Put the note into the JSON.")] = False,
    fail_on_red_flag: Annotated[
        bool, typer.Option("--fail-on-red-flag", help="Exit 3 when a red flag fires.")
    ] = False,
) -> None:
    """Rank the diseases that explain a patient's findings, with every reason."""
    if as_json and markdown:
        raise typer.BadParameter("--json and --markdown exclude each other")
    if files.count("-") > 1:
        raise typer.BadParameter("- can be given once")
    from kgmed.graph import write_atomically
    from kgmed.result import Failure

    built = _engine(engine, ontology or ())
    more, results = _peek(_results(built, files, format, top, workers))
    several = more or len(files) > 1 or _is_many(files[0], format)
    for folder in (output, html if several else None):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    done = failed = 0
    flagged = False
    # Results on the terminal are progress enough, and a moving line would tear them.
    quiet = output is not None or html is not None or not sys.stdout.isatty()
    for result in _counted(results, several and quiet and sys.stderr.isatty()):
        if isinstance(result, Failure):
            failed += 1
            _say(f"kgmed: {result.message}")
            continue
        done += 1
        flagged = flagged or bool(result.red_flags)
        if html is not None:
            target = html / _file_name(result, done, ".html") if several else html
            write_atomically(target, result.to_html(top=top).encode())
            if not (as_json or markdown or output):
                continue
        if as_json:
            text = (
                result.to_json(with_text=with_text, indent=None if several and output is None else 2) + "\n"
            )
        else:
            text = result.to_markdown(top=top) if markdown else result.to_text(top=top)
        if output is not None:
            suffix = ".json" if as_json else ".md" if markdown else ".txt"
            write_atomically(output / _file_name(result, done, suffix), text.encode())
        else:
            typer.echo(text + ("" if as_json or not several else "\n"), nl=False)
    if several:
        _say(f"kgmed: {done} diagnosed, {failed} failed")
    if fail_on_red_flag and flagged:
        raise typer.Exit(EXIT_RED_FLAG)
    if failed:
        raise typer.Exit(EXIT_UNSOUND)


@app.command(epilog=_EXIT_CODES)
def findings(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A note or a record; - reads stdin.")],
    format: FormatOption = None,
    as_json: JsonOption = False,
    engine: EngineOption = None,
) -> None:
    """List what was read from one record: findings, and whether each is used; measurements; issues."""
    from dataclasses import asdict

    built = _engine(engine)
    case = built.case(built.read(_read_stdin() if file == "-" else _existing(file), format))
    entries = [(finding, "") for finding in case.findings] + list(case.set_aside)
    entries.sort(key=lambda entry: (entry[0].span or (-1, -1), entry[0].field, entry[0].term))
    found = [
        {
            "span": list(f.span) if f.span else None,
            "field": f.field,
            "term": f.term,
            "name": built.graph.name(f.term),
            "assertion": "excluded" if f.excluded else "present" if f.certainty == 1 else "uncertain",
            "certainty": float(f.certainty),
            "context": f.context,
            "origin": f.origin,
            "used": not reason,
            "reason": reason,
        }
        for f, reason in entries
    ]
    keys = ("span", "field", "code", "name", "value", "unit", "low", "high")
    measured = [{key: getattr(m, key) for key in keys} for m in case.record.measurements]
    if as_json:
        issues = [asdict(issue) for issue in case.issues]
        _json({"id": case.record.id, "findings": found, "measurements": measured, "issues": issues})
        return

    def cells(row: dict[str, Any], *keys: str) -> list[str]:
        place = "-".join(map(str, row["span"])) if row["span"] else row["field"]
        return [place, *("" if row[key] is None else str(row[key]) for key in keys)]

    head = ("term", "name", "assertion", "context", "origin")
    _table(
        ("place", *head, "used"),
        [[*cells(row, *head), "yes" if row["used"] else f"no: {row['reason']}"] for row in found],
    )
    if measured:
        typer.echo()
        head = ("code", "name", "value", "unit", "low")
        _table(("place", *head, "high"), [cells(row, *head, "high") for row in measured])
    if case.issues:
        typer.echo()
        lines = [(i.level, i.code, i.field, f"{i.message} {i.fix}".rstrip()) for i in case.issues]
        _table(("level", "issue", "place", "what, and what to do"), lines)


@app.command(epilog=_EXIT_CODES)
def ask(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A note or a record; - reads stdin.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many questions.")] = 5,
    method: Annotated[
        list[str] | None, typer.Option("--method", help="history, exam, lab, imaging or test; repeatable.")
    ] = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    engine: EngineOption = None,
) -> None:
    """What to ask or test next: expected information gain for its cost."""
    from dataclasses import asdict

    built = _engine(engine)
    record = built.read(_read_stdin() if file == "-" else _existing(file), format)
    questions = built.ask(record, number, methods=method or ())
    if as_json:
        _json([asdict(question) for question in questions])
        return
    _table(
        ("question", "term", "found by", "gain (bits)", "cost", "chance of a yes"),
        [
            (q.name, q.term, q.found_by, f"{q.information_gain:.3f}", f"{q.cost:g}", f"{q.p_overall:.0%}")
            for q in questions
        ],
    )


@app.command(epilog=_EXIT_CODES)
def interview(
    complaint: Annotated[
        str | None, typer.Argument(metavar="[COMPLAINT]", help="What brings the patient.")
    ] = None,
    questions: Annotated[int, typer.Option("--questions", "-n", min=1, help="At most so many.")] = 15,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="history (default), exam, lab, imaging or test; repeatable."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many diagnoses to show.")] = 5,
    engine: EngineOption = None,
) -> None:
    """Ask a patient on, one question at a time, and show the differential."""
    from kgmed.interview import Interview

    text = complaint or typer.prompt("What is the matter (age, sex and complaint in a sentence)?")
    built = _engine(engine)
    talk = Interview(built, built.read(text, "text"), methods=method or ("history",))
    words = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "?": "unknown", "": "unknown"}
    for number in range(1, questions + 1):
        question = talk.next()
        if question is None:
            break
        told = typer.prompt(f"{number}. {question.name}? [y/n/?/stop]", default="?", show_default=False)
        if told.strip().lower() in ("stop", "q", "quit"):
            break
        talk.answer(question, words.get(told.strip().lower(), "unknown"))  # type: ignore[arg-type]
    typer.echo()
    typer.echo(talk.ranking.to_text(top=top), nl=False)


# ------------------------------------------------------------ curated knowledge


def _library(folder: Path | None) -> Any:
    from kgmed.curated import Library
    from kgmed.engine import load_engine
    from kgmed.resources import ontologies_folder

    graph = load_engine().graph
    # Own terms come from the files that are checked, not from the graph that was made of them.
    terms = [t for t in graph.terms() if t.source != "curated"]
    synonyms = [s for s in graph.synonyms() if s.source != "curated"]
    return Library.read(folder or ontologies_folder() / "common", terms, synonyms)


@curated_app.command("check")
def curated_check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", help="Card files; all by default.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Folder of cards; that of kgmed by default.")
    ] = None,
) -> None:
    """Check the disease cards and the finding vocabulary; exit 1 when there is an error."""
    from kgmed.curated import lint

    library = _library(folder)
    found = lint(library, frozenset(path.name for path in files or ()))
    for complaint in found:
        typer.echo(str(complaint))
    errors = sum(complaint.level == "error" for complaint in found)
    _say(f"kgmed: {len(library.cards)} cards, {errors} errors, {len(found) - errors} warnings")
    if errors:
        raise typer.Exit(EXIT_UNSOUND)


@curated_app.command("find")
def curated_find(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of findings or diseases.")],
) -> None:
    """Look up the names that cards may use."""
    library = _library(None)
    rows = []
    for name in names:
        for kind, known in (("finding", library.findings), ("disease", library.diseases)):
            rows += [(name, kind, term) for term in known.candidates(name)]
        if not any(row[0] == name for row in rows):
            rows.append((name, "none; near", "; ".join(library.findings.nearest(name))))
    _table(("name", "kind", "term"), rows)


@curated_app.command("number")
def curated_number(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder findings/ to number.")],
) -> None:
    """Give new rows of the finding vocabulary their numbers."""
    from kgmed.curated.vocabulary import number_vocabulary

    typer.echo(f"{number_vocabulary(folder)} rows numbered")


# ------------------------------------------------------------ graph


@graph_app.command("info")
def graph_info(as_json: JsonOption = False, engine: EngineOption = None) -> None:
    """Counts, releases and licences."""
    from collections import Counter

    graph = _engine(engine).graph
    predicates = graph.edge_columns.predicate
    terms = sorted(Counter("obsolete" if t.obsolete else t.kind for t in graph.terms()).items())
    counts = Counter(predicates.codes.tolist())
    edges = sorted((predicates.values[code], n) for code, n in counts.items())
    sources = list(graph.sources.values())
    if as_json:
        keys = ("id", "title", "release", "licence", "url", "sha256")
        listed = [{key: getattr(source, key) for key in keys} for source in sources]
        _json({"terms": dict(terms), "edges": dict(edges), "checksum": graph.checksum, "sources": listed})
        return
    rows = [("terms", kind, f"{n:,}") for kind, n in terms]
    rows += [("edges", predicate, f"{n:,}") for predicate, n in edges]
    _table(("what", "kind", "count"), rows)
    typer.echo()
    head = ("source", "title", "release", "licence")
    _table(head, ((s.id, s.title, s.release, s.licence) for s in sources))
    typer.echo(f"\nchecksum\t{graph.checksum}")


@graph_app.command("show")
def graph_show(
    term: Annotated[str, typer.Argument(help="CURIE, identifier of another vocabulary, or name.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many edges.")] = 50,
    engine: EngineOption = None,
) -> None:
    """Names, mappings, hierarchy and annotations of one term."""
    from itertools import islice

    from kgmed.render import view

    graph = _engine(engine).graph
    curie = _term(graph, term)
    about = graph.term(curie)
    rows = [("term", curie), ("name", about.name), ("kind", about.kind), ("source", about.source)]
    rows += [(f"synonym ({s.scope})", s.text) for s in graph.synonyms(curie)]
    rows += [("same as", other) for other in graph.mappings(curie)]
    rows += [("parent", f"{c} {graph.name(c)}") for c in graph.parents(curie)]
    rows += [("child", f"{c} {graph.name(c)}") for c in graph.children(curie)]
    _table((), rows)
    naming = _naming(graph)
    annotations = [
        e for e in (*graph.edges(subject=curie), *graph.edges(object=curie)) if e.predicate != "is_a"
    ]
    annotations.sort(key=lambda e: (-(e.frequency or 0.0), e.subject, e.predicate, e.object))
    typer.echo()
    _table(
        ("subject", "fact", "object"),
        (
            (
                f"{e.subject} {graph.name(e.subject)}",
                view.fact(naming, e),
                f"{e.object} {graph.name(e.object)}",
            )
            for e in islice(annotations, limit)
        ),
    )
    if len(annotations) > limit:
        _say(f"{len(annotations) - limit} more; raise --limit to see them")


def _naming(graph: KnowledgeGraph) -> Ranking:
    """An empty ranking over a graph: what the renderers need to name terms and sources."""
    from kgmed.record import Case, Record
    from kgmed.result import Ranking

    sources = [{"id": s.id, "release": s.release} for s in graph.sources.values()]
    return Ranking(
        diagnoses=(), case=Case(record=Record()), names=graph.name, provenance={"graph": {"sources": sources}}
    )


@graph_app.command("path")
def graph_path(
    start: Annotated[str, typer.Argument(metavar="A", help="CURIE, mapped identifier, or name.")],
    end: Annotated[str, typer.Argument(metavar="B", help="CURIE, mapped identifier, or name.")],
    engine: EngineOption = None,
) -> None:
    """A shortest walk between two terms; exit 1 when there is none."""
    from kgmed.render import view

    graph = _engine(engine).graph
    a, b = _term(graph, start), _term(graph, end)
    path = graph.path(a, b)
    if path is None:
        raise InputError(f"no walk joins {a} and {b}")
    typer.echo(view.path_words(_naming(graph), path) or f"{a} is {b}")


class _QueryFormat(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


@graph_app.command("query")
def graph_query(
    sparql: Annotated[str, typer.Argument(metavar="SPARQL|@FILE", help="SELECT or ASK; @FILE reads it.")],
    format: Annotated[_QueryFormat, typer.Option("--format", "-f", help="How rows are written.")] = (
        _QueryFormat.table
    ),
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many rows.")] = 10_000,
    engine: EngineOption = None,
) -> None:
    """Ask the graph in SPARQL. The first query writes the graph's RDF store to the user's cache folder."""
    import csv

    from kgmed.sparql import is_stored, query

    if sparql.startswith("@"):
        file = _existing(sparql[1:])
        try:
            sparql = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ParseError("not UTF-8 text", path=str(file)) from None
    graph = _engine(engine).graph
    if not is_stored(graph):
        _say("kgmed: writing the graph's RDF store, once; a large graph takes about a minute")
    rows = query(graph, sparql, limit=limit)
    if len(rows) == limit:
        _say(f"kgmed: stopped at {limit:,} rows; raise --limit to see more")
    if format is _QueryFormat.json:
        _json(rows)
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if format is _QueryFormat.csv:
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif rows:
        _table(columns, ([str(row.get(name, "")) for name in columns] for row in rows))


@graph_app.command("validate")
def graph_validate(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Check ontology files; exit 1 when one has an error."""
    from kgmed.read import validate

    bad = False
    for path in files:
        try:
            issues = list(validate(_existing(str(path))))
        except KgmedError as error:
            bad = True
            _say(f"kgmed: {error}")
            continue
        bad = bad or any(issue.level == "error" for issue in issues)
        _issues(issues, str(path))
    if bad:
        raise typer.Exit(EXIT_UNSOUND)


def _issues(issues: Sequence[Issue], name: str) -> None:
    for issue in issues:
        typer.echo(f"{name}: {issue.level} {issue.code} {issue.field}: {issue.message} {issue.fix}".rstrip())
    errors = sum(issue.level == "error" for issue in issues)
    typer.echo(f"{name}: {errors} errors, {len(issues) - errors} warnings")


@graph_app.command("build")
def graph_build(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("kgmed-graph"),
    data: Annotated[Path | None, typer.Option("--data", help="Folder that holds the source files.")] = None,
    sources: Annotated[
        Path | None, typer.Option("--sources", help="TOML file that lists the sources.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch missing sources from their publishers.")
    ] = False,
) -> None:
    """Compile a graph from its sources. Nothing is fetched without --download."""
    from kgmed.build import build_graph, compile_default

    graph = build_graph(data, sources=sources, download=download, report=_say)
    compile_default(graph, out)
    typer.echo(f"{len(graph):,} terms, {len(graph.edge_columns):,} edges written to {out}")
    typer.echo(
        f"use it: write graph = {json.dumps(str(out.resolve()))} into a file and give it with --engine"
    )


# ------------------------------------------------------------ rules


@rules_app.callback(invoke_without_command=True)
def _rules(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        rules_list()


@rules_app.command("list")
def rules_list(as_json: JsonOption = False, engine: EngineOption = None) -> None:
    """All rules: id, kind, name, source."""
    rules = [{"id": r.id, "kind": r.kind, "name": r.name, "source": r.source} for r in _engine(engine).rules]
    if as_json:
        _json(rules)
    else:
        _table(("id", "kind", "name", "source"), (tuple(rule.values()) for rule in rules))


@rules_app.command("show")
def rules_show(rule_id: Annotated[str, typer.Argument(metavar="ID")], engine: EngineOption = None) -> None:
    """One rule: what it says, what it rests on, where it is published."""
    built = _engine(engine)
    try:
        rule = built.rules[rule_id]
    except KeyError:
        import difflib

        ids = [r.id for r in built.rules]
        raise UnknownNameError(
            rule_id, tuple(difflib.get_close_matches(rule_id, ids, 5, 0.4) or ids[:5])
        ) from None
    rows = [("id", rule.id), ("kind", rule.kind), ("name", rule.name)]
    rows += [(k, str(getattr(rule, k))) for k in ("urgency", "action") if rule.kind == "red_flag"]
    rows += [("item", item.name) for item in rule.items]
    rows += [("disease", f"{rule.disease} {built.graph.name(rule.disease)}")] if rule.disease else []
    rows += [("term", f"{curie} {label}") for curie, label, _ in rule.terms]
    rows += [("note", rule.note)] if rule.note else []
    rows += [("source", rule.source), ("file", rule.file)]
    _table((), rows)


@rules_app.command("check")
def rules_check(file: Annotated[Path, typer.Argument(metavar="FILE")], engine: EngineOption = None) -> None:
    """Check a rule file against the graph; exit 1 when it has an error."""
    from kgmed.score.rule_lint import check_rules
    from kgmed.score.rules import load_rules

    graph = _engine(engine).graph
    issues = check_rules(load_rules(_existing(str(file))), graph)
    _issues(issues, str(file))
    if any(issue.level == "error" for issue in issues):
        raise typer.Exit(EXIT_UNSOUND)


# ------------------------------------------------------------ doctor

_NEEDED = (
    "numpy", "pyarrow", "safetensors", "rapidfuzz", "snowballstemmer", "loky", "networkx", "pandas", "rdflib",
    "pyoxigraph", "oxrdflib", "pyshacl", "fastobo", "fhir.resources", "phenopackets", "typer", "rich",
)  # fmt: skip
_OPTIONAL = ("spacy", "torch", "transformers", "torch-geometric")


@app.command(epilog=_EXIT_CODES)
def doctor(as_json: JsonOption = False, engine: EngineOption = None) -> None:
    """Check the installation: what is there, which releases, and whether everything is sound."""
    rows: list[tuple[str, str, str]] = []  # what, ok | warning | error, detail

    def check(what: str, work: Callable[[], str]) -> None:
        try:
            rows.append((what, "ok", work()))
        except (KgmedError, OSError, ImportError, ValueError, LookupError) as error:
            rows.append((what, "error", f"{type(error).__name__}: {error}"))

    version = ".".join(map(str, sys.version_info[:3]))
    rows.append(("python", "ok" if sys.version_info >= (3, 11) else "error", version))
    _installed(rows)
    loaded: list[Engine] = []
    check("graph", lambda: _check_graph(engine, loaded))
    if loaded:
        check("rules", lambda: _check_rules(loaded[0]))
        check("self-test", lambda: _self_test(loaded[0]))
    sound = all(state != "error" for _, state, _ in rows)
    if as_json:
        _json(
            {
                "sound": sound,
                "checks": [dict(zip(("what", "state", "detail"), row, strict=True)) for row in rows],
            }
        )
    else:
        _table(("what", "state", "detail"), rows)
        typer.echo("everything is sound" if sound else "something is unsound: see the lines marked error")
    if not sound:
        raise typer.Exit(EXIT_UNSOUND)


def _installed(rows: list[tuple[str, str, str]]) -> None:
    """Versions from the packages' metadata: nothing is imported."""
    from importlib import metadata

    for name in (*_NEEDED, *_OPTIONAL):
        try:
            rows.append((name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            needed = name in _NEEDED
            detail = (
                f"not installed: pip install {name}" if needed else "not installed: learned parts are off"
            )
            rows.append((name, "error" if needed else "warning", detail))


def _check_graph(config: Path | None, loaded: list[Engine]) -> str:
    engine = _engine(config)
    graph = engine.graph
    loaded.append(engine)
    if graph.folder is not None:
        manifest = json.loads((graph.folder / "manifest.json").read_text(encoding="utf-8"))
        for name in manifest["files"]:
            graph.file(name)  # raises when the checksum differs
    releases = ", ".join(f"{s.id} {s.release}" for s in graph.sources.values())
    return f"{len(graph):,} terms, {len(graph.edge_columns):,} edges, checksums hold; {releases}"


def _check_rules(engine: Engine) -> str:
    from kgmed.score.rule_lint import check_rules

    errors = [issue for issue in check_rules(engine.rules, engine.graph) if issue.level == "error"]
    if errors:
        raise InputError(f"{len(errors)} errors; the first: {errors[0].field}: {errors[0].message}")
    return f"{len(engine.rules)} rules, no error"


def _self_test(engine: Engine) -> str:
    """One record through the whole engine: its numbers must add up."""
    from kgmed.record import Finding, Record
    from kgmed.result import posttest_probability

    disease = next((e.subject for e in engine.graph.edges(predicate="has_phenotype") if not e.negated), None)
    if disease is None:
        raise InputError("the graph holds no has_phenotype edge")
    known = sorted({e.object for e in engine.graph.edges(disease, "has_phenotype") if not e.negated})[:5]
    record = Record(
        id="self-test", findings=tuple(Finding(term=t, field=f"findings[{i}]") for i, t in enumerate(known))
    )
    ranking = engine.diagnose(record, top=5)
    if not ranking:
        raise InputError("no disease was ranked")
    for diagnosis in ranking:
        added = posttest_probability(diagnosis.pretest_probability, diagnosis.explanation.log10_lr)
        if abs(added - diagnosis.posttest_probability) > 1e-9:
            raise InputError(
                f"the evidence for {diagnosis.disease} does not add up to its posttest probability"
            )
    json.loads(ranking.to_json())
    return f"one record ranked over {ranking.considered:,} diseases; the evidence adds up"
