"""A cluster's profile: what it may say, and what sbatch is given for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from curate.executors.slurm.profile import load_profile

from .conftest import ROOT, Cli

EXAMPLE = ROOT / "curate" / "data" / "slurm.toml"


def dry_run(cli: Cli, profile: str, *options: str) -> str:
    """Return the scripts for a profile."""
    (cli.folder / "cluster.toml").write_text(profile)
    options = ("--executor", "slurm", "--dry-run", "--profile", "cluster.toml", *options)
    return cli("run", "toy.py", *options).stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('partitoin = "cpu"', "no key 'partitoin'. Did you mean 'partition'?"),
        ('partitoin = "cpu"', "There are: partition, account, qos, options, modules, setup"),
        ("partition = 3", "partition must be a string, not 3"),
        ('options = "--nice"', "options must be a list of strings"),
        ("tasks = 0", "tasks must be a whole number above 0"),
        ("tasks = true", "tasks must be a whole number above 0"),
        ("hours = -1", "hours must be a number above 0"),
        ("memory_gb = 'much'", "memory_gb must be a number"),
        ("[stages.lod]\nhours = 1", "no stage 'lod'. Did you mean 'load'?"),
        ("[stages.load]\nhour = 1", "[stages.load]: no key 'hour'. Did you mean 'hours'?"),
        ("[stages.load]\nlog_folder = 'x'", "[stages.load]: no key 'log_folder'."),
        ("stages = 3", "stages must be tables"),
        ("[stages]\nload = 3", "stages.load must be a table"),
        ("hours = ", "is not valid TOML"),
    ],
)
def test_a_mistake_in_a_profile_is_one_clear_message(cli: Cli, text: str, message: str) -> None:
    """Exit code 2; the message names the file, what is wrong and what would be right."""
    (cli.folder / "cluster.toml").write_text(text)
    done = cli("run", "toy.py", "--executor", "slurm", "--profile", "cluster.toml", code=2)
    assert message in done.stderr
    assert "cluster.toml" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_profile_that_is_not_there_names_an_example(cli: Cli) -> None:
    """The example lies in the package, to be copied."""
    done = cli("run", "toy.py", "--executor", "slurm", "--profile", "here.toml", code=2)
    assert "here.toml: there is no such file" in done.stderr
    assert str(EXAMPLE) in done.stderr


def test_the_example_is_a_profile_and_names_every_key(tmp_path: Path) -> None:
    """It loads as it is, and with each of its examples taken out of the comments."""
    assert load_profile(str(EXAMPLE), []).tasks == 50
    text = "".join(
        line.removeprefix("# ")
        if line.startswith("# ") and (" = " in line or line.startswith("# ["))
        else line
        for line in EXAMPLE.read_text().splitlines(keepends=True)
    )
    (tmp_path / "all.toml").write_text(text)
    full = load_profile(str(tmp_path / "all.toml"), ["extract", "ocr"])
    assert (full.partition, full.of("extract").hours, full.of("driver").hours) == ("cpu", 8, 48)
    assert full.of("ocr").options == ("--gres=gpu:1",)
    from dataclasses import fields

    for key in (field.name for field in fields(full)):
        assert key in text


def test_a_profile_is_found_by_name(cli: Cli) -> None:
    """`--profile lab` is profiles/lab.toml."""
    (cli.folder / "profiles").mkdir()
    (cli.folder / "profiles/lab.toml").write_text('partition = "lab"\n')
    options = ("--executor", "slurm", "--dry-run", "--profile", "lab")
    assert "#SBATCH --partition=lab\n" in cli("run", "toy.py", *options).stdout


def test_dry_run_prints_the_scripts_and_leaves_nothing(cli: Cli) -> None:
    """Each stage's script, the driver's with --detach, and no file or job."""
    text = dry_run(cli, 'account = "a"\nqos = "q"\n', "--detach", "--tasks", "2")
    assert text.count("#!/bin/bash") == 4
    assert "# load: 3 units left" in text
    assert "#SBATCH --array=0-1\n" in text
    assert "#SBATCH --account=a\n" in text and "#SBATCH --qos=q\n" in text
    assert "-m curate task " in text
    assert "-m curate run toy.py --out runs/toy --executor slurm --driver-job" in text
    assert not (cli.folder / "runs").exists()


def test_values_for_one_stage_are_for_that_stage(cli: Cli) -> None:
    """Memory, hours and options of one stage, workers that multiply the memory."""
    profile = 'workers = 2\n[stages.filter]\nhours = 0.5\nmemory_gb = 3\noptions = ["--nice=9"]\n'
    load, filtered, _ = dry_run(cli, profile).split("#!/bin/bash")[1:]
    assert "--time=240\n" in load and "--mem=4352M\n" in load and "--nice" not in load
    assert "--time=30\n" in filtered and "--mem=6400M\n" in filtered and "--nice=9\n" in filtered
    assert "--cpus-per-task=2\n" in load


def test_setup_modules_and_scratch_come_before_the_task(cli: Cli) -> None:
    """The script loads modules, sets up, makes a scratch folder, and is a valid script."""
    profile = (
        'modules = ["python/3.11"]\nsetup = "source env"\npython = "python"\nscratch = "/s p"\n'
    )
    text = dry_run(cli, profile).split("#!/bin/bash")[1]
    order = ["module load python/3.11", "source env", 'mktemp -d "/s p/curate-', "exec python -m"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "PYTHONPATH" not in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_flags_of_slurm_are_refused_elsewhere(cli: Cli) -> None:
    """--tasks means nothing here, and is not taken in silence."""
    done = cli("run", "toy.py", "--tasks", "3", code=2)
    assert "--tasks is for --executor slurm" in done.stderr


def test_without_slurm_the_message_says_so(cli: Cli) -> None:
    """On a machine that has no squeue, one clear message."""
    cli.environment["PATH"] = str(cli.folder)
    done = cli("run", "toy.py", "--executor", "slurm", code=2)
    assert "there is no such command here" in done.stderr
    assert "Traceback" not in done.stderr
