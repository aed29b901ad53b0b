"""`trainer` imports `ecolite_stream`, never the other way round; and the runtime is light."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecolite_stream
from tests.conftest import ROOT

RUNTIME = Path(ecolite_stream.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(RUNTIME)], "ecolite_stream.")
    if not module.name.endswith("__main__")
)
FRAMEWORKS = {"mindspore", "openvino", "onnxruntime", "torch", "mindspore_lite"}


def imported(path: Path) -> Iterator[str]:
    """Top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


ROOMS = (
    *("errors", "types", "version", "config", "model", "sources", "views", "engines"),
    *("media", "observability", "recognition", "sinks", "store", "pipeline", "recording"),
    *("datasets", "archive", "fleet", "web", "app", "bench"),
)
"""Folders and modules at the root in the order of the data: each imports only earlier ones."""


def rooms_imported(path: Path) -> Iterator[str]:
    """Rooms of the runtime that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "ecolite_stream":
            modules = [f"ecolite_stream.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        for module in modules:
            package, _, rest = module.partition(".")
            if package == "ecolite_stream" and rest:
                yield rest.partition(".")[0]


def room_of(path: Path) -> str:
    return path.relative_to(RUNTIME).parts[0].removesuffix(".py")


FILES = sorted(path for path in RUNTIME.rglob("*.py") if path.parent != RUNTIME)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(RUNTIME)))
def test_a_room_imports_only_earlier_rooms(path: Path) -> None:
    own = ROOMS.index(room_of(path))
    later = {room for room in rooms_imported(path) if ROOMS.index(room) > own}
    assert not later, f"{room_of(path)} imports {later}, which stand after it in ROOMS"


@pytest.mark.parametrize("module", ["config.schema", "config.includes", "config.source_names"])
def test_importing_the_configuration_loads_no_engine_and_no_decoder(module: str) -> None:
    loaded = python(f"import ecolite_stream.{module}, sys; print(*sys.modules)").split()
    heavy = {*FRAMEWORKS, "cv2", "av", "numpy", "aiohttp", "paho", "prometheus_client"}
    assert not heavy & set(loaded)
    own = {name for name in loaded if name.startswith("ecolite_stream.")}
    assert {name.split(".")[1] for name in own} <= {"config", "errors", "version", "types"}


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").iterdir()), ids=lambda p: p.name)
def test_no_script_imports_from_tests(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if re.match(r"\s*(from|import) tests\b", line)]


@pytest.mark.parametrize("path", sorted(RUNTIME.rglob("*.py")), ids=lambda p: p.stem)
def test_the_runtime_never_imports_the_trainer(path: Path) -> None:
    assert "trainer" not in set(imported(path))
    assert "tests" not in set(imported(path))


def python(code: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_the_runtime_imports_no_framework() -> None:
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]];"
    loaded = set(python(code + "print(*sys.modules)", *MODULES).split())
    assert set(MODULES) <= loaded
    assert not loaded & (FRAMEWORKS | {"trainer"})


HELP = """
import contextlib, io, sys
from ecolite_stream.app.cli import stream
from ecolite_stream.app.entry import run
shown = io.StringIO()
with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
    run(stream, sys.argv[1:])
assert "Usage: " in shown.getvalue()
print(*sys.modules)
"""


def test_help_imports_no_library_that_is_slow_to_import() -> None:
    loaded = set(python(HELP, "--help").split())
    slow = {"cv2", "av", "numpy", "sqlalchemy", "aiohttp", "prometheus_client", "paho", "ray"}
    assert not loaded & (slow | FRAMEWORKS)
    assert not loaded & {"asyncio", "http.client", "ssl", "email.message"}
    assert "numpy" in python(HELP, "replay", "--help").split()  # else this looks at nothing


def test_the_runtime_runs_where_there_is_no_mindspore() -> None:
    """Nothing but its own dependencies: a finder that refuses every framework comes first."""
    code = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FRAMEWORKS | {"trainer"}!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
from ecolite_stream.app.cli import stream
from ecolite_stream.app.entry import run
run(stream, ["--help"])
"""
    assert "Recognize actions live" in python(code, *MODULES)


def test_the_public_surface_is_there_and_lazy() -> None:
    for name in ecolite_stream.__all__:
        assert getattr(ecolite_stream, name).__module__.startswith("ecolite_stream.")
    with pytest.raises(AttributeError, match="recognise"):
        ecolite_stream.recognise  # noqa: B018
    loaded = python("import ecolite_stream, sys; print(*sys.modules)").split()
    assert not {"numpy", "av", "cv2", "ecolite_stream.pipeline.pipeline"} & set(loaded)
