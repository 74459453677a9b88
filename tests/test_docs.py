"""The documentation: it is built, has every command and public name, and its pages of first steps and notebook run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from PIL import Image

import lpe
from tests.test_readme import COMMAND, ROOT, blocks

DOCS = ROOT / "docs"
TOUR = DOCS / "tour.ipynb"
FRAMEWORKS = ("tensorflow_datasets", "jax", "torch")


def environment(folder: Path) -> dict[str, str]:
    """Variables by which `lpe` is this checkout's, for shells and Python."""
    program = folder / "bin" / "lpe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lpe "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """Runs a program that must succeed; what it printed."""
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", ["owner", "trainer", "researcher"])
def test_a_page_of_first_steps_runs_from_top_to_bottom(page, tmp_path):
    """In an empty folder, but for a picture of the reader's: first the commands, then the Python."""
    place = tmp_path / "empty"
    place.mkdir()
    Image.new("RGB", (50, 40), "teal").save(place / "photo.png")
    variables = environment(tmp_path)
    document = DOCS / f"{page}.md"
    for block in blocks(document, "sh"):
        run(["bash", "-euo", "pipefail", "-c", block], place, variables)
    for script in scripts(blocks(document, "python")):
        # Beam starts no process, but what does imports the script again.
        (place / "page.py").write_text(script)
        run([sys.executable, "page.py"], place, variables)


def scripts(python: list[str]) -> list[str]:
    """A page's Python from top to bottom; once for each framework that it shows, which are not for one process."""
    used = {
        block: {name for name in FRAMEWORKS if re.search(rf"^import {name}\b", block, re.M)}
        for block in python
    }
    shown = set().union(*used.values())
    installed = [name for name in sorted(shown) if importlib.util.find_spec(name) is not None]
    wanted = [{name} for name in installed] if shown else [set()]
    return ["\n".join(block for block in python if used[block] <= names) for names in wanted if python]


def test_python_that_is_not_run_here_is_python():
    for page in DOCS.glob("*.md"):
        for block in blocks(page, "python"):
            compile(block, str(page), "exec")


def test_the_notebook_has_no_outputs():
    for cell in nbformat.read(TOUR, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = str(notebook.cells[-1].outputs)
    assert "chosen-lpe   chosen-plaintext  100.0% of the bytes" in shown
    assert "Broken" in shown


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built without a warning, of files alone that a checkout has."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    run(command, ROOT, {**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    return folder


@pytest.mark.slow
def test_links_that_lead_nowhere_fail_the_build(tmp_path):
    links = ("gone.md", "owner.md#gone", "../pipeline/README.md#gone")
    shutil.copytree(DOCS, tmp_path / "docs")
    with (tmp_path / "docs" / "nightly.md").open("a") as page:
        page.write("".join(f"\n[wrong]({link})\n" for link in links))
    settings = tmp_path / "mkdocs.yml"
    # Without plugins: the reference of Python, which takes longest, does not matter here.
    settings.write_text(f"INHERIT: {ROOT}/mkdocs.yml\nhooks: [{DOCS}/hooks.py]\nplugins: []\n")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(settings)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    warned = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warned) == len(links), done.stderr
    assert all("'nightly.md' contains a link" in line for line in warned)


@pytest.mark.slow
def test_every_command_and_option_is_in_the_site(site):
    page = (site / "reference" / "commands.html").read_text()
    commands = [*COMMAND.commands.values()]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        assert f"lpe {command.name}" in page or f"lpe keys {command.name}" in page
        for parameter in command.params:
            assert parameter.name == "help" or parameter.opts[0] in page or parameter.opts[0].upper() in page


@pytest.mark.slow
def test_every_public_name_is_in_the_site(site):
    page = (site / "reference" / "api.html").read_text()
    for name in set(lpe.__all__) - {"__version__"}:
        assert re.search(rf'id="lpe\.[\w.]*\b{name}"', page), name
    for name in ("loading.shards.Shards", "torch_datasets.ShardsIterable", "jax_batches.DeviceBatches"):
        assert re.search(rf'id="lpe\.train\.[\w.]*{re.escape(name)}"', page), name


@pytest.mark.slow
def test_the_example_of_a_scheme_is_in_the_site(site):
    assert "<span>Shift</span>" in re.sub(r"<span[^>]*>", "<span>", (site / "researcher.html").read_text())


@pytest.mark.slow
def test_the_site_asks_nobody_else(site):
    """No font, script, style or picture of another server."""
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not re.search(r'<(?:script|img|iframe)[^>]* src="?(?:https?:)?//', text), page
        assert not re.search(
            r'<link[^>]* rel="?(?:stylesheet|preconnect)"?[^>]*href="?(?:https?:)?//', text
        ), page
    assert (site / "tour.ipynb").is_file()
    assert (site / "examples" / "pixel-shift" / "pixel_shift.py").is_file()
    assert not (site / "hooks.py").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_pages_fit_a_telephone(site):
    """No page but its own tables and code scrolls to the side."""
    for name in ("index", "owner", "protection"):
        script = "<script>document.title='w'+document.documentElement.scrollWidth</script></body>"
        probe = site / f"{name}-probe.html"
        probe.write_text((site / f"{name}.html").read_text().replace("</body>", script))
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--window-size=500,900",
            "--dump-dom",
            probe.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        (width,) = re.findall(r"<title>w(\d+)</title>", done.stdout)
        assert int(width) <= 500, name


def test_the_navigation_names_pages_that_exist_or_are_made():
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text())
    pages = re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"]))
    written = {path.name for path in DOCS.glob("*.md")}
    assert written == {page for page in pages if not page.startswith("reference/")}
