"""The wheel pcedge-device: it holds what the drivers import and nothing else, and runs with numpy alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import GOLDEN, ROOT

from pcedge import __version__

#: print the modules of pcedge that the drivers have brought, then import every module of the wheel, and open files
ALONE = """
import importlib, importlib.util, pathlib, sys
home, numpy_home, golden = sys.argv[1:]
sys.path[:0] = [home]
sys.path.append(numpy_home)
import pcedge.drivers, pcedge.drivers.image_check, pcedge.drivers.packets, pcedge.drivers.serial
print(*(name for name in sys.modules if name.partition(".")[0] == "pcedge"))
for path in sorted(pathlib.Path(home, "pcedge").rglob("*.py")):
    name = ".".join(path.relative_to(home).with_suffix("").parts).removesuffix(".__init__")
    assert importlib.import_module(name).__file__ == str(path)
assert not {"onnx", "torch", "click", "rich", "safetensors"} & set(sys.modules)
from pcedge.codec.source import open_program
from pcedge.errors import MissingToolError
open_program(golden + "/program.pcp")
try:
    open_program(golden + "/model.onnx")
except MissingToolError as error:
    assert "model.onnx must be a program file (pcedge export --target program) where pcedge.export is not" in str(error)
else:
    raise AssertionError
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    for command in (
        [ROOT / ".ci/device.py", folder / "src"],
        ["-m", "build", "--wheel", "--outdir", folder, folder / "src"],
    ):
        done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_is_the_closure_of_the_drivers_imports(wheel: Path, tmp_path: Path) -> None:
    assert wheel.name == f"pcedge_device-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(f"pcedge_device-{__version__}.dist-info/METADATA").decode()
    assert "Requires-Python: >=3.10\n" in metadata
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: numpy>=1.23"
    ]
    # -I -S: no folder of packages but the wheel's, and behind it the one that has numpy; the editable pcedge is no
    # folder there, and its finder is not loaded.
    places = (tmp_path, Path(np.__file__).parent.parent, GOLDEN)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", ALONE, *map(str, places)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names}
    assert held - {"pcedge.py.typed"} == set(done.stdout.split())
    for name in names:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
    code = (
        f"import sys; sys.path[:0] = {[str(place) for place in places[:2]]}; import pcedge; pcedge.Codec; pcedge.decode"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert "AttributeError: pcedge.decode is in the package pcedge; pcedge-device has drivers, Codec and" in done.stderr
