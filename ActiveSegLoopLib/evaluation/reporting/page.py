"""The report as one HTML page that needs nothing else: no script, no link, pictures inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from string import Template

from ActiveSegLoopLib.evaluation.reporting.figures import Picture
from ActiveSegLoopLib.evaluation.reporting.measuring import Measured
from ActiveSegLoopLib.evaluation.reporting.sentences import essence, methods, missing
from ActiveSegLoopLib.evaluation.reporting.table import plain

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2733; margin: 0 auto; max-width: 70rem;
 padding: 1.5rem; background: #fff; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .6rem;
 border-top: 1px solid #d5dbe3; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.made, .note, figcaption { color: #55616e; font-size: .87rem; }
.essence { background: #eef4f9; border-left: 4px solid #2b6ca3; padding: .6rem 1.2rem; }
.missing { background: #fdf5e4; border-left: 4px solid #c08a1e; padding: .6rem 1.2rem; }
.wide { overflow-x: auto; margin: 1rem 0 .3rem; }
table { border-collapse: collapse; font-size: .87rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #e3e8ee; text-align: left;
 vertical-align: top; }
th { background: #f4f6f9; font-weight: 600; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.2rem 0; page-break-inside: avoid; }
img { max-width: min(100%, 46rem); height: auto; }
nav a { margin-right: 1rem; color: #2b6ca3; }
pre { background: #f4f6f9; padding: .8rem; overflow-x: auto; font-size: .8rem; }
@media print { nav { display: none; } body { max-width: none; padding: 0; } }
</style>
</head>
<body>
<h1>$title</h1>
<p class=made>$made</p>
<nav>$contents</nav>
$sections
</body>
</html>
""")


def make_page(
    measured: Measured, pictures: Sequence[Picture], study_path: str, created: str
) -> str:
    """The whole page; created: when, as it is to be read."""
    of = {
        section: [p for p in pictures if p.section == section]
        for section in ("stages", "time", "surfaces", "worst")
    }
    roles = [evaluation.role for evaluation in measured.evaluations]
    gaps = missing(measured, study_path)
    sections = [
        ("In short", _sentences(essence(measured), "essence")),
        ("What is missing", _sentences(gaps, "missing")),
        (
            "Accuracy by round",
            _tables(measured, *(f"{kind}_{role}" for role in roles
                                for kind in ("stages", "comparisons", "volumes")))
            + _pictures(of["stages"]),
        ),
        (
            "Cases, the worst first",
            _tables(measured, "cases_by_dice") + _pictures(of["worst"]),
        ),
        ("Surface error", _tables(measured, "surface_summary") + _pictures(of["surfaces"])),
        (
            "Labeling time",
            _tables(measured, "time_summary_case", "time_summary_slice") + _pictures(of["time"]),
        ),
        ("Agreement between annotators", _tables(measured, "agreement_summary")),
        ("What was trained on what", _tables(measured, "rounds", "training", "cases")),
        ("How it was measured", _paragraphs(methods(measured))),
        ("Settings and versions", _settings(measured)),
    ]
    present = [(f"part-{i}", name, body) for i, (name, body) in enumerate(sections) if body]
    return _PAGE.substitute(
        title=escape(f"Report of the study {measured.study.folder.name}"),
        made=escape(f"Made {created} by ActiveSegLoop {measured.versions['activesegloop']}."),
        contents="".join(f'<a href="#{id}">{escape(name)}</a>' for id, name, _ in present),
        sections="\n".join(
            f'<section id="{id}"><h2>{escape(name)}</h2>{body}</section>'
            for id, name, body in present
        ),
    )


def _sentences(sentences: Sequence[str], kind: str) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="{kind}"><ul>{items}</ul></div>'


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def _tables(measured: Measured, *names: str) -> str:
    return "".join(table.html() for table in measured.shown(*names))


def _pictures(pictures: Sequence[Picture]) -> str:
    parts = []
    for picture in pictures:
        title, caption = escape(picture.title), escape(picture.caption)
        if picture.path is None:
            shown = f"<p class=note>There is no picture: {escape(picture.problem)}</p>"
        else:
            data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
            shown = f'<img alt="{title}" src="data:image/png;base64,{data}">'
        parts.append(
            f"<figure><h3>{title}</h3>{shown}<figcaption>{caption}</figcaption></figure>"
        )
    return "".join(parts)


def _settings(measured: Measured) -> str:
    listed = "".join(
        f"<li>{escape(name)} {escape(found)}</li>" for name, found in measured.versions.items()
    )
    details = []
    for r in measured.study.rounds():
        content = json.dumps(
            plain({"settings": r.settings, "versions": r.versions}), indent=1, ensure_ascii=False
        )
        details.append(
            f"<details><summary>Round {r.number}: settings and versions</summary>"
            f"<pre>{escape(content)}</pre></details>"
        )
    return f"<p>This report was made with:</p><ul>{listed}</ul>{''.join(details)}"
