"""The wheel holds all that a diagnosis needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_carries_the_data(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    shipped = {p.relative_to(ROOT / "ontologies") for p in (ROOT / "ontologies").rglob("*") if p.is_file()}
    packed = {
        p.relative_to(unpacked / "kgmed" / "ontologies")
        for p in (unpacked / "kgmed" / "ontologies").rglob("*")
        if p.is_file()
    }
    assert shipped <= packed
    code = (
        "import kgmed; assert 'unpacked' in kgmed.__file__;"
        "print(kgmed.diagnose({'present': ['HP:0001083', 'HP:0002616', 'HP:0001166']})[0].name)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "Marfan syndrome"
