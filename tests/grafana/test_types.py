"""Dashboards and their panels' options have the types that Grafana's schema declares.

The schema comes as types: TypeScript's compiler finds names that it does not know, and values that
cannot be.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.grafana.conftest import MAJORS

BOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
# What its names of values are in JSON, and what only a data source or the editor knows.
PLAIN = """
import type { Dashboard, AnnotationQuery, VariableModel } from '@grafana/schema';
type Plain<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
type Annotation = Plain<AnnotationQuery> & {
  expr?: string; titleFormat?: string; textFormat?: string; tagKeys?: string; step?: string;
  useValueForTime?: boolean | 'on';
};
type Variable = Plain<VariableModel> & { definition?: string };
type Board = Omit<Plain<Dashboard>, 'annotations' | 'templating'> & {
  annotations: { list: Annotation[] }; templating: { list: Variable[] };
};
"""


def places(packages: Path, major: int) -> dict[str, Path]:
    """By the type of a panel the file with its types."""
    folder = packages / f"node_modules/@grafana/schema-{major}/dist/esm/raw/composable"
    found = {path.parts[-4]: path for path in folder.glob("*/panelcfg/x/*_types.gen.d.ts")}
    assert "timeseries" in found
    return found


def every_panel(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for panel in board["panels"] for p in (panel, *panel.get("panels", []))]


def program(boards: list[dict[str, Any]], types: dict[str, Path]) -> str:
    """What compiles only if the dashboards have these types."""
    kinds = {p["type"] for board in boards for p in every_panel(board)} - {"row"}
    lines = [PLAIN]
    for kind in sorted(kinds):
        name = re.sub(r"\W", "", kind)
        lines.append(
            f"import type * as {name} from '{types[name].with_suffix('').with_suffix('')}';"
        )
    for number, board in enumerate(boards):
        lines.append(f"export const board{number}: Board = {json.dumps(board, indent=1)};")
        for panel in every_panel(board):
            if panel["type"] != "row":
                lines += panel_lines(panel, f"{number}_{panel['id']}")
    return "\n".join(lines)


def panel_lines(panel: dict[str, Any], key: str) -> list[str]:
    name = re.sub(r"\W", "", panel["type"])
    options = json.dumps(panel.get("options", {}))
    lines = [f"export const o{key}: Partial<Plain<{name}.Options>> = {options};"]
    if custom := panel.get("fieldConfig", {}).get("defaults", {}).get("custom"):
        lines.append(
            f"export const c{key}: Partial<Plain<{name}.FieldConfig>> = {json.dumps(custom)};"
        )
    return lines


def complaints(folder: Path, packages: Path, major: int, boards: list[dict[str, Any]]) -> str:
    """What the compiler says of the dashboards."""
    schema = packages / f"node_modules/@grafana/schema-{major}/dist"
    index = next(p for p in (schema / "types/index.d.ts", schema / "esm/index.d.mts") if p.exists())
    (folder / "boards.ts").write_text(program(boards, places(packages, major)))
    options = {
        "noEmit": True,
        "strict": True,
        "skipLibCheck": True,
        "module": "esnext",
        "target": "es2022",
        "moduleResolution": "bundler",
        "types": [],
        "paths": {"@grafana/schema": [os.fspath(index)]},
    }
    config = folder / "tsconfig.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": ["boards.ts"]}))
    compiler = packages / "node_modules/typescript/bin/tsc"
    done = subprocess.run(
        ["node", str(compiler), "--project", str(config), "--pretty", "false"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode == 0) == (not done.stdout), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def boards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in BOARDS]


@pytest.mark.parametrize("major", MAJORS)
def test_grafana_knows_all_that_is_said(
    tmp_path: Path, packages: Path, boards: list[dict[str, Any]], major: int
) -> None:
    assert complaints(tmp_path, packages, major, boards) == ""


def test_what_it_does_not_know_is_found(
    tmp_path: Path, packages: Path, boards: list[dict[str, Any]]
) -> None:
    wrong = json.loads(json.dumps(boards[:1]))
    graphs = [p for p in every_panel(wrong[0]) if p["type"] == "timeseries"]
    wrong[0]["graphTooltips"] = 1
    graphs[0]["options"]["legend"]["displayMode"] = "lists"
    graphs[1]["options"]["legends"] = {}
    found = complaints(tmp_path, packages, MAJORS[0], wrong)
    assert "'\"graphTooltips\"' does not exist" in found
    assert '"lists"' in found
    assert "'\"legends\"' does not exist" in found
